package clustertest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/parser"
)

// Bus returns the adapter of one more node on the same bus. What it opens it
// closes by the test's Cleanup.
type Bus func() cluster.Adapter

// patience bounds each wait for something that must happen.
const patience = 10 * time.Second

// Run runs the suite. newBus is called once for each subtest and returns a bus
// without nodes.
func Run(t *testing.T, newBus func(t *testing.T) Bus) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Bus)
	}{
		{"BroadcastReachesTheOthersOnce", broadcastReachesTheOthersOnce},
		{"TargetTravelsWhole", targetTravelsWhole},
		{"BinaryTravels", binaryTravels},
		{"SenderOrderIsKept", senderOrderIsKept},
		{"NamespacesAreApart", namespacesAreApart},
		{"OddNames", oddNames},
		{"LocalStaysHere", localStaysHere},
		{"JoinLeaveDisconnect", joinLeaveDisconnect},
		{"FetchSocketsCollects", fetchSocketsCollects},
		{"FetchSocketsIsPartialWhenANodeIsSilent", fetchSocketsIsPartial},
		{"RoomsOfAllNodes", roomsOfAllNodes},
		{"ServerSideEmit", serverSideEmit},
		{"ServerSideEmitWithAck", serverSideEmitWithAck},
		{"BroadcastWithAckCollects", broadcastWithAckCollects},
		{"BroadcastWithAckIsPartialWhenASocketIsSilent", broadcastWithAckIsPartial},
		{"BroadcastWithAckToNobody", broadcastWithAckToNobody},
		{"ANodeThatLeftIsNotAwaited", aNodeThatLeftIsNotAwaited},
		{"NothingAfterClose", nothingAfterClose},
		{"PublishOnlyLink", publishOnlyLink},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, newBus(t)) })
	}
}

// node is one server's membership of a namespace.
type node struct {
	*cluster.Member
	*local
	id cluster.NodeID
}

// join adds nodes named n0, n1, ... to the namespace and waits until they hear
// each other.
func join(t *testing.T, bus Bus, namespace string, count int) []*node {
	t.Helper()
	nodes := make([]*node, count)
	for i := range nodes {
		nodes[i] = open(t, bus(), namespace, fmt.Sprintf("n%d", i))
	}
	for _, n := range nodes {
		ready(t, n)
	}
	return nodes
}

func open(t *testing.T, a cluster.Adapter, namespace, id string) *node {
	t.Helper()
	n := &node{local: newLocal(), id: cluster.NodeID(id)}
	n.Member = cluster.Open(a, cluster.MemberConfig{
		Namespace: namespace, Self: n.id, Local: n.local, RequestTimeout: patience,
	})
	if n.WatchesRooms() {
		n.watch, n.unwatch = n.WatchRoom, n.UnwatchRoom
	}
	t.Cleanup(func() {
		if err := n.Member.Close(); err != nil {
			t.Errorf("Close() of %s: %v", id, err)
		}
	})
	return n
}

func ready(t *testing.T, n *node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := n.Ready(ctx); err != nil {
		t.Fatalf("Ready() of %s: %v", n.id, err)
	}
}

// next returns the next thing that a node was asked to do.
func (n *node) next(t *testing.T) event {
	t.Helper()
	select {
	case e := <-n.events:
		return e
	case <-time.After(patience):
		t.Fatalf("%s was told nothing within %v", n.id, patience)
		return event{}
	}
}

// expect fails unless the next thing is a delivery of the named event.
func (n *node) expect(t *testing.T, op, name string) event {
	t.Helper()
	e := n.next(t)
	if e.op != op || e.name != name {
		t.Fatalf("%s was told %s %q, want %s %q", n.id, e.op, e.name, op, name)
	}
	return e
}

// packet makes an EVENT of the namespace.
func packet(t *testing.T, namespace, name string, args ...any) *parser.Packet {
	t.Helper()
	a, err := parser.MakeEvent(name, args...)
	if err != nil {
		t.Fatalf("MakeEvent(%q): %v", name, err)
	}
	return &parser.Packet{Type: parser.Event, Namespace: namespace, Payload: a.EventPayload()}
}

func (n *node) broadcast(t *testing.T, namespace string, target cluster.Target, name string, args ...any) {
	t.Helper()
	if err := n.Broadcast(target, packet(t, namespace, name, args...)); err != nil {
		t.Fatalf("Broadcast(%q) by %s: %v", name, n.id, err)
	}
}
