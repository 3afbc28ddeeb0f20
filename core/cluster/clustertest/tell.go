package clustertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/dunlin-io/dunlin/core/cluster"
)

func broadcastReachesTheOthersOnce(t *testing.T, bus Bus) {
	nodes := join(t, bus, "/", 3)
	nodes[0].broadcast(t, "/", cluster.Target{}, "hi", "all")
	nodes[1].broadcast(t, "/", cluster.Target{}, "end")
	for _, n := range nodes[1:] {
		n.drainUntil(t, "hi", 1)
	}
	// The end of node 1 comes to node 0 and 2 only: neither hears itself.
	nodes[0].expect(t, "deliver", "end")
	nodes[2].broadcast(t, "/", cluster.Target{}, "last")
	nodes[1].drainUntil(t, "last", 1)
	if n := len(nodes[1].events); n != 0 {
		t.Errorf("n1 was told %d more things: it heard itself or heard twice", n)
	}
}

// drainUntil reads deliveries until the named one, which must come the given
// number of times in a row.
func (n *node) drainUntil(t *testing.T, name string, times int) {
	t.Helper()
	for times > 0 {
		if n.next(t).name == name {
			times--
		}
	}
}

func targetTravelsWhole(t *testing.T, bus Bus) {
	nodes := join(t, bus, "/", 2)
	nodes[1].add("s1", "r1", "r2")
	yes := true
	want := cluster.Target{Rooms: []string{"r1", "r2"}, Except: []string{"x", "s0"}, Volatile: true, Compress: &yes}
	nodes[0].broadcast(t, "/", want, "a")
	got := nodes[1].expect(t, "deliver", "a").target
	if !slices.Equal(got.Rooms, want.Rooms) || !slices.Equal(got.Except, want.Except) || !got.Volatile ||
		got.Compress == nil || !*got.Compress {
		t.Errorf("target arrived as %+v, want %+v", got, want)
	}
	nodes[0].broadcast(t, "/", cluster.Target{Rooms: []string{"r1"}}, "b")
	if got := nodes[1].expect(t, "deliver", "b").target; len(got.Rooms) != 1 || got.Volatile || got.Compress != nil {
		t.Errorf("target of one room arrived as %+v", got)
	}
}

func binaryTravels(t *testing.T, bus Bus) {
	nodes := join(t, bus, "/", 2)
	want := bytes.Repeat([]byte{0, 0xff, '{', '"', 0xc1}, 5000)
	nodes[0].broadcast(t, "/", cluster.Target{}, "bin", "é\u2028\"", want)
	e := nodes[1].expect(t, "deliver", "bin")
	if e.text != "é\u2028\"" {
		t.Errorf("text arrived as %q", e.text)
	}
	if !bytes.Equal(e.binary, want) {
		t.Errorf("binary arrived as %d bytes, want the same %d", len(e.binary), len(want))
	}
}

func senderOrderIsKept(t *testing.T, bus Bus) {
	nodes := join(t, bus, "/", 3)
	nodes[2].add("s", "even")
	const n = 2000
	for i := range n {
		target := cluster.Target{}
		if i%2 == 0 {
			target.Rooms = []string{"even"}
		}
		nodes[i%2].broadcast(t, "/", target, fmt.Sprintf("m%d", i%2), fmt.Sprint(i))
	}
	last := map[string]int{"m0": -2, "m1": -1}
	for range n {
		e := nodes[2].next(t)
		var i int
		if _, err := fmt.Sscan(e.text, &i); err != nil {
			t.Fatalf("argument %q: %v", e.text, err)
		}
		if i != last[e.name]+2 {
			t.Fatalf("%s: %d came after %d", e.name, i, last[e.name])
		}
		last[e.name] = i
	}
}

func namespacesAreApart(t *testing.T, bus Bus) {
	a := join(t, bus, "/a", 2)
	b := join(t, bus, "/ab", 2)
	a[0].broadcast(t, "/a", cluster.Target{}, "for-a")
	b[0].broadcast(t, "/ab", cluster.Target{}, "for-ab")
	a[0].broadcast(t, "/a", cluster.Target{}, "end-a")
	b[0].broadcast(t, "/ab", cluster.Target{}, "end-ab")
	a[1].expect(t, "deliver", "for-a")
	a[1].expect(t, "deliver", "end-a")
	b[1].expect(t, "deliver", "for-ab")
	b[1].expect(t, "deliver", "end-ab")
}

