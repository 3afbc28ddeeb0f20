package memory_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/adapter/memory"
	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/cluster/clustertest"
	"github.com/dunlin-io/dunlin/core/parser"
)

func TestHubWithALogCarriesTheConversation(t *testing.T) {
	clustertest.Run(t, func(*testing.T) clustertest.Bus {
		hub := memory.NewLog(memory.Log{})
		return func() cluster.Adapter { return hub }
	})
}

// reader is a node that notes what it is passed.
type reader struct {
	cluster.Link
	cluster.SessionStore
	self cluster.NodeID

	mu     sync.Mutex // guards the following
	got    []string
	epochs []uint64
}

func newReader(t *testing.T, hub *memory.Hub, namespace string, id cluster.NodeID) *reader {
	t.Helper()
	r := &reader{self: id}
	r.Link = hub.Open(namespace, id, r)
	r.SessionStore = r.Link.(cluster.SessionStore)
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func (r *reader) HasRoom(string) bool { return true }
func (r *reader) Subscribed(bool)     {}
func (r *reader) Receive(m cluster.Message) {
	_, epoch := r.Position()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, line(m))
	r.epochs = append(r.epochs, epoch)
}

func line(m cluster.Message) string { return fmt.Sprint(m.Offset, " ", m.From, " ", m.Seq) }

func (r *reader) say(n uint64) {
	_ = r.Publish(cluster.Message{From: r.self, Seq: n, Body: cluster.Broadcast{Packet: &parser.Packet{}}})
}

func (r *reader) read() []string {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

func since(t *testing.T, s cluster.SessionStore, from cluster.Offset) []string {
	t.Helper()
	messages, err := s.Since(t.Context(), from, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, m := range messages {
		lines = append(lines, line(m))
	}
	return lines
}

func TestLogHasOneOrderForEverybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := memory.NewLog(memory.Log{})
		hub.SetFaults("", "b", memory.Faults{Delay: time.Second, Jitter: time.Second, Loss: 1, Duplication: 1})
		a, b, elsewhere := newReader(t, hub, "/", "a"), newReader(t, hub, "/", "b"), newReader(t, hub, "/other", "a")
		begin, _ := a.Position()
		var senders sync.WaitGroup
		for _, r := range []*reader{a, b, elsewhere} {
			senders.Go(func() {
				for n := range uint64(100) {
					r.say(n)
					time.Sleep(time.Millisecond)
				}
			})
		}
		senders.Wait()
		_ = a.Publish(cluster.Message{From: "a", Body: cluster.Broadcast{Packet: &parser.Packet{}, RequestID: "not recorded"}})
		want := a.read()
		time.Sleep(10 * time.Second)
		if got := b.read(); len(want) != 200 || !slices.Equal(got, want) {
			t.Errorf("a read %d messages, b %d, or in another order", len(want), len(got))
		}
		if got := since(t, b, begin); !slices.Equal(got, want) {
			t.Error("Since does not return what was read")
		}
		var half cluster.Offset
		_, _ = fmt.Sscan(want[100], &half)
		if got := since(t, a, half); !slices.Equal(got, want[101:]) {
			t.Errorf("Since returns %d messages after the 100th", len(got))
		}
		end, _ := a.Position()
		if last, _ := elsewhere.Position(); last != end {
			t.Errorf("the ends are %q and %q", end, last)
		}
	})
}

func TestLogForgetsTheOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := memory.NewLog(memory.Log{Messages: 10})
		a, other := newReader(t, hub, "/", "a"), newReader(t, hub, "/other", "a")
		begin, _ := a.Position()
		for n := range uint64(5) {
			a.say(n)
			other.say(n)
		}
		if got := since(t, a, begin); len(got) != 5 {
			t.Errorf("%d messages of 5 are there", len(got))
		}
		if _, err := a.Since(t.Context(), begin, 4); !errors.Is(err, cluster.ErrTrimmed) {
			t.Errorf("more than most: %v", err)
		}
		a.say(5)
		if _, err := a.Since(t.Context(), begin, 1000); !errors.Is(err, cluster.ErrTrimmed) {
			t.Errorf("from before the oldest: %v", err)
		}
		synctest.Wait()
		end, _ := other.Position()
		if _, err := a.Since(t.Context(), end+"0", 1000); !errors.Is(err, cluster.ErrFuture) {
			t.Errorf("from the future: %v", err)
		}
	})
}

