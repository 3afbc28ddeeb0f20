package memory_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/adapter/memory"
	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/cluster/clustertest"
)

// ear notes what a link hears, and when.
type ear struct {
	cluster.Link
	id    cluster.NodeID
	start time.Time

	mu    sync.Mutex // guards the following
	heard []string
	at    []time.Duration
}

func (e *ear) note(what string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard = append(e.heard, what)
	e.at = append(e.at, time.Since(e.start))
}

func (e *ear) Receive(m cluster.Message) { e.note(m.Body.(cluster.Rooms).RequestID) }
func (e *ear) HasRoom(string) bool       { return true }
func (e *ear) Subscribed(resumed bool)   { e.note(fmt.Sprint("resumed ", resumed)) }

// say publishes a message.
func (e *ear) say(t *testing.T, what string) {
	t.Helper()
	if err := e.Publish(cluster.Message{From: e.id, Namespace: "/", Body: cluster.Rooms{RequestID: what}}); err != nil {
		t.Errorf("Publish by %s: %v", e.id, err)
	}
}

// take returns what was heard since the last call, once everything has come to
// rest.
func (e *ear) take() (heard []string, at []time.Duration) {
	synctest.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	heard, at = e.heard, e.at
	e.heard, e.at = nil, nil
	return heard, at
}

func (e *ear) expect(t *testing.T, want ...string) {
	t.Helper()
	if got, _ := e.take(); !slices.Equal(got, want) {
		t.Errorf("%s heard %q, want %q", e.id, got, want)
	}
}

// ears opens links of nodes a, b and c.
func ears(t *testing.T, hub *memory.Hub) (a, b, c *ear) {
	t.Helper()
	var all []*ear
	for _, id := range []cluster.NodeID{"a", "b", "c"} {
		e := &ear{id: id, start: time.Now()}
		e.Link = hub.Open("/", id, e)
		t.Cleanup(func() { _ = e.Close() })
		e.expect(t, "resumed false")
		all = append(all, e)
	}
	return all[0], all[1], all[2]
}

func TestDelayIsExactAndForItsDirectionOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := memory.New()
		a, b, c := ears(t, hub)
		hub.SetFaults("a", "b", memory.Faults{Delay: 3 * time.Second})
		hub.SetFaults("c", "", memory.Faults{Delay: time.Second})
		a.say(t, "1")
		b.say(t, "2")
		c.say(t, "3")
		a.expect(t, "2")
		b.expect(t)
		c.expect(t, "1", "2")
		time.Sleep(time.Minute)
		if heard, at := b.take(); !slices.Equal(heard, []string{"3", "1"}) || !slices.Equal(at, []time.Duration{time.Second, 3 * time.Second}) {
			t.Errorf("b heard %q at %v", heard, at)
		}
		if got := hub.FaultCounts(); got != (memory.FaultCounts{Delayed: 3}) {
			t.Errorf("FaultCounts() = %+v", got)
		}
	})
}

func TestJitterKeepsTheOrderOfASender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := memory.New()
		a, b, c := ears(t, hub)
		hub.SetFaults("", "", memory.Faults{Delay: time.Second, Jitter: time.Minute, Duplication: 0.2})
		for i := range 200 {
			a.say(t, fmt.Sprintf("a%03d", i))
			b.say(t, fmt.Sprintf("b%03d", i))
			time.Sleep(time.Second)
			if i == 150 { // now without faults: still behind what is on its way
				hub.Heal()
			}
		}
		time.Sleep(time.Hour)
		heard, at := c.take()
		if !slices.IsSorted(at) || at[0] < time.Second {
			t.Errorf("heard at %v", at)
		}
		var from [2][]string
		for _, what := range heard {
			from[what[0]-'a'] = append(from[what[0]-'a'], what)
		}
		for _, heard := range from {
			if !slices.IsSorted(heard) || len(slices.Compact(slices.Clone(heard))) != 200 {
				t.Errorf("not in order, or not all: %q", heard)
			}
		}
		if slices.Equal(heard, slices.Concat(from[0], from[1])) || slices.IsSortedFunc(heard, func(x, y string) int { return strings.Compare(x[1:], y[1:]) }) {
			t.Error("messages of different senders did not overtake each other")
		}
		if n := hub.FaultCounts().Duplicated; len(heard) <= 400 || int(n) < len(heard)-400 { // a and b heard some of them
			t.Errorf("%d duplicates, %d messages", n, len(heard))
		}
	})
}

