package socketio_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/core/parser"
	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

// Proves T-55.
func TestAcksToTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		var log journal
		srv.On("twice", func(ev *socketio.Event) {
			if !ev.WantsAck() {
				t.Error("WantsAck() = false")
			}
			if err := ev.Ack("bad", func() {}); err == nil {
				t.Error("Ack of a func succeeded")
			}
			if err := ev.Ack("first", []byte{9}); err != nil {
				t.Errorf("first Ack: %v", err)
			}
			if err := ev.Ack("second"); !errors.Is(err, socketio.ErrAcked) {
				t.Errorf("second Ack: %v", err)
			}
		})
		srv.On("plain", func(ev *socketio.Event) {
			if ev.WantsAck() {
				t.Error("WantsAck() = true")
			}
			if err := ev.Ack("nobody asked"); err != nil {
				t.Errorf("Ack: %v", err)
			}
			log.note("plain")
		})
		c := srv.Dial()
		reply := c.EmitWithAck("twice")
		reply.Expect("first", []byte{9})
		reply.ExpectNothing(time.Second)
		c.Emit("plain")
		log.expect(t, "plain")
		// Nobody acknowledges what nobody handles.
		c.EmitWithAck("unknown").ExpectNothing(time.Minute)
	})
}

// Proves J-45.
func TestAckAfterTheSocketHasLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		kept := make(chan *socketio.Event, 1)
		srv.On("x", func(ev *socketio.Event) { kept <- ev })
		c := srv.Dial()
		reply := c.EmitWithAck("x")
		ev := <-kept
		ev.Socket.Disconnect()
		c.ExpectDisconnect("io server disconnect")
		if err := ev.Ack(); !errors.Is(err, socketio.ErrDisconnected) {
			t.Errorf("Ack = %v, want ErrDisconnected", err)
		}
		reply.ExpectNothing(time.Second)
	})
}

// Proves T-56, T-57, T-58, T-121, J-44.
func TestEmitWithAckEndsOnEveryPath(t *testing.T) {
	type call struct {
		s *socketio.Socket
		c *siotest.Client
	}
	background := context.Background()
	tests := []struct {
		name string
		ask  func(call) (socketio.Args, error)
		then func(call) // one second later
		took time.Duration
		want error
	}{
		{
			name: "answer",
			ask:  func(x call) (socketio.Args, error) { return x.s.EmitWithAck(background, "q") },
			then: func(x call) { x.c.Next().Ack("yes") },
			took: time.Second,
		},
		{
			name: "default timeout",
			ask:  func(x call) (socketio.Args, error) { return x.s.EmitWithAck(background, "q") },
			took: 10 * time.Second,
			want: context.DeadlineExceeded,
		},
		{
			name: "timeout",
			ask:  func(x call) (socketio.Args, error) { return x.s.Timeout(3*time.Second).EmitWithAck(background, "q") },
			took: 3 * time.Second,
			want: context.DeadlineExceeded,
		},
		{
			name: "timeout beyond the default",
			ask:  func(x call) (socketio.Args, error) { return x.s.Timeout(time.Hour).EmitWithAck(background, "q") },
			took: time.Hour,
			want: context.DeadlineExceeded,
		},
		{
			name: "deadline before the timeout",
			ask: func(x call) (socketio.Args, error) {
				ctx, cancel := context.WithTimeout(background, 2*time.Second)
				defer cancel()
				return x.s.Timeout(time.Hour).EmitWithAck(ctx, "q")
			},
			took: 2 * time.Second,
			want: context.DeadlineExceeded,
		},
		{
			name: "cancelled",
			ask: func(x call) (socketio.Args, error) {
				ctx, cancel := context.WithCancel(background)
				time.AfterFunc(4*time.Second, cancel)
				return x.s.EmitWithAck(ctx, "q")
			},
			took: 4 * time.Second,
			want: context.Canceled,
		},
		{
			name: "client leaves",
			ask:  func(x call) (socketio.Args, error) { return x.s.EmitWithAck(background, "q") },
			then: func(x call) { x.c.Disconnect() },
			took: time.Second,
			want: socketio.ErrDisconnected,
		},
		{
			name: "connection breaks",
			ask:  func(x call) (socketio.Args, error) { return x.s.EmitWithAck(background, "q") },
			then: func(x call) { x.c.Cut() },
			took: time.Second,
			want: socketio.ErrDisconnected,
		},
		{
			name: "server disconnects",
			ask:  func(x call) (socketio.Args, error) { return x.s.EmitWithAck(background, "q") },
			then: func(x call) { x.s.Disconnect() },
			took: time.Second,
			want: socketio.ErrDisconnected,
		},
		{
			name: "left before",
			ask: func(x call) (socketio.Args, error) {
				x.s.Disconnect()
				return x.s.EmitWithAck(background, "q")
			},
			want: socketio.ErrDisconnected,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := siotest.NewServer(t)
				c := srv.Dial()
				x := call{socketOf(t, srv, c), c}
				if test.then != nil {
					time.AfterFunc(time.Second, func() { test.then(x) })
				}
				start := time.Now()
				args, err := test.ask(x)
				if took := time.Since(start); took != test.took {
					t.Errorf("took %v, want %v", took, test.took)
				}
				if !errors.Is(err, test.want) {
					t.Errorf("error %v, want %v", err, test.want)
				}
				if test.want == nil && scan[string](t, args) != "yes" {
					t.Errorf("answer %v", args)
				}
			})
		})
	}
}

func TestStrayAcksAreIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		c := srv.Dial()
		s := socketOf(t, srv, c)
		c.SendAck(12345, "made up")
		go func() { _, _ = s.Timeout(time.Second).EmitWithAck(t.Context(), "late") }()
		late := c.Expect("late")
		time.Sleep(2 * time.Second)
		late.Ack("too late")
		done := make(chan socketio.Args, 1)
		go func() {
			a, err := s.EmitWithAck(t.Context(), "twice")
			if err != nil {
				t.Error(err)
			}
			done <- a
		}()
		twice := c.Expect("twice")
		twice.Ack("first")
		twice.Ack("second")
		if got := scan[string](t, <-done); got != "first" {
			t.Errorf("answer %q", got)
		}
		c.ExpectNothing(time.Second)
	})
}

// A socket must not answer for another one.
func TestAcksOfOtherSocketsAreIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		a, b := srv.Dial(), srv.Dial()
		s := socketOf(t, srv, a)
		result := make(chan error, 1)
		go func() {
			_, err := s.Timeout(5*time.Second).EmitWithAck(t.Context(), "q")
			result <- err
		}()
		a.Expect("q")
		for id := range uint64(100) {
			b.SendAck(id, "forged")
		}
		if err := <-result; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("EmitWithAck = %v: somebody else answered", err)
		}
	})
}

func TestAcksPendingAtMiddlewareTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		errs := make(chan error, 1)
		srv.Use(func(s *socketio.Socket) error {
			go func() {
				_, err := s.EmitWithAck(context.Background(), "q")
				errs <- err
			}()
			time.Sleep(time.Second)
			if scan[struct{ No bool }](t, s.Handshake().Auth).No {
				return errors.New("no")
			}
			return nil
		})
		c := srv.Dial() // the question is held back until CONNECT
		c.Expect("q").Ack()
		if err := <-errs; err != nil {
			t.Errorf("EmitWithAck in middleware: %v", err)
		}
		c.Try("/", nil) // a violation ends the connection
		c.ExpectDisconnect("transport close")
		refused := srv.Try(siotest.Options{Auth: map[string]bool{"no": true}})
		refused.ExpectConnectError("no")
		if err := <-errs; !errors.Is(err, socketio.ErrDisconnected) {
			t.Errorf("EmitWithAck of a refused client: %v", err)
		}
	})
}

// Proves J-60.
func TestPendingAcksAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t, socketio.Config{Limits: socketio.Limits{PendingAcks: 3}})
		c := srv.Dial()
		s := socketOf(t, srv, c)
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() { _, _ = s.Timeout(time.Minute).EmitWithAck(t.Context(), "q") })
		}
		synctest.Wait()
		if _, err := s.EmitWithAck(t.Context(), "q"); !errors.Is(err, socketio.ErrTooManyAcks) {
			t.Errorf("EmitWithAck = %v, want ErrTooManyAcks", err)
		}
		all.Wait() // they timed out, which makes room
		answer(c, "r", 1)
		if _, err := s.EmitWithAck(t.Context(), "r"); err != nil {
			t.Errorf("EmitWithAck after the others ended: %v", err)
		}
	})
}

