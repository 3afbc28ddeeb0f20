package integration_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	redisadapter "github.com/dunlin-io/dunlin/adapter/redis"
	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

// newRecoveringTrio starts three servers that recover each other's clients.
func newRecoveringTrio(t *testing.T, r *redisServer, o redisadapter.Options) (servers [3]*siotest.Server) {
	t.Helper()
	o.Mode = redisadapter.Streams
	for i := range servers {
		servers[i] = siotest.NewServer(t, socketio.Config{
			Adapter:  openAdapter(t, r, o),
			NodeID:   cluster.NodeID(fmt.Sprint("node-", i)),
			Recovery: socketio.Recovery{MaxDisconnection: time.Minute},
		})
		if err := servers[i].Ready(patient(t)); err != nil {
			t.Fatalf("Ready: %v", err)
		}
	}
	return servers
}

// comeBack connects a client that had that session.
func comeBack(t *testing.T, srv *siotest.Server, pid, offset string) (*siotest.Client, socketio.RecoveryState) {
	t.Helper()
	auth := map[string]any{"pid": pid}
	if offset != "" {
		auth["offset"] = offset
	}
	c := srv.Dial(siotest.Options{Auth: auth})
	s, ok := srv.Socket(c.ID())
	if !ok {
		t.Fatal("the server does not have the socket")
	}
	return c, s.Recovery()
}

// saved waits until the client's session is in Redis.
func saved(t *testing.T, r *redisServer, pid string) {
	t.Helper()
	client := r.Client(t)
	eventually(t, "the session is saved", func() error {
		if n := client.Exists(t.Context(), "sio:session:"+pid).Val(); n != 1 {
			return errors.New("it is not")
		}
		return nil
	})
}

// Proves T-68.
func TestStreamsRecoverClientsOnEveryNode(t *testing.T) {
	for name, o := range map[string]redisadapter.Options{
		"plain":  {},
		"signed": {Secrets: [][]byte{[]byte("0123456789abcdef")}},
	} {
		t.Run(name, func(t *testing.T) {
			const count = 600
			r := startRedis(t)
			servers := newRecoveringTrio(t, r, o)
			c := servers[0].Dial()
			id, pid, offset := c.ID(), c.PID(), ""
			s, _ := servers[0].Socket(id)
			if err := s.SetData("mine"); err != nil {
				t.Fatal(err)
			}
			s.Join("room")
			saved(t, r, pid)
			var talking sync.WaitGroup
			for node, srv := range servers {
				talking.Go(func() {
					for i := range count {
						op := []socketio.BroadcastOperator{srv.Except(), srv.To(id), srv.To("room")}[i%3]
						if err := op.Emit("n", node, i); err != nil {
							t.Errorf("emit: %v", err)
						}
						time.Sleep(time.Millisecond)
					}
				})
			}
			defer talking.Wait()
			var next [3]int
			for hop := 0; next != [3]int{count, count, count}; {
				ev := c.Next()
				var node, n int
				if err := ev.Scan(&node, &n, &offset); err != nil {
					t.Fatal(err)
				}
				if n != next[node] {
					t.Fatalf("hop %d: event %d of node %d came where %d was due", hop, n, node, next[node])
				}
				next[node]++
				if rand.IntN(100) != 0 {
					continue
				}
				if hop++; hop%2 == 0 {
					c.Cut()
				}
				saved(t, r, pid)
				var state socketio.RecoveryState
				if c, state = comeBack(t, servers[hop%3], pid, offset); !state.Recovered || c.ID() != id {
					t.Fatalf("hop %d: %+v", hop, state)
				}
				s, _ := servers[hop%3].Socket(id)
				if data := ""; s.ScanData(&data) != nil || data != "mine" || len(s.Rooms()) != 2 {
					t.Errorf("hop %d: data %q, rooms %q", hop, data, s.Rooms())
				}
			}
			for _, srv := range servers {
				if st := srv.Stats(); st.Unrecorded != 0 || st.SessionErrors != 0 {
					t.Errorf("%d events without an offset, %d errors of sessions", st.Unrecorded, st.SessionErrors)
				}
			}
		})
	}
}

// Redis is away: events arrive without it, nothing twice afterwards, and then
// all is as before.
func TestStreamsRecoverAfterRedisWasAway(t *testing.T) {
	r := startRedis(t)
	servers := newRecoveringTrio(t, r, redisadapter.Options{})
	a, idle := servers[0].Dial(), servers[0].Dial()
	saved(t, r, a.PID())
	saved(t, r, idle.PID())
	var offset, old string
	must(t, servers[1].Emit("before"), a.Next().Scan(&offset), idle.Next().Scan(&old))
	r.Pause(t)
	must(t, servers[0].Emit("away"), servers[0].Emit("away too"))
	for _, c := range []*siotest.Client{a, idle} {
		for _, want := range []string{"away", "away too"} {
			if ev := c.Next(); ev.Name != want || ev.Len() != 0 {
				t.Errorf("event %q with %d arguments", ev.Name, ev.Len())
			}
		}
	}
	r.Resume(t)
	other := servers[1].Dial()
	eventually(t, "events have offsets again", func() error {
		must(t, servers[0].Emit("after"))
		ev := a.Next()
		if ev.Name != "after" {
			t.Fatalf("event %q", ev.Name)
		}
		if ev.Len() == 0 {
			return errors.New("it has none")
		}
		return ev.Scan(&offset)
	})
	other.Cut()
	idle.Cut()
	pid := idle.PID()
	eventually(t, "who comes back from before is refused", func() error {
		_, state := comeBack(t, servers[1], pid, old)
		if state.Recovered {
			t.Fatal("recovered")
		}
		if state.Reason == socketio.RecoveryStore {
			return errors.New("not yet")
		}
		return nil
	})
	// A node that does not know yet what became of its last events says no, and
	// what begins after that is whole again.
	b := a
	eventually(t, "clients are recovered again", func() error {
		b.Cut()
		next, state := comeBack(t, servers[2], b.PID(), offset)
		b = next
		if state.Recovered {
			return nil
		}
		must(t, servers[0].Emit("again"), b.Next().Scan(&offset))
		return fmt.Errorf("%+v", state)
	})
	must(t, servers[0].Emit("end"))
	if ev := b.Next(); ev.Name != "end" {
		t.Errorf("event %q came, again", ev.Name)
	}
}
