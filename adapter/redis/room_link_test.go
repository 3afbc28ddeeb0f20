package redisadapter

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/parser"
)

// dynamic opens a namespace whose rooms are subscribed to one by one, and waits
// until it is ready.
func dynamic(t *testing.T, a *Adapter, ns string) (roomLink, *earpiece) {
	t.Helper()
	e := newEarpiece()
	l, ok := a.Open(ns, "me", e).(roomLink)
	if !ok {
		t.Fatalf("the link does not watch rooms")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := l.Ready(ctx); err != nil {
		t.Fatalf("Ready: %v", err)
	}
	return l, e
}

func (l roomLink) hears(t *testing.T, rooms ...string) {
	t.Helper()
	for _, room := range rooms {
		ready := l.WatchRoom(room)
		if ready == nil {
			continue
		}
		select {
		case <-ready:
		case <-time.After(10 * time.Second):
			t.Fatalf("room %.50q is not heard", room)
		}
	}
}

func subscribedTo(m *miniredis.Miniredis, channel string) bool {
	return slices.Contains(m.PubSubChannels(""), channel)
}

func until(t *testing.T, what string, check func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !check(); <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

func happening(t *testing.T, ns string) *parser.Packet {
	t.Helper()
	args, err := parser.MakeEvent("e")
	if err != nil {
		t.Fatal(err)
	}
	return &parser.Packet{Type: parser.Event, Namespace: ns, Payload: args.EventPayload()}
}

func toRoom(t *testing.T, ns, room string) cluster.Message {
	t.Helper()
	return cluster.Message{From: "you", Namespace: ns, Body: cluster.Broadcast{
		Target: cluster.Target{Rooms: []string{room}}, Packet: happening(t, ns),
	}}
}

func TestRoomLingersWhenItsLastMemberLeft(t *testing.T) {
	m := miniredis.RunT(t)
	a := quick(t, m.Addr(), Options{Routing: Dynamic})
	a.sub.linger = time.Hour
	l, _ := dynamic(t, a, "/")
	const channel = "socket.io#/#r#"
	l.hears(t, "r")
	if !subscribedTo(m, channel) {
		t.Error("a room that is ready has no subscription")
	}
	l.UnwatchRoom("r")
	if s := a.Stats(); s.Lingering != 1 || s.Topics != 6 {
		t.Errorf("%d topics, %d of them linger, want 6 and 1", s.Topics, s.Lingering)
	}
	if ready := l.WatchRoom("r"); ready != nil {
		t.Error("a room that lingered is to be waited for")
	}
	_ = l.WatchRoom("r")
	l.UnwatchRoom("r")
	if a.Stats().Lingering != 0 {
		t.Error("a room that is watched once more lingers")
	}
	a.sub.mu.Lock()
	a.sub.linger = time.Millisecond
	a.sub.mu.Unlock()
	l.UnwatchRoom("r")
	until(t, "the room is unsubscribed from", func() bool { return !subscribedTo(m, channel) })
	if s := a.Stats(); s.Lingering != 0 || s.Topics != 5 {
		t.Errorf("%d topics, %d of them linger, want 5 and none", s.Topics, s.Lingering)
	}
	l.UnwatchRoom("r") // once too often
	l.hears(t, "r")
	if !subscribedTo(m, channel) {
		t.Error("a room that came back has no subscription")
	}
}

func TestLingeringRoomsAreBounded(t *testing.T) {
	m := miniredis.RunT(t)
	a := quick(t, m.Addr(), Options{Routing: Dynamic})
	l, _ := dynamic(t, a, "/")
	rooms := make([]string, maxLingering+100)
	for i := range rooms {
		rooms[i] = fmt.Sprint("r", i)
		_ = l.WatchRoom(rooms[i])
	}
	l.hears(t, rooms...)
	for _, room := range rooms {
		l.UnwatchRoom(room)
		l.UnwatchRoom(room)
	}
	until(t, "the others are unsubscribed from", func() bool { return len(m.PubSubChannels("")) == maxLingering+4 })
	if subscribedTo(m, "socket.io#/#r0#") || !subscribedTo(m, "socket.io#/#"+rooms[len(rooms)-1]+"#") {
		t.Error("it is not the oldest that went")
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if left := m.PubSubChannels(""); len(left) != 0 || m.PubSubNumPat() != 0 {
		t.Errorf("left after Close: %d channels, %d patterns", len(left), m.PubSubNumPat())
	}
	if ready := l.WatchRoom("r"); ready != nil || a.Stats().Topics != 0 {
		t.Error("a room is watched after Close")
	}
	l.UnwatchRoom("r")
}

// TestNamespacesMayShareAChannel has room b of /a and all of /a#b on one channel.
func TestNamespacesMayShareAChannel(t *testing.T) {
	m := miniredis.RunT(t)
	a := quick(t, m.Addr(), Options{Routing: Dynamic})
	room, roomEar := dynamic(t, a, "/a")
	whole, wholeEar := dynamic(t, a, "/a#b")
	room.hears(t, "b")
	b := quick(t, m.Addr(), Options{})
	say := func(m cluster.Message) {
		t.Helper()
		if err := b.Open(m.Namespace, "you", nil).Publish(m); err != nil {
			t.Fatal(err)
		}
	}
	say(toRoom(t, "/a", "b"))
	if got := <-roomEar.heard; got.Namespace != "/a" {
		t.Errorf("heard %+v", got)
	}
	all := toRoom(t, "/a#b", "")
	all.Body = cluster.Broadcast{Packet: happening(t, "/a#b")}
	_ = whole.WatchRoom("nobody")
	say(all)
	if got := <-wholeEar.heard; got.Namespace != "/a#b" {
		t.Errorf("heard %+v", got)
	}
	_ = whole.Close()
	say(toRoom(t, "/a", "b"))
	<-roomEar.heard
	if len(roomEar.heard)+len(wholeEar.heard) > 0 {
		t.Error("something was heard twice, or by the wrong one")
	}
	_ = room.Close()
	if left := m.PubSubChannels(""); len(left) != 0 {
		t.Errorf("left: %q", left)
	}
}

func TestRoomsThatFindNoPlaceAreHeardWhenOthersLeave(t *testing.T) {
	m := miniredis.RunT(t)
	a := quick(t, m.Addr(), Options{Routing: Dynamic})
	a.sub.linger, a.sub.mostBytes = time.Millisecond, 10_000
	l, _ := dynamic(t, a, "/")
	rooms := make([]string, 20)
	var ready []<-chan struct{}
	for i := range rooms {
		rooms[i] = fmt.Sprint(strings.Repeat("r", 1000), i)
		ready = append(ready, l.WatchRoom(rooms[i]))
	}
	until(t, "some have no place", func() bool { return a.Stats().Unheard == 12 })
	heard := func() (list []string) {
		for i, r := range ready {
			select {
			case <-r:
				list = append(list, rooms[i])
			default:
			}
		}
		return list
	}
	until(t, "the first have one", func() bool { return len(heard()) == 8 })
	for _, room := range heard() {
		l.UnwatchRoom(room)
	}
	until(t, "others have it now", func() bool { return a.Stats().Unheard == 4 })
}

func TestManyRoomsNeedFewCommands(t *testing.T) {
	s := newSubscriber(nil, false, newReporter(testOptions(t, Options{})))
	defer s.stop()
	g := &group{counted: "c", rooms: make(map[*subscription]int)}
	s.groups["c"] = g
	const rooms = 10_000
	for range 2 {
		for i := range rooms {
			_ = s.watch(g, topic{fmt.Sprint("room", i), false})
		}
	}
	p := s.plan(false)
	if n := len(p.steps); n != (rooms+maxNames-1)/maxNames || !p.fence {
		t.Errorf("%d commands, want %d", n, (rooms+maxNames-1)/maxNames)
	}
	s.putOff(p.steps[1:]) // as if the first had failed
	if p := s.plan(false); len(p.steps) != (rooms+maxNames-1)/maxNames-1 {
		t.Errorf("%d commands after a failure, want one less", len(p.steps))
	}
	for range 2 {
		for i := range rooms {
			s.unwatch(g, topic{fmt.Sprint("room", i), false})
		}
	}
	p = s.plan(false)
	if len(p.steps) != (rooms+maxNames-1)/maxNames || p.steps[0].action != unsubscribe || len(s.topics) != 0 || s.bytes != 0 {
		t.Errorf("%d commands, %d topics of %d bytes are left", len(p.steps), len(s.topics), s.bytes)
	}
	s.putOff(p.steps)
	if again := s.plan(false); len(again.steps) != len(p.steps) {
		t.Errorf("%d commands after a failure, want all", len(again.steps))
	}
	long := strings.Repeat("x", maxNameBytes)
	for i := range 3 {
		_ = s.watch(g, topic{fmt.Sprint(long, i), false})
	}
	if p := s.plan(false); len(p.steps) != 3 {
		t.Errorf("%d commands for 3 long names", len(p.steps))
	}
}
