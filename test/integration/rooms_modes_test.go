package integration_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	redisadapter "github.com/dunlin-io/dunlin/adapter/redis"
	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/parser"
)

// roomModes are the modes in which nodes subscribe to rooms one by one.
var roomModes = map[string]redisadapter.Options{
	"Classic/Dynamic":        {Routing: redisadapter.Dynamic},
	"Classic/DynamicPrivate": {Routing: redisadapter.DynamicPrivate},
	"Sharded/Dynamic":        {Mode: redisadapter.Sharded},
	"Sharded/DynamicPrivate": {Mode: redisadapter.Sharded, Routing: redisadapter.DynamicPrivate},
}

func inRoomModes(t *testing.T, test func(t *testing.T, r *redisServer, o redisadapter.Options)) {
	for name, o := range roomModes {
		t.Run(name, func(t *testing.T) { test(t, startRedis(t), o) })
	}
}

func (n *node) watcher(t testing.TB) cluster.RoomWatcher {
	t.Helper()
	w, ok := n.Link.(cluster.RoomWatcher)
	if !ok {
		t.Fatal("the link does not watch rooms")
	}
	return w
}

// watch returns when the node hears a room.
func (n *node) watch(t testing.TB, room string) {
	t.Helper()
	if ready := n.watcher(t).WatchRoom(room); ready != nil {
		select {
		case <-ready:
		case <-time.After(patience):
			t.Fatalf("%s does not hear room %q", n.id, room)
		}
	}
}

// tellRoom emits a number to a room.
func (n *node) tellRoom(t testing.TB, room string, i int) {
	t.Helper()
	args, err := parser.MakeEvent("n", i)
	if err == nil {
		err = n.Publish(cluster.Message{From: n.id, Namespace: n.ns, Body: cluster.Broadcast{
			Target: cluster.Target{Rooms: []string{room}},
			Packet: &parser.Packet{Type: parser.Event, Namespace: n.ns, Payload: args.EventPayload()},
		}})
	}
	if err != nil {
		t.Fatalf("Publish by %s: %v", n.id, err)
	}
}

// expectAll waits until the numbers from first on were heard, each once.
func (n *node) expectAll(t testing.TB, first, count int) {
	t.Helper()
	want := make([]int, count)
	for i := range want {
		want[i] = first + i
	}
	var got []int
	eventually(t, fmt.Sprintf("%s hears %d to %d", n.id, first, first+count-1), func() error {
		got = slices.DeleteFunc(n.numbers(t), func(i int) bool { return i < first })
		slices.Sort(got)
		if len(got) < count {
			return fmt.Errorf("%d of %d events", len(got), count)
		}
		return nil
	})
	if !slices.Equal(got, want) {
		t.Errorf("heard %v, want %v", got, want)
	}
}

