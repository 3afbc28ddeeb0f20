package integration_test

import (
	"errors"
	"testing"

	redisadapter "github.com/dunlin-io/dunlin/adapter/redis"
	"github.com/dunlin-io/dunlin/core/cluster"
)

// A node hears itself in streams, and would wait for an answer of its own.
func TestStreamsNodeThatPublishedIsNotOneOfTheOthers(t *testing.T) {
	r := startRedis(t)
	o := redisadapter.Options{Mode: redisadapter.Streams}
	a := join(openAdapter(t, r, o), "/", "node-a").ready(t)
	b := join(openAdapter(t, r, o), "/", "node-b").ready(t)
	for _, n := range []*node{a, b} {
		if err := n.Publish(cluster.Message{Seq: 1, Body: cluster.Join{Rooms: []string{"red"}}}); err != nil {
			t.Fatalf("Publish by %s: %v", n.id, err)
		}
	}
	for _, n := range []*node{a, b} {
		eventually(t, string(n.id)+" hears both", func() error {
			n.mu.Lock()
			defer n.mu.Unlock()
			if len(n.heard) < 2 {
				return errors.New("not yet")
			}
			return nil
		})
		members, err := n.Members(within(t))
		if err != nil || members.Len() != 1 || len(members.Known) != 1 || members.Known[0] == n.id {
			t.Errorf("the others, to %s, are %+v (%v), want the other node", n.id, members, err)
		}
	}
}