// What an interrupted node has to say comes late and in order, and it misses
// nothing that the log still has.
func TestLogIsReadOnAfterAnInterruption(t *testing.T) {
	for _, trimmed := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			hub := memory.NewLog(memory.Log{Messages: 20})
			a, b := newReader(t, hub, "/", "a"), newReader(t, hub, "/", "b")
			a.say(1)
			if got := b.read(); len(got) != 1 {
				t.Fatalf("read %q", got)
			}
			hub.Interrupt("b")
			before, _ := b.Position()
			b.say(1)
			b.say(2)
			a.say(2)
			if trimmed {
				for n := range uint64(30) {
					a.say(3 + n)
				}
			}
			if at, _ := b.Position(); at != before {
				t.Errorf("an interrupted node moves from %q to %q", before, at)
			}
			if _, err := b.Take(t.Context(), "x"); !errors.Is(err, memory.ErrInterrupted) {
				t.Errorf("Take = %v", err)
			}
			hub.Resume("b")
			b.say(3)
			want, got := a.read(), b.read()
			if trimmed {
				if !slices.Equal(got[1:], want[len(want)-len(got)+1:]) || b.epochs[0] != 0 || b.epochs[1] != 1 {
					t.Errorf("read %q of %q in the epochs %d", got, want, b.epochs)
				}
				return
			}
			if !slices.Equal(got, want) || len(want) != 5 || slices.Max(b.epochs) != 0 {
				t.Errorf("read %q of %q in the epochs %d", got, want, b.epochs)
			}
		})
	}
}

func TestSessionIsTakenOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := memory.NewLog(memory.Log{})
		a, elsewhere := newReader(t, hub, "/", "a"), newReader(t, hub, "/other", "a")
		if err := a.Save(t.Context(), time.Minute, cluster.Session{PID: "p", Socket: "s"}); err != nil {
			t.Fatal(err)
		}
		if _, err := elsewhere.Take(t.Context(), "p"); !errors.Is(err, cluster.ErrNoSession) {
			t.Errorf("another namespace's Take = %v", err)
		}
		var taken atomic.Int32
		var takers sync.WaitGroup
		for range 50 {
			takers.Go(func() {
				if s, err := a.Take(context.Background(), "p"); err == nil && s.Socket == "s" {
					taken.Add(1)
				}
			})
		}
		if takers.Wait(); taken.Load() != 1 {
			t.Errorf("taken %d times", taken.Load())
		}
	})
}

func TestSessionBelongsToTheNodeThatSavedItLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := memory.NewLog(memory.Log{Sessions: 3})
		a, b := newReader(t, hub, "/", "a"), newReader(t, hub, "/", "b")
		ctx := t.Context()
		_ = a.Save(ctx, time.Minute, cluster.Session{PID: "p", Socket: "old"})
		_ = a.Renew(ctx, time.Minute, cluster.Session{PID: "p", Socket: "renewed"})
		if s, err := b.Take(ctx, "p"); err != nil || s.Socket != "renewed" {
			t.Errorf("took %+v, %v", s, err)
		}
		_ = a.Renew(ctx, time.Minute, cluster.Session{PID: "p", Socket: "ghost"})
		if _, err := b.Take(ctx, "p"); !errors.Is(err, cluster.ErrNoSession) {
			t.Errorf("Renew brought a session back to life: %v", err)
		}
		_ = b.Save(ctx, time.Minute, cluster.Session{PID: "p", Socket: "new"})
		_ = a.Renew(ctx, time.Minute, cluster.Session{PID: "p", Socket: "ghost"})
		_ = a.Forget(ctx, "p")
		time.Sleep(time.Minute - time.Nanosecond)
		if s, err := a.Take(ctx, "p"); err != nil || s.Socket != "new" {
			t.Errorf("took %+v, %v", s, err)
		}
		_ = b.Save(ctx, time.Minute, cluster.Session{PID: "p"})
		time.Sleep(time.Minute)
		if _, err := a.Take(ctx, "p"); !errors.Is(err, cluster.ErrNoSession) {
			t.Errorf("took an expired session: %v", err)
		}
		for i := range 5 {
			_ = b.Save(ctx, time.Minute, cluster.Session{PID: fmt.Sprint(i)})
		}
		for i := range 5 {
			if _, err := a.Take(ctx, fmt.Sprint(i)); (err == nil) != (i >= 2) {
				t.Errorf("session %d of 5 where 3 may be kept: %v", i, err)
			}
		}
	})
}
