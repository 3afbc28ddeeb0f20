//go:build unix

package nemesis

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// The workload: producers emit to everybody, and to a room in which everybody
// is, in turns and as fast as their interval says, each over the node of its
// own; consumers write down what they receive. Who loses its connection comes
// back under another name: for the ledger it has left.

const room = "all"

// everybody keeps producers from emitting to the room: where nodes subscribe to
// rooms one by one, what is said to a room has no number and is not repaired.
func (w *Workload) everybody() bool { return w.rig.adapter == "sharded" }

// Workload is the clients of a rig. One goroutine uses it.
type Workload struct {
	rig    *Rig
	ledger *Ledger
	every  time.Duration
	ctx    context.Context
	stop   context.CancelFunc // ends consumers
	quiet  context.CancelFunc // ends producers
	making context.Context
	wg     sync.WaitGroup // consumers
	makers sync.WaitGroup // producers
	names  atomic.Int64
}

// StartWorkload starts producers and consumers on each node and waits until all
// consumers are there. Stop ends it.
func StartWorkload(ctx context.Context, r *Rig, l *Ledger, producers, consumers int, every time.Duration) (*Workload, error) {
	w := &Workload{rig: r, ledger: l, every: every}
	w.ctx, w.stop = context.WithCancel(ctx)
	w.making, w.quiet = context.WithCancel(w.ctx)
	joined := make(chan struct{})
	for _, n := range r.Nodes {
		for range consumers {
			// Ends with w.ctx; Stop waits.
			w.wg.Go(func() { w.consume(n, joined) })
		}
	}
	for range len(r.Nodes) * consumers {
		select {
		case <-joined:
		case <-ctx.Done():
			w.Stop(0)
			return nil, fmt.Errorf("consumers did not join: %w", ctx.Err())
		}
	}
	for _, n := range r.Nodes {
		for range producers {
			// Ends with w.making; Stop waits.
			w.makers.Go(func() { w.produce(n) })
		}
	}
	return w, nil
}

// Stop ends the producers, gives what is under way some time to arrive, and ends
// the consumers.
func (w *Workload) Stop(settle time.Duration) {
	w.quiet()
	w.makers.Wait()
	t := time.NewTimer(settle)
	defer t.Stop()
	select {
	case <-t.C:
	case <-w.ctx.Done():
	}
	w.stop()
	w.wg.Wait()
}

func (w *Workload) name(role string, n *Node) string {
	return fmt.Sprintf("%s%d@%s", role, w.names.Add(1), n.Name)
}

// again waits before the next attempt to connect.
func again(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(50 * time.Millisecond):
	}
}

func (w *Workload) consume(n *Node, joined chan<- struct{}) {
	first := true
	for ; w.ctx.Err() == nil; again(w.ctx) {
		name := w.name("c", n)
		c, err := dial(w.ctx, n.Addr, func(_ string, args []json.RawMessage) {
			var id MessageID
			if len(args) == 1 && json.Unmarshal(args[0], &id) == nil {
				w.ledger.Received(name, id)
			}
		})
		if err != nil {
			continue
		}
		if err := c.ask(w.ctx, "join", room); err != nil {
			c.Close()
			continue
		}
		w.ledger.Joined(name, n.Name)
		if first {
			first = false
			select {
			case joined <- struct{}{}:
			case <-w.ctx.Done():
			}
		}
		select {
		case <-c.ended:
			w.ledger.Left(name)
		case <-w.ctx.Done():
		}
		c.Close()
	}
}

// produce emits, and asks for an echo behind each message: when that comes, the
// node has handled the message.
func (w *Workload) produce(n *Node) {
	for ; w.making.Err() == nil; again(w.making) {
		name := w.name("p", n)
		c, err := dial(w.making, n.Addr, func(string, []json.RawMessage) {})
		if err != nil {
			continue
		}
		w.talk(c, name)
		w.drain(c)
	}
}

func (w *Workload) talk(c *client, name string) {
	tick := time.NewTicker(w.every)
	defer tick.Stop()
	for seq := 1; ; seq++ {
		select {
		case <-c.ended:
			return
		case <-w.making.Done():
			return
		case <-tick.C:
		}
		id := MessageID{Producer: name, Seq: seq}
		w.ledger.Sending(id)
		var err error
		if seq%2 == 0 || w.everybody() {
			err = c.emit(nil, "bcast", id)
		} else {
			err = c.emit(nil, "room", room, id)
		}
		if err != nil || c.emit(func() { w.ledger.Sent(id, Accepted) }, "echo") != nil {
			return
		}
	}
}

// drain waits for the answers that are still to come.
func (w *Workload) drain(c *client) {
	ctx, cancel := context.WithTimeout(w.ctx, dialTimeout)
	defer cancel()
	_ = c.ask(ctx, "echo")
	c.Close()
}
