package socketio_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/adapter/memory"
	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

// recoveringCluster starts servers on a hub with a log; state tells how the
// connection with that query "name" was received.
func recoveringCluster(t *testing.T, n int, cfg socketio.Config) (c *siotest.Cluster, hub *memory.Hub, state func(string) socketio.RecoveryState) {
	t.Helper()
	hub = memory.NewLog(memory.Log{})
	if cfg.Adapter == nil {
		cfg.Adapter = hub
	}
	if cfg.Recovery.MaxDisconnection == 0 {
		cfg.Recovery.MaxDisconnection = 2 * time.Minute
	}
	c = siotest.NewCluster(t, n, cfg)
	var states sync.Map
	for _, srv := range c.Servers() {
		srv.OnConnect(func(s *socketio.Socket) { states.Store(s.Handshake().Query.Get("name"), s.Recovery()) })
	}
	return c, hub, func(name string) socketio.RecoveryState {
		synctest.Wait()
		v, _ := states.Load(name)
		state, _ := v.(socketio.RecoveryState)
		return state
	}
}

var recovered = socketio.RecoveryState{Recovered: true, Reason: socketio.RecoveryDone}

// Proves T-68, J-68, J-80.
func TestRecoveryWorksOnEveryNode(t *testing.T) {
	for name, die := range map[string]func(c *siotest.Cluster, hub *memory.Hub, a *siotest.Client){
		"after a broken connection": func(_ *siotest.Cluster, _ *memory.Hub, a *siotest.Client) { a.Cut() },
		"when nobody has noticed":   func(_ *siotest.Cluster, _ *memory.Hub, a *siotest.Client) { a.Session().Mute() },
		"after the death of the node": func(_ *siotest.Cluster, hub *memory.Hub, a *siotest.Client) {
			time.Sleep(3 * time.Second / 2) // what has changed last is saved by then
			hub.Interrupt(siotest.NodeID(0))
			a.Cut()
		},
		"after a shutdown": func(c *siotest.Cluster, _ *memory.Hub, _ *siotest.Client) {
			if err := c.Server(0).Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, hub, state := recoveringCluster(t, 3, socketio.Config{})
				a := c.Dial(0, named("first"))
				s := socketOf(t, c.Server(0), a)
				s.Join("room", "other")
				if err := s.SetData("mine"); err != nil {
					t.Fatal(err)
				}
				tr := &tracker{pid: a.PID()}
				emit(t, c.Server(1).Emit("one"))
				tr.read(a, 1)
				die(c, hub, a)
				synctest.Wait()
				emit(t, c.Server(1).To("room", "other").Emit("two", 2))
				emit(t, c.Server(1).To("elsewhere").Emit("not for it"))
				emit(t, c.Server(1).Except("room").Emit("not for it either"))
				emit(t, c.Server(1).Volatile().Emit("volatile is not kept"))
				emit(t, c.Server(2).To(a.ID()).Emit("three", []byte("bin")))
				time.Sleep(time.Minute)

				b := c.Dial(2, named("second", tr.auth()))
				if b.ID() != a.ID() || b.PID() != a.PID() {
					t.Errorf("came back as %s/%s, want %s/%s", b.ID(), b.PID(), a.ID(), a.PID())
				}
				emit(t, c.Server(1).To("room").Emit("four"))
				tr.read(b, 3)
				if want := []string{"one", "two", "three", "four"}; !slices.Equal(tr.names, want) {
					t.Errorf("events = %q, want %q", tr.names, want)
				}
				b.ExpectNothing(time.Second)
				if got := state("second"); got != recovered {
					t.Errorf("Recovery() = %+v", got)
				}
				s = socketOf(t, c.Server(2), b)
				if data := ""; s.ScanData(&data) != nil || data != "mine" {
					t.Errorf("data = %q", data)
				}
				if rooms := s.Rooms(); len(rooms) != 3 || !slices.Contains(rooms, "room") || !slices.Contains(rooms, "other") {
					t.Errorf("rooms = %q", rooms)
				}
				a.Cut()
			})
		})
	}
}

// Proves J-63.
func TestRecoveryOnAnotherNodeWithoutAnOffset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, state := recoveringCluster(t, 2, socketio.Config{})
		emit(t, c.Server(1).Emit("before its time"))
		synctest.Wait()
		a := c.Dial(0, named("first"))
		tr := &tracker{pid: a.PID()}
		pass(50 * time.Millisecond) // until its session is saved
		a.Cut()
		synctest.Wait()
		emit(t, c.Server(1).Emit("missed"))
		b := c.Dial(1, named("second", tr.auth()))
		tr.read(b, 1)
		if state("second") != recovered || !slices.Equal(tr.names, []string{"missed"}) {
			t.Errorf("%+v, events %q", state("second"), tr.names)
		}
	})
}