// fates returns which of 1000 messages arrived how often at b.
func fates(t *testing.T, seed uint64, f memory.Faults) (times [1000]int, counts memory.FaultCounts) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		hub := memory.New()
		a, b, c := ears(t, hub)
		hub.Seed(seed)
		hub.SetFaults("a", "b", f)
		for i := range times {
			if i%7 == 0 {
				c.say(t, "c") // does not disturb the chance of others
			}
			a.say(t, fmt.Sprint(i))
		}
		time.Sleep(time.Hour)
		heard, _ := b.take()
		for _, what := range heard {
			var i int
			if _, err := fmt.Sscan(what, &i); err == nil {
				times[i]++
			}
		}
		if heard, _ := c.take(); len(heard) != len(times) {
			t.Errorf("c heard %d of %d", len(heard), len(times))
		}
		counts = hub.FaultCounts()
	})
	return times, counts
}

func TestChanceFollowsTheSeed(t *testing.T) {
	f := memory.Faults{Loss: 0.3, Duplication: 0.1}
	first, counts := fates(t, 7, f)
	var lost, twice uint64
	for _, n := range first {
		switch n {
		case 0:
			lost++
		case 2:
			twice++
		}
	}
	if counts != (memory.FaultCounts{Lost: lost, Duplicated: twice}) || lost < 250 || lost > 350 || twice < 40 || twice > 100 {
		t.Errorf("%d lost and %d duplicated of 1000, counted %+v", lost, twice, counts)
	}
	if again, _ := fates(t, 7, f); again != first {
		t.Error("the same seed led to another fate")
	}
	if other, _ := fates(t, 8, f); other == first {
		t.Error("another seed led to the same fate")
	}
	f.Duplication, f.Jitter = 0, time.Second
	if same, _ := fates(t, 7, f); slices.ContainsFunc(first[:], func(n int) bool { return n == 0 }) {
		for i, n := range same {
			if (n == 0) != (first[i] == 0) {
				t.Fatal("other faults have changed what is lost")
			}
		}
	}
}

func TestLossOfTheNextAndOfSomeOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := memory.New()
		a, b, c := ears(t, hub)
		hub.SetFaults("", "b", memory.Faults{
			LoseNext: 2,
			Only:     func(m cluster.Message) bool { return strings.HasPrefix(m.Body.(cluster.Rooms).RequestID, "x") },
		})
		for _, what := range []string{"1", "x1", "2", "x2", "x3"} {
			a.say(t, what)
		}
		b.expect(t, "1", "2", "x3")
		c.expect(t, "1", "x1", "2", "x2", "x3")
		hub.SetFaults("a", "b", memory.Faults{Loss: 1}) // says more than the one before
		a.say(t, "4")
		c.say(t, "5")
		b.expect(t, "5")
		if got := hub.FaultCounts(); got != (memory.FaultCounts{Lost: 3}) {
			t.Errorf("FaultCounts() = %+v", got)
		}
	})
}

func TestPartitionGoesUnnoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := memory.New()
		a, b, c := ears(t, hub)
		hub.Partition("a")
		a.say(t, "from a")
		b.say(t, "from b")
		a.expect(t)
		b.expect(t)
		c.expect(t, "from b")
		if m, err := a.Members(t.Context()); err != nil || len(m.Known) != 2 {
			t.Errorf("Members() = %v, %v", m, err)
		}
		hub.Partition("b") // nobody hears anybody now
		b.say(t, "from b")
		c.expect(t)
		hub.Heal()
		a.say(t, "again")
		b.expect(t, "again")
		c.expect(t, "again")
		if got := hub.FaultCounts(); got != (memory.FaultCounts{Cut: 5}) {
			t.Errorf("FaultCounts() = %+v", got)
		}
	})
}

func TestInterruptionIsNoticedAndEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := memory.New()
		a, b, c := ears(t, hub)
		hub.Interrupt("b")
		hub.Interrupt("b")
		a.say(t, "missed")
		b.say(t, "lost")
		b.expect(t)
		a.expect(t)
		c.expect(t, "missed")
		if m, err := a.Members(t.Context()); err != nil || !slices.Equal(m.Known, []cluster.NodeID{"c"}) {
			t.Errorf("Members() of a = %v, %v", m, err)
		}
		if _, err := b.Members(t.Context()); !errors.Is(err, memory.ErrInterrupted) {
			t.Errorf("Members() of b: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := b.Ready(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Ready() of b = %v", err)
		}
		time.AfterFunc(time.Minute, func() {
			hub.Resume("b")
			hub.Resume("b")
			hub.Resume("nobody")
		})
		start := time.Now()
		if err := b.Ready(t.Context()); err != nil || time.Since(start) != time.Minute {
			t.Errorf("Ready() of b = %v after %v", err, time.Since(start))
		}
		a.say(t, "heard")
		b.expect(t, "resumed true", "heard")
		hub.Interrupt("a")
		hub.Heal()
		a.expect(t, "resumed true")
	})
}

func TestNothingArrivesAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := memory.New()
		a, b, c := ears(t, hub)
		hub.SetFaults("", "", memory.Faults{Delay: time.Second})
		a.say(t, "1")
		c.say(t, "2")
		_ = c.Close() // what it said goes on
		a.say(t, "3")
		time.Sleep(time.Second)
		b.expect(t, "1", "2", "3")
		a.say(t, "4")
		_ = b.Close()
		hub.Interrupt("b")
		hub.Resume("b")
		time.Sleep(time.Minute)
		b.expect(t)
		c.expect(t)
	})
}

func TestWhatIsOnItsWayIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := memory.New()
		a, b, _ := ears(t, hub)
		hub.SetFaults("a", "b", memory.Faults{Delay: time.Hour})
		for range 100_010 {
			a.say(t, "x")
		}
		if n := hub.Lost(); n != 10 {
			t.Errorf("Lost() = %d, want 10", n)
		}
		time.Sleep(time.Hour)
		if heard, _ := b.take(); len(heard) != 100_000 {
			t.Errorf("b heard %d messages", len(heard))
		}
	})
}

func TestFaultsMayChangeAtAnyTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := memory.New()
		a, b, c := ears(t, hub)
		var all sync.WaitGroup
		for _, e := range []*ear{a, b, c} {
			all.Go(func() {
				for range 500 {
					e.say(t, "x")
					time.Sleep(time.Millisecond)
				}
			})
			all.Go(func() {
				for i := range 100 {
					hub.SetFaults(e.id, "", memory.Faults{Jitter: time.Second, Loss: 0.1, Duplication: 0.1, LoseNext: 1})
					time.Sleep(time.Millisecond)
					hub.Interrupt(e.id)
					hub.Partition(e.id)
					hub.Seed(uint64(i))
					time.Sleep(time.Millisecond)
					hub.Heal()
				}
			})
		}
		all.Wait()
	})
}

// What clustertest asks of an adapter holds on slow ways too.
func TestSlowHubCarriesTheConversation(t *testing.T) {
	clustertest.Run(t, func(*testing.T) clustertest.Bus {
		hub := memory.New()
		hub.SetFaults("", "", memory.Faults{Delay: time.Millisecond, Jitter: 2 * time.Millisecond})
		return func() cluster.Adapter { return hub }
	})
}
