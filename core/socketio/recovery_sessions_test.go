package socketio_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/adapter/memory"
	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

// counted is a hub that counts how often sessions are saved.
type counted struct {
	*memory.Hub

	mu    sync.Mutex // guards the following
	saved []cluster.Session
	most  int // the largest batch
}

type countedLink struct {
	cluster.Link
	cluster.SessionStore
	count *counted
}

func (c *counted) Open(namespace string, self cluster.NodeID, r cluster.Receiver) cluster.Link {
	l := c.Hub.Open(namespace, self, r)
	return countedLink{l, l.(cluster.SessionStore), c}
}

func (c *counted) note(sessions []cluster.Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.saved = append(c.saved, sessions...)
	c.most = max(c.most, len(sessions))
}

func (c *counted) take() (saved []cluster.Session, most int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	saved, most = c.saved, c.most
	c.saved, c.most = nil, 0
	return saved, most
}

func (l countedLink) Save(ctx context.Context, ttl time.Duration, s ...cluster.Session) error {
	l.count.note(s)
	return l.SessionStore.Save(ctx, ttl, s...)
}

func (l countedLink) Renew(ctx context.Context, ttl time.Duration, s ...cluster.Session) error {
	l.count.note(s)
	return l.SessionStore.Renew(ctx, ttl, s...)
}

// Proves J-80.
func TestSessionsAreSavedAheadAndNotTooOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &counted{Hub: memory.NewLog(memory.Log{})}
		c, _, _ := recoveringCluster(t, 1, socketio.Config{Adapter: hub})
		var clients []*siotest.Client
		for range 300 {
			clients = append(clients, c.Dial(0))
		}
		pass(100 * time.Millisecond)
		saved, most := hub.take()
		if len(saved) != 300 || most > 256 {
			t.Errorf("%d sessions are saved for 300 clients, %d at once", len(saved), most)
		}
		s := socketOf(t, c.Server(0), clients[0])
		begin := time.Now()
		for i := range 1000 {
			s.Join("room")
			if err := s.SetData(i); err != nil {
				t.Fatal(err)
			}
			s.Leave("room")
			time.Sleep(10 * time.Millisecond)
		}
		took := time.Since(begin)
		pass(2 * time.Second)
		saved, _ = hub.take()
		if n := len(saved); n < int(took/time.Second)/2 || n > int(took/time.Second)+2 {
			t.Errorf("the session was saved %d times in %v", n, took)
		}
		if last := saved[len(saved)-1]; string(last.Data) != "999" || len(last.Rooms) != 0 || last.Socket != s.ID() {
			t.Errorf("saved last: %+v", last)
		}
	})
}

// A session lives as long as its socket, and MaxDisconnection longer.
func TestSessionsOutliveTheirTimeToLiveWhileTheSocketLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 10 * time.Second
		c, hub, state := recoveringCluster(t, 2, socketio.Config{Recovery: socketio.Recovery{MaxDisconnection: limit}})
		a, b := c.Dial(0), c.Dial(0)
		early, late := &tracker{pid: a.PID()}, &tracker{pid: b.PID()}
		time.Sleep(time.Hour)
		hub.Interrupt(siotest.NodeID(0)) // nothing is saved from here on
		a.Cut()
		b.Cut()
		time.Sleep(limit - time.Nanosecond)
		c.Dial(1, named("early", early.auth()))
		if state("early") != recovered {
			t.Errorf("after %v: %+v", limit, state("early"))
		}
		time.Sleep(limit) // a node that dies has saved no longer ago than half of it, and a quarter of that
		c.Dial(1, named("late", late.auth()))
		if got := state("late"); got.Reason != socketio.RecoveryUnknown {
			t.Errorf("after %v: %+v", 2*limit, got)
		}
	})
}

// A client that goes away while it is being recovered may come back once more,
// to any node.
func TestRecoverySurvivesABreakDuringMiddlewareInTheCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, state := recoveringCluster(t, 3, socketio.Config{})
		c.Server(1).Use(func(*socketio.Socket) error {
			time.Sleep(time.Second)
			return nil
		})
		a := c.Dial(0, named("first"))
		tr := &tracker{pid: a.PID()}
		pass(time.Second)
		a.Cut()
		synctest.Wait()
		emit(t, c.Server(0).Emit("missed"))
		b := c.Server(1).Try(named("second", tr.auth()))
		synctest.Wait()
		b.Cut()
		time.Sleep(2 * time.Second)
		d := c.Dial(2, named("third", tr.auth()))
		tr.read(d, 1)
		if d.ID() != a.ID() || state("third") != recovered {
			t.Errorf("came back as %s, %+v", d.ID(), state("third"))
		}
	})
}

// Sessions outlive a dynamic namespace that ends with its last client.
func TestRecoveryInADynamicNamespace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, _ := recoveringCluster(t, 2, socketio.Config{})
		states := make(chan socketio.RecoveryState, 10)
		for _, srv := range c.Servers() {
			srv.OfFunc(func(context.Context, string, *socketio.Handshake) (bool, error) { return true, nil }).
				OnConnect(func(s *socketio.Socket) { states <- s.Recovery() })
		}
		keep := c.Server(1).Of("/dynamic")
		a := c.Dial(0, siotest.Options{Namespace: "/dynamic"})
		tr := &tracker{pid: a.PID()}
		<-states
		emit(t, keep.Emit("one"))
		tr.read(a, 1)
		for hop := range 4 {
			a.Cut()
			pass(time.Second)
			emit(t, keep.Emit("missed"))
			a = c.Dial(0, siotest.Options{Namespace: "/dynamic", Auth: tr.auth()})
			tr.read(a, 1)
			if got := <-states; got != recovered {
				t.Errorf("hop %d: %+v", hop, got)
			}
		}
	})
}

// The old node saves a session for the last time when another has taken it
// already, and has not asked yet.
func TestRecoveryAsksForWhatWasSavedTooLate(t *testing.T) {
	for _, delay := range []time.Duration{0, 5 * time.Millisecond, 100 * time.Millisecond, 400 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			c, hub, state := recoveringCluster(t, 2, socketio.Config{})
			a := c.Dial(0)
			tr := &tracker{pid: a.PID()}
			s := socketOf(t, c.Server(0), a)
			pass(10 * time.Second)
			s.Join("early")
			pass(500 * time.Millisecond) // it is saved
			s.Join("late")
			hub.SetFaults(siotest.NodeID(1), siotest.NodeID(0), memory.Faults{Delay: delay})
			a.Cut()
			b := c.Dial(1, named("second", tr.auth()))
			if state("second") != recovered {
				t.Fatalf("asked after %v: %+v", delay, state("second"))
			}
			if rooms := socketOf(t, c.Server(1), b).Rooms(); !slices.Contains(rooms, "early") || !slices.Contains(rooms, "late") {
				t.Errorf("asked after %v: rooms = %q", delay, rooms)
			}
		})
	}
}
