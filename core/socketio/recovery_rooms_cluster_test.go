package socketio_test

import (
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

// What was said in a room before the socket left it is for its client, also
// when that comes back later; what was said afterwards, or before it joined, is
// not.
//
// Proves J-81.
func TestRecoveryKnowsTheRoomsThatTheSocketHasLeft(t *testing.T) {
	for _, nodes := range []int{1, 2} {
		t.Run(fmt.Sprint(nodes, " nodes"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if nodes == 1 {
					srv, state := recovering(t, socketio.Recovery{MaxDisconnection: time.Hour})
					testStays(t, srv, srv, state)
					return
				}
				c, _, state := recoveringCluster(t, nodes, socketio.Config{})
				testStays(t, c.Server(0), c.Server(1), state)
			})
		})
	}
}

func testStays(t *testing.T, first, second *siotest.Server, state func(string) socketio.RecoveryState) {
	t.Helper()
	a := first.Dial()
	tr := &tracker{pid: a.PID()}
	s := socketOf(t, first, a)
	say := func(name string) {
		synctest.Wait()
		emit(t, first.To("room").Emit(name))
		synctest.Wait()
	}
	emit(t, first.Emit("seen"))
	tr.read(a, 1)
	say("before it joined")
	s.Join("room")
	say("one")
	s.Leave("room")
	say("after it left")
	s.Join("room")
	say("two")
	s.Leave("room")
	s.Join("other")
	s.LeaveAll()
	a.Cut()
	say("while it was away")
	b := second.Dial(named("again", tr.auth()))
	if got := names(b, 2); !slices.Equal(got, []string{"one", "two"}) || state("again") != recovered {
		t.Errorf("events = %q, %+v", got, state("again"))
	}
	if rooms := socketOf(t, second, b).Rooms(); len(rooms) != 1 {
		t.Errorf("rooms = %q", rooms)
	}
	// Twice, because nothing was read in between.
	b.Cut()
	pass(time.Second)
	c := first.Dial(named("and again", tr.auth()))
	if got := names(c, 2); !slices.Equal(got, []string{"one", "two"}) || state("and again") != recovered {
		t.Errorf("events = %q, %+v", got, state("and again"))
	}
	c.ExpectNothing(time.Second)
}

// Of more rooms than are remembered, nothing is replayed that is not certain.
func TestRecoveryGivesUpOnTooManyRoomsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, state := recoveringCluster(t, 2, socketio.Config{})
		a := c.Dial(0)
		tr := &tracker{pid: a.PID()}
		s := socketOf(t, c.Server(0), a)
		emit(t, c.Server(0).Emit("seen"))
		tr.read(a, 1)
		for i := range 100 {
			s.Join(fmt.Sprint(i))
			emit(t, c.Server(0).To(fmt.Sprint(i)).Emit("said"))
			synctest.Wait()
			s.Leave(fmt.Sprint(i))
		}
		a.Cut()
		synctest.Wait()
		c.Dial(1, named("again", tr.auth()))
		if got := state("again"); got != (socketio.RecoveryState{Reason: socketio.RecoveryTrimmed}) {
			t.Errorf("%+v", got)
		}
	})
}

// What other nodes do to a socket while its client is away is done when it
// comes back.
//
// Proves J-81.
func TestRecoveryCatchesUpWithJoinsAndLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, hub, state := recoveringCluster(t, 3, socketio.Config{})
		a, out := c.Dial(0), c.Dial(0)
		tr, gone := &tracker{pid: a.PID()}, &tracker{pid: out.PID()}
		socketOf(t, c.Server(0), a).Join("old", "kept")
		pass(2 * time.Second)
		hub.Interrupt(siotest.NodeID(0)) // it does not do it
		a.Cut()
		out.Cut()
		srv := c.Server(1)
		emit(t, srv.To("new").Emit("too early"))
		emit(t, srv.To(a.ID()).SocketsJoin("new"))
		emit(t, srv.To("new").Emit("one"))
		emit(t, srv.To("kept").SocketsLeave("old"))
		emit(t, srv.To("old").Emit("too late"))
		emit(t, srv.To("kept").Emit("two"))
		emit(t, srv.To(out.ID()).DisconnectSockets())
		pass(time.Second)
		b := c.Dial(2, named("again", tr.auth()))
		if got := names(b, 2); !slices.Equal(got, []string{"one", "two"}) || state("again") != recovered {
			t.Errorf("events = %q, %+v", got, state("again"))
		}
		rooms := socketOf(t, c.Server(2), b).Rooms()
		slices.Sort(rooms[1:])
		if !slices.Equal(rooms[1:], []string{"kept", "new"}) {
			t.Errorf("rooms = %q", rooms)
		}
		c.Dial(2, named("out", gone.auth()))
		if got := state("out"); got.Reason != socketio.RecoveryUnknown {
			t.Errorf("who was thrown out comes back: %+v", got)
		}
	})
}

