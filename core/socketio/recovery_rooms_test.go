package socketio_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/core/socketio"
)

// What was said in a room before the socket joined it is not for its client,
// recovered or not.
func TestRecoveryShowsNothingFromBeforeTheSocketJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, state := recovering(t, socketio.Recovery{MaxDisconnection: time.Hour})
		a := srv.Dial(named("first"))
		tr := &tracker{pid: a.PID()}
		emit(t, srv.Emit("one"))
		tr.read(a, 1)
		emit(t, srv.To("room").Emit("secret"))
		socketOf(t, srv, a).Join("room")
		a.Cut()
		synctest.Wait()
		emit(t, srv.To("room").Emit("two"))
		b := srv.Dial(named("second", tr.auth()))
		if !state("second").Recovered {
			t.Fatalf("%+v", state("second"))
		}
		if ev := b.Next(); ev.Name != "two" {
			t.Errorf("the client was given %q", ev.Name)
		}
	})
}