// topics returns all that anybody is subscribed to, and how many patterns there
// are.
func topics(t testing.TB, c *redis.Client) (channels []string, patterns int64) {
	t.Helper()
	shards, err := c.PubSubShardChannels(context.Background(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	channels, err = c.PubSubChannels(context.Background(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	patterns, err = c.PubSubNumPat(context.Background()).Result()
	if err != nil {
		t.Fatal(err)
	}
	return append(channels, shards...), patterns
}

// Proves T-89, T-90.
func TestNothingIsMissedOnceARoomIsReady(t *testing.T) {
	inRoomModes(t, func(t *testing.T, r *redisServer, o redisadapter.Options) {
		a := join(openAdapter(t, r, o), "/", "a").ready(t)
		b := join(openAdapter(t, r, o), "/", "b").ready(t)
		const rooms = 500
		// Others come and go beside it.
		var churn sync.WaitGroup
		stop := make(chan struct{})
		w := b.watcher(t)
		churn.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				_ = w.WatchRoom(fmt.Sprint("other", i%100))
				if i%2 == 0 {
					w.UnwatchRoom(fmt.Sprint("other", i%100))
				}
				if i%50 == 0 {
					<-time.After(time.Millisecond)
				}
			}
		})
		for i := range rooms {
			room := fmt.Sprint("room ", i)
			if i%7 == 0 {
				room = fmt.Sprintf("private-%012d", i) // as long as a socket's id
			}
			b.watch(t, room)
			a.tellRoom(t, room, i)
			if i%3 == 0 {
				a.tellRoom(t, fmt.Sprint("nobody's ", i), -1)
			}
		}
		close(stop)
		churn.Wait()
		b.expectAll(t, 0, rooms)
	})
}

func TestRoomsAreHeardAgainAfterRedisWasAway(t *testing.T) {
	t.Parallel()
	inRoomModes(t, func(t *testing.T, r *redisServer, o redisadapter.Options) {
		a := join(openAdapter(t, r, o), "/", "a").ready(t)
		b := join(openAdapter(t, r, o), "/", "b").ready(t)
		room := func(i int) string { return fmt.Sprint("room", i) }
		const more = 100
		rooms := 0
		grow := func() (ready []<-chan struct{}) {
			for range more {
				ready = append(ready, b.watcher(t).WatchRoom(room(rooms)))
				rooms++
			}
			return ready
		}
		grow()
		next := 0
		for range 3 {
			r.Kill(t)
			a.waitAway(t)
			b.waitAway(t)
			during := grow()
			r.Start(t)
			for _, n := range []*node{a, b} {
				n.ready(t)
			}
			for _, ready := range append(during, grow()...) {
				if ready != nil {
					<-ready
				}
			}
			for i := range rooms {
				a.tellRoom(t, room(i), next+i)
			}
			b.expectAll(t, next, rooms)
			next += rooms
		}
	})
}

func TestRoomsAreHeardAgainAfterClientKill(t *testing.T) {
	t.Parallel()
	inRoomModes(t, func(t *testing.T, r *redisServer, o redisadapter.Options) {
		a := join(openAdapter(t, r, o), "/", "a").ready(t)
		b := join(openAdapter(t, r, o), "/", "b").ready(t)
		c := r.Client(t)
		const rooms = 200
		for i := range rooms {
			b.watch(t, fmt.Sprint("room", i))
		}
		for round := range 5 {
			before := b.resumptions()
			// Rooms come while the connection breaks.
			_ = b.watcher(t).WatchRoom(fmt.Sprint("late", round))
			if err := c.Do(within(t), "CLIENT", "KILL", "TYPE", "pubsub").Err(); err != nil {
				t.Fatalf("CLIENT KILL: %v", err)
			}
			_ = b.watcher(t).WatchRoom(fmt.Sprint("later", round))
			eventually(t, "the node resumes", func() error {
				if b.resumptions() == before {
					return errors.New("not told")
				}
				return nil
			})
			b.watch(t, fmt.Sprint("late", round))
			b.watch(t, fmt.Sprint("later", round))
			first := 1000 * round
			for i := range rooms {
				a.tellRoom(t, fmt.Sprint("room", i), first+i)
			}
			a.tellRoom(t, fmt.Sprint("late", round), first+rooms)
			a.tellRoom(t, fmt.Sprint("later", round), first+rooms+1)
			b.expectAll(t, first, rooms+2)
		}
	})
}

func TestMembersThatComeAndGoCostFewSubscriptions(t *testing.T) {
	inRoomModes(t, func(t *testing.T, r *redisServer, o redisadapter.Options) {
		adapter := openAdapter(t, r, o)
		n := join(adapter, "/", "n").ready(t)
		c := r.Client(t)
		before := adapter.Stats().Topics
		m := startMonitor(t, r)
		const rooms, changes, goroutines = 100, 10_000, 4
		var members sync.WaitGroup
		w := n.watcher(t)
		for range goroutines {
			members.Go(func() {
				in := make(map[string]bool)
				for range changes / goroutines {
					room := fmt.Sprint("room", rand.N(rooms))
					if in[room] = !in[room]; in[room] {
						_ = w.WatchRoom(room)
					} else {
						w.UnwatchRoom(room)
					}
				}
				for room, here := range in {
					if here {
						w.UnwatchRoom(room)
					}
				}
			})
		}
		members.Wait()
		if s := adapter.Stats(); s.Topics > before+rooms || s.Lingering > rooms || s.Unheard > 0 {
			t.Errorf("%d topics, %d of them linger, %d are not heard", s.Topics, s.Lingering, s.Unheard)
		}
		n.watch(t, "last")
		if channels, _ := topics(t, c); len(channels) > before+rooms+1 {
			t.Errorf("%d channels, want at most %d", len(channels), before+rooms+1)
		}
		commands := len(m.commands("SUBSCRIBE")) + len(m.commands("SSUBSCRIBE")) + len(m.commands("UNSUBSCRIBE")) + len(m.commands("SUNSUBSCRIBE"))
		if commands > changes/10 {
			t.Errorf("%d commands for %d changes", commands, changes)
		}
		t.Logf("%d commands for %d changes", commands, changes)
		if err := n.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if channels, patterns := topics(t, c); len(channels) != 0 || patterns != 0 {
			t.Errorf("left after Close: %q and %d patterns", channels, patterns)
		}
	})
}

func TestNoRoomIsLeftSubscribedAfterClose(t *testing.T) {
	inRoomModes(t, func(t *testing.T, r *redisServer, o redisadapter.Options) {
		a := openAdapter(t, r, o)
		c := r.Client(t)
		for _, namespaces := range []int{1, 50} {
			var nodes []*node
			for i := range namespaces {
				n := join(a, fmt.Sprintf("/dyn-%d", i), "a").ready(t)
				for _, room := range []string{"stays", "lingers"} {
					n.watch(t, room)
				}
				_ = n.watcher(t).WatchRoom("under way")
				n.watcher(t).UnwatchRoom("lingers")
				nodes = append(nodes, n)
			}
			for _, n := range nodes {
				if err := n.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			}
			if channels, patterns := topics(t, c); len(channels) != 0 || patterns != 0 {
				t.Errorf("%d namespaces: left after Close: %q and %d patterns", namespaces, channels, patterns)
			}
		}
		if s := a.Stats(); s.Topics != 0 || s.Lingering != 0 {
			t.Errorf("left: %d topics, %d of them linger", s.Topics, s.Lingering)
		}
	})
}

// TestOneForbiddenRoomDoesNotSilenceOthers has Redis refuse whole commands for
// the sake of one name in them.
func TestOneForbiddenRoomDoesNotSilenceOthers(t *testing.T) {
	inRoomModes(t, func(t *testing.T, r *redisServer, o redisadapter.Options) {
		c := r.Client(t)
		rule := []any{"ACL", "SETUSER", "node", "on", ">secret", "+@all", "resetchannels"}
		for _, channels := range []string{"#/#", "#/#b#", "#/#good*", "#/#????????????????????#", "-request#/#", "-response#/#*"} {
			rule = append(rule, "&socket.io"+channels)
		}
		if err := c.Do(within(t), rule...).Err(); err != nil {
			t.Fatalf("ACL SETUSER: %v", err)
		}
		adapter, err := redisadapter.Open(&redis.UniversalOptions{Addrs: []string{r.addr}, Username: "node", Password: "secret"}, o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = adapter.Close() })
		a := join(openAdapter(t, r, o), "/", "a").ready(t)
		b := join(adapter, "/", "b").ready(t)
		_ = b.watcher(t).WatchRoom("bad")
		for i := range 20 {
			_ = b.watcher(t).WatchRoom(fmt.Sprint("good", i))
		}
		for i := range 20 {
			b.watch(t, fmt.Sprint("good", i))
			a.tellRoom(t, fmt.Sprint("good", i), i)
		}
		b.expectAll(t, 0, 20)
		eventually(t, "the refused room is known", func() error {
			if n := adapter.Stats().Unheard; n != 1 {
				return fmt.Errorf("%d are not heard", n)
			}
			return nil
		})
		if err := c.Do(within(t), "ACL", "SETUSER", "node", "allchannels").Err(); err != nil {
			t.Fatal(err)
		}
		b.watch(t, "bad")
	})
}

