package socketio_test

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/adapter/memory"
	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

// read2 returns the name of the next event and whether it has an offset.
func read2(t *testing.T, c *siotest.Client) (name string, recorded bool) {
	t.Helper()
	ev := c.Next()
	return ev.Name, ev.Len() > 0
}

// expectEvent reads an event that has an offset, or has none.
func expectEvent(t *testing.T, c *siotest.Client, name string, recorded bool) {
	t.Helper()
	if got, is := read2(t, c); got != name || is != recorded {
		t.Errorf("event %q, recorded %v; want %q, %v", got, is, name, recorded)
	}
}

// While the log does not answer, clients get what their own node emits, and
// nothing twice afterwards; who comes back from before is not recovered.
//
// Proves J-79.
func TestRecoveryGoesOnWithoutTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, hub, state := recoveringCluster(t, 2, socketio.Config{Logger: quiet()})
		a, b, idle := c.Dial(0), c.Dial(1), c.Dial(0)
		tr, never := &tracker{pid: a.PID()}, &tracker{pid: idle.PID()}
		emit(t, c.Server(0).Emit("before"))
		tr.read(a, 1)
		never.read(idle, 1)
		expectEvent(t, b, "before", true)
		pass(time.Second)

		hub.Interrupt(siotest.NodeID(0))
		begin := time.Now()
		emit(t, c.Server(0).Emit("one"))
		s := socketOf(t, c.Server(0), a)
		expectEvent(t, a, "one", false)
		if waited := time.Since(begin); waited != 2*time.Second {
			t.Errorf("the event waited %v for the log", waited)
		}
		begin = time.Now()
		emit(t, s.Emit("two"))
		expectEvent(t, a, "two", false)
		if waited := time.Since(begin); waited != 0 {
			t.Errorf("the next event waited %v, too", waited)
		}
		d := c.Dial(0, named("away", tr.auth()))
		if got := state("away"); got.Reason != socketio.RecoveryStore || d.ID() == a.ID() {
			t.Errorf("recovered without the store: %+v", got)
		}
		emit(t, c.Server(1).Emit("of the other node"))
		expectEvent(t, b, "of the other node", true)
		d.ExpectNothing(time.Second)

		hub.Resume(siotest.NodeID(0))
		expectEvent(t, d, "of the other node", true)
		expectEvent(t, b, "one", true) // late, but once
		d.ExpectNothing(time.Second)
		b.ExpectNothing(time.Second)
		expectEvent(t, idle, "one", false)
		idle.Cut()
		pass(time.Second)
		c.Dial(1, named("never", never.auth()))
		if got := state("never"); got != (socketio.RecoveryState{Reason: socketio.RecoveryLost}) {
			t.Errorf("who comes back from before: %+v", got)
		}

		// Later sessions, and who has got something since, are fine again.
		tr = &tracker{pid: d.PID()}
		emit(t, c.Server(0).Emit("after"))
		tr.read(d, 1)
		d.Cut()
		synctest.Wait()
		emit(t, c.Server(0).Emit("missed"))
		e := c.Dial(1, named("later", tr.auth()))
		expectEvent(t, e, "missed", true)
		if state("later") != recovered {
			t.Errorf("later: %+v", state("later"))
		}
		if n := c.Server(0).Stats().Unrecorded; n != 2 {
			t.Errorf("%d events are counted that were not recorded, want 2", n)
		}
	})
}

// A node that dies after its log was away has not been able to say what its
// clients got: they must not be recovered as if nothing had happened.
func TestRecoveryIsUncertainUntilTheLogHasAnsweredForWhatWasLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, hub, state := recoveringCluster(t, 2, socketio.Config{Logger: quiet()})
		a := c.Dial(0)
		tr := &tracker{pid: a.PID()}
		hub.SetFaults(siotest.NodeID(0), siotest.NodeID(0), memory.Faults{Delay: 5 * time.Second})
		emit(t, c.Server(0).Emit("late"))
		expectEvent(t, a, "late", false) // two seconds on
		emit(t, c.Server(1).Emit("of the other node"))
		pass(time.Second)
		a.Cut()
		synctest.Wait()
		c.Dial(1, named("again", tr.auth()))
		if got := state("again"); got != (socketio.RecoveryState{Reason: socketio.RecoveryLost}) {
			t.Errorf("%+v", got)
		}
	})
}

// deaf is an adapter whose links lose, refuse or hold up what is to be recorded.
type deaf struct {
	cluster.Adapter
	lose   atomic.Int32 // so many of the next
	refuse atomic.Int32
	hold   atomic.Int64 // so many nanoseconds
}

