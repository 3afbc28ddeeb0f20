package redisadapter

import (
	"context"
	"fmt"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/dunlin-io/dunlin/core/cluster"
)

// maxNodes bounds the table of Go nodes; others are counted without a name.
const maxNodes = 1024

// nodes are the Go nodes that have shown themselves in one namespace: only what
// the extension says names a node that will name itself in its answers, too.
// Whether one is still there tells the number of subscribers of its own channel.
type nodes struct {
	self cluster.NodeID // is not one of them, though a link hears itself in streams

	mu    sync.Mutex // guards the following
	known map[cluster.NodeID]struct{}
}

func (n *nodes) saw(id cluster.NodeID) {
	if id == "" || id == n.self {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.known == nil {
		n.known = make(map[cluster.NodeID]struct{})
	}
	if len(n.known) < maxNodes {
		n.known[id] = struct{}{}
	}
}

func (n *nodes) forget(id cluster.NodeID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.known, id)
}

func (n *nodes) list() []cluster.NodeID {
	n.mu.Lock()
	defer n.mu.Unlock()
	ids := make([]cluster.NodeID, 0, len(n.known))
	for id := range n.known {
		ids = append(ids, id)
	}
	return ids
}

// members counts the other nodes in one command: all have subscribed to the
// counted channel, and those with a name to their own, too.
func (l *link) members(ctx context.Context) (cluster.Members, error) {
	ids := l.nodes.list()
	names := make([]string, 1, len(ids)+1)
	names[0] = l.dialect.counted()
	for _, id := range ids {
		names = append(names, l.dialect.personal(id))
	}
	counts, err := l.adapter.sub.numSub(ctx, names)
	if err != nil {
		return cluster.Members{}, fmt.Errorf("count nodes: %w", explained("", err))
	}
	var m cluster.Members
	for i, id := range ids {
		if counts[names[i+1]] == 0 {
			l.nodes.forget(id)
			continue
		}
		m.Known = append(m.Known, id)
	}
	others := int(counts[names[0]]) - len(m.Known)
	if l.group != nil {
		others-- // this node
	}
	m.Foreign = max(0, others)
	return m, nil
}

// numSub asks each master of a Redis Cluster: a node counts only those that are
// connected to itself.
func numSub(ctx context.Context, client redis.UniversalClient, sharded bool, names []string) (map[string]int64, error) {
	count := func(c redis.Cmdable) (map[string]int64, error) {
		if sharded {
			return c.PubSubShardNumSub(ctx, names...).Result()
		}
		return c.PubSubNumSub(ctx, names...).Result()
	}
	c, ok := client.(*redis.ClusterClient)
	if !ok {
		return count(client)
	}
	var mu sync.Mutex
	sum := make(map[string]int64, len(names)) // guarded by mu
	err := c.ForEachMaster(ctx, func(_ context.Context, master *redis.Client) error {
		counts, err := count(master)
		mu.Lock()
		defer mu.Unlock()
		for name, n := range counts {
			sum[name] += n
		}
		return err
	})
	return sum, err
}