// Proves T-90.
func TestShardedNodesUseShardChannels(t *testing.T) {
	r := startRedis(t)
	o := redisadapter.Options{Mode: redisadapter.Sharded}
	a := join(openAdapter(t, r, o), "/", "a").ready(t)
	b := join(openAdapter(t, r, o), "/", "b").ready(t)
	b.watch(t, "room")
	m := startMonitor(t, r)
	b.watch(t, "other")
	a.tellRoom(t, "room", 1)
	b.expectAll(t, 1, 1)
	if members, err := a.Members(within(t)); err != nil || members.Len() != 1 {
		t.Errorf("Members() = %+v, %v, want one", members, err)
	}
	for _, want := range [][]string{
		{"SSUBSCRIBE", "socket.io#/#other#"},
		{"SPUBLISH", "socket.io#/#room#"},
		{"PUBSUB", "shardnumsub", "socket.io#/#"},
	} {
		eventually(t, fmt.Sprint(want), func() error {
			if len(m.commands(want...)) == 0 {
				return errors.New("not seen")
			}
			return nil
		})
	}
}

// Proves T-86, T-87, T-88, T-89, T-90.
func TestClusterWithRoutingDeliversToTheSelectedSocketsOnce(t *testing.T) {
	inRoomModes(t, func(t *testing.T, r *redisServer, o redisadapter.Options) {
		deliversToTheSelectedSocketsOnce(t, newTrioIn(t, r, o))
	})
	t.Run("Sharded/Static", func(t *testing.T) {
		o := redisadapter.Options{Mode: redisadapter.Sharded, Routing: redisadapter.Static}
		deliversToTheSelectedSocketsOnce(t, newTrioIn(t, startRedis(t), o))
	})
}

// Proves J-72.
func TestHostileMessagesOnShardChannelsAreDropped(t *testing.T) {
	r := startRedis(t)
	o := redisadapter.Options{Mode: redisadapter.Sharded}
	a := join(openAdapter(t, r, o), "/", "a").ready(t)
	b := join(openAdapter(t, r, o), "/", "b").ready(t)
	b.watch(t, "room")
	c := r.Client(t)
	for _, channel := range []string{"socket.io#/#", "socket.io#/#room#", "socket.io#/#b#"} {
		for _, message := range hostile {
			if err := c.SPublish(within(t), channel, message).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	a.tell(t, 1)
	b.expectAll(t, 1, 1)
	if n := len(b.heard); n != 1 {
		t.Errorf("%d messages were made of hostile bytes", n-1)
	}
}