// In a namespace where little happens, a log that forgets what others say must
// not cost the clients their sessions.
func TestRecoveryOfAClientThatHasEverythingNeedsNoHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := memory.NewLog(memory.Log{Messages: 10})
		c, _, state := recoveringCluster(t, 2, socketio.Config{Adapter: hub})
		c.Server(0).Of("/busy")
		silent, quiet := c.Dial(0), c.Dial(0)
		pass(20 * time.Millisecond)
		s, q := &tracker{pid: silent.PID()}, &tracker{pid: quiet.PID()}
		emit(t, c.Server(0).To(quiet.ID()).Emit("hello"))
		q.read(quiet, 1)
		for range 30 {
			emit(t, c.Server(0).Of("/busy").Emit("noise"))
		}
		synctest.Wait()
		silent.Cut()
		quiet.Cut()
		synctest.Wait()
		c.Dial(1, named("silent", s.auth()))
		c.Dial(1, named("quiet", q.auth()))
		if state("silent") != recovered || state("quiet") != recovered {
			t.Errorf("silent %+v, quiet %+v", state("silent"), state("quiet"))
		}
	})
}

// Proves T-68, J-66.
func TestRecoveryOnAnotherNodeRefusesWhatItCannotProve(t *testing.T) {
	set := func(offset string) func(*tracker) map[string]any {
		return func(tr *tracker) map[string]any { tr.offset = offset; return tr.auth() }
	}
	for name, test := range map[string]struct {
		log    memory.Log
		limits socketio.Recovery
		away   time.Duration
		nsp    string
		auth   func(tr *tracker) map[string]any
		want   socketio.RecoveryReason
	}{
		"too late":           {away: time.Minute, want: socketio.RecoveryUnknown},
		"in another place":   {nsp: "/other", want: socketio.RecoveryUnknown},
		"made up":            {auth: func(*tracker) map[string]any { return map[string]any{"pid": "x", "offset": "y"} }, want: socketio.RecoveryUnknown},
		"a huge secret":      {auth: func(tr *tracker) map[string]any { tr.pid += strings.Repeat("z", 10_000); return tr.auth() }, want: socketio.RecoveryUnknown},
		"garbage":            {auth: set("hello"), want: socketio.RecoveryOffset},
		"half an offset":     {auth: set("1-"), want: socketio.RecoveryOffset},
		"the beginning":      {auth: set("0-0"), want: socketio.RecoveryOffset},
		"the end of time":    {auth: set("18446744073709551615-18446744073709551615"), want: socketio.RecoveryOffset},
		"from the future":    {auth: func(tr *tracker) map[string]any { tr.offset = "9" + tr.offset; return tr.auth() }, want: socketio.RecoveryOffset},
		"a huge offset":      {auth: set(strings.Repeat("9", 10_000) + "-0"), want: socketio.RecoveryOffset},
		"too many missed":    {limits: socketio.Recovery{MaxEvents: 10}, want: socketio.RecoveryTrimmed},
		"too much missed":    {limits: socketio.Recovery{MaxBytes: 100}, want: socketio.RecoveryTrimmed},
		"forgotten history":  {log: memory.Log{Messages: 10}, want: socketio.RecoveryTrimmed},
		"pid is no text":     {auth: func(*tracker) map[string]any { return map[string]any{"pid": 7} }, want: socketio.RecoveryNotAsked},
		"too many sessions":  {log: memory.Log{Sessions: 1}, want: socketio.RecoveryUnknown},
		"nothing is claimed": {auth: func(*tracker) map[string]any { return map[string]any{} }, want: socketio.RecoveryNotAsked},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				test.limits.MaxDisconnection = time.Minute
				c, _, state := recoveringCluster(t, 2, socketio.Config{Adapter: memory.NewLog(test.log), Recovery: test.limits})
				for _, srv := range c.Servers() {
					srv.Of("/other").OnConnect(func(s *socketio.Socket) {
						if s.Recovery().Reason != test.want {
							t.Errorf("Recovery() = %+v", s.Recovery())
						}
					})
				}
				for range 5 {
					emit(t, c.Server(0).Emit("early"))
				}
				a, other := c.Dial(0, named("first")), c.Dial(0, named("other"))
				tr := &tracker{pid: a.PID()}
				emit(t, c.Server(0).Emit("seen"))
				tr.read(a, 1)
				a.Cut()
				pass(time.Second)
				other.Cut()
				synctest.Wait()
				for i := range 20 {
					emit(t, c.Server(1).Emit(fmt.Sprint("missed", i)))
				}
				pass(max(test.away, 50*time.Millisecond))
				auth := tr.auth()
				if test.auth != nil {
					auth = test.auth(tr)
				}
				o := named("second", auth)
				o.Namespace = cmp.Or(test.nsp, "/")
				b := c.Dial(1, o)
				if b.ID() == a.ID() || b.PID() == a.PID() {
					t.Error("the earlier socket was continued")
				}
				if got := state("second"); test.nsp == "" && got != (socketio.RecoveryState{Reason: test.want}) {
					t.Errorf("Recovery() = %+v, want reason %q", got, test.want)
				}
				b.ExpectNothing(time.Second)
			})
		})
	}
}

