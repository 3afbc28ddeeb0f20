package socketio_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

// Proves J-53.
func TestSocketsStayInTheRoomOfTheirId(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		c := srv.Dial()
		s := socketOf(t, srv, c)
		s.Join("a", "b", "a", s.ID())
		if got, want := s.Rooms(), []string{s.ID(), "a", "b"}; !slices.Equal(got, want) {
			t.Errorf("Rooms() = %q, want %q", got, want)
		}
		for room, want := range map[string]bool{s.ID(): true, "a": true, "b": true, "c": false, "": false} {
			if got := s.InRoom(room); got != want {
				t.Errorf("InRoom(%q) = %t", room, got)
			}
		}
		s.Leave("b", s.ID(), "never joined")
		if s.InRoom("b") || !s.InRoom("a") || !s.InRoom(s.ID()) {
			t.Errorf("Rooms() = %q, and InRoom disagrees", s.Rooms())
		}
		if got, want := s.Rooms(), []string{s.ID(), "a"}; !slices.Equal(got, want) {
			t.Errorf("Rooms() = %q, want %q", got, want)
		}
		s.LeaveAll()
		if got, want := s.Rooms(), []string{s.ID()}; !slices.Equal(got, want) {
			t.Errorf("Rooms() = %q, want %q", got, want)
		}
		emit(t, srv.To(s.ID()).Emit("hi"))
		c.Expect("hi")
		s.Disconnect()
		s.Join("late")
		if err := s.JoinWait(t.Context(), "late"); err == nil {
			t.Error("JoinWait of a socket that has left succeeded")
		}
		pass(time.Second)
		if got := s.Rooms(); len(got) != 0 {
			t.Errorf("Rooms() of a socket that has left = %q", got)
		}
		if s.InRoom("a") || s.InRoom(s.ID()) {
			t.Error("a socket that has left is in a room")
		}
		if names, err := srv.Rooms(t.Context()); len(names) != 0 || err != nil {
			t.Errorf("Rooms of the server = %q, %v", names, err)
		}
	})
}

// Proves T-110.
func TestRoomHookTellsFirstAndLastMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log journal
		srv := siotest.NewServer(t, socketio.Config{Hooks: socketio.Hooks{
			OnRoom: func(namespace, room string, created bool) {
				log.note(fmt.Sprintf("%s %s %t", namespace, room, created))
			},
		}})
		a, b := srv.Dial(), srv.Dial()
		x, y := socketOf(t, srv, a), socketOf(t, srv, b)
		x.Join("r")
		y.Join("r")
		x.Leave("r")
		log.expect(t, "/ r true")
		b.Cut()
		log.expect(t, "/ r false")
	})
}

func TestRoomsMayHaveAnyName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		a, b := srv.Dial(), srv.Dial()
		for _, room := range []string{"", "#", "*", "ü", "a,b", "1", b.ID()} {
			s := socketOf(t, srv, a)
			s.Join(room)
			emit(t, srv.To(room).Emit("x", room))
			a.Expect("x", room)
			s.Leave(room)
		}
		// The last one was also the other client's own.
		b.Expect("x", b.ID())
		b.ExpectNothing(time.Second)
	})
}

// TestRoomsAgreeWithAModel plays random operations on the server and on plain
// sets, and compares who is reached.
func TestRoomsAgreeWithAModel(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		m := &model{random: random, members: map[string]map[string]bool{}}
		names := []string{"a", "b", "c", "d", "e"}
		for range 10 {
			c := srv.Dial()
			m.join(c.ID(), c.ID())
			m.clients = append(m.clients, c)
			names = append(names, c.ID())
		}
		for step := range 2000 {
			id := m.clients[random.IntN(len(m.clients))].ID()
			s, _ := srv.Socket(id)
			some := m.some(names, 3)
			switch random.IntN(6) {
			case 0, 1:
				s.Join(some...)
				m.join(id, some...)
			case 2:
				s.Leave(some...)
				m.leave(id, some...)
			case 3:
				target := m.some(names, 2)
				emit(t, srv.To(target...).SocketsJoin(some...))
				if len(target) > 0 { // else it is for nobody
					for other := range m.reached(target, nil) {
						m.join(other, some...)
					}
				}
			case 4:
				emit(t, srv.Except(some...).SocketsLeave(names[0]))
				for other := range m.reached(nil, some) {
					m.leave(other, names[0])
				}
			case 5:
				s.LeaveAll()
				for room := range m.members {
					m.leave(id, room)
				}
			}
			m.compare(t, srv, step, m.some(names, 3), m.some(names, 2))
		}
	})
}

// model is what rooms are: sets of ids.
type model struct {
	random  *rand.Rand
	clients []*siotest.Client
	members map[string]map[string]bool
}

func (m *model) some(names []string, most int) []string {
	var picked []string
	for range m.random.IntN(most + 1) {
		picked = append(picked, names[m.random.IntN(len(names))])
	}
	return picked
}

func (m *model) join(id string, rooms ...string) {
	for _, room := range rooms {
		if m.members[room] == nil {
			m.members[room] = map[string]bool{}
		}
		m.members[room][id] = true
	}
}

func (m *model) leave(id string, rooms ...string) {
	for _, room := range rooms {
		if room != id {
			delete(m.members[room], id)
		}
	}
}

