package socketio_test

import (
	"sync"
	"testing"

	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

// A client may send as soon as it has read CONNECT, whatever the server is
// still doing.
func TestEventsRightBehindConnectAreHandled(t *testing.T) {
	srv := siotest.NewServer(t)
	srv.On("echo", func(ev *socketio.Event) { _ = ev.Ack(ev.Values()...) })
	sessions := make([]*siotest.Session, 200)
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
		s.Expect("30[1]")
	}
}
