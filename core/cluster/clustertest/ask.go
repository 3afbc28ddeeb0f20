package clustertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/parser"
)

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func fetchSocketsCollects(t *testing.T, bus Bus) {
	nodes := join(t, bus, "/", 3)
	for i, n := range nodes {
		n.add(fmt.Sprint("s", i), "r")
		n.add(fmt.Sprint("other", i))
	}
	target := cluster.Target{Rooms: []string{"r"}}
	found, err := nodes[0].FetchSockets(within(t, patience), target)
	if err != nil {
		t.Fatalf("FetchSockets: %v", err)
	}
	slices.SortFunc(found, func(a, b cluster.FoundSocket) int { return int(a.ID[1]) - int(b.ID[1]) })
	if len(found) != 2 || found[0].ID != "s1" || found[1].ID != "s2" {
		t.Fatalf("FetchSockets() = %+v, want s1 and s2", found)
	}
	want := nodes[1].Sockets(&target, false)[0]
	got := found[0].SocketInfo
	if !slices.Equal(got.Rooms, want.Rooms) || string(got.Data) != string(want.Data) {
		t.Errorf("socket arrived as %+v, want %+v", got, want)
	}
	if h := got.Handshake; h.Address != want.Handshake.Address || h.URL != want.Handshake.URL || !h.Secure ||
		h.Issued != want.Handshake.Issued || h.Headers["user-agent"] != "clustertest" || h.Query["EIO"] != "4" ||
		string(h.Auth) != string(want.Handshake.Auth) || h.Time != want.Handshake.Time {
		t.Errorf("handshake arrived as %+v, want %+v", h, want.Handshake)
	}
}

// silent is a member that hears and never answers, as a node that hangs does.
type silent struct{}

func (silent) Receive(cluster.Message) {}
func (silent) HasRoom(string) bool     { return true }
func (silent) Subscribed(bool)         {}

func addSilent(t *testing.T, bus Bus, id cluster.NodeID) cluster.Link {
	t.Helper()
	link := bus().Open("/", id, silent{})
	t.Cleanup(func() { _ = link.Close() })
	if err := link.Ready(within(t, patience)); err != nil {
		t.Fatalf("Ready: %v", err)
	}
	return link
}

func fetchSocketsIsPartial(t *testing.T, bus Bus) {
	nodes := join(t, bus, "/", 2)
	nodes[1].add("s1")
	addSilent(t, bus, "deaf")
	found, err := nodes[0].FetchSockets(within(t, 500*time.Millisecond), cluster.Target{})
	var partial *cluster.PartialError
	if !errors.As(err, &partial) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("FetchSockets() error = %v, want a *PartialError by the deadline", err)
	}
	if partial.Expected != 2 || partial.Received != 1 {
		t.Errorf("%d of %d answers, want 1 of 2", partial.Received, partial.Expected)
	}
	if len(partial.Missing) > 0 && !slices.Equal(partial.Missing, []cluster.NodeID{"deaf"}) {
		t.Errorf("Missing = %q, want deaf or nothing", partial.Missing)
	}
	if len(found) != 1 || found[0].ID != "s1" {
		t.Errorf("FetchSockets() = %+v, want what arrived: s1", found)
	}
}

func aNodeThatLeftIsNotAwaited(t *testing.T, bus Bus) {
	nodes := join(t, bus, "/", 3)
	_ = nodes[2].Member.Close()
	deadline := time.Now().Add(patience)
	for {
		found, err := nodes[0].FetchSockets(within(t, 300*time.Millisecond), cluster.Target{})
		if err == nil && len(found) == 0 {
			return
		}
		// Some buses learn a moment later that a member is gone.
		if time.Now().After(deadline) {
			t.Fatalf("FetchSockets() = %v, %v after a node left", found, err)
		}
	}
}

func roomsOfAllNodes(t *testing.T, bus Bus) {
	nodes := join(t, bus, "/", 3)
	nodes[0].add("s0", "shared", "zero")
	nodes[1].add("s1", "shared", "é,\n")
	nodes[2].add("s2")
	rooms, err := nodes[0].Rooms(within(t, patience))
	if err != nil {
		t.Fatalf("Rooms: %v", err)
	}
	slices.Sort(rooms)
	if want := []string{"s0", "s1", "s2", "shared", "zero", "é,\n"}; !slices.Equal(rooms, want) {
		t.Errorf("Rooms() = %q, want %q", rooms, want)
	}
}

// Rooms is ambiguous between the two embedded halves; a test means the
// cluster's.
func (n *node) Rooms(ctx context.Context) ([]string, error) { return n.Member.Rooms(ctx) }

