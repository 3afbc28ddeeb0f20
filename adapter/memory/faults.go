package memory

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dunlin-io/dunlin/core/cluster"
)

// ErrInterrupted is the error of requests by a node that Interrupt has taken
// off the hub.
var ErrInterrupted = errors.New("memory: the node is cut off from the hub")

// Faults is what happens to messages on their way from one node to another. The
// zero value is a way without faults.
//
// Chance is drawn for each way and namespace by itself, from Hub.Seed and the
// names: the same messages in the same order meet the same fate. Whatever
// happens, what one node sends to another arrives in the order of its sending,
// as an adapter promises; messages of different nodes may overtake each other.
type Faults struct {
	// Delay is how long each message takes, and Jitter how much longer it may
	// take, by chance.
	Delay, Jitter time.Duration
	// Loss is the share of messages that never arrive, 0 to 1.
	Loss float64
	// LoseNext is how many messages are lost before chance is asked.
	LoseNext int
	// Duplication is the share of messages that arrive twice, 0 to 1. The
	// second one has a Delay of its own.
	Duplication float64
	// Only spares the messages for which it is false; nil: none. It is called by
	// the goroutine that sends, and must not call the Hub.
	Only func(cluster.Message) bool
}

// FaultCounts is what faults have done to messages; one that was for several
// nodes counts for each.
type FaultCounts struct {
	Lost       uint64 // by Loss and LoseNext
	Cut        uint64 // lost between the sides of a partition, or on the way from or to an interrupted node
	Duplicated uint64
	Delayed    uint64 // by Delay and Jitter, or because they wait for an earlier one that is
}

// SetFaults decides what happens from now on to what one node sends to another,
// in every namespace. An empty id stands for any node; what is said of both
// nodes counts before what is said of the sender, and that before what is said
// of the receiver. What is on its way already arrives as it was going to.
func (h *Hub) SetFaults(from, to cluster.NodeID, f Faults) {
	h.faults.set(way{from, to}, &rule{Faults: f, lose: f.LoseNext})
}

// Seed begins all chance anew. Hubs begin with the seed 0.
func (h *Hub) Seed(seed uint64) {
	h.faults.mu.Lock()
	defer h.faults.mu.Unlock()
	h.faults.seed, h.faults.epoch = seed, h.faults.epoch+1
}

// Partition cuts the nodes off from all others, which goes unnoticed: what one
// side sends is lost to the other, and requests wait for answers in vain.
// Another Partition is one more cut. What is on its way already arrives.
func (h *Hub) Partition(nodes ...cluster.NodeID) {
	h.faults.mu.Lock()
	defer h.faults.mu.Unlock()
	h.faults.sides = append(h.faults.sides, slices.Clone(nodes))
	h.faults.active.Store(true)
}

// Interrupt takes a node off the hub as when its connection to a message broker
// has broken, which everybody notices: the node's requests fail with
// ErrInterrupted, Link.Ready waits, and the others do not count on it. What it
// sends, and what others send to it, is lost.
func (h *Hub) Interrupt(node cluster.NodeID) {
	h.faults.mu.Lock()
	defer h.faults.mu.Unlock()
	if h.faults.away[node] == nil {
		if h.faults.away == nil {
			h.faults.away = make(map[cluster.NodeID]chan struct{})
		}
		h.faults.away[node] = make(chan struct{})
		h.faults.active.Store(true)
	}
}

// Resume takes Interrupt back. The node's receivers are told that they hear the
// others again and may have missed messages.
func (h *Hub) Resume(node cluster.NodeID) {
	h.faults.mu.Lock()
	back := h.faults.away[node]
	delete(h.faults.away, node)
	h.faults.mu.Unlock()
	if back == nil {
		return
	}
	for _, l := range h.linksOf(node) {
		l.catchUp()
		l.mu.Lock()
		l.put(arrival{resumed: true})
		l.mu.Unlock()
	}
	close(back)
}

