package integration_test

import (
	"fmt"
	"testing"
	"time"

	redisadapter "github.com/dunlin-io/dunlin/adapter/redis"
	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

// recoveringNode is a server whose clients recover through a stream.
type recoveringNode struct {
	*siotest.Server
	adapter *redisadapter.Adapter
}

func newRecoveringNode(t *testing.T, r *redisServer, id string) recoveringNode {
	t.Helper()
	n := recoveringNode{adapter: openAdapter(t, r, redisadapter.Options{Mode: redisadapter.Streams})}
	n.Server = siotest.NewServer(t, socketio.Config{
		Adapter: n.adapter, NodeID: cluster.NodeID(id), Recovery: socketio.Recovery{MaxDisconnection: time.Minute},
	})
	must(t, n.Ready(patient(t)))
	n.OnConnect(func(s *socketio.Socket) { t.Logf("%s: %+v", id, s.Recovery()) })
	return n
}

// numbers takes numbered events and checks that each comes once and in order.
type numbers struct{ next int }

func (h *numbers) take(t *testing.T, c *siotest.Client, n int) {
	t.Helper()
	for range n {
		ev := c.Next()
		var i int
		if err := ev.Scan(&i); err != nil || ev.Name != "n" {
			t.Fatalf("event %s: %v", ev.Name, err)
		}
		if i != h.next {
			t.Fatalf("heard %d, want %d", i, h.next)
		}
		h.next++
	}
}

// Proves T-68, J-68.
func TestStreamsRecoverClientsThatChangeNodes(t *testing.T) {
	r := startRedis(t)
	nodes := []recoveringNode{newRecoveringNode(t, r, "a"), newRecoveringNode(t, r, "b"), newRecoveringNode(t, r, "c")}
	client := nodes[0].Dial()
	said, heard := 0, numbers{}
	say := func(n int) {
		t.Helper()
		for range n {
			must(t, nodes[2].Emit("n", said))
			said++
		}
	}
	say(3)
	heard.take(t, client, 3)
	for hop := 1; hop <= 6; hop++ {
		saved(t, r, client.PID())
		client.Cut()
		say(5)
		client.Move(nodes[hop%2].Endpoint)
		client.Resume()
		if !client.Recovered() {
			t.Fatalf("hop %d: not recovered", hop)
		}
		say(5)
		heard.take(t, client, 10)
	}
}

// Proves T-68.
func TestStreamsRecoverClientsOfANodeThatDied(t *testing.T) {
	r := startRedis(t)
	a, b := newRecoveringNode(t, r, "a"), newRecoveringNode(t, r, "b")
	client := a.Dial()
	var heard numbers
	must(t, b.Emit("n", 0))
	heard.take(t, client, 1)
	saved(t, r, client.PID())
	must(t, a.adapter.Close()) // the node says nothing more
	client.Cut()
	for i := 1; i < 20; i++ {
		must(t, b.Emit("n", i))
	}
	client.Move(b.Endpoint)
	client.Resume()
	if !client.Recovered() {
		t.Error("not recovered")
	}
	heard.take(t, client, 19)
}

// A history with a hole is no history.
func TestStreamsRecoverNobodyAcrossALostHistory(t *testing.T) {
	r := startRedis(t)
	a := newRecoveringNode(t, r, "a")
	client := a.Dial()
	must(t, a.Emit("n", 0))
	var heard numbers
	heard.take(t, client, 1)
	client.Cut()
	r.Restart(t) // empty
	eventually(t, "the node has noticed", func() error {
		if gaps := a.adapter.Stats().Gaps; gaps != 1 {
			return fmt.Errorf("%d gaps", gaps)
		}
		return nil
	})
	client.Resume()
	if client.Recovered() {
		t.Error("recovered")
	}
	witness := a.Dial() // the first event may be what tells the node that the log is a new one
	must(t, a.Emit("n", 1))
	witness.Expect("n", 1)
	next := a.Dial()
	must(t, a.Emit("n", 2))
	heard.next = 2
	heard.take(t, next, 1)
	next.Cut()
	next.Resume()
	if !next.Recovered() {
		t.Error("a client of the time after that is not recovered")
	}
}
