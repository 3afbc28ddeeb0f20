package memory_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/adapter/memory"
	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/parser"
)

// hearer is a Local that writes down the numbers of what is delivered, by sender.
type hearer struct {
	here
	mu    sync.Mutex
	heard map[string][]int
	gaps  []cluster.Gap
}

func (h *hearer) Deliver(_ *cluster.Target, p *parser.Packet) {
	name, args, err := p.Payload.Event()
	var n int
	if err != nil || args.Scan(&n) != nil {
		panic("not a message of this test")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.heard[name] = append(h.heard[name], n)
}

// of returns what was heard of a sender, and forgets it.
func (h *hearer) of(name string) []int {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := h.heard[name]
	delete(h.heard, name)
	return list
}

// lost returns how many messages of a sender are known to be lost.
func (h *hearer) lost(id cluster.NodeID) (n uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, g := range h.gaps {
		if g.Node == id {
			n += g.Missed
		}
	}
	return n
}

type talker struct {
	*cluster.Member
	*hearer
	id   cluster.NodeID
	said int
}

func newTalker(t *testing.T, hub *memory.Hub, id cluster.NodeID) *talker {
	t.Helper()
	h := &hearer{heard: make(map[string][]int)}
	k := &talker{hearer: h, id: id}
	k.Member = cluster.Open(hub, cluster.MemberConfig{Namespace: "/", Self: id, Local: h, OnGap: func(g cluster.Gap) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.gaps = append(h.gaps, g)
	}})
	t.Cleanup(func() { _ = k.Close() })
	return k
}

func trio(t *testing.T, hub *memory.Hub) []*talker {
	t.Helper()
	return []*talker{newTalker(t, hub, "a"), newTalker(t, hub, "b"), newTalker(t, hub, "c")}
}

// say broadcasts the next n numbers.
func (k *talker) say(t *testing.T, n int) {
	t.Helper()
	for range n {
		k.said++
		event, err := parser.MakeEvent(string(k.id), k.said)
		if err != nil {
			t.Fatal(err)
		}
		p := &parser.Packet{Type: parser.Event, Namespace: "/", Payload: event.EventPayload()}
		if err := k.Broadcast(cluster.Target{}, p); err != nil {
			t.Fatal(err)
		}
	}
}

func numbers(first, last int) []int {
	var list []int
	for n := first; n <= last; n++ {
		list = append(list, n)
	}
	return list
}

func (k *talker) expect(t *testing.T, from *talker, want []int) {
	t.Helper()
	if got := k.of(string(from.id)); !slices.Equal(got, want) {
		t.Errorf("%s heard %d messages of %s, want %d: %s", k.id, len(got), from.id, len(want), difference(got, want))
	}
}

func difference(got, want []int) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Sprintf("number %d is %d, want %d", i, got[i], want[i])
		}
	}
	return "one begins like the other"
}

func TestWhatTheBusLosesIsSaidAgain(t *testing.T) {
	for _, loss := range []float64{0.01, 0.1, 0.6} {
		t.Run(fmt.Sprint(loss), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hub := memory.New()
				hub.Seed(7)
				nodes := trio(t, hub)
				for _, n := range nodes { // everybody has heard everybody
					n.say(t, 1)
				}
				synctest.Wait()
				hub.SetFaults("", "", memory.Faults{Loss: loss, Duplication: 0.2, Delay: 5 * time.Millisecond, Jitter: 20 * time.Millisecond})
				for range 50 {
					for _, n := range nodes {
						n.say(t, 10)
					}
					time.Sleep(30 * time.Millisecond)
				}
				time.Sleep(time.Hour) // repairs of repairs
				hub.SetFaults("", "", memory.Faults{})
				for _, n := range nodes { // what says that the one before is missing may be lost as well
					n.say(t, 1)
				}
				time.Sleep(time.Minute)
				for _, n := range nodes {
					for _, other := range nodes {
						if other == n {
							continue
						}
						if loss < 0.5 {
							n.expect(t, other, numbers(1, 502))
							continue
						}
						// So much is lost that some is given up, and counted.
						got, lost := n.of(string(other.id)), n.lost(other.id)
						if !slices.IsSorted(got) || len(slices.Compact(got))+int(lost) != 502 {
							t.Errorf("%s heard %d messages of %s and lost %d, want 502 together, in order", n.id, len(got), other.id, lost)
						}
					}
					if s := n.RepairStats(); s.Repaired == 0 || s.Repeated == 0 {
						t.Errorf("%s counts %+v: the bus did not lose or double anything", n.id, s)
					}
				}
			})
		})
	}
}

