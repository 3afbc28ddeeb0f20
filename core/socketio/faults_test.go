package socketio_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/adapter/memory"
	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

// question is a request that waits for other nodes; it returns how many
// sockets or nodes answered.
type question struct {
	name string
	ask  func(srv *siotest.Server) (int, error)
	here int           // answers of the node that asks
	took time.Duration // when an answer is missing
}

// questions are all that there are; clients acknowledge "q", servers "load".
func questions(ctx context.Context) []question {
	return []question{
		{"FetchSockets", func(srv *siotest.Server) (int, error) {
			found, err := srv.FetchSockets(ctx)
			return len(found), err
		}, 1, 5 * time.Second},
		{"FetchSockets with a timeout", func(srv *siotest.Server) (int, error) {
			found, err := srv.Timeout(time.Second).FetchSockets(ctx)
			return len(found), err
		}, 1, time.Second},
		{"FetchSockets with a context", func(srv *siotest.Server) (int, error) {
			ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
			defer cancel()
			found, err := srv.FetchSockets(ctx)
			return len(found), err
		}, 1, 2 * time.Second},
		{"Rooms", func(srv *siotest.Server) (int, error) {
			rooms, err := srv.Rooms(ctx)
			return len(rooms), err
		}, 1, 5 * time.Second},
		{"ServerSideEmitWithAck", func(srv *siotest.Server) (int, error) {
			replies, err := srv.ServerSideEmitWithAck(ctx, "load")
			return len(replies), err
		}, 0, 5 * time.Second},
		{"EmitWithAck", func(srv *siotest.Server) (int, error) {
			replies, err := srv.Timeout(3*time.Second).EmitWithAck(ctx, "q")
			return len(replies), err
		}, 1, 3 * time.Second},
	}
}

// answering starts three servers with one client each.
func answering(t *testing.T, cfg socketio.Config) (c *siotest.Cluster, clients []*siotest.Client) {
	t.Helper()
	c = siotest.NewCluster(t, 3, cfg)
	for i, srv := range c.Servers() {
		srv.OnServerSide("load", func(ev *socketio.ServerEvent) { _ = ev.Ack(i) })
		clients = append(clients, srv.Dial())
		answer(clients[i], "q", i)
	}
	return c, clients
}

// Proves T-96, J-58.
func TestQuestionsUnderFaultsSayWhoIsMissing(t *testing.T) {
	for name, test := range map[string]struct {
		harm    func(*siotest.Cluster)
		answers int // of other nodes
		missing []cluster.NodeID
		cause   error
		atOnce  bool
	}{
		"nothing is wrong":       {harm: func(*siotest.Cluster) {}, answers: 2, atOnce: true},
		"a slow bus":             {harm: func(c *siotest.Cluster) { c.Faults(memory.Faults{Delay: 400 * time.Millisecond}) }, answers: 2, atOnce: true},
		"everything comes twice": {harm: func(c *siotest.Cluster) { c.Faults(memory.Faults{Duplication: 1}) }, answers: 2, atOnce: true},
		"one node is cut off":    {harm: func(c *siotest.Cluster) { c.Partition(2) }, answers: 1, missing: []cluster.NodeID{"node-2"}, cause: context.DeadlineExceeded},
		"the asker is cut off":   {harm: func(c *siotest.Cluster) { c.Partition(0) }, missing: []cluster.NodeID{"node-1", "node-2"}, cause: context.DeadlineExceeded},
		"answers are lost":       {harm: func(c *siotest.Cluster) { c.FaultsBetween(1, 0, memory.Faults{Loss: 1}) }, answers: 1, missing: []cluster.NodeID{"node-1"}, cause: context.DeadlineExceeded},
		"a node has gone":        {harm: func(c *siotest.Cluster) { c.Interrupt(1) }, answers: 1, atOnce: true},
		"the asker has gone":     {harm: func(c *siotest.Cluster) { c.Interrupt(0) }, cause: memory.ErrInterrupted, atOnce: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := answering(t, socketio.Config{})
				for _, q := range questions(t.Context()) {
					test.harm(c)
					start := time.Now()
					n, err := q.ask(c.Server(0))
					took := time.Since(start)
					if n != q.here+test.answers || !errors.Is(err, test.cause) {
						t.Errorf("%s: %d answers, %v; want %d, %v", q.name, n, err, q.here+test.answers, test.cause)
					}
					if test.atOnce && took > time.Second || !test.atOnce && took != q.took {
						t.Errorf("%s took %v", q.name, took)
					}
					if test.cause != nil {
						// Sockets are counted, and nodes that owe an answer; otherwise nodes.
						received := test.answers
						if q.name == "EmitWithAck" {
							received++
						}
						want := socketio.PartialError{Expected: received + len(test.missing), Received: received, Missing: test.missing, Err: test.cause}
						var partial *socketio.PartialError
						if !errors.As(err, &partial) || !reflect.DeepEqual(*partial, want) {
							t.Errorf("%s: %#v, want %#v", q.name, err, want)
						}
					}
					c.Heal()
					time.Sleep(time.Minute)
					if n, err := q.ask(c.Server(0)); n != q.here+2 || err != nil {
						t.Errorf("%s after healing: %d answers, %v", q.name, n, err)
					}
				}
			})
		})
	}
}

