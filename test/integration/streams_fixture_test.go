package integration_test

import (
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"

	redisadapter "github.com/dunlin-io/dunlin/adapter/redis"
	"github.com/dunlin-io/dunlin/core/cluster"
)

// streamNode is a node in the mode streams, with its adapter.
type streamNode struct {
	*node
	cluster.SessionStore
	adapter *redisadapter.Adapter
}

func newStreamNode(t testing.TB, r *redisServer, ns, id string, o redisadapter.StreamOptions) streamNode {
	t.Helper()
	n := streamNode{adapter: openAdapter(t, r, redisadapter.Options{Mode: redisadapter.Streams, Streams: o, OnDrop: func(d redisadapter.Drop) { t.Logf("%s: %+v", id, d) }})}
	n.node = join(n.adapter, ns, id)
	n.SessionStore = storeOf(t, n.node)
	return n
}

func storeOf(t testing.TB, n *node) cluster.SessionStore {
	t.Helper()
	s, ok := n.Link.(cluster.SessionStore)
	if !ok {
		t.Fatalf("%T keeps no sessions", n.Link)
	}
	return s
}

func (n streamNode) ready(t testing.TB) streamNode {
	t.Helper()
	n.node.ready(t)
	return n
}

// streamPair joins two nodes to "/".
func streamPair(t *testing.T, r *redisServer, o redisadapter.StreamOptions) (a, b streamNode) {
	t.Helper()
	return newStreamNode(t, r, "/", "a", o).ready(t), newStreamNode(t, r, "/", "b", o).ready(t)
}

// position returns the node's position, once it has one.
func (n streamNode) position(t testing.TB) cluster.Offset {
	t.Helper()
	var at cluster.Offset
	eventually(t, "a position", func() error {
		if at, _ = n.Position(); at == "" {
			return errors.New("there is none")
		}
		return nil
	})
	return at
}

// expectGaps waits until the node has noticed so many gaps, and has told of each.
func (n streamNode) expectGaps(t testing.TB, want uint64) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s notices %d gaps", n.id, want), func() error {
		_, epoch := n.Position()
		if got := n.adapter.Stats().Gaps; got != want || epoch != want || n.resumptions() < int(want) { //nolint:gosec // a few
			return fmt.Errorf("%d counted, epoch %d, told of %d", got, epoch, n.resumptions())
		}
		return nil
	})
}

// lost returns how many messages of the node were dropped on their way to Redis.
func (n streamNode) lost() (messages int) {
	for reason, dropped := range n.adapter.Stats().Dropped {
		if reason != redisadapter.DropMalformed {
			messages += int(dropped) //nolint:gosec // a few
		}
	}
	return messages
}

// startKeepingRedis starts a Redis that writes everything to disk before it
// answers.
func startKeepingRedis(t testing.TB) *redisServer {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("no redis-server here that could be killed and find its data again")
	}
	r := startProcess(t, path, freeAddr(t), "--appendonly", "yes", "--appendfsync", "always")
	r.waitReady(t)
	return r
}

// add writes an entry as it is and returns its id.
func add(t testing.TB, c *redis.Client, stream string, fields ...string) cluster.Offset {
	t.Helper()
	id, err := c.XAdd(within(t), &redis.XAddArgs{Stream: stream, Values: fields}).Result()
	if err != nil {
		t.Fatalf("XADD: %v", err)
	}
	return cluster.Offset(id)
}

// event are the fields of an entry as a Node.js node writes it.
func event(ns string, i int) []string {
	return []string{
		"uid", "00112233aabbccdd", "nsp", ns, "type", "3",
		"data", fmt.Sprintf(`{"packet":{"type":2,"data":["n",%d]},"opts":{"rooms":[],"except":[],"flags":{}}}`, i),
	}
}

func expectNumbers(t testing.TB, n *node, want ...int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s hears %v", n.id, want), func() error {
		if got := n.numbers(t); !slices.Equal(got, want) {
			return fmt.Errorf("heard %v", got)
		}
		return nil
	})
}
