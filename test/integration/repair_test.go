package integration_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	redisadapter "github.com/dunlin-io/dunlin/adapter/redis"
	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/parser"
)

// audience is a Local without sockets that notes the numbers it is told.
type audience struct {
	mu    sync.Mutex // guards the following
	heard map[string][]int
	gaps  []cluster.Gap
}

func (a *audience) Deliver(t *cluster.Target, p *parser.Packet) {
	if len(t.Rooms) > 0 { // nobody is in any room
		return
	}
	name, args, err := p.Payload.Event()
	var n int
	if err != nil || args.Scan(&n) != nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.heard[name] = append(a.heard[name], n)
}

func (a *audience) of(name string) []int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.heard[name])
}

func (a *audience) DeliverWithAck(*cluster.Target, *parser.Packet, func(string, parser.Args, bool)) (int, func()) {
	return 0, func() {}
}
func (a *audience) Join(*cluster.Target, []string) int                           { return 0 }
func (a *audience) Leave(*cluster.Target, []string) int                          { return 0 }
func (a *audience) Disconnect(*cluster.Target, bool) int                         { return 0 }
func (a *audience) Sockets(*cluster.Target, bool) []cluster.SocketInfo           { return nil }
func (a *audience) Rooms() []string                                              { return nil }
func (a *audience) HasRoom(string) bool                                          { return false }
func (a *audience) ServerSide(cluster.NodeID, parser.Payload, func(parser.Args)) {}

// speaker is a member with an audience.
type speaker struct {
	*cluster.Member
	*audience
	name string
	said int
}

func newSpeaker(t *testing.T, r *redisServer, name string, o redisadapter.Options) *speaker {
	t.Helper()
	a := &audience{heard: make(map[string][]int)}
	adapter := openAdapter(t, r, o)
	m := cluster.Open(adapter, cluster.MemberConfig{
		Namespace: "/", Self: cluster.NodeID(name), Local: a,
		OnGap: func(g cluster.Gap) {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.gaps = append(a.gaps, g)
		},
	})
	t.Cleanup(func() { _ = m.Close() })
	if err := m.Ready(within(t)); err != nil {
		t.Fatal(err)
	}
	return &speaker{Member: m, audience: a, name: name}
}

// say broadcasts the next number, to everybody or to a room: what is for a room
// without members is not read, and has its number all the same.
func (s *speaker) say(t *testing.T) {
	t.Helper()
	s.said++
	event, err := parser.MakeEvent(s.name, s.said)
	if err != nil {
		t.Fatal(err)
	}
	var to cluster.Target
	err = s.Broadcast(to, &parser.Packet{Type: parser.Event, Namespace: "/", Payload: event.EventPayload()})
	if err != nil {
		t.Fatalf("broadcast %d of %s: %v", s.said, s.name, err)
	}
	if s.said%5 == 0 {
		to.Rooms = []string{"nobody"}
		if err := s.Broadcast(to, &parser.Packet{Type: parser.Event, Namespace: "/", Payload: event.EventPayload()}); err != nil {
			t.Fatal(err)
		}
	}
}

// hears waits until all that the other has said has arrived, in order and once.
func (s *speaker) hears(t *testing.T, other *speaker) {
	t.Helper()
	want := make([]int, other.said)
	for i := range want {
		want[i] = i + 1
	}
	ctx := within(t)
	for len(s.of(other.name)) < other.said && ctx.Err() == nil {
		time.Sleep(10 * time.Millisecond)
	}
	if got := s.of(other.name); !slices.Equal(got, want) {
		t.Errorf("%s heard %d messages of %s, want 1 to %d, each once and in order: %+v", s.name, len(got), other.name, other.said, s.RepairStats())
	}
}

// TestNothingIsLostBetweenGoNodes breaks connections, and Redis, while everybody
// speaks.
func TestNothingIsLostBetweenGoNodes(t *testing.T) {
	t.Parallel()
	for _, o := range []redisadapter.Options{
		{Mode: redisadapter.Classic},
		{Mode: redisadapter.Sharded, Routing: redisadapter.Static},
	} {
		for name, harm := range map[string]func(t *testing.T, r *redisServer, c *redis.Client){
			"subscriptions killed": func(t *testing.T, _ *redisServer, c *redis.Client) { t.Helper(); killClients(t, c, "pubsub") },
			"connections killed":   func(t *testing.T, _ *redisServer, c *redis.Client) { t.Helper(); killClients(t, c, "normal") },
			"redis killed":         func(t *testing.T, r *redisServer, _ *redis.Client) { t.Helper(); r.Kill(t); r.Start(t) },
		} {
			t.Run(fmt.Sprintf("%v/%s", o.Mode, name), func(t *testing.T) {
				r := startRedis(t)
				c := redis.NewClient(&redis.Options{Addr: r.addr, MaxRetries: -1})
				defer c.Close()
				speakers := []*speaker{newSpeaker(t, r, "a", o), newSpeaker(t, r, "b", o), newSpeaker(t, r, "c", o)}
				for i := range 600 {
					for _, s := range speakers {
						s.say(t)
					}
					if i%150 == 75 {
						harm(t, r, c)
					}
					time.Sleep(time.Millisecond)
				}
				for _, s := range speakers {
					for _, other := range speakers {
						if s != other {
							s.hears(t, other)
						}
					}
				}
				for _, s := range speakers {
					if s.audience.gaps != nil {
						t.Errorf("%s was told of gaps: %v", s.name, s.audience.gaps)
					}
				}
			})
		}
	}
}

func killClients(t *testing.T, c *redis.Client, kind string) {
	t.Helper()
	err := c.Do(context.Background(), "CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes").Err()
	if err != nil {
		t.Logf("CLIENT KILL: %v", err)
	}
}
