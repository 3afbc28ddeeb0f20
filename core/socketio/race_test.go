package socketio_test

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

// However a client's events and its end cross each other, no handler runs
// after its disconnect listener.
func TestNoEventIsHandledAfterDisconnect(t *testing.T) {
	srv := siotest.NewServer(t)
	var late atomic.Int64
	left := socketio.NewKey[bool]()
	srv.On("x", func(ev *socketio.Event) {
		if gone, _ := left.Get(ev.Socket); gone {
			late.Add(1)
		}
	})
	srv.OnDisconnect(func(s *socketio.Socket, _ socketio.Reason) { left.Set(s, true) })
	var all sync.WaitGroup
	for i := range 100 {
		c := srv.Dial()
		s := socketOf(t, srv, c)
		all.Go(func() {
			for range 30 {
				c.Emit("x")
			}
		})
		all.Go(func() {
			for range i {
				runtime.Gosched()
			}
			s.Disconnect()
		})
	}
	all.Wait()
	if n := late.Load(); n != 0 {
		t.Errorf("%d events were handled after the socket's end", n)
	}
}

// Whatever is emitted around the moment of CONNECT comes after it and in
// order.
func TestEmitsAroundConnectKeepTheirOrder(t *testing.T) {
	srv := siotest.NewServer(t)
	var all sync.WaitGroup
	srv.Use(func(s *socketio.Socket) error {
		all.Go(func() {
			for i := range 500 {
				if err := s.Emit("n", i); err != nil {
					t.Error(err)
				}
			}
		})
		return nil
	})
	for range 20 {
		c := srv.Dial()
		for i := range 500 {
			c.Expect("n", i)
		}
	}
	all.Wait()
}
