package socketio_test

import (
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/core/parser"
	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

// Proves T-73, J-41.
func TestEventsOfOneSocketAreHandledInOrder(t *testing.T) {
	for _, transport := range []siotest.Transport{siotest.WebSocket, siotest.Polling} {
		synctest.Test(t, func(t *testing.T) {
			srv := siotest.NewServer(t)
			var got []int
			srv.On("n", func(ev *socketio.Event) {
				if n := scan[int](t, ev); n%100 == 0 {
					time.Sleep(time.Second) // those behind must not overtake
				}
				got = append(got, scan[int](t, ev))
			})
			c := srv.Dial(siotest.Options{Transport: transport})
			for i := range 1000 {
				c.Emit("n", i)
			}
			pass(time.Minute)
			if len(got) != 1000 {
				t.Fatalf("%s: %d events were handled", transport, len(got))
			}
			for i, n := range got {
				if n != i {
					t.Fatalf("%s: event %d is number %d", transport, n, i)
				}
			}
		})
	}
}

func TestEventsOfDifferentSocketsAreHandledAtTheSameTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		// Two handlers that meet on a channel would deadlock one after the other.
		meet := make(chan string)
		srv.On("give", func(ev *socketio.Event) { meet <- "hi" })
		srv.On("take", func(ev *socketio.Event) { _ = ev.Ack(<-meet) })
		a, b := srv.Dial(), srv.Dial()
		taken := a.EmitWithAck("take")
		b.Emit("give")
		taken.Expect("hi")

		// Nor do two namespaces of one connection wait for each other.
		srv.Of("/x").On("take", func(ev *socketio.Event) { _ = ev.Ack(<-meet) })
		taken = a.Join("/x").EmitWithAck("take")
		a.Emit("give")
		taken.Expect("hi")
	})
}

func TestConnectHandlerReturnsBeforeTheFirstEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		var log journal
		srv.OnConnect(func(s *socketio.Socket) {
			log.note("connect begins")
			time.Sleep(time.Minute)
			s.On("x", func(*socketio.Event) { log.note("event") })
			log.note("connect ends")
		})
		c := srv.Dial()
		c.Emit("x")
		pass(time.Hour)
		log.expect(t, "connect begins", "connect ends", "event")
	})
}

// Proves T-43, T-50, T-51.
func TestListenersRunFromCatchAllOverMiddlewareToHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		var log journal
		note := func(what string) socketio.Handler {
			return func(ev *socketio.Event) { log.note(what + " " + ev.Name) }
		}
		filter := func(what string) func(*socketio.Event) error {
			return func(*socketio.Event) error { log.note(what); return nil }
		}
		srv.OnConnect(func(s *socketio.Socket) {
			s.On("x", note("socket"))
			s.Once("x", note("socket once"))
			s.OnAnyIncoming(note("socket any"))
			s.PrependAnyIncoming(note("socket any first"))
			s.Use(filter("socket use"))
			s.On("x", note("taken off"))()
		})
		srv.On("x", note("namespace"))
		srv.OnAnyIncoming(note("namespace any"))
		srv.UseEvent(filter("namespace use"))
		c := srv.Dial()
		c.Emit("x")
		log.expect(t, "namespace any x", "socket any first x", "socket any x", "namespace use", "socket use",
			"namespace x", "socket x", "socket once x")
		c.Emit("x")
		log.expect(t, "namespace any x", "socket any first x", "socket any x", "namespace use", "socket use",
			"namespace x", "socket x")
		c.Emit("nobody handles it")
		log.expect(t, "namespace any nobody handles it", "socket any first nobody handles it",
			"socket any nobody handles it", "namespace use", "socket use")
	})
}

func TestOnceOnANamespaceIsForTheFirstOfAnySocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		var log journal
		srv.Once("x", func(*socketio.Event) { log.note("once") })
		a, b := srv.Dial(), srv.Dial()
		a.Emit("x")
		b.Emit("x")
		a.Emit("x")
		log.expect(t, "once")
	})
}

