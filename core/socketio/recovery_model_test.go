package socketio_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/adapter/memory"
	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

// sayings is how three nodes talk to one client in every way that is kept, each
// counting what it says.
type sayings struct {
	c     *siotest.Cluster
	id    string
	count int // of each node
	pause time.Duration
}

// from lets one node talk.
func (s *sayings) from(t *testing.T, node int, random *rand.Rand) {
	srv := s.c.Server(node)
	for i := range s.count {
		op := []socketio.BroadcastOperator{srv.Except(), srv.To(s.id), srv.To("room"), srv.To("room", s.id).Except("x")}[i%4]
		if sock, ok := srv.Socket(s.id); ok && i%2 == 1 && sock.Emit("n", node, i) == nil {
			continue
		}
		emit(t, op.Emit("n", node, i))
		emit(t, srv.To("elsewhere").Emit("n", node, -1))
		emit(t, srv.Volatile().Emit("volatile"))
		if random.IntN(5) == 0 {
			time.Sleep(time.Duration(random.Int64N(int64(s.pause))))
		}
	}
}

// ledger is what the client has got.
type ledger [3]int

func (l *ledger) total() int { return l[0] + l[1] + l[2] }

// take notes an event, and fails when it is not the next one of its node.
func (l *ledger) take(t *testing.T, ev *siotest.Event, tr *tracker) {
	t.Helper()
	if ev.Name == "volatile" { // it carries no text, and so no offset
		return
	}
	var node, n int
	if err := ev.Scan(&node, &n, &tr.offset); err != nil {
		t.Fatal(err)
	}
	if n != l[node] {
		t.Fatalf("event %d of node %d came where %d was due", n, node, l[node])
	}
	l[node]++
}

// A client that hops from node to node, whose connection breaks at any moment,
// noticed or not, gets what each node says once and in order.
//
// Proves T-68.
func TestRecoveryLosesAndRepeatsNothingInACluster(t *testing.T) {
	for _, jitter := range []time.Duration{0, 100 * time.Millisecond} {
		t.Run(fmt.Sprint(jitter), func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			synctest.Test(t, func(t *testing.T) {
				hub := memory.NewLog(memory.Log{Messages: 1_000_000})
				hub.SetFaults("", "", memory.Faults{Jitter: jitter})
				hub.SetFaults("", siotest.NodeID(2), memory.Faults{Delay: 5 * jitter, Jitter: jitter}) // it is behind
				c, _, state := recoveringCluster(t, 3, socketio.Config{Adapter: hub, Logger: quiet()})
				for _, srv := range c.Servers() {
					pauses := rand.New(rand.NewPCG(seed, 5))
					srv.Use(func(*socketio.Socket) error { // the client has one connection at a time
						time.Sleep(time.Duration(pauses.IntN(100)) * time.Millisecond)
						return nil
					})
				}
				random := rand.New(rand.NewPCG(seed, 1))
				a := c.Dial(0, named("0"))
				socketOf(t, c.Server(0), a).Join("room")
				pass(time.Second)
				s := &sayings{c: c, id: a.ID(), count: 2000, pause: 200 * time.Millisecond}
				var talking sync.WaitGroup
				for node := range 3 {
					random := rand.New(rand.NewPCG(seed, uint64(node)+2))
					talking.Go(func() { s.from(t, node, random) })
				}
				tr, got := &tracker{pid: a.PID()}, ledger{}
				for hop := 1; got.total() < 3*s.count; hop++ {
					for range random.IntN(400) {
						if got.total() == 3*s.count {
							break
						}
						got.take(t, a.Next(), tr)
					}
					switch random.IntN(4) {
					case 0:
						a.Session().Mute() // it comes back before anybody notices
					case 1:
						a.Close()
					default:
						a.Cut()
					}
					time.Sleep(time.Duration(20+random.IntN([]int{50, 1000}[random.IntN(2)])) * time.Millisecond)
					name := fmt.Sprint("hop ", hop)
					a = c.Dial(random.IntN(3), named(name, tr.auth()))
					if state(name) != recovered {
						t.Fatalf("%s: %+v", name, state(name))
					}
					time.Sleep(20 * time.Millisecond) // until its session is saved
				}
				talking.Wait()
				a.ExpectNothing(5 * time.Second)
				for _, srv := range c.Servers() {
					if n := srv.Stats().Unrecorded; n != 0 {
						t.Errorf("%d events were not recorded", n)
					}
				}
			})
		})
	}
}
