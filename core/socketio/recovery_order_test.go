package socketio_test

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/core/socketio"
)

// A client whose connection breaks again and again, at any moment, gets every
// event once and in order.
func TestRecoveryLosesAndRepeatsNothing(t *testing.T) {
	const events = 2000
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	synctest.Test(t, func(t *testing.T) {
		srv, state := recovering(t, socketio.Recovery{MaxDisconnection: time.Hour})
		random := rand.New(rand.NewPCG(seed, 1))
		c := srv.Dial(named("0"))
		id := c.ID()
		socketOf(t, srv, c).Join("room")
		tr := &tracker{pid: c.PID()}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			random := rand.New(rand.NewPCG(seed, 2))
			for i := range events {
				op := []socketio.BroadcastOperator{srv.Except(), srv.To(id), srv.To("room"), srv.To("room", id).Except("x")}[i%4]
				if s, ok := srv.Socket(id); ok && i%4 == 1 && s.Emit("n", i, "text") == nil {
					continue
				}
				emit(t, op.Emit("n", i, "text"))
				if random.IntN(10) == 0 {
					time.Sleep(time.Duration(random.IntN(1000)) * time.Millisecond)
				}
			}
		}()
		next := 0
		for tries := 1; next < events; tries++ {
			for range min(random.IntN(100), events-next) {
				ev := c.Next()
				var n int
				var text, offset string
				if err := ev.Scan(&n, &text, &offset); err != nil {
					t.Fatal(err)
				}
				if n != next {
					t.Fatalf("event %d came where %d was due", n, next)
				}
				next++
				tr.offset = offset
			}
			c.Cut()
			time.Sleep(time.Duration(random.IntN(2000)) * time.Millisecond)
			c = srv.Dial(named("again", tr.auth()))
			if got := state("again"); !got.Recovered {
				t.Fatalf("try %d: %+v", tries, got)
			}
		}
		<-ended
		c.ExpectNothing(time.Second)
	})
}

// A client that goes away while it is being recovered may come back once more.
func TestRecoverySurvivesABreakDuringMiddleware(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, _ := recovering(t, socketio.Recovery{MaxDisconnection: time.Minute})
		srv.Use(func(*socketio.Socket) error {
			time.Sleep(time.Second)
			return nil
		})
		c := srv.Dial()
		id := c.ID()
		c.Cut()
		synctest.Wait()
		emit(t, srv.Emit("missed"))
		c.TryResume()
		synctest.Wait()
		c.Cut()
		time.Sleep(2 * time.Second)
		c.Resume()
		c.Expect("missed")
		if c.ID() != id || !c.Recovered() || !socketOf(t, srv, c).Recovery().Recovered {
			t.Errorf("came back as %s", c.ID())
		}
	})
}
