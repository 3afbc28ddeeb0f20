package socketio_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/core/engineio"
	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

// Proves T-53, T-54, J-50.
func TestEachWayToLeaveHasItsReason(t *testing.T) {
	type side = func(*socketio.Socket, *siotest.Client)
	ways := []struct {
		name   string
		leave  side
		reason socketio.Reason
		client string
	}{
		{"client leaves", func(_ *socketio.Socket, c *siotest.Client) { c.Disconnect() }, socketio.ReasonClientDisconnect, "io client disconnect"},
		{"Disconnect", func(s *socketio.Socket, _ *siotest.Client) { s.Disconnect() }, socketio.ReasonServerDisconnect, "io server disconnect"},
		{"DisconnectConn", func(s *socketio.Socket, _ *siotest.Client) { s.DisconnectConn() }, socketio.ReasonServerDisconnect, "io server disconnect"},
		{"CloseTransport", func(s *socketio.Socket, _ *siotest.Client) { s.CloseTransport() }, socketio.ReasonForcedClose, "transport close"},
		{"client closes", func(_ *socketio.Socket, c *siotest.Client) { c.Close() }, socketio.ReasonTransportClose, "forced close"},
		{"cable is cut", func(_ *socketio.Socket, c *siotest.Client) { c.Cut() }, socketio.ReasonTransportClose, "transport error"},
		{"no pong", func(_ *socketio.Socket, c *siotest.Client) { c.Session().Mute() }, socketio.ReasonPingTimeout, "transport close"},
		{"no packet", func(_ *socketio.Socket, c *siotest.Client) { c.Session().Send("garbage") }, socketio.ReasonForcedClose, "transport close"},
		{"no Engine.IO packet", func(_ *socketio.Socket, c *siotest.Client) { c.Session().SendPacket("x") }, socketio.ReasonParse, "transport close"},
		{"violation", func(_ *socketio.Socket, c *siotest.Client) { c.Session().Send(`2/other,["x"]`) }, socketio.ReasonProtocol, "transport close"},
	}
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := siotest.NewServer(t, socketio.Config{
					Engine: engineio.Config{PingInterval: 3 * time.Second, PingTimeout: time.Second},
				})
				srv.OnConnect(func(s *socketio.Socket) { s.Join("lobby") })
				var log journal
				srv.OnDisconnecting(func(s *socketio.Socket, r socketio.Reason) {
					if s.Connected() {
						t.Error("Connected() in disconnecting")
					}
					if got := s.Rooms(); !slices.Equal(got, []string{s.ID(), "lobby"}) {
						t.Errorf("Rooms() in disconnecting = %q", got)
					}
					log.note("disconnecting: " + string(r))
				})
				srv.OnDisconnect(func(s *socketio.Socket, r socketio.Reason) {
					if got := s.Rooms(); len(got) != 0 {
						t.Errorf("Rooms() in disconnect = %q", got)
					}
					log.note("disconnect: " + string(r))
				})
				c := srv.Dial()
				synctest.Wait() // it has joined the lobby
				s := socketOf(t, srv, c)
				ctx := s.Context()
				way.leave(s, c)
				pass(10 * time.Second)
				log.expect(t, "disconnecting: "+string(way.reason), "disconnect: "+string(way.reason))
				c.ExpectDisconnect(way.client)
				if ctx.Err() == nil || s.Connected() || srv.Len() != 0 {
					t.Errorf("context %v, connected %t, %d sockets", ctx.Err(), s.Connected(), srv.Len())
				}
				if err := s.Emit("late"); !errors.Is(err, socketio.ErrDisconnected) {
					t.Errorf("Emit = %v, want ErrDisconnected", err)
				}
				if got := srv.Stats().Disconnected; len(got) != 1 || got[way.reason] != 1 {
					t.Errorf("Disconnected = %v", got)
				}
			})
		})
	}
}

func TestDisconnectLeavesTheOtherNamespaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		chat := srv.Of("/chat")
		c := srv.Dial()
		inChat := c.Join("/chat")
		s, _ := chat.Socket(inChat.ID())
		synctest.Wait()
		s.Disconnect()
		s.Disconnect() // once is enough
		inChat.ExpectDisconnect("io server disconnect")
		emit(t, srv.Emit("hi"))
		c.Expect("hi")
		// The client may come back, as somebody else.
		again := c.Join("/chat")
		if again.ID() == inChat.ID() {
			t.Error("a new socket has an old id")
		}
	})
}

func TestDisconnectConnEndsEveryNamespace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		var log journal
		for _, n := range []*socketio.Namespace{srv.Namespace, srv.Of("/chat")} {
			n.OnDisconnect(func(_ *socketio.Socket, r socketio.Reason) { log.note(n.Name() + " " + string(r)) })
		}
		c := srv.Dial()
		inChat := c.Join("/chat")
		synctest.Wait()
		socketOf(t, srv, c).DisconnectConn()
		c.ExpectDisconnect("io server disconnect")
		inChat.ExpectDisconnect("io server disconnect")
		c.Session().ExpectEnd("transport close")
		synctest.Wait()
		got := srv.Stats().Disconnected
		if got[socketio.ReasonServerDisconnect] != 2 || len(got) != 1 {
			t.Errorf("Disconnected = %v", got)
		}
	})
}

// Proves J-49.
func TestClientsEventsAreHandledBeforeItsGoodbye(t *testing.T) {
	for name, leave := range map[string]func(*siotest.Client){
		"packet": (*siotest.Client).Disconnect,
		"close":  (*siotest.Client).Close,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := siotest.NewServer(t)
				var log journal
				srv.On("n", func(ev *socketio.Event) {
					time.Sleep(time.Second)
					log.note("event")
				})
				srv.OnDisconnect(func(*socketio.Socket, socketio.Reason) { log.note("disconnect") })
				c := srv.Dial()
				for range 3 {
					c.Emit("n")
				}
				leave(c)
				pass(time.Minute)
				log.expect(t, "event", "event", "event", "disconnect")
			})
		})
	}
}

// Proves J-48.
func TestWhoIsThrownOutIsNotListenedToAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		var log journal
		proceed := make(chan struct{})
		srv.On("spam", func(ev *socketio.Event) {
			log.note("spam")
			<-proceed
			ev.Socket.Disconnect()
		})
		srv.OnDisconnect(func(*socketio.Socket, socketio.Reason) { log.note("disconnect") })
		c := srv.Dial()
		for range 10 {
			c.Emit("spam")
		}
		synctest.Wait()
		close(proceed)
		c.ExpectDisconnect("io server disconnect")
		// What was on its way is not held against the client.
		c.Session().Send(`2["spam"]`)
		c.Session().Send(`31[]`)
		log.expect(t, "spam", "disconnect")
		if ended := c.Session().Ended(); ended != "" {
			t.Errorf("the connection was ended: %s", ended)
		}
		c.Join("/")
	})
}

func TestListenersOfOneSocketAndOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		var log journal
		srv.OnDisconnect(func(*socketio.Socket, socketio.Reason) { log.note("namespace") })
		srv.OnConnect(func(s *socketio.Socket) {
			s.OnDisconnecting(func(*socketio.Socket, socketio.Reason) { log.note("disconnecting") })
			s.OnDisconnect(func(*socketio.Socket, socketio.Reason) { log.note("socket") })
			s.OnDisconnect(func(*socketio.Socket, socketio.Reason) { log.note("never") })()
		})
		srv.Dial().Disconnect()
		log.expect(t, "disconnecting", "namespace", "socket")
	})
}
