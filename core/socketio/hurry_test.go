package socketio_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

// A client that has read CONNECT, says something and leaves is heard, even
// while the server is still busy with what was held back for it.
func TestClientInAHurryIsHeard(t *testing.T) {
	leave := map[string]func(*siotest.Session){
		"packet": func(s *siotest.Session) { s.Send("1") },
		"close":  (*siotest.Session).Close,
	}
	for name, leave := range leave {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := siotest.NewServer(t)
				var log journal
				srv.Use(func(s *socketio.Socket) error {
					for range 10_000 {
						emit(t, s.Emit("held"))
					}
					return nil
				})
				srv.OnConnect(func(*socketio.Socket) { log.note("connect") })
				srv.On("x", func(*socketio.Event) { log.note("x") })
				srv.OnDisconnect(func(*socketio.Socket, socketio.Reason) { log.note("disconnect") })
				s := srv.Open()
				s.Send("0")
				s.Next()
				s.Send(`2["x"]`)
				leave(s)
				pass(time.Second)
				log.expect(t, "connect", "x", "disconnect")
			})
		})
	}
}