// Proves T-79, T-121.
func TestTypedHandlersAnswerResultsAndErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []error
		srv := siotest.NewServer(t, socketio.Config{Logger: quiet(), Hooks: socketio.Hooks{
			OnEventError: func(_ *socketio.Event, err error) { told = append(told, err) },
		}})
		socketio.Handle(srv, "double", func(_ context.Context, _ *socketio.Socket, n int) (int, error) {
			switch {
			case n < 0:
				return 0, &socketio.RemoteError{Code: "E_NEG", Message: "negative"}
			case n == 0:
				return 0, errors.New("password of the database")
			}
			return 2 * n, nil
		})
		socketio.On(srv, "one", func(context.Context, *socketio.Socket, struct{ A int }) error { return nil })
		socketio.On2(srv, "two", func(_ context.Context, s *socketio.Socket, a string, b int) error { return s.Emit("got", a, b) })
		socketio.On3(srv, "three", func(_ context.Context, s *socketio.Socket, a, b int, c []byte) error {
			return s.Emit("got", a, b, c)
		})
		c := srv.Dial()
		failed := func(code, message string) any {
			return map[string]any{"error": map[string]string{"code": code, "message": message}}
		}
		c.EmitWithAck("double", 21).Expect(42)
		c.EmitWithAck("double", -1).Expect(failed("E_NEG", "negative"))
		c.EmitWithAck("double", 0).Expect(failed("internal", "internal error"))
		var bad struct{ Error struct{ Code string } }
		if err := c.EmitWithAck("double", "x").Args().Scan(&bad); err != nil || bad.Error.Code != "bad_payload" {
			t.Errorf("answer to a bad payload: %+v, %v", bad, err)
		}
		c.EmitWithAck("one", map[string]int{"A": 1}).Expect()
		c.EmitWithAck("two", "x", 2).Expect()
		c.Expect("got", "x", 2)
		c.EmitWithAck("three", 1, 2, []byte{3}).Expect()
		c.Expect("got", 1, 2, []byte{3})
		socketio.Handle2(srv, "sum", func(_ context.Context, _ *socketio.Socket, a, b int) (int, error) { return a + b, nil })
		socketio.Handle3(srv, "join", func(_ context.Context, s *socketio.Socket, a string, b int, c []byte) (string, error) {
			if len(c) == 0 {
				return "half done", &socketio.RemoteError{Code: "E_EMPTY", Message: a}
			}
			return fmt.Sprint(a, b, c), nil
		})
		c.EmitWithAck("sum", 40, 2).Expect(42)
		c.EmitWithAck("join", "a", 1, []byte{2}).Expect("a1 [2]")
		c.EmitWithAck("join", "a", 1, []byte{}).Expect(failed("E_EMPTY", "a"))
		c.Emit("two", "missing")
		c.Emit("sum", 40)
		c.Emit("join", "a", 1)
		c.ExpectNothing(time.Second)
		synctest.Wait()
		if len(told) != 7 {
			t.Errorf("OnEventError was told %v", told)
		}
	})
}

// Proves T-58, T-79.
func TestCallReturnsTheClientsErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		c := srv.Dial()
		s := socketOf(t, srv, c)
		c.Answer("q", func(a parser.Args) []any {
			if n := scan[int](t, a); n < 0 {
				return []any{map[string]any{"error": map[string]string{"code": "E_NEG", "message": "negative"}}}
			}
			return []any{"text"}
		})
		var remote *socketio.RemoteError
		if _, err := socketio.Call[string](t.Context(), s, "q", -1); !errors.As(err, &remote) || remote.Code != "E_NEG" {
			t.Errorf("Call = %v", err)
		}
		if got, err := socketio.Call[string](t.Context(), s, "q", 1); err != nil || got != "text" {
			t.Errorf("Call = %q, %v", got, err)
		}
		if _, err := socketio.Call[int](t.Context(), s, "q", 1); err == nil || errors.As(err, &remote) {
			t.Errorf("Call into a wrong type: %v", err)
		}
	})
}