func TestWhoWasCutOffHearsWhatItMissed(t *testing.T) {
	for name, cut := range map[string]func(*memory.Hub) (back func()){
		"noticed":   func(h *memory.Hub) func() { h.Interrupt("c"); return func() { h.Resume("c") } },
		"unnoticed": func(h *memory.Hub) func() { h.Partition("c"); return h.Heal },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hub := memory.New()
				nodes := trio(t, hub)
				a, c := nodes[0], nodes[2]
				a.say(t, 1)
				c.say(t, 1)
				synctest.Wait()
				back := cut(hub)
				a.say(t, 5000)
				c.say(t, 10)
				time.Sleep(8 * time.Second)
				back()
				a.say(t, 1) // without a gap in the numbers the unnoticed cut is not noticed
				c.say(t, 1)
				time.Sleep(5 * time.Second)
				c.expect(t, a, numbers(1, 5002))
				a.expect(t, c, numbers(1, 12))
				if g := len(a.gaps) + len(c.gaps); g > 0 {
					t.Errorf("%d gaps were told of, and nothing is lost", g)
				}
			})
		})
	}
}

// Proves nothing is silent: what is too much to keep is counted exactly.
func TestWhatIsNotKeptIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := memory.New()
		nodes := trio(t, hub)
		a, c := nodes[0], nodes[2]
		a.say(t, 1)
		synctest.Wait()
		hub.Interrupt("c")
		a.say(t, 30_000)
		time.Sleep(time.Second)
		hub.Resume("c")
		time.Sleep(20 * time.Second)
		got := c.of("a")
		lost := int(c.lost("a"))
		if lost == 0 || len(got)+lost != 30_001 {
			t.Fatalf("%d messages heard and %d lost, want 30,001 together", len(got), lost)
		}
		if want := append([]int{1}, numbers(lost+2, 30_001)...); !slices.Equal(got, want) {
			t.Error(difference(got, want))
		}
	})
}

func TestTheLastMessageIsMissedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := memory.New()
		nodes := trio(t, hub)
		a, b := nodes[0], nodes[1]
		a.say(t, 1)
		synctest.Wait()
		hub.SetFaults("a", "b", memory.Faults{LoseNext: 1})
		a.say(t, 1)
		time.Sleep(600 * time.Millisecond)
		b.expect(t, a, numbers(1, 2))
	})
}

func TestOthersAreNotHeldUpByAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := memory.New()
		nodes := trio(t, hub)
		a, b, c := nodes[0], nodes[1], nodes[2]
		a.say(t, 1)
		c.say(t, 1)
		synctest.Wait()
		hub.SetFaults("a", "b", memory.Faults{LoseNext: 1})
		a.say(t, 1)
		hub.SetFaults("b", "a", memory.Faults{Loss: 1}) // nobody hears b's questions
		a.say(t, 1)
		c.say(t, 1)
		time.Sleep(9 * time.Second)
		b.expect(t, a, numbers(1, 1))
		b.expect(t, c, numbers(1, 2))
		time.Sleep(2 * time.Second)
		b.expect(t, a, []int{3}) // 2 is given up
		if got := b.lost("a"); got != 1 {
			t.Errorf("%d messages lost, want 1", got)
		}
	})
}

func TestANodeThatLeavesIsNotAskedForWhatIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := memory.New()
		nodes := trio(t, hub)
		a, b := nodes[0], nodes[1]
		a.say(t, 1)
		synctest.Wait()
		hub.SetFaults("b", "a", memory.Faults{Loss: 1})
		hub.SetFaults("a", "b", memory.Faults{LoseNext: 2})
		a.say(t, 3)
		synctest.Wait()
		_ = a.Close()
		synctest.Wait()
		b.expect(t, a, []int{1, 4})
		if got := b.lost("a"); got != 2 {
			t.Errorf("%d messages lost, want 2", got)
		}
	})
}

func TestANamespaceThatIsOpenedAgainLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := memory.New()
		b := newTalker(t, hub, "b")
		for range 3 {
			a := newTalker(t, hub, "a")
			a.say(t, 100)
			synctest.Wait()
			b.expect(t, a, numbers(1, 100))
			hub.SetFaults("a", "b", memory.Faults{Loss: 1}) // b does not hear that a leaves
			_ = a.Close()
			hub.SetFaults("a", "b", memory.Faults{})
			time.Sleep(time.Millisecond)
		}
		if len(b.gaps) > 0 || b.RepairStats().Lost > 0 {
			t.Errorf("gaps %v, counted %+v, want none", b.gaps, b.RepairStats())
		}
	})
}

func TestMessagesAreKeptForSomeTimeOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := memory.New()
		nodes := trio(t, hub)
		a, c := nodes[0], nodes[2]
		a.say(t, 1)
		synctest.Wait()
		hub.Interrupt("c")
		a.say(t, 10)
		time.Sleep(time.Hour)
		hub.Resume("c")
		time.Sleep(time.Minute)
		c.expect(t, a, numbers(1, 1))
		if got := c.lost("a"); got != 10 {
			t.Errorf("%d messages lost, want 10", got)
		}
	})
}

// What claims a number that its sender has not reached may keep it waiting for a
// moment, and never for good.
func TestFalseNumbersDoNoLastingHarm(t *testing.T) {
	for name, harm := range map[string]func(hub *memory.Hub, forger cluster.Link){
		"a message": func(_ *memory.Hub, forger cluster.Link) {
			_ = forger.Publish(cluster.Message{From: "a", Seq: 1 << 52, Namespace: "/", Body: cluster.Leave{}})
		},
		"a position": func(_ *memory.Hub, forger cluster.Link) {
			said := cluster.Said{Position: cluster.Position{Origin: 1 << 51, Last: 1 << 52}}
			_ = forger.Publish(cluster.Message{From: "a", Namespace: "/", Body: said})
		},
		"nobody says that it is false": func(hub *memory.Hub, forger cluster.Link) {
			hub.SetFaults("b", "a", memory.Faults{Loss: 1})
			_ = forger.Publish(cluster.Message{From: "a", Seq: 1 << 52, Namespace: "/", Body: cluster.Leave{}})
			time.Sleep(time.Minute)
			hub.Heal()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hub := memory.New()
				nodes := trio(t, hub)
				a, b := nodes[0], nodes[1]
				a.say(t, 1)
				synctest.Wait()
				forger := hub.Open("/", "forger", nil)
				defer forger.Close()
				harm(hub, forger)
				a.say(t, 10)
				time.Sleep(time.Second)
				got := b.of("a")
				if len(got) < 9 || got[len(got)-1] != 11 {
					t.Errorf("b heard %v, want 1 to 11", got)
				}
				a.say(t, 10)
				time.Sleep(time.Second)
				b.expect(t, a, numbers(12, 21))
			})
		})
	}
}

// Not every bus keeps the order between its channels: the word of how far a node
// is may overtake what it has said.
func TestMessagesMayBeOvertakenByTheWordOfThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := memory.New()
		b := newTalker(t, hub, "b")
		a := hub.Open("/", "a", nil)
		defer a.Close()
		event, err := parser.MakeEvent("a", 1)
		if err != nil {
			t.Fatal(err)
		}
		say := func(seq uint64, body cluster.Body) {
			_ = a.Publish(cluster.Message{From: "a", Seq: seq, Namespace: "/", Body: body})
		}
		say(0, cluster.Said{Position: cluster.Position{Origin: 7, Last: 8}})
		for _, seq := range []uint64{7, 8, 7, 8, 9, 9} { // and each is heard once
			say(seq, cluster.Broadcast{Packet: &parser.Packet{Type: parser.Event, Namespace: "/", Payload: event.EventPayload()}})
		}
		synctest.Wait()
		if got := b.of("a"); len(got) != 3 {
			t.Errorf("heard %d messages, want 3", len(got))
		}
		time.Sleep(time.Minute)
		say(8, cluster.Broadcast{Packet: &parser.Packet{Type: parser.Event, Namespace: "/", Payload: event.EventPayload()}})
		synctest.Wait()
		if got := b.of("a"); len(got) != 0 {
			t.Error("a repetition is heard after a minute")
		}
	})
}