// Proves T-68, J-65.
func TestRecoverySecretCountsOnceInTheCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, state := recoveringCluster(t, 3, socketio.Config{})
		a := c.Dial(0, named("first"))
		tr := &tracker{pid: a.PID()}
		pass(50 * time.Millisecond)
		a.Cut()
		synctest.Wait()
		var takers sync.WaitGroup
		var clients [6]*siotest.Client
		for i := range clients { // all at once, two to each node
			takers.Go(func() { clients[i] = c.Dial(i%3, named(fmt.Sprint(i), tr.auth())) })
		}
		takers.Wait()
		pass(time.Second)
		// Each takes over from the one before; who comes too early for that gets
		// nothing. One is left in the end.
		live := 0
		for i := range c.Servers() {
			if _, ok := c.Server(i).Socket(a.ID()); ok {
				live++
			}
		}
		if live != 1 {
			t.Errorf("the socket is %d times in the cluster", live)
		}
		for i := range c.Servers() {
			if s, ok := c.Server(i).Socket(a.ID()); ok {
				s.Disconnect()
			}
		}
		pass(time.Second)
		d := c.Dial(1, named("last", tr.auth()))
		if d.ID() == a.ID() || state("last") != (socketio.RecoveryState{Reason: socketio.RecoveryUnknown}) {
			t.Errorf("came in as %s, %+v, after the server had thrown it out", d.ID(), state("last"))
		}
	})
}

// A connection whose client has come back elsewhere ends, once, and is counted
// nowhere twice.
//
// Proves J-82.
func TestRecoveryEndsTheSocketOnTheOtherNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, state := recoveringCluster(t, 2, socketio.Config{})
		ended := make(chan socketio.Reason, 10)
		c.Server(0).OnDisconnect(func(_ *socketio.Socket, r socketio.Reason) { ended <- r })
		a := c.Dial(0, named("first"))
		tr := &tracker{pid: a.PID()}
		s := socketOf(t, c.Server(0), a)
		pass(50 * time.Millisecond)
		s.Join("latest") // not saved yet
		b := c.Dial(1, named("second", tr.auth()))
		if state("second") != recovered || b.ID() != a.ID() {
			t.Fatalf("%+v", state("second"))
		}
		a.ExpectDisconnect("transport close")
		if len(ended) != 1 || <-ended != socketio.ReasonTransportClose {
			t.Error("the socket has not ended")
		}
		if rooms := socketOf(t, c.Server(1), b).Rooms(); !slices.Contains(rooms, "latest") {
			t.Errorf("rooms = %q", rooms)
		}
		found, err := c.Server(0).FetchSockets(t.Context())
		if err != nil || len(found) != 1 || found[0].Node != siotest.NodeID(1) {
			t.Errorf("%d sockets, %v", len(found), err)
		}
		// And back, and forth.
		for i, node := range []int{0, 1, 0, 0, 1} {
			last := b
			pass(20 * time.Millisecond)
			b = c.Dial(node, named(fmt.Sprint(i), tr.auth()))
			if state(fmt.Sprint(i)) != recovered {
				t.Errorf("move %d: %+v", i, state(fmt.Sprint(i)))
			}
			last.ExpectDisconnect("transport close")
		}
	})
}

// recordedOnly is for Faults that concern the log.
func recordedOnly(m cluster.Message) bool { return m.Offset != "" }
