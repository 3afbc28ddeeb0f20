package integration_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	redisadapter "github.com/dunlin-io/dunlin/adapter/redis"
	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/parser"
)

// openAdapter returns an adapter of one more node, which is closed with the test.
func openAdapter(t testing.TB, r *redisServer, o redisadapter.Options) *redisadapter.Adapter {
	t.Helper()
	a, err := redisadapter.Open(&redis.UniversalOptions{Addrs: []string{r.addr}}, o)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return a
}

// node is a member that notes what it hears and answers nothing.
type node struct {
	cluster.Link
	id cluster.NodeID
	ns string

	mu      sync.Mutex // guards the following
	heard   []cluster.Message
	resumed int
}

func (n *node) HasRoom(string) bool { return true }

func (n *node) Receive(m cluster.Message) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.heard = append(n.heard, m)
}

func (n *node) Subscribed(resumed bool) {
	if resumed {
		n.mu.Lock()
		n.resumed++
		n.mu.Unlock()
	}
}

// join opens a namespace without waiting until it is ready.
func join(a cluster.Adapter, ns, id string) *node {
	n := &node{id: cluster.NodeID(id), ns: ns}
	n.Link = a.Open(ns, n.id, n)
	return n
}

func (n *node) ready(t testing.TB) *node {
	t.Helper()
	if err := n.Ready(within(t)); err != nil {
		t.Fatalf("Ready of %s: %v", n.id, err)
	}
	return n
}

// say broadcasts an event that is a number.
func (n *node) say(i int) error {
	args, err := parser.MakeEvent("n", i)
	if err != nil {
		return err
	}
	return n.Publish(cluster.Message{From: n.id, Namespace: n.ns, Body: cluster.Broadcast{
		Packet: &parser.Packet{Type: parser.Event, Namespace: n.ns, Payload: args.EventPayload()},
	}})
}

// tell is say, for the goroutine of the test.
func (n *node) tell(t testing.TB, i int) {
	t.Helper()
	if err := n.say(i); err != nil {
		t.Fatalf("Publish by %s: %v", n.id, err)
	}
}

// numbers returns the events that were heard so far.
func (n *node) numbers(t testing.TB) []int {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	var is []int
	for _, m := range n.heard {
		b, ok := m.Body.(cluster.Broadcast)
		if !ok {
			continue
		}
		_, args, err := b.Packet.Payload.Event()
		var i int
		if err == nil {
			err = args.Scan(&i)
		}
		if err != nil {
			t.Fatalf("event: %v", err)
		}
		is = append(is, i)
	}
	return is
}

func (n *node) resumptions() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.resumed
}

// expectLast waits until the given event arrived and checks that all that came
// before it came in order, each once.
func (n *node) expectLast(t testing.TB, last int) []int {
	t.Helper()
	var is []int
	eventually(t, fmt.Sprintf("%s hears %d", n.id, last), func() error {
		if is = n.numbers(t); len(is) == 0 || is[len(is)-1] != last {
			return fmt.Errorf("heard %d events", len(is))
		}
		return nil
	})
	for i := 1; i < len(is); i++ {
		if is[i] <= is[i-1] {
			t.Errorf("%s heard %d after %d", n.id, is[i], is[i-1])
		}
	}
	return is
}

// talker broadcasts a growing number every few milliseconds until stopped.
type talker struct {
	stop chan struct{}
	done chan struct{}
	next int // the number after the last; set when done
}

func startTalking(t testing.TB, n *node, first int) *talker {
	t.Helper()
	k := &talker{stop: make(chan struct{}), done: make(chan struct{}), next: first}
	tick := time.NewTicker(2 * time.Millisecond)
	// It ends when stop is closed, and quiet waits for it.
	go func() {
		defer close(k.done)
		defer tick.Stop()
		for {
			select {
			case <-k.stop:
				return
			case <-tick.C:
				if err := n.say(k.next); err != nil {
					t.Errorf("Publish by %s: %v", n.id, err)
				}
				k.next++
			}
		}
	}()
	t.Cleanup(func() { k.quiet() })
	return k
}

// quiet stops talking and returns the next number.
func (k *talker) quiet() int {
	select {
	case <-k.stop:
	default:
		close(k.stop)
	}
	<-k.done
	return k.next
}

func numSub(t testing.TB, c *redis.Client, channel string) int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	counts, err := c.PubSubNumSub(ctx, channel).Result()
	if err != nil {
		t.Fatalf("PUBSUB NUMSUB: %v", err)
	}
	return counts[channel]
}
