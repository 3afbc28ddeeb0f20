package socketio_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/adapter/memory"
	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

// slowLog is a cluster in which the log needs half a second.
func slowLog(t *testing.T, n int) (c *siotest.Cluster, state func(string) socketio.RecoveryState) {
	t.Helper()
	hub := memory.NewLog(memory.Log{})
	c, _, state = recoveringCluster(t, n, socketio.Config{Adapter: hub})
	pass(time.Second)
	hub.SetFaults("", "", memory.Faults{Delay: 500 * time.Millisecond})
	return c, state
}

// names reads the names of the next events.
func names(c *siotest.Client, n int) (got []string) {
	for range n {
		got = append(got, c.Next().Name)
	}
	return got
}

// Whatever a node sends stays behind what it emitted before, also when that
// takes its way through the log.
//
// Proves J-79.
func TestRecoveryKeepsTheOrderOfTheSenderBehindTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := slowLog(t, 1)
		srv := c.Server(0)
		srv.On("ask", func(ev *socketio.Event) {
			emit(t, ev.Socket.Emit("before the answer"))
			emit(t, ev.Ack("answer"))
		})
		a := srv.Dial()
		s := socketOf(t, srv, a)
		begin := time.Now()
		emit(t, s.Volatile().Emit("nothing is on its way"))
		if a.Expect("nothing is on its way"); time.Since(begin) != 0 {
			t.Errorf("an event waited %v for nothing", time.Since(begin))
		}
		emit(t, s.Emit("1"))
		emit(t, s.Volatile().Emit("2")) // may be dropped: the connection is busy with 1 then
		emit(t, srv.Emit("3"))
		emit(t, srv.Local().Emit("4"))
		go func() { _, _ = s.EmitWithAck(context.Background(), "5") }()
		synctest.Wait()
		emit(t, s.Emit("6"))
		go func() { _, _ = srv.To(a.ID()).EmitWithAck(context.Background(), "7") }()
		synctest.Wait()
		emit(t, srv.To(a.ID()).Emit("8"))
		var got []string
		for last := ""; last != "8"; {
			last = a.Next().Name
			got = append(got, last)
		}
		if i := slices.Index(got, "2"); i == 1 {
			got = slices.Delete(got, 1, 2)
		}
		if want := []string{"1", "3", "4", "5", "6", "7", "8"}; !slices.Equal(got, want) {
			t.Errorf("events = %q", got)
		}
		if waited := time.Since(begin); waited != 500*time.Millisecond {
			t.Errorf("the log took %v", waited)
		}
		answer := a.EmitWithAck("ask")
		if got := names(a, 1); got[0] != "before the answer" {
			t.Errorf("event %q", got)
		}
		answer.Expect("answer")

		emit(t, s.Emit("bye"))
		s.Disconnect()
		if err := s.Emit("too late"); err == nil {
			t.Error("a socket that was disconnected emits")
		}
		a.Next()
		a.ExpectDisconnect("io server disconnect")
	})
}

// Closing the connection waits for what was emitted before, too.
func TestRecoverySendsWhatWasEmittedBeforeTheConnectionIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := slowLog(t, 1)
		a := c.Dial(0)
		s := socketOf(t, c.Server(0), a)
		emit(t, s.Emit("bye"))
		drained := make(chan time.Time, 1)
		go func() {
			_ = s.Drained(context.Background())
			drained <- time.Now()
		}()
		synctest.Wait()
		begin := time.Now()
		s.DisconnectConn()
		if got := names(a, 1); got[0] != "bye" {
			t.Errorf("event %q", got)
		}
		a.ExpectDisconnect("io server disconnect")
		if waited := (<-drained).Sub(begin); waited != 500*time.Millisecond {
			t.Errorf("drained after %v", waited)
		}
	})
}

// An event is for those who were in the room when it was emitted.
func TestRecoveryGoesByTheRoomsOfTheMomentOfEmitting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := slowLog(t, 2)
		leaver, joiner := c.Dial(0), c.Dial(0)
		l, j := socketOf(t, c.Server(0), leaver), socketOf(t, c.Server(0), joiner)
		l.Join("room")
		emit(t, c.Server(0).To("room").Emit("goodbye"))
		l.Leave("room")
		j.Join("room")
		emit(t, c.Server(0).To("room").Emit("hello"))
		if got := names(leaver, 1); got[0] != "goodbye" {
			t.Errorf("who left was given %q", got)
		}
		if got := names(joiner, 1); got[0] != "hello" {
			t.Errorf("who joined was given %q", got)
		}
		leaver.ExpectNothing(time.Second)
		joiner.ExpectNothing(time.Second)
	})
}

// What was held back until the client was connected is kept like everything
// else.
func TestRecoveryKeepsWhatWasHeldBackInTheCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, state := slowLog(t, 2)
		c.Server(0).Use(func(s *socketio.Socket) error {
			for i := range 3 {
				emit(t, s.Emit(fmt.Sprint("held ", i)))
			}
			return nil
		})
		a := c.Dial(0)
		if got := names(a, 2); got[0] != "held 0" || got[1] != "held 1" {
			t.Errorf("events = %q", got)
		}
		tr := &tracker{pid: a.PID()}
		a.Cut()
		synctest.Wait()
		b := c.Dial(1, named("again", tr.auth()))
		if got := names(b, 3); got[0] != "held 0" || got[2] != "held 2" {
			t.Errorf("events = %q", got)
		}
		if state("again") != recovered {
			t.Errorf("%+v", state("again"))
		}
	})
}

// Proves J-67.
func TestOutgoingListenersDoNotSeeOffsets(t *testing.T) {
	for _, adapter := range []cluster.Adapter{cluster.Solo{}, memory.NewLog(memory.Log{})} {
		synctest.Test(t, func(t *testing.T) {
			if _, logs := adapter.(*memory.Hub); logs {
				adapter = memory.NewLog(memory.Log{}) // of the bubble
			}
			srv := siotest.NewServer(t, socketio.Config{Adapter: adapter, Recovery: socketio.Recovery{MaxDisconnection: time.Minute}})
			seen := make(chan int, 10)
			srv.OnAnyOutgoing(func(ev *socketio.Event) { seen <- ev.Len() })
			a := srv.Dial()
			emit(t, srv.Emit("everybody", 1, 2))
			emit(t, socketOf(t, srv, a).Emit("one", 1, 2))
			for range 2 {
				if ev := a.Next(); ev.Len() != 3 {
					t.Errorf("the client was given %d arguments", ev.Len())
				}
				if n := <-seen; n != 2 {
					t.Errorf("a listener saw %d arguments", n)
				}
			}
		})
	}
}
