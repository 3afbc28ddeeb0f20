package integration_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	redisadapter "github.com/dunlin-io/dunlin/adapter/redis"
	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/socketio"
)

// Proves T-108.
func TestEmitterActsOnTheSocketsOfAllNodes(t *testing.T) {
	r := startRedis(t)
	for _, mode := range []redisadapter.Mode{redisadapter.Classic, redisadapter.Sharded, redisadapter.Streams} {
		t.Run(mode.String(), func(t *testing.T) {
			emitterActs(t, r, redisadapter.Options{Mode: mode})
		})
	}
}

func emitterActs(t *testing.T, r *redisServer, o redisadapter.Options) {
	t.Helper()
	c := newTrioIn(t, r, o)
	told := make(chan cluster.NodeID, 3)
	for _, s := range c.servers {
		s.OnServerSide("job", func(ev *socketio.ServerEvent) {
			if ev.From != "" {
				t.Errorf("the emitter has the name %q", ev.From)
			}
			told <- s.NodeID()
		})
	}
	e := socketio.NewEmitter(openAdapter(t, r, o))
	c.join(t, 0, "a")
	must(t,
		e.To(c.id(0)).SocketsJoin("b"),
		e.Except(c.id(0)).SocketsJoin("b"),
		e.In(c.id(2)).SocketsLeave("b"),
		e.Emit("all", []byte("binary"), 1),
		e.To("a").Emit("one room"),
		e.To("a", "b").Emit("several rooms"),
		e.To("b", "none").Except(c.id(0)).Compress(false).Emit("with a flag"),
		e.To(c.id(2)).Emit("private"),
		e.To().Emit("nobody"),
		e.ServerSideEmit("job", 1),
		e.Flush(patient(t)),
	)
	var nodes []cluster.NodeID
	for range c.servers { // each has heard what came before
		select {
		case node := <-told:
			nodes = append(nodes, node)
		case <-patient(t).Done():
			t.Fatalf("only %q were told", nodes)
		}
	}
	slices.Sort(nodes)
	if !slices.Equal(nodes, []cluster.NodeID{"node-0", "node-1", "node-2"}) {
		t.Errorf("told %q, want every node", nodes)
	}
	c.expectHeard(t, [3][]string{
		{"all", "one room", "several rooms"},
		{"all", "several rooms", "with a flag"},
		{"all", "private"},
	})
	// It is no node: nobody waits for its answer, and it counts the others.
	if sockets, err := c.servers[0].FetchSockets(patient(t)); len(sockets) != 3 || err != nil {
		t.Errorf("FetchSockets() = %d sockets, %v", len(sockets), err)
	}
	for name, want := range map[string]int{"/": 3, "/none": 0} {
		if n, err := e.Of(name).Nodes(patient(t)); n != want || err != nil {
			t.Errorf("Nodes of %s = %d, %v, want %d", name, n, err, want)
		}
	}
	must(t, e.To("b").DisconnectSockets(), e.DisconnectConns(), e.Flush(patient(t)), e.Close())
	for _, client := range c.clients {
		client.ExpectDisconnect("io server disconnect")
	}
}

func TestEmitterKnowsWhetherRedisHasIt(t *testing.T) {
	r := startRedis(t)
	c := newTrio(t, r)
	a := openAdapter(t, r, redisadapter.Options{})
	e := socketio.NewEmitter(a)
	must(t, e.Emit("before"), e.Flush(patient(t)))
	r.Kill(t)
	must(t, e.Emit("late"))
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := e.Flush(ctx)
	var lost *cluster.LostError
	if !errors.Is(err, context.DeadlineExceeded) && !errors.As(err, &lost) {
		t.Errorf("Flush while Redis is away = %v", err)
	}
	r.Start(t)
	for _, s := range c.servers {
		must(t, s.Ready(patient(t)))
	}
	must(t, e.Emit("after"))
	if err := e.Flush(patient(t)); err != nil && !strings.Contains(err.Error(), "lost") {
		t.Errorf("Flush when Redis is back = %v", err)
	}
	for _, client := range c.clients {
		for name := ""; name != "after"; {
			name = client.Next().Name
		}
	}
}