// Heal ends all partitions, interruptions and other faults. What is on its way
// arrives as it was going to, and what is sent afterwards behind it.
func (h *Hub) Heal() {
	h.faults.mu.Lock()
	h.faults.sides = nil
	h.faults.rules = nil
	var away []cluster.NodeID
	for node := range h.faults.away {
		away = append(away, node)
	}
	h.faults.mu.Unlock()
	slices.Sort(away)
	for _, node := range away {
		h.Resume(node)
	}
}

// FaultCounts returns what faults have done since the hub was made.
func (h *Hub) FaultCounts() FaultCounts {
	c := &h.faults.counts
	return FaultCounts{
		Lost: c.lost.Load(), Cut: c.cut.Load(), Duplicated: c.duplicated.Load(), Delayed: c.delayed.Load(),
	}
}

// carry brings a message from one link to another, or does not.
func (h *Hub) carry(from, to *link, m cluster.Message) {
	r, ok := h.faults.rule(from.self, to.self)
	if !ok {
		return
	}
	if r != nil && r.Only != nil && !r.Only(m) {
		r = nil
	}
	if r != nil && h.faults.loseNext(r) {
		return
	}
	to.arrive(from.self, m, r)
}

func (h *Hub) linksOf(node cluster.NodeID) []*link {
	h.mu.Lock()
	defer h.mu.Unlock()
	var links []*link
	for _, all := range h.links {
		for _, l := range all {
			if l.self == node {
				links = append(links, l)
			}
		}
	}
	return links
}

// way is a direction between two nodes; an empty one stands for any.
type way struct{ from, to cluster.NodeID }

// rule is what SetFaults was told.
type rule struct {
	Faults
	lose int // what is left of LoseNext; guarded by faults.mu
}

// faults is what is wrong with a hub.
type faults struct {
	active atomic.Bool // something was ever wrong
	counts struct{ lost, cut, duplicated, delayed atomic.Uint64 }

	mu    sync.Mutex // guards the following
	rules map[way]*rule
	sides [][]cluster.NodeID // one side of each partition
	away  map[cluster.NodeID]chan struct{}
	seed  uint64
	epoch int // counts the calls of Seed
}

func (f *faults) set(w way, r *rule) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rules == nil {
		f.rules = make(map[way]*rule)
	}
	f.rules[w] = r
	f.active.Store(true)
}

// rule returns what is said of a way, or nil; ok is false when it leads nowhere.
func (f *faults) rule(from, to cluster.NodeID) (r *rule, ok bool) {
	if !f.active.Load() {
		return nil, true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away[from] != nil || f.away[to] != nil || slices.ContainsFunc(f.sides, func(side []cluster.NodeID) bool {
		return slices.Contains(side, from) != slices.Contains(side, to)
	}) {
		f.counts.cut.Add(1)
		return nil, false
	}
	return f.find(from, to), true
}

// said is rule where neither partitions nor interruptions count.
func (f *faults) said(from, to cluster.NodeID) *rule {
	if !f.active.Load() {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.find(from, to)
}

func (f *faults) find(from, to cluster.NodeID) *rule {
	for _, w := range []way{{from, to}, {from, ""}, {"", to}, {"", ""}} {
		if r := f.rules[w]; r != nil {
			return r
		}
	}
	return nil
}

func (f *faults) loseNext(r *rule) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.lose <= 0 {
		return false
	}
	r.lose--
	f.counts.lost.Add(1)
	return true
}

func (f *faults) interrupted(node cluster.NodeID) bool {
	if !f.active.Load() {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.away[node] != nil
}

// connected waits until the node is not interrupted.
func (f *faults) connected(ctx context.Context, node cluster.NodeID) error {
	f.mu.Lock()
	back := f.away[node]
	f.mu.Unlock()
	if back == nil {
		return ctx.Err()
	}
	select {
	case <-back:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// chance returns where chance begins and when it began.
func (f *faults) chance() (seed uint64, epoch int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seed, f.epoch
}