// The session of a Node.js node has rooms, but does not say since when.
func TestRecoveryOfANodeJSSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, hub, state := recoveringCluster(t, 1, socketio.Config{})
		js := hub.Open("/", "js", nodeJS{})
		defer func() { _ = js.Close() }()
		store := js.(cluster.SessionStore)
		a := c.Dial(0)
		tr := &tracker{}
		emit(t, c.Server(0).Emit("seen"))
		tr.read(a, 1)
		save := func(pid string) {
			err := store.Save(t.Context(), time.Minute, cluster.Session{
				PID: pid, Socket: "abcdefghijklmnopqrst", Rooms: map[string]cluster.Offset{"room": ""}, Data: []byte(`"js"`),
			})
			if err != nil {
				t.Fatal(err)
			}
			tr.pid = pid
		}
		save("first")
		emit(t, c.Server(0).To("room").Emit("one"))
		emit(t, c.Server(0).To("abcdefghijklmnopqrst").Emit("two"))
		emit(t, c.Server(0).To("elsewhere").Emit("three"))
		synctest.Wait()
		b := c.Dial(0, named("js", tr.auth()))
		if got := names(b, 2); !slices.Equal(got, []string{"one", "two"}) || state("js") != recovered || b.ID() != "abcdefghijklmnopqrst" || b.PID() != "first" {
			t.Errorf("events = %q, %+v, %s", got, state("js"), b.ID())
		}
		var data string
		if s := socketOf(t, c.Server(0), b); s.ScanData(&data) != nil || data != "js" || !slices.Contains(s.Rooms(), "room") {
			t.Errorf("data %q, rooms %q", data, s.Rooms())
		}
		save("second")
		tr.offset = ""
		c.Dial(0, named("without", tr.auth()))
		if got := state("without"); got.Reason != socketio.RecoveryOffset {
			t.Errorf("without an offset: %+v", got)
		}
	})
}

type nodeJS struct{}

func (nodeJS) Receive(cluster.Message) {}
func (nodeJS) HasRoom(string) bool     { return true }
func (nodeJS) Subscribed(bool)         {}

// A client that is recovered without being asked by the middleware, and cannot
// be recovered in the end, is asked.
func TestRecoveryAsksTheMiddlewareAfterAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &deaf{Adapter: memory.NewLog(memory.Log{})}
		c, _, _ := recoveringCluster(t, 2, socketio.Config{
			Adapter: d, Logger: quiet(), Recovery: socketio.Recovery{MaxDisconnection: time.Minute, SkipMiddleware: true, MaxEvents: 5},
		})
		banned := false
		c.Server(0).Use(func(*socketio.Socket) error {
			if banned {
				return &socketio.ConnectError{Message: "banned"}
			}
			return nil
		})
		a := c.Dial(0)
		tr := &tracker{pid: a.PID()}
		pass(time.Second)
		a.Cut()
		synctest.Wait()
		banned = true
		// While its event is on its way, nobody is established here, and too much
		// is said elsewhere.
		d.hold.Store(int64(time.Second))
		emit(t, c.Server(0).Emit("slow"))
		d.hold.Store(0)
		b := c.Server(0).Try(named("again", tr.auth()))
		synctest.Wait()
		for range 10 {
			emit(t, c.Server(1).Emit("noise"))
		}
		b.ExpectConnectError("banned")
	})
}
