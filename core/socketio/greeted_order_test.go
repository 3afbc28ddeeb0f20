package socketio_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

// While a socket's CONNECT and what was held back are on their way, broadcasts
// wait for their turn; what is emitted to the socket alone must not pass them.
func TestRecoveryKeepsOrderWhileASocketIsBeingConnected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t, socketio.Config{Recovery: socketio.Recovery{MaxDisconnection: time.Minute}})
		met := make(chan *socketio.Socket, 1)
		srv.Use(func(s *socketio.Socket) error {
			for range 5000 { // what keeps the server busy after CONNECT
				emit(t, s.Emit("held"))
			}
			met <- s
			return nil
		})
		c := srv.Try()
		s := <-met
		for {
			if _, listed := srv.Socket(s.ID()); listed {
				break
			}
		}
		const rounds = 100
		for i := range rounds {
			emit(t, srv.Emit("n", 2*i))
			emit(t, s.Emit("n", 2*i+1))
		}
		c.ExpectConnect()
		for next := 0; next < 2*rounds; {
			ev := c.Next()
			if ev.Name == "held" {
				continue
			}
			var n int
			if err := ev.Scan(&n); err != nil || n != next {
				t.Fatalf("event %d came where %d was due (%v)", n, next, err)
			}
			next++
		}
	})
}