// Disconnect, likewise.
func (n *node) Disconnect(t cluster.Target, closeConn bool) error {
	return n.Member.Disconnect(t, closeConn)
}

func serverSide(t *testing.T, args ...any) parser.Payload {
	t.Helper()
	return packet(t, "/", "ping", args...).Payload
}

func serverSideEmit(t *testing.T, bus Bus) {
	nodes := join(t, bus, "/", 3)
	if err := nodes[1].Emit(serverSide(t, "x")); err != nil {
		t.Fatalf("Emit: %v", err)
	}
	for _, n := range []*node{nodes[0], nodes[2]} {
		if e := n.expect(t, "serverside", "ping"); e.text != "x" {
			t.Errorf("argument arrived as %q", e.text)
		}
	}
	nodes[0].broadcast(t, "/", cluster.Target{}, "end")
	nodes[1].expect(t, "deliver", "end") // and nothing before: the sender does not hear itself
}

func serverSideEmitWithAck(t *testing.T, bus Bus) {
	nodes := join(t, bus, "/", 3)
	for _, n := range nodes {
		n.serve = func(_, arg string) (string, bool) { return string(n.id) + ":" + arg, true }
	}
	answers, err := nodes[0].EmitWithAck(within(t, patience), serverSide(t, "x"))
	if err != nil {
		t.Fatalf("EmitWithAck: %v", err)
	}
	var got []string
	for _, a := range answers {
		var s string
		if err := a.Args.Scan(&s); err != nil {
			t.Errorf("answer: %v", err)
		}
		got = append(got, s)
	}
	slices.Sort(got)
	if want := []string{"n1:x", "n2:x"}; !slices.Equal(got, want) {
		t.Errorf("answers = %q, want %q", got, want)
	}
	nodes[2].serve = nil
	answers, err = nodes[0].EmitWithAck(within(t, 500*time.Millisecond), serverSide(t, "y"))
	var partial *cluster.PartialError
	if !errors.As(err, &partial) || partial.Expected != 2 || partial.Received != 1 || len(answers) != 1 {
		t.Errorf("with a silent node: %d answers, %v, want 1 and a *PartialError 1 of 2", len(answers), err)
	}
}

func broadcastWithAckCollects(t *testing.T, bus Bus) {
	nodes := join(t, bus, "/", 3)
	for i, n := range nodes {
		n.add(fmt.Sprint("s", i, "a"), "r")
		n.add(fmt.Sprint("s", i, "b"), "r", "out")
		n.answer = func(id string) (string, bool) { return "from " + id, true }
	}
	target := cluster.Target{Rooms: []string{"r"}, Except: []string{"s2b"}}
	answers, err := nodes[0].BroadcastWithAck(within(t, patience), target, packet(t, "/", "q"))
	if err != nil {
		t.Fatalf("BroadcastWithAck: %v", err)
	}
	var got []string
	for _, a := range answers {
		var s string
		if err := a.Args.Scan(&s); err != nil {
			t.Errorf("answer: %v", err)
		}
		got = append(got, s)
	}
	slices.Sort(got)
	if want := []string{"from s0a", "from s0b", "from s1a", "from s1b", "from s2a"}; !slices.Equal(got, want) {
		t.Errorf("answers = %q, want %q", got, want)
	}
	for _, n := range nodes {
		n.expect(t, "deliver-ack", "q")
		if len(n.events) > 0 {
			t.Errorf("%s delivered the event more than once", n.id)
		}
	}
}

func broadcastWithAckIsPartial(t *testing.T, bus Bus) {
	nodes := join(t, bus, "/", 2)
	nodes[0].add("s0")
	nodes[1].add("s1")
	nodes[1].add("mute")
	for _, n := range nodes {
		n.answer = func(id string) (string, bool) { return id, id != "mute" }
	}
	answers, err := nodes[0].BroadcastWithAck(within(t, 500*time.Millisecond), cluster.Target{}, packet(t, "/", "q"))
	var partial *cluster.PartialError
	if !errors.As(err, &partial) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("error = %v, want a *PartialError by the deadline", err)
	}
	if partial.Expected != 3 || partial.Received != 2 || len(answers) != 2 {
		t.Errorf("%d answers, %d of %d, want 2, 2 of 3", len(answers), partial.Received, partial.Expected)
	}
}

func broadcastWithAckToNobody(t *testing.T, bus Bus) {
	nodes := join(t, bus, "/", 2)
	answers, err := nodes[0].BroadcastWithAck(within(t, patience), cluster.Target{Rooms: []string{"empty"}}, packet(t, "/", "q"))
	if err != nil || len(answers) != 0 {
		t.Errorf("BroadcastWithAck() = %v, %v, want no answers and no error", answers, err)
	}
}
