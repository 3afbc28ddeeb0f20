package siotest

import (
	"context"
	"strconv"
	"testing"

	"github.com/dunlin-io/dunlin/adapter/memory"
	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/socketio"
)

// Cluster is several servers joined by one hub.
type Cluster struct {
	t       testing.TB
	hub     *memory.Hub
	servers []*Server
}

// NewCluster starts n servers, named node-0 and so on, that share what the
// configuration says. It takes at most one; without an Adapter the servers
// share a memory.Hub.
func NewCluster(tb testing.TB, n int, cfg ...socketio.Config) *Cluster {
	tb.Helper()
	node := one(tb, cfg)
	if node.Adapter == nil {
		node.Adapter = memory.New()
	}
	c := &Cluster{t: tb}
	c.hub, _ = node.Adapter.(*memory.Hub)
	for i := range n {
		node.NodeID = NodeID(i)
		c.servers = append(c.servers, start(tb, node))
	}
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	for _, s := range c.servers {
		if err := s.Ready(ctx); err != nil {
			tb.Fatal(err)
		}
	}
	return c
}

// NodeID is the name of a cluster's i-th server.
func NodeID(i int) cluster.NodeID { return cluster.NodeID("node-" + strconv.Itoa(i)) }

// Hub is what joins the servers, for faults between some of them only. It is
// nil in a cluster with an Adapter that is not a memory.Hub.
func (c *Cluster) Hub() *memory.Hub { return c.hub }

// Server returns the i-th server.
func (c *Cluster) Server(i int) *Server { return c.servers[i] }

// Servers returns all servers.
func (c *Cluster) Servers() []*Server { return c.servers }

// Dial connects a client to the i-th server.
func (c *Cluster) Dial(i int, opts ...Options) *Client {
	c.t.Helper()
	return c.servers[i].Dial(opts...)
}

// Faults decides what happens from now on to messages from any server to any
// other.
func (c *Cluster) Faults(f memory.Faults) {
	c.t.Helper()
	c.faulty().SetFaults("", "", f)
}

// FaultsBetween decides what happens from now on to messages from one server to
// another. It counts before Faults.
func (c *Cluster) FaultsBetween(from, to int, f memory.Faults) {
	c.t.Helper()
	c.faulty().SetFaults(NodeID(from), NodeID(to), f)
}

// Seed begins the chance of faults anew.
func (c *Cluster) Seed(seed uint64) {
	c.t.Helper()
	c.faulty().Seed(seed)
}

// Partition cuts servers off from the others, which goes unnoticed: nothing
// that one side sends reaches the other, and requests wait for answers in vain.
// Another Partition is one more cut.
func (c *Cluster) Partition(servers ...int) {
	c.t.Helper()
	ids := make([]cluster.NodeID, len(servers))
	for i, s := range servers {
		ids[i] = NodeID(s)
	}
	c.faulty().Partition(ids...)
}

// Interrupt takes a server off the hub, which everybody notices, until Resume.
func (c *Cluster) Interrupt(server int) {
	c.t.Helper()
	c.faulty().Interrupt(NodeID(server))
}

// Resume takes Interrupt back. The server learns that it may have missed
// messages.
func (c *Cluster) Resume(server int) {
	c.t.Helper()
	c.faulty().Resume(NodeID(server))
}

// Heal ends all faults, partitions and interruptions.
func (c *Cluster) Heal() {
	c.t.Helper()
	c.faulty().Heal()
}

func (c *Cluster) faulty() *memory.Hub {
	c.t.Helper()
	if c.hub == nil {
		c.t.Fatal("faults: the cluster's Adapter is not a memory.Hub")
	}
	return c.hub
}
