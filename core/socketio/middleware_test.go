package socketio_test

import (
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

// Proves T-42.
func TestMiddlewareRunsInOrderForEveryNamespaceJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		var log journal
		note := func(what string) socketio.Middleware {
			return func(s *socketio.Socket) error {
				if s.Connected() {
					t.Error("a socket in middleware is connected")
				}
				log.note(what + " " + s.Namespace().Name())
				return nil
			}
		}
		srv.Use(note("first"), note("second"))
		srv.Of("/chat").Use(note("chat"))
		srv.OnConnect(func(s *socketio.Socket) {
			if !s.Connected() {
				t.Error("a socket in OnConnect is not connected")
			}
			log.note("connect")
		})
		c := srv.Dial()
		log.expect(t, "first /", "second /", "connect")
		c.Join("/chat")
		log.expect(t, "chat /chat")
	})
}

// Proves T-41.
func TestMiddlewareRefusesWithMessageAndData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reasons []error
		srv := siotest.NewServer(t, socketio.Config{Hooks: socketio.Hooks{
			OnConnectError: func(namespace string, h *socketio.Handshake, err error) {
				if namespace != "/" || h == nil {
					t.Errorf("hook: namespace %q, handshake %v", namespace, h)
				}
				reasons = append(reasons, err)
			},
		}})
		refusal := &socketio.ConnectError{Message: "not authorized", Data: map[string]any{"code": "E_AUTH"}}
		plain := errors.New("come back later")
		var ran journal
		var give error
		srv.Use(func(*socketio.Socket) error { return give })
		srv.Use(func(*socketio.Socket) error { ran.note("second"); return nil })
		srv.OnConnect(func(*socketio.Socket) { ran.note("connect") })
		srv.OnDisconnect(func(*socketio.Socket, socketio.Reason) { ran.note("disconnect") })

		give = refusal
		c := srv.Try()
		c.ExpectConnectError("not authorized", map[string]any{"code": "E_AUTH"})
		give = fmt.Errorf("wrapped: %w", refusal)
		c.Try("/").ExpectConnectError("not authorized", map[string]any{"code": "E_AUTH"})
		give = plain
		c.Try("/").ExpectConnectError("come back later")
		give = &socketio.ConnectError{Message: "no", Data: func() {}} // cannot be encoded
		c.Try("/").ExpectConnectError("no")
		ran.expect(t)
		if len(reasons) != 4 || !errors.Is(reasons[2], plain) {
			t.Errorf("OnConnectError was told %v", reasons)
		}
		if st := srv.Stats(); st.Refused != 4 || st.Sockets != 0 || st.Connected != 0 {
			t.Errorf("Refused %d, Sockets %d, Connected %d", st.Refused, st.Sockets, st.Connected)
		}

		give = nil
		c.Join("/")
		ran.expect(t, "second", "connect")
	})
}

// Proves J-37.
func TestWhatMiddlewareEmitsComesRightBehindConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		srv.Use(func(s *socketio.Socket) error {
			emit(t, s.Emit("first", 1))
			emit(t, s.Volatile().Emit("volatile"))
			time.Sleep(time.Second)
			emit(t, s.Emit("second", []byte{1}))
			return nil
		})
		srv.OnConnect(func(s *socketio.Socket) { emit(t, s.Emit("third")) })
		s := srv.Open()
		s.Send("0")
		s.ExpectNothing(500 * time.Millisecond)
		if got := s.Next(); string(got.Data[:2]) != "0{" {
			t.Fatalf("first packet %q, want CONNECT", got.Data)
		}
		s.Expect(`2["first",1]`)
		s.Expect(`51-["second",{"_placeholder":true,"num":0}]`)
		s.ExpectBinary([]byte{1})
		s.Expect(`2["third"]`)
		s.ExpectNothing(time.Second)
	})
}

// Proves J-37.
func TestWhatMiddlewareEmitsToARefusedClientIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		srv.Use(func(s *socketio.Socket) error {
			emit(t, s.Emit("secret"))
			return errors.New("no")
		})
		s := srv.Open()
		s.Send("0")
		s.Expect(`4{"message":"no"}`)
		s.ExpectNothing(time.Second)
	})
}

func TestRoomsJoinedInMiddlewareCountFromConnectOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		inside, proceed := make(chan *socketio.Socket), make(chan struct{})
		srv.Use(func(s *socketio.Socket) error {
			s.Join("a", "b", "a", s.ID())
			s.Leave("b")
			inside <- s
			<-proceed
			return nil
		})
		c := srv.Try()
		s := <-inside
		if got, want := fmt.Sprint(s.Rooms()), fmt.Sprint([]string{s.ID(), "a"}); got != want {
			t.Errorf("Rooms() in middleware = %s, want %s", got, want)
		}
		emit(t, srv.To("a").Emit("early"))
		emit(t, srv.Emit("early"))
		proceed <- struct{}{}
		c.ExpectConnect()
		synctest.Wait()
		emit(t, srv.To("a").Emit("late"))
		emit(t, srv.To("b").Emit("wrong"))
		c.Expect("late")
		c.ExpectNothing(time.Second)
	})
}

func TestClientThatLeavesDuringMiddlewareNeverConnects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		var log journal
		srv.Use(func(s *socketio.Socket) error {
			<-s.Context().Done()
			log.note("gone")
			return nil
		})
		srv.OnConnect(func(*socketio.Socket) { log.note("connect") })
		srv.OnDisconnect(func(*socketio.Socket, socketio.Reason) { log.note("disconnect") })
		c := srv.Try()
		synctest.Wait()
		c.Cut()
		log.expect(t, "gone")
		if st := srv.Stats(); st.Sockets != 0 || st.Connected != 0 || len(st.Disconnected) != 0 {
			t.Errorf("Stats: %+v", st)
		}
	})
}

func TestMiddlewareThatEndsItsGoroutineRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		srv.Of("/exit").Use(func(*socketio.Socket) error { runtime.Goexit(); return nil })
		c := srv.Dial()
		c.Try("/exit").ExpectConnectError("internal error")
		if st := srv.Stats(); st.Refused != 1 {
			t.Errorf("Refused = %d", st.Refused)
		}
	})
}

// Proves T-71, J-39.
func TestPanicInMiddlewareRefusesWithoutDetails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []*socketio.PanicError
		srv := siotest.NewServer(t, socketio.Config{Logger: quiet(), Hooks: socketio.Hooks{
			OnPanic: func(s *socketio.Socket, event string, err *socketio.PanicError) {
				if s == nil || event != "middleware" {
					t.Errorf("OnPanic(%v, %q)", s, event)
				}
				told = append(told, err)
			},
		}})
		srv.Of("/panics").Use(func(*socketio.Socket) error { panic("secret") })
		c := srv.Dial()
		c.Try("/panics").ExpectConnectError("internal error")
		if len(told) != 1 || told[0].Value != "secret" || len(told[0].Stack) == 0 {
			t.Errorf("OnPanic was told %v", told)
		}
		if n := srv.Stats().Panics; n != 1 {
			t.Errorf("Panics = %d", n)
		}
	})
}