// A partition does not concern the sockets of the own side, and nobody waits
// for the other.
func TestEmitDoesNotWaitForTheOtherSide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log journal
		c, clients := answering(t, socketio.Config{Hooks: socketio.Hooks{OnGap: func(_ string, g cluster.Gap) { log.note(fmt.Sprintf("%d of %s lost", g.Missed, g.Node)) }}})
		c.Partition(2)
		start := time.Now()
		emit(t, c.Server(0).Emit("x"))
		emit(t, c.Server(0).SocketsJoin("r"))
		emit(t, c.Server(0).ServerSideEmit("y"))
		clients[0].Expect("x")
		clients[1].Expect("x")
		clients[2].ExpectNothing(time.Minute)
		if took := time.Since(start); took != time.Minute {
			t.Errorf("took %v", took)
		}
		log.expect(t) // nobody noticed
		c.Heal()
		c.Interrupt(2)
		emit(t, c.Server(2).Emit("x"))
		clients[2].Expect("x")
		clients[0].ExpectNothing(time.Minute)
		c.Resume(2)
		time.Sleep(time.Minute)
		// What was said a minute ago is not kept any more: by 0 in the partition,
		// and by 2. Nodes 0 and 1 have heard each other all the time.
		synctest.Wait()
		slices.Sort(log.lines) // nodes find out by themselves
		log.expect(t, "1 of node-2 lost", "1 of node-2 lost", "3 of node-0 lost")
		emit(t, c.Server(2).Emit("again"))
		for _, client := range clients {
			client.Expect("again")
		}
		c.Interrupt(2)
		emit(t, c.Server(2).Emit("late"))
		time.Sleep(30 * time.Second)
		c.Resume(2)
		for _, client := range clients {
			client.Expect("late") // and this is
		}
		log.expect(t)
	})
}

// What one node does arrives everywhere in the order in which it was done,
// however long it takes; that includes what is no event.
func TestOrderOfANodeSurvivesJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, clients := answering(t, socketio.Config{})
		c.Seed(42)
		c.Faults(memory.Faults{Jitter: time.Minute})
		const rounds = 200
		for i := range rounds {
			for from := range 2 {
				srv, room := c.Server(from), fmt.Sprint("room ", i, " of ", from)
				emit(t, srv.Emit("n", from, i))
				emit(t, srv.To(clients[2].ID()).SocketsJoin(room))
				emit(t, srv.To(room).Emit("n", from, i+rounds))
				emit(t, srv.To(room).SocketsLeave(room))
				emit(t, srv.To(room).Local().Emit("never"))
			}
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(time.Hour)
		var next [2]int
		for _, ev := range clients[2].Received() {
			var from, n int
			if err := ev.Scan(&from, &n); err != nil {
				t.Fatal(err)
			}
			want := next[from]/2 + next[from]%2*rounds
			if n != want {
				t.Fatalf("event %d of node %d, want %d", n, from, want)
			}
			next[from]++
		}
		if next != [2]int{2 * rounds, 2 * rounds} {
			t.Errorf("%v events arrived, want %d of each", next, 2*rounds)
		}
	})
}

// Messages that a bus repeats are delivered once, in order: nodes number them.
func TestRepeatedMessagesCountOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log journal
		c, clients := answering(t, socketio.Config{})
		c.Server(1).OnDisconnect(func(*socketio.Socket, socketio.Reason) { log.note("left") })
		c.Server(1).OnServerSide("told", func(*socketio.ServerEvent) { log.note("told") })
		c.Faults(memory.Faults{Duplication: 1})
		for i := range 3 {
			emit(t, c.Server(0).Emit("n", i))
		}
		for i := range 3 {
			clients[0].Expect("n", i)
			clients[1].Expect("n", i)
		}
		clients[1].ExpectNothing(0)
		emit(t, c.Server(0).SocketsJoin("r"))
		emit(t, c.Server(0).ServerSideEmit("told"))
		log.expect(t, "told")
		found, err := c.Server(2).In("r").FetchSockets(t.Context())
		if len(found) != 3 || err != nil {
			t.Errorf("%d sockets, %v", len(found), err)
		}
		replies, err := c.Server(2).EmitWithAck(t.Context(), "q")
		if len(replies) != 3 || err != nil {
			t.Errorf("%d replies, %v", len(replies), err)
		}
		for _, s := range found {
			if s.ID == clients[1].ID() {
				emit(t, s.Disconnect())
			}
		}
		log.expect(t, "left")
	})
}

func TestShutdownDoesNotWaitForABrokenBus(t *testing.T) {
	for name, harm := range map[string]func(*siotest.Cluster){
		"partition":    func(c *siotest.Cluster) { c.Partition(0) },
		"interruption": func(c *siotest.Cluster) { c.Interrupt(0) },
		"loss":         func(c *siotest.Cluster) { c.Faults(memory.Faults{Loss: 1}) },
		"delay":        func(c *siotest.Cluster) { c.Faults(memory.Faults{Delay: time.Hour}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, clients := answering(t, socketio.Config{})
				harm(c)
				var waiting []chan error
				for _, q := range questions(context.Background()) {
					done := make(chan error, 1)
					waiting = append(waiting, done)
					go func() {
						_, err := q.ask(c.Server(0))
						done <- err
					}()
				}
				synctest.Wait()
				start := time.Now()
				if err := c.Server(0).Shutdown(t.Context()); err != nil {
					t.Errorf("Shutdown: %v", err)
				}
				if took := time.Since(start); took != 0 {
					t.Errorf("Shutdown took %v", took)
				}
				for _, done := range waiting {
					if err := <-done; err == nil {
						t.Error("a question that nobody answered has no error")
					}
				}
				if took := time.Since(start); took != 0 {
					t.Errorf("questions took %v", took)
				}
				clients[0].ExpectDisconnect("transport close")
			})
		})
	}
}