type deafLink struct {
	cluster.Link
	cluster.SessionStore
	from *deaf
}

var errRefused = errors.New("too large")

func (d *deaf) Open(namespace string, self cluster.NodeID, r cluster.Receiver) cluster.Link {
	l := d.Adapter.Open(namespace, self, r)
	return deafLink{l, l.(cluster.SessionStore), d}
}

func (l deafLink) Publish(m cluster.Message) error {
	if _, is := m.Body.(cluster.Broadcast); is && m.Seq != 0 {
		if l.from.refuse.Add(-1) >= 0 {
			return errRefused
		}
		if l.from.lose.Add(-1) >= 0 {
			return nil
		}
		if d := l.from.hold.Load(); d > 0 {
			time.AfterFunc(time.Duration(d), func() { _ = l.Link.Publish(m) })
			return nil
		}
	}
	return l.Link.Publish(m)
}

// What the link does not take or loses on its way is delivered in its turn.
func TestRecoveryDeliversWhatTheLinkDoesNotTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := memory.NewLog(memory.Log{})
		d := &deaf{Adapter: hub}
		c, _, state := recoveringCluster(t, 1, socketio.Config{Adapter: d, Logger: quiet()})
		a := c.Dial(0)
		tr := &tracker{pid: a.PID()}
		hub.SetFaults("", "", memory.Faults{Delay: 100 * time.Millisecond})
		srv := c.Server(0)
		emit(t, srv.Emit("one"))
		d.refuse.Store(1)
		if err := srv.Emit("refused"); !errors.Is(err, socketio.ErrNotPropagated) || !errors.Is(err, errRefused) {
			t.Errorf("Emit = %v", err)
		}
		d.lose.Store(1)
		emit(t, srv.Emit("lost"))
		emit(t, srv.Emit("two"))
		expectEvent(t, a, "one", true)
		expectEvent(t, a, "refused", false)
		expectEvent(t, a, "lost", false)
		begin := time.Now()
		expectEvent(t, a, "two", true)
		if time.Since(begin) != 0 {
			t.Error("what was lost was waited for although something newer had come")
		}
		// It may have missed what the log does not have.
		a.Cut()
		pass(time.Second)
		c.Dial(0, named("again", tr.auth()))
		if got := state("again"); got.Reason != socketio.RecoveryLost {
			t.Errorf("%+v", got)
		}
	})
}

// Too much on its way is refused, and does not grow without an end.
func TestRecoveryRefusesWhatTheLogCannotTakeInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := slowLog(t, 1)
		a := c.Dial(0)
		payload := make([]byte, 1<<20)
		var refused, sent int
		for range 40 {
			switch err := c.Server(0).Emit("big", payload); {
			case errors.Is(err, socketio.ErrOverloaded):
				refused++
			case err != nil:
				t.Error(err)
			default:
				sent++
			}
		}
		if sent != 16 && sent != 15 || refused != 40-sent {
			t.Errorf("%d MiB are on their way, %d refused", sent, refused)
		}
		a.Cut()
		pass(time.Second)
		emit(t, c.Server(0).Emit("fine again"))
	})
}

// The log begins anew: offsets of before mean nothing.
func TestRecoveryAfterTheLogWasLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := memory.NewLog(memory.Log{Messages: 20})
		c, _, state := recoveringCluster(t, 2, socketio.Config{Adapter: hub, Logger: quiet()})
		a, b := c.Dial(0), c.Dial(0)
		tr, tr2 := &tracker{pid: a.PID()}, &tracker{pid: b.PID()}
		socketOf(t, c.Server(0), a).Join("room")
		emit(t, c.Server(0).Emit("before"))
		tr.read(a, 1)
		tr2.read(b, 1)
		pass(time.Second)
		hub.Interrupt(siotest.NodeID(0))
		for range 50 {
			emit(t, c.Server(1).To("nobody").Emit("noise"))
		}
		synctest.Wait()
		hub.Resume(siotest.NodeID(0))
		pass(time.Second)
		b.Cut()
		synctest.Wait()
		c.Dial(1, named("b", tr2.auth()))
		if got := state("b"); got.Recovered {
			t.Errorf("recovered over a gap: %+v", got)
		}
		emit(t, c.Server(1).Emit("after"))
		tr.read(a, 1)
		a.Cut()
		synctest.Wait()
		emit(t, c.Server(1).To("room").Emit("missed"))
		again := c.Dial(1, named("a", tr.auth()))
		if tr.read(again, 1); state("a") != recovered || !slices.Equal(tr.names, []string{"before", "after", "missed"}) {
			t.Errorf("%+v, events %q", state("a"), tr.names)
		}
	})
}