// Proves T-43, J-43.
func TestEventMiddlewareKeepsEventsFromHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := errors.New("refused")
		var told []error
		srv := siotest.NewServer(t, socketio.Config{Logger: quiet(), Hooks: socketio.Hooks{
			OnEventError: func(ev *socketio.Event, err error) {
				if ev.Name != "x" {
					t.Errorf("hook for %q", ev.Name)
				}
				told = append(told, err)
			},
		}})
		var log journal
		srv.On("x", func(*socketio.Event) { log.note("handled") })
		srv.OnAnyIncoming(func(*socketio.Event) { log.note("seen") })
		srv.OnConnect(func(s *socketio.Socket) {
			s.Use(func(ev *socketio.Event) error {
				switch scan[string](t, ev) {
				case "refuse":
					return refused
				case "panic":
					panic("on purpose")
				}
				return nil
			})
		})
		c := srv.Dial()
		c.Emit("x", "refuse")
		c.Emit("x", "panic")
		log.expect(t, "seen", "seen")
		c.Emit("x", "pass")
		log.expect(t, "seen", "handled")
		var p *socketio.PanicError
		if len(told) != 2 || !errors.Is(told[0], refused) || !errors.As(told[1], &p) {
			t.Errorf("OnEventError was told %v", told)
		}
	})
}

// Proves T-52.
func TestOutgoingCatchAllSeesEachRecipient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := siotest.NewCluster(t, 2)
		var log journal
		names := map[string]string{}
		see := func(what string) socketio.Handler {
			return func(ev *socketio.Event) {
				log.note(fmt.Sprintf("%s: %s %v to %s", what, ev.Name, scan[int](t, ev), names[ev.Socket.ID()]))
			}
		}
		a, b := c.Dial(0), c.Dial(0)
		names[a.ID()], names[b.ID()] = "a", "b"
		s := socketOf(t, c.Server(0), a)
		off := c.Server(0).OnAnyOutgoing(see("all"))
		s.OnAnyOutgoing(see("own"))
		s.PrependAnyOutgoing(see("own first"))

		emit(t, s.Emit("x", 1))
		log.expect(t, "all: x 1 to a", "own first: x 1 to a", "own: x 1 to a")
		emit(t, c.Server(1).Except(a.ID()).Emit("y", 2)) // from the other node
		log.expect(t, "all: y 2 to b")
		emit(t, c.Server(1).To(a.ID()).Emit("z", 3))
		log.expect(t, "all: z 3 to a", "own first: z 3 to a", "own: z 3 to a")
		off()
		emit(t, c.Server(0).Emit("w", 4))
		log.expect(t, "own first: w 4 to a", "own: w 4 to a")
	})
}

// Proves T-71, J-40.
func TestPanicsAndExitsEndOnlyTheirEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told journal
		srv := siotest.NewServer(t, socketio.Config{Logger: quiet(), Hooks: socketio.Hooks{
			OnPanic: func(_ *socketio.Socket, event string, err *socketio.PanicError) {
				told.note(fmt.Sprintf("%s: %v", event, err.Value))
			},
		}})
		die := func(*socketio.Event) { panic("dead") }
		srv.On("panic", die)
		srv.On("panic", func(ev *socketio.Event) { _ = ev.Ack("the next handler ran") })
		srv.On("exit", func(*socketio.Event) { runtime.Goexit() })
		srv.On("error", func(*socketio.Event) { panic(errors.New("bad")) })
		srv.On("echo", func(ev *socketio.Event) { _ = ev.Ack(ev.Values()...) })
		srv.OnConnect(func(*socketio.Socket) { panic("connect") })
		srv.OnDisconnecting(func(*socketio.Socket, socketio.Reason) { panic("leaving") })
		srv.OnDisconnect(func(*socketio.Socket, socketio.Reason) { panic("left") })
		a, b := srv.Dial(), srv.Dial()
		told.expect(t, "connection: connect", "connection: connect")

		a.EmitWithAck("panic").Expect("the next handler ran")
		a.Emit("exit")
		a.Emit("error")
		a.EmitWithAck("echo", 1).Expect(1)
		b.EmitWithAck("echo", 2).Expect(2)
		told.expect(t, "panic: dead", "error: bad")

		off := srv.OnAnyIncoming(die)
		a.EmitWithAck("echo", 3).Expect(3)
		off()
		told.expect(t, "echo: dead")
		srv.OnAnyOutgoing(die)
		emit(t, socketOf(t, srv, a).Emit("out"))
		a.Expect("out")
		told.expect(t, "out: dead")

		a.Disconnect()
		told.expect(t, "disconnecting: leaving", "disconnect: left")
		if n := srv.Stats().Panics; n != 8 {
			t.Errorf("Panics = %d", n)
		}
	})
}

