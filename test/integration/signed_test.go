package integration_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	redisadapter "github.com/dunlin-io/dunlin/adapter/redis"
	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/cluster/clustertest"
	"github.com/dunlin-io/dunlin/core/socketio"
)

var secrets = [][]byte{[]byte("a secret of the tests"), []byte("another secret of the tests")}

// signing are ways to use Redis in which messages are signed.
func signing() map[string]redisadapter.Options {
	ways := map[string]redisadapter.Options{
		"classic":        {Mode: redisadapter.Classic},
		"classic rooms":  {Mode: redisadapter.Classic, Routing: redisadapter.DynamicPrivate},
		"sharded":        {Mode: redisadapter.Sharded},
		"sharded rooms":  {Mode: redisadapter.Sharded, Routing: redisadapter.DynamicPrivate},
		"streams":        {Mode: redisadapter.Streams},
		"several copies": {Mode: redisadapter.Streams, Streams: redisadapter.StreamOptions{Count: 4, SignedHash: true}},
	}
	for name, o := range ways {
		o.Secrets = secrets
		ways[name] = o
	}
	return ways
}

// Proves T-109.
func TestSignedConformance(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	var bus atomic.Int64
	for name, o := range signing() {
		t.Run(name, func(t *testing.T) {
			clustertest.Run(t, func(t *testing.T) clustertest.Bus {
				n := bus.Add(1)
				o.Prefix, o.Streams.Name = fmt.Sprintf("signed%d", n), fmt.Sprintf("signed%d", n)
				return func() cluster.Adapter { return openAdapter(t, r, o) }
			})
		})
	}
}

func TestSignedClusterTakesItsEmitterAndNoOther(t *testing.T) {
	r := startRedis(t)
	for name, o := range signing() {
		t.Run(name, func(t *testing.T) {
			o.Prefix, o.Streams.Name = name, name
			c := newTrioIn(t, r, o)
			c.join(t, 1, "room")
			plain := o
			plain.Secrets = nil
			forger := socketio.NewEmitter(openAdapter(t, r, plain))
			must(t, forger.Emit("forged"), forger.To("room").Emit("forged"), forger.DisconnectConns(), forger.Flush(patient(t)))
			trusted := socketio.NewEmitter(openAdapter(t, r, o))
			must(t, trusted.Emit("hello"), trusted.To("room").Emit("private"), trusted.Flush(patient(t)))
			for i, client := range c.clients {
				client.Expect("hello")
				if i == 1 {
					client.Expect("private")
				}
			}
			c.expectHeard(t, [3][]string{})
		})
	}
}

func TestEntriesOfAStreamAreTrustedOnce(t *testing.T) {
	r := startRedis(t)
	var unsigned atomic.Int64
	o := redisadapter.Options{Mode: redisadapter.Streams, Secrets: secrets, OnDrop: func(d redisadapter.Drop) {
		if d.Reason == redisadapter.DropUnsigned {
			unsigned.Add(int64(d.Messages))
		}
	}}
	a := join(openAdapter(t, r, o), "/", "a").ready(t)
	o.OnDrop = nil
	b := join(openAdapter(t, r, o), "/", "b").ready(t)
	store := a.Link.(cluster.SessionStore)
	before, _ := store.Position()
	b.tell(t, 1)
	a.expectLast(t, 1)

	client := r.Client(t)
	entries, err := client.XRange(patient(t), "socket.io", "-", "+").Result()
	must(t, err)
	genuine := entries[len(entries)-1].Values
	add := func(change func(fields map[string]any)) {
		fields := maps.Clone(genuine)
		change(fields)
		must(t, client.XAdd(patient(t), &redis.XAddArgs{Stream: "socket.io", Values: fields}).Err())
	}
	add(func(map[string]any) {}) // repeated
	add(func(f map[string]any) { delete(f, "sig") })
	add(func(f map[string]any) { f["uid"] = "c" })
	b.tell(t, 2)
	if got := a.expectLast(t, 2); !slices.Equal(got, []int{1, 2}) {
		t.Errorf("heard %v, want the genuine ones", got)
	}
	if n := unsigned.Load(); n != 3 {
		t.Errorf("%d were dropped as unsigned, want 3", n)
	}
	// Neither does a client that comes back get them.
	messages, err := store.Since(patient(t), before, 100)
	if len(messages) != 2 || err != nil {
		t.Errorf("Since() = %d messages, %v, want 2", len(messages), err)
	}
}

func TestSessionsAreTrustedOnlySigned(t *testing.T) {
	r := startRedis(t)
	store := join(openAdapter(t, r, redisadapter.Options{Mode: redisadapter.Streams, Secrets: secrets}), "/", "a").ready(t).Link.(cluster.SessionStore)
	plain := join(openAdapter(t, r, redisadapter.Options{Mode: redisadapter.Streams}), "/", "b").ready(t).Link.(cluster.SessionStore)
	const ttl = time.Minute
	session := cluster.Session{PID: "genuine", Socket: "s", Rooms: map[string]cluster.Offset{"r": ""}}
	forged := cluster.Session{PID: "forged", Socket: "s", Rooms: map[string]cluster.Offset{"admins": ""}}
	must(t, store.Save(patient(t), ttl, session), plain.Save(patient(t), ttl, forged), store.Renew(patient(t), ttl, session))
	if _, err := store.Take(patient(t), "forged"); !errors.Is(err, cluster.ErrNoSession) {
		t.Errorf("Take of a session that nobody signed = %v", err)
	}
	client := r.Client(t)
	value, err := client.Get(patient(t), "sio:session:genuine").Result()
	must(t, err, client.Set(patient(t), "sio:session:moved", value, ttl).Err())
	if _, err := store.Take(patient(t), "moved"); !errors.Is(err, cluster.ErrNoSession) {
		t.Errorf("Take of a session under another key = %v", err)
	}
	if s, err := store.Take(patient(t), "genuine"); err != nil || s.Socket != "s" {
		t.Errorf("Take = %+v, %v", s, err)
	}
}