// OddRooms are room names that trip up buses which build channel names or
// patterns from them.
var OddRooms = []string{
	"", "*", "?", "[x]", `\`, "#", "a#b#", ",", " ", "\n", "\x00", "комната 😀", "7", "1e3", "Infinity",
	"__proto__", strings.Repeat("long", 1280),
}

// OddNamespaces are namespace names of the same kind.
var OddNamespaces = []string{"/a*", "/?", "/[ab]", `/a\b`, "/a#b", "/a#", "/é 😀", "/a/b"}

func oddNames(t *testing.T, bus Bus) {
	for _, ns := range OddNamespaces {
		nodes := join(t, bus, ns, 2)
		for i, room := range OddRooms {
			nodes[1].add(fmt.Sprint("s", i), room)
		}
		for _, room := range OddRooms {
			nodes[0].broadcast(t, ns, cluster.Target{Rooms: []string{room}}, "to", room)
		}
		for _, room := range OddRooms {
			e := nodes[1].expect(t, "deliver", "to")
			if e.text != room || !slices.Equal(e.target.Rooms, []string{room}) {
				t.Errorf("namespace %q: room %.20q arrived as %.20q to %.20q", ns, room, e.text, e.target.Rooms)
			}
		}
		for _, n := range nodes {
			_ = n.Member.Close()
		}
	}
}

func localStaysHere(t *testing.T, bus Bus) {
	nodes := join(t, bus, "/", 2)
	nodes[0].add("s0")
	here := cluster.Target{Local: true}
	nodes[0].broadcast(t, "/", here, "no")
	for _, err := range []error{
		nodes[0].JoinRooms(here, []string{"r"}), nodes[0].LeaveRooms(here, []string{"r"}), nodes[0].Disconnect(here, false),
	} {
		if err != nil {
			t.Errorf("local operation: %v", err)
		}
	}
	if got, err := nodes[0].FetchSockets(context.Background(), here); err != nil || len(got) != 0 {
		t.Errorf("FetchSockets(local) = %v, %v, want nothing from others", got, err)
	}
	nodes[0].broadcast(t, "/", cluster.Target{}, "end")
	nodes[1].expect(t, "deliver", "end")
}

func joinLeaveDisconnect(t *testing.T, bus Bus) {
	nodes := join(t, bus, "/", 3)
	for i, n := range nodes {
		n.add(fmt.Sprint("s", i), "all")
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(nodes[0].JoinRooms(cluster.Target{Rooms: []string{"all"}, Except: []string{"s2"}}, []string{"r1", "r2"}))
	must(nodes[0].LeaveRooms(cluster.Target{Rooms: []string{"s1"}}, []string{"r2"}))
	must(nodes[0].Disconnect(cluster.Target{Rooms: []string{"s2"}}, true))
	for _, n := range nodes {
		if e := n.next(t); e.op != "join" || !slices.Equal(e.rooms, []string{"r1", "r2"}) {
			t.Errorf("%s was told %+v, want the join", n.id, e)
		}
		if e := n.next(t); e.op != "leave" || !slices.Equal(e.rooms, []string{"r2"}) {
			t.Errorf("%s was told %+v, want the leave", n.id, e)
		}
		if e := n.next(t); e.op != "disconnect" || !e.close {
			t.Errorf("%s was told %+v, want the disconnect with close", n.id, e)
		}
	}
	for i, want := range [][]string{{"all", "r1", "r2", "s0"}, {"all", "r1", "s1"}, nil} {
		if got := nodes[i].rooms(fmt.Sprint("s", i)); !slices.Equal(got, want) {
			t.Errorf("rooms of s%d = %q, want %q", i, got, want)
		}
	}
}

func nothingAfterClose(t *testing.T, bus Bus) {
	nodes := join(t, bus, "/", 2)
	if err := nodes[1].Member.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	nodes[0].broadcast(t, "/", cluster.Target{}, "late")
	if err := nodes[1].Broadcast(cluster.Target{}, packet(t, "/", "x")); !errors.Is(err, cluster.ErrClosed) {
		t.Errorf("Broadcast() after Close = %v, want ErrClosed", err)
	}
	if _, err := nodes[1].FetchSockets(context.Background(), cluster.Target{}); !errors.Is(err, cluster.ErrClosed) {
		t.Errorf("FetchSockets() after Close = %v, want ErrClosed", err)
	}
	if err := nodes[1].Ready(context.Background()); !errors.Is(err, cluster.ErrClosed) {
		t.Errorf("Ready() after Close = %v, want ErrClosed", err)
	}
	// A third node shows that the bus has carried the late message by now.
	third := open(t, bus(), "/", "n2")
	ready(t, third)
	third.broadcast(t, "/", cluster.Target{}, "end")
	nodes[0].expect(t, "deliver", "end")
	if n := len(nodes[1].events); n != 0 {
		t.Errorf("n1 was told %d things after Close", n)
	}
}

func publishOnlyLink(t *testing.T, bus Bus) {
	nodes := join(t, bus, "/", 1)
	link := bus().Open("/", "emitter-1", nil)
	defer func() { _ = link.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := link.Ready(ctx); err != nil {
		t.Fatalf("Ready: %v", err)
	}
	m := cluster.Message{From: "emitter-1", Namespace: "/", Body: cluster.Broadcast{Packet: packet(t, "/", "hi")}}
	if err := link.Publish(m); err != nil {
		t.Fatalf("Publish: %v", err)
	}
	nodes[0].expect(t, "deliver", "hi")
	// It is nobody's member.
	if got, err := nodes[0].FetchSockets(ctx, cluster.Target{}); err != nil || len(got) != 0 {
		t.Errorf("FetchSockets() = %v, %v, want none and no error", got, err)
	}
}