func TestEventsMayBeKeptAndAcknowledgedLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		kept := make(chan *socketio.Event, 1)
		srv.On("x", func(ev *socketio.Event) { kept <- ev })
		c := srv.Dial()
		reply := c.EmitWithAck("x", "text", []byte{1, 2, 3})
		for range 100 { // buffers are reused
			c.Emit("filler", "............................")
		}
		ev := <-kept
		pass(time.Minute)
		var text string
		var data []byte
		if err := ev.Scan(&text, &data); err != nil || text != "text" || string(data) != "\x01\x02\x03" {
			t.Errorf("kept event: %q, %x, %v", text, data, err)
		}
		go func() { _ = ev.Ack(text, data) }()
		reply.Expect("text", []byte{1, 2, 3})
	})
}

// Proves T-62, T-74.
func TestReservedAndUnencodableEventsAreErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		c := srv.Dial()
		s := socketOf(t, srv, c)
		for _, name := range []string{"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"} {
			if err := s.Emit(name); !errors.Is(err, socketio.ErrReservedEvent) {
				t.Errorf("Emit(%q) = %v", name, err)
			}
			if err := srv.Emit(name); !errors.Is(err, socketio.ErrReservedEvent) {
				t.Errorf("broadcast of %q = %v", name, err)
			}
			if _, err := srv.EmitWithAck(t.Context(), name); !errors.Is(err, socketio.ErrReservedEvent) {
				t.Errorf("EmitWithAck(%q) = %v", name, err)
			}
		}
		if err := s.Emit("x", func() {}); err == nil {
			t.Error("Emit of a func succeeded")
		}
		if err := srv.Emit("x", make(chan int)); err == nil {
			t.Error("broadcast of a channel succeeded")
		}
		c.ExpectNothing(time.Second)
		emit(t, s.Send("text", 1))
		c.Expect("message", "text", 1)
		emit(t, srv.Send("all"))
		c.Expect("message", "all")
		// These names are not reserved.
		for _, name := range []string{"error", "connection", "message"} {
			emit(t, s.Emit(name))
			c.Expect(name)
		}
	})
}

func TestMessagePackServerSpeaksMessagePack(t *testing.T) {
	for _, transport := range []siotest.Transport{siotest.WebSocket, siotest.Polling} {
		synctest.Test(t, func(t *testing.T) {
			c := siotest.NewCluster(t, 2, socketio.Config{Parser: parser.Msgpack()})
			for _, srv := range c.Servers() {
				srv.On("echo", func(ev *socketio.Event) { _ = ev.Ack(ev.Values()...) })
			}
			a := c.Dial(0, siotest.Options{Transport: transport, Auth: map[string]int{"n": 1}})
			b := c.Dial(1, siotest.Options{Transport: transport})
			a.EmitWithAck("echo", "x", []byte{1, 2}, map[string]any{"k": []any{1, nil, true}}).
				Expect("x", []byte{1, 2}, map[string]any{"k": []any{1, nil, true}})
			emit(t, c.Server(0).Emit("all", []byte{3}))
			a.Expect("all", []byte{3})
			b.Expect("all", []byte{3})
			a.Try("/nowhere").ExpectConnectError("Invalid namespace")
			a.Disconnect()
			b.ExpectNothing(time.Second)
		})
	}
}
