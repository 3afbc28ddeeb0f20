package socketio_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/core/parser"
	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

// Proves T-48, T-49, J-16.
func TestProtocolViolationsEndTheConnection(t *testing.T) {
	tests := []struct {
		name, packet string
		reason       socketio.Reason
	}{
		{"event before CONNECT", `2/other,["x"]`, socketio.ReasonProtocol},
		{"ack before CONNECT", `3/other,1[]`, socketio.ReasonProtocol},
		{"DISCONNECT before CONNECT", `1/other,`, socketio.ReasonProtocol},
		{"second CONNECT", `0`, socketio.ReasonProtocol},
		{"CONNECT_ERROR", `4{"message":"x"}`, socketio.ReasonProtocol},
		{"CONNECT_ERROR elsewhere", `4/other,{"message":"x"}`, socketio.ReasonProtocol},
		{"unknown type", `9`, socketio.ReasonForcedClose},
		{"no JSON", `2["x"`, socketio.ReasonForcedClose},
		{"event without name", `2[]`, socketio.ReasonForcedClose},
		{"event that is no array", `2{"a":1}`, socketio.ReasonForcedClose},
		{"reserved event", `2["disconnect"]`, socketio.ReasonForcedClose},
		{"ack that is no array", `31{}`, socketio.ReasonForcedClose},
		{"CONNECT with an array", `0/other,[]`, socketio.ReasonForcedClose},
		{"too many attachments", `511-["x"]`, socketio.ReasonForcedClose},
		{"attachment out of range", `51-["x",{"_placeholder":true,"num":1}]`, socketio.ReasonForcedClose},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := siotest.NewServer(t)
				srv.Of("/chat")
				srv.On("x", func(*socketio.Event) { t.Error("the event was handled") })
				c, witness := srv.Dial(), srv.Dial()
				c.Join("/chat")
				synctest.Wait() // now the server has it, too
				s := socketOf(t, srv, c)
				c.Session().Send(test.packet)
				if strings.Contains(test.packet, "num") {
					c.Session().SendBinary([]byte{1})
				}
				c.ExpectDisconnect("transport close")
				synctest.Wait()
				st := srv.Stats()
				if len(st.Disconnected) != 1 || st.Disconnected[test.reason] != 2 {
					t.Errorf("Disconnected = %v, want 2 × %q", st.Disconnected, test.reason)
				}
				if undecodable := test.reason == socketio.ReasonForcedClose; (st.Undecodable == 1) != undecodable {
					t.Errorf("Undecodable = %d", st.Undecodable)
				}
				var cause *socketio.DisconnectError
				if !errors.As(context.Cause(s.Context()), &cause) || cause.Err == nil {
					t.Errorf("cause %v does not say what was wrong", context.Cause(s.Context()))
				}
				emit(t, srv.Emit("still here"))
				witness.Expect("still here")
			})
		})
	}
}

func TestUnexpectedBinaryEndsTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		c := srv.Dial()
		c.Session().SendBinary([]byte{1})
		c.ExpectDisconnect("transport close")
		c = srv.Dial()
		c.Session().Send(`51-["x",{"_placeholder":true,"num":0}]`)
		c.Session().Send(`2["x"]`)
		c.ExpectDisconnect("transport close")
	})
}

// A client has to wait for the answer to its CONNECT.
// Proves J-38.
func TestImpatienceDuringMiddlewareEndsTheConnection(t *testing.T) {
	for name, packet := range map[string]string{"event": `2["x"]`, "CONNECT": `0`, "ack": `30[]`} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := siotest.NewServer(t)
				srv.Use(func(s *socketio.Socket) error { <-s.Context().Done(); return nil })
				srv.OnConnect(func(*socketio.Socket) { t.Error("the client was connected") })
				s := srv.Open()
				s.Send("0")
				synctest.Wait()
				s.Send(packet)
				s.ExpectEnd("transport close")
			})
		})
	}
}

// Proves J-27.
func TestAttachmentsMustComeInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		c := srv.Dial()
		start := time.Now()
		var at time.Time
		off := srv.OnDisconnect(func(_ *socketio.Socket, r socketio.Reason) {
			at = time.Now()
			if r != socketio.ReasonForcedClose {
				t.Errorf("reason %q", r)
			}
		})
		c.Session().Send(`52-["x",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`)
		time.AfterFunc(20*time.Second, func() { c.Session().SendBinary([]byte{1}) }) // does not help
		pass(time.Minute)
		if took := at.Sub(start); took != 30*time.Second {
			t.Errorf("ended after %v, want 30 s", took)
		}
		off()

		// In time is in time, and the next packet has its own clock.
		srv.On("x", func(ev *socketio.Event) { _ = ev.Socket.Emit("got", scan[[]byte](t, ev)) })
		c = srv.Dial()
		for range 3 {
			c.Session().Send(`51-["x",{"_placeholder":true,"num":0}]`)
			time.Sleep(29 * time.Second)
			c.Session().SendBinary([]byte{7})
			c.Expect("got", []byte{7})
		}
	})
}

func TestAttachmentsThatNeverComeEndWithTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		c := srv.Dial()
		c.Session().Send(`51-["x",{"_placeholder":true,"num":0}]`)
		synctest.Wait()
		c.Cut()
		pass(time.Minute)
		if n := srv.Stats().Undecodable; n != 0 {
			t.Errorf("Undecodable = %d for a connection that ended before", n)
		}
	})
}

// Proves J-60.
func TestLimitsOfOneConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		srv := siotest.NewServer(t, socketio.Config{
			Limits: socketio.Limits{Namespaces: 3, Auth: 20, Parser: parser.Limits{MaxNamespace: 10}},
			Hooks: socketio.Hooks{OnConnectError: func(namespace string, _ *socketio.Handshake, err error) {
				told = append(told, namespace)
			}},
		})
		srv.OfFunc(func(context.Context, string, *socketio.Handshake) (bool, error) { return true, nil })
		c := srv.Dial()
		c.Join("/a")
		b := c.Join("/b")
		c.Try("/c").ExpectConnectError("more than 3 namespaces on one connection")
		b.Disconnect()
		synctest.Wait()
		c.Join("/c", map[string]string{"a": "0123456789"})
		c.Try("/b", map[string]string{"a": "0123456789abc"}).ExpectConnectError("auth payload of 21 bytes is over the limit of 20")
		synctest.Wait()
		if len(told) != 2 || told[0] != "/c" || told[1] != "/b" {
			t.Errorf("OnConnectError was told of %q", told)
		}
		if n := srv.Stats().Refused; n != 2 {
			t.Errorf("Refused = %d", n)
		}
		c.Session().Send("0/0123456789,")
		c.ExpectDisconnect("transport close")
	})
}

// Proves J-60.
func TestRoomsOfOneSocketAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t, socketio.Config{Logger: quiet(), Limits: socketio.Limits{Rooms: 2}})
		c := srv.Dial()
		s := socketOf(t, srv, c)
		s.Join("a", "b")
		s.Join("c")
		if got := s.Rooms(); len(got) != 3 {
			t.Errorf("Rooms() = %q, want the id and 2", got)
		}
		if err := s.JoinWait(t.Context(), "c"); err == nil {
			t.Error("JoinWait beyond the limit succeeded")
		}
		if err := s.JoinWait(t.Context(), "a", "b", s.ID()); err != nil {
			t.Errorf("JoinWait of rooms that the socket is in: %v", err)
		}
		s.Leave("a")
		s.Join("c")
		if got := s.Rooms(); len(got) != 3 || got[2] != "c" {
			t.Errorf("Rooms() = %q", got)
		}
	})
}

func TestRoomsJoinedInMiddlewareAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t, socketio.Config{Logger: quiet(), Limits: socketio.Limits{Rooms: 2}})
		srv.Use(func(s *socketio.Socket) error {
			s.Join("a", "b")
			s.Join("c")
			return nil
		})
		if got := socketOf(t, srv, srv.Dial()).Rooms(); len(got) != 3 {
			t.Errorf("Rooms() = %q, want the id and 2", got)
		}
	})
}

func TestHeldBackEmitsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t, socketio.Config{Limits: socketio.Limits{HeldBytes: 1000}})
		srv.Use(func(s *socketio.Socket) error {
			emit(t, s.Emit("x", strings.Repeat("a", 900)))
			if err := s.Emit("y", strings.Repeat("a", 900)); !errors.Is(err, socketio.ErrSlowConsumer) {
				t.Errorf("Emit beyond the limit = %v", err)
			}
			return nil
		})
		c := srv.Dial()
		c.Expect("x", strings.Repeat("a", 900))
		c.ExpectNothing(time.Second)
	})
}

func TestServerSideEventsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := siotest.NewCluster(t, 2, socketio.Config{Limits: socketio.Limits{ServerEvents: 5}})
		proceed := make(chan struct{})
		handled := 0
		c.Server(1).OnServerSide("x", func(*socketio.ServerEvent) {
			<-proceed
			handled++
		})
		emit(t, c.Server(0).ServerSideEmit("x"))
		synctest.Wait() // one is being handled
		for range 20 {
			emit(t, c.Server(0).ServerSideEmit("x"))
		}
		synctest.Wait()
		if n := c.Server(1).Stats().ServerEventsDropped; n != 15 {
			t.Errorf("ServerEventsDropped = %d", n)
		}
		close(proceed)
		synctest.Wait()
		if handled != 6 {
			t.Errorf("%d events were handled", handled)
		}
	})
}
