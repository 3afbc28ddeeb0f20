package socketio_test

import (
	"sync"
	"testing"

	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

// A client may send as soon as it has read CONNECT, whatever the server is
// still doing: here it has much to send that was held back.
func TestEventsRightBehindConnectAreHandled(t *testing.T) {
	const held = 10_000
	srv := siotest.NewServer(t)
	srv.Use(func(s *socketio.Socket) error {
		for range held {
			if err := s.Emit("held"); err != nil {
				return err
			}
		}
		return nil
	})
	srv.On("echo", func(ev *socketio.Event) { _ = ev.Ack(ev.Values()...) })
	sessions := make([]*siotest.Session, 4)
	for i := range sessions {
		sessions[i] = srv.Open()
	}
	var all sync.WaitGroup
	for _, s := range sessions {
		all.Go(func() {
			s.Send("0")
			s.Next()
			s.Send(`20["echo",1]`)
		})
	}
	all.Wait()
	for _, s := range sessions {
		for range held {
			s.Expect(`2["held"]`)
		}
		s.Expect("30[1]")
	}
}