func (m *model) reached(rooms, except []string) map[string]bool {
	all := map[string]bool{}
	if len(rooms) == 0 {
		for _, c := range m.clients {
			all[c.ID()] = true
		}
	}
	for _, room := range rooms {
		maps.Copy(all, m.members[room])
	}
	for _, room := range except {
		for id := range m.members[room] {
			delete(all, id)
		}
	}
	return all
}

func (m *model) compare(t *testing.T, srv *siotest.Server, step int, rooms, except []string) {
	t.Helper()
	op := srv.Except(except...)
	if len(rooms) > 0 {
		op = op.To(rooms...)
	}
	found, err := op.FetchSockets(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range found {
		got = append(got, s.ID)
		for _, room := range s.Rooms {
			if !m.members[room][s.ID] {
				t.Fatalf("step %d: a socket says it is in room %q", step, room)
			}
		}
	}
	slices.Sort(got)
	if want := slices.Sorted(maps.Keys(m.reached(rooms, except))); !slices.Equal(got, want) {
		t.Fatalf("step %d: To(%q).Except(%q) reaches %q, want %q", step, rooms, except, got, want)
	}
	names, err := srv.Rooms(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for room, ids := range m.members {
		if len(ids) > 0 {
			want = append(want, room)
		}
	}
	slices.Sort(names)
	slices.Sort(want)
	if !slices.Equal(names, want) {
		t.Fatalf("step %d: rooms %q, want %q", step, names, want)
	}
}

// Clients come, join, leave and go while others broadcast to them; -race and
// the index's own consistency are the test.
func TestRoomsUnderConcurrentUse(t *testing.T) {
	srv := siotest.NewServer(t)
	var clients []*siotest.Client
	for range 16 {
		clients = append(clients, srv.Dial())
	}
	var all sync.WaitGroup
	for i, c := range clients {
		s := socketOf(t, srv, c)
		all.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 1))
			room := func() string { return string(rune('a' + random.IntN(6))) }
			for range 500 {
				switch random.IntN(7) {
				case 0, 1:
					s.Join(room(), room())
				case 2:
					s.Leave(room())
				case 3:
					_ = srv.To(room(), room()).Except(room()).Emit("x")
				case 4:
					_ = s.To(room()).SocketsJoin(room())
				case 5:
					_, _ = srv.To(room()).FetchSockets(t.Context())
				case 6:
					_ = s.Rooms()
				}
			}
			if i%2 == 0 {
				s.Disconnect()
			}
		})
	}
	all.Wait()
	if srv.Len() != 8 {
		t.Errorf("Len() = %d", srv.Len())
	}
	// The index still agrees with what each socket says.
	members := map[string]int{}
	for s := range srv.Sockets() {
		for _, room := range s.Rooms() {
			members[room]++
		}
	}
	for room, n := range members {
		found, err := srv.To(room).FetchSockets(t.Context())
		if err != nil || len(found) != n {
			t.Errorf("room %q: %d sockets are reached, %d say they are in it", room, len(found), n)
		}
	}
	names, err := srv.Rooms(t.Context())
	if err != nil || len(names) != len(members) {
		t.Errorf("%d rooms exist, %d have members", len(names), len(members))
	}
}

var _ cluster.Adapter = watching{}

// watching is an adapter whose links subscribe room by room, and say so when
// the test lets them.
type watching struct {
	cluster.Solo
	ready chan struct{}
	log   *journal
}

func (w watching) Open(ns string, self cluster.NodeID, r cluster.Receiver) cluster.Link {
	return &watchingLink{Link: w.Solo.Open(ns, self, r), w: w}
}

type watchingLink struct {
	cluster.Link
	w watching
}

func (l *watchingLink) WatchRoom(room string) <-chan struct{} {
	l.w.log.note("watch " + room)
	return l.w.ready
}
func (l *watchingLink) UnwatchRoom(room string) { l.w.log.note("unwatch " + room) }

func TestJoinWaitReturnsWhenNothingIsMissedAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watching{ready: make(chan struct{}), log: &journal{}}
		srv := siotest.NewServer(t, socketio.Config{Adapter: w})
		a, b := srv.Dial(), srv.Dial()
		s, other := socketOf(t, srv, a), socketOf(t, srv, b)
		// Ids are rooms, too, and heard when they are waited for.
		w.log.expect(t, "watch "+s.ID(), "watch "+other.ID())
		joined := make(chan error, 3)
		go func() { joined <- s.JoinWait(t.Context(), s.ID()) }()
		go func() { joined <- s.JoinWait(t.Context(), "r") }()
		synctest.Wait()
		w.log.expect(t, "watch r")
		if len(joined) != 0 {
			t.Error("JoinWait returned before the room was heard")
		}
		if !slices.Contains(s.Rooms(), "r") {
			t.Error("JoinWait does not join at once")
		}
		// Somebody who joins a room that is being subscribed waits, too.
		go func() { joined <- other.JoinWait(t.Context(), "r") }()
		synctest.Wait()
		if len(joined) != 0 {
			t.Error("a second JoinWait returned before the room was heard")
		}
		close(w.ready)
		for range 3 {
			if err := <-joined; err != nil {
				t.Errorf("JoinWait = %v", err)
			}
		}
		s.Leave("r")
		w.log.expect(t)
		other.LeaveAll()
		w.log.expect(t, "unwatch r")
		s.Disconnect()
		synctest.Wait()
		w.log.expect(t, "unwatch "+s.ID())
	})
}
