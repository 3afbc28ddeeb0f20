package socketio_test

import (
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

// Proves T-101.
func TestServerSideEventsReachTheOtherNodesInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := siotest.NewCluster(t, 3)
		var log [3]journal
		for i, srv := range c.Servers() {
			srv.OnServerSide("n", func(ev *socketio.ServerEvent) {
				if ev.WantsAck() || ev.From != siotest.NodeID(0) || ev.Namespace != srv.Namespace {
					t.Errorf("%+v", ev)
				}
				log[i].note(scan[string](t, ev))
			})
		}
		for _, n := range []string{"a", "b", "c"} {
			emit(t, c.Server(0).ServerSideEmit("n", n, []byte{1}))
		}
		log[0].expect(t)
		log[1].expect(t, "a", "b", "c")
		log[2].expect(t, "a", "b", "c")
		for _, name := range []string{"connect", "connection", "new_namespace"} {
			if err := c.Server(0).ServerSideEmit(name); !errors.Is(err, socketio.ErrReservedEvent) {
				t.Errorf("ServerSideEmit(%q) = %v", name, err)
			}
		}
	})
}

// Proves T-101, J-61.
func TestServerSideEmitWithAckCollectsOneAnswerOfEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := siotest.NewCluster(t, 3, socketio.Config{Logger: quiet()})
		for i, srv := range c.Servers() {
			srv.OnServerSide("who", func(ev *socketio.ServerEvent) {
				if err := ev.Ack(i); err != nil {
					t.Error(err)
				}
				_ = ev.Ack("again") // only the first counts
			})
		}
		c.Server(1).OnServerSide("panic", func(*socketio.ServerEvent) { panic("on purpose") })
		c.Server(1).OnServerSide("panic", func(ev *socketio.ServerEvent) { _ = ev.Ack("next") })
		replies, err := c.Server(0).ServerSideEmitWithAck(t.Context(), "who")
		if err != nil || len(replies) != 2 {
			t.Fatalf("%d replies, %v", len(replies), err)
		}
		for _, r := range replies {
			if want := siotest.NodeID(scan[int](t, r)); r.Node != want || r.SocketID != "" {
				t.Errorf("reply of %q, want %q", r.Node, want)
			}
		}
		start := time.Now()
		replies, err = c.Server(0).ServerSideEmitWithAck(t.Context(), "nobody handles it")
		if err != nil || len(replies) != 2 || time.Since(start) != 0 {
			t.Errorf("%d replies, %v, after %v", len(replies), err, time.Since(start))
		}
		replies, err = c.Server(0).ServerSideEmitWithAck(t.Context(), "panic")
		if err != nil || len(replies) != 2 {
			t.Errorf("%d replies, %v", len(replies), err)
		}
		// Alone, there is nobody to wait for.
		alone := siotest.NewServer(t)
		if replies, err := alone.ServerSideEmitWithAck(t.Context(), "who"); err != nil || len(replies) != 0 {
			t.Errorf("%d replies, %v", len(replies), err)
		}
	})
}

func TestServerSideHandlerThatEndsItsGoroutineEndsOnlyItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := siotest.NewCluster(t, 2)
		var log journal
		c.Server(1).OnServerSide("exit", func(*socketio.ServerEvent) { runtime.Goexit() })
		off := c.Server(1).OnServerSide("x", func(*socketio.ServerEvent) { log.note("x") })
		emit(t, c.Server(0).ServerSideEmit("exit"))
		emit(t, c.Server(0).ServerSideEmit("x"))
		log.expect(t, "x")
		off()
		emit(t, c.Server(0).ServerSideEmit("x"))
		log.expect(t)
	})
}
