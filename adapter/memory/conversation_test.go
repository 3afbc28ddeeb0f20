package memory_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/adapter/memory"
	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/parser"
)

// here is a Local with as many sockets as it says, which never answer by
// themselves.
type here struct {
	count int

	mu     sync.Mutex
	settle func(id string, args parser.Args, gone bool)
	forgot int
}

func (h *here) Deliver(*cluster.Target, *parser.Packet) {}
func (h *here) Join(*cluster.Target, []string) int      { return h.count }
func (h *here) Leave(*cluster.Target, []string) int     { return h.count }
func (h *here) Disconnect(*cluster.Target, bool) int    { return h.count }
func (h *here) Rooms() []string                         { return nil }
func (h *here) HasRoom(string) bool                     { return true }
func (h *here) Sockets(*cluster.Target, bool) []cluster.SocketInfo {
	return make([]cluster.SocketInfo, h.count)
}
func (h *here) ServerSide(cluster.NodeID, parser.Payload, func(parser.Args)) {}
func (h *here) DeliverWithAck(_ *cluster.Target, _ *parser.Packet, settled func(string, parser.Args, bool)) (int, func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.settle = settled
	return h.count, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.forgot++
	}
}

// peer is another node whose every answer the test decides.
type peer struct {
	cluster.Link
	got chan cluster.Message
}

func (p *peer) Receive(m cluster.Message) {
	if _, introduction := m.Body.(cluster.Where); !introduction {
		p.got <- m
	}
}
func (p *peer) HasRoom(string) bool { return true }
func (p *peer) Subscribed(bool)     {}

func (p *peer) answer(to cluster.Message, from cluster.NodeID, b cluster.Body) {
	_ = p.Send(to.ReplyTo, cluster.Message{From: from, Namespace: "/", Body: b})
}

func newPeer(t *testing.T, hub *memory.Hub, id cluster.NodeID) *peer {
	t.Helper()
	p := &peer{got: make(chan cluster.Message, 100)}
	p.Link = hub.Open("/", id, p)
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func newMember(t *testing.T, hub *memory.Hub, local cluster.Local) *cluster.Member {
	t.Helper()
	m := cluster.Open(hub, cluster.MemberConfig{Namespace: "/", Self: "self", Local: local})
	t.Cleanup(func() { _ = m.Close() })
	return m
}

type fetched struct {
	sockets []cluster.FoundSocket
	err     error
	after   time.Duration
}

func fetch(m *cluster.Member) <-chan fetched {
	done := make(chan fetched, 1)
	start := time.Now()
	go func() {
		sockets, err := m.FetchSockets(context.Background(), cluster.Target{})
		done <- fetched{sockets, err, time.Since(start)}
	}()
	return done
}

func TestQuestionEndsAfterTheRequestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := memory.New()
		m := newMember(t, hub, &here{})
		newPeer(t, hub, "b")
		newPeer(t, hub, "c")
		got := <-fetch(m)
		var partial *cluster.PartialError
		if !errors.As(got.err, &partial) || !slices.Equal(partial.Missing, []cluster.NodeID{"b", "c"}) {
			t.Errorf("error = %v, want both missing", got.err)
		}
		if got.after != 5*time.Second {
			t.Errorf("ended after %v, want 5s", got.after)
		}
	})
}

func TestAnswersCountOncePerNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := memory.New()
		m := newMember(t, hub, &here{})
		b, _ := newPeer(t, hub, "b"), newPeer(t, hub, "c")
		done := fetch(m)
		q := <-b.got
		id := q.Body.(cluster.FetchSockets).RequestID
		one := cluster.SocketsReply{RequestID: id, Sockets: []cluster.SocketInfo{{ID: "s"}}}
		b.answer(q, "b", one)
		b.answer(q, "b", one)                                        // again
		b.answer(q, "stranger", one)                                 // asked by nobody
		b.answer(q, "c", cluster.RoomsReply{RequestID: id})          // to another question
		b.answer(q, "c", cluster.SocketsReply{RequestID: "made up"}) // to none
		got := <-done
		var partial *cluster.PartialError
		if !errors.As(got.err, &partial) || partial.Received != 1 || partial.Expected != 2 ||
			!slices.Equal(partial.Missing, []cluster.NodeID{"c"}) || len(got.sockets) != 1 {
			t.Errorf("%d sockets, %v; want one, and c missing", len(got.sockets), got.err)
		}
	})
}

func TestANodeThatLeavesWhileAskedIsStruckOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := memory.New()
		m := newMember(t, hub, &here{})
		b, c := newPeer(t, hub, "b"), newPeer(t, hub, "c")
		done := fetch(m)
		q := <-b.got
		b.answer(q, "b", cluster.SocketsReply{RequestID: q.Body.(cluster.FetchSockets).RequestID})
		time.Sleep(time.Second)
		_ = c.Publish(cluster.Message{From: "c", Namespace: "/", Body: cluster.Leaving{}})
		if got := <-done; got.err != nil || got.after != time.Second {
			t.Errorf("ended after %v with %v, want at once and no error", got.after, got.err)
		}
	})
}

func TestCloseEndsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := memory.New()
		m := newMember(t, hub, &here{count: 1})
		newPeer(t, hub, "b")
		done := fetch(m)
		acked := make(chan error, 1)
		go func() {
			_, err := m.BroadcastWithAck(context.Background(), cluster.Target{}, &parser.Packet{})
			acked <- err
		}()
		synctest.Wait()
		_ = m.Close()
		if got := <-done; !errors.Is(got.err, cluster.ErrClosed) || got.after != 0 {
			t.Errorf("FetchSockets ended after %v with %v, want ErrClosed at once", got.after, got.err)
		}
		if err := <-acked; !errors.Is(err, cluster.ErrClosed) {
			t.Errorf("BroadcastWithAck = %v, want ErrClosed", err)
		}
	})
}

func TestBroadcastWithAckDoesNotWaitForSocketsThatLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := memory.New()
		local := &here{count: 2}
		m := newMember(t, hub, local)
		b, c := newPeer(t, hub, "b"), newPeer(t, hub, "c")
		type result struct {
			answers []cluster.AckAnswer
			err     error
		}
		done := make(chan result, 1)
		go func() {
			answers, err := m.BroadcastWithAck(context.Background(), cluster.Target{}, &parser.Packet{})
			done <- result{answers, err}
		}()
		q := <-b.got
		id := q.Body.(cluster.Broadcast).RequestID
		// An acknowledgement may overtake its count.
		b.answer(q, "b", cluster.AckReply{RequestID: id, SocketID: "b1"})
		b.answer(q, "b", cluster.AckCount{RequestID: id, Count: 2})
		b.answer(q, "b", cluster.AckReply{RequestID: id, SocketID: "b2", Gone: true})
		c.answer(<-c.got, "c", cluster.AckCount{RequestID: id, Count: 3})
		synctest.Wait()
		local.settle("s1", parser.Args{}, false)
		local.settle("s2", parser.Args{}, true)
		select {
		case <-done:
			t.Fatal("ended while c's sockets were due")
		default:
		}
		_ = c.Publish(cluster.Message{From: "c", Namespace: "/", Body: cluster.Leaving{}})
		got := <-done
		var partial *cluster.PartialError
		if !errors.As(got.err, &partial) || !errors.Is(got.err, cluster.ErrGone) || partial.Received != 2 || partial.Expected != 7 {
			t.Errorf("error = %v, want 2 of 7 because sockets left", got.err)
		}
		if len(got.answers) != 2 || local.forgot != 1 {
			t.Errorf("%d answers, forgotten %d times; want 2 and once", len(got.answers), local.forgot)
		}
	})
}

func TestRelayedAcknowledgementsEnd(t *testing.T) {
	for name, test := range map[string]struct {
		settled int
		wait    time.Duration
	}{
		"by the last answer": {settled: 2},
		"by the time given":  {settled: 1, wait: 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hub := memory.New()
				local := &here{count: 2}
				newMember(t, hub, local)
				b := newPeer(t, hub, "b")
				_ = b.Publish(cluster.Message{From: "b", Namespace: "/", Body: cluster.Broadcast{
					Packet: &parser.Packet{}, RequestID: "r", Target: cluster.Target{Timeout: 3 * time.Second},
				}})
				if count, ok := (<-b.got).Body.(cluster.AckCount); !ok || count.Count != 2 {
					t.Fatalf("first answer = %+v, want the count", count)
				}
				for range test.settled {
					local.settle("s", parser.Args{}, false)
					if r, ok := (<-b.got).Body.(cluster.AckReply); !ok || r.RequestID != "r" {
						t.Fatalf("answer = %+v, want an acknowledgement", r)
					}
				}
				time.Sleep(test.wait)
				synctest.Wait()
				if local.forgot != 1 {
					t.Errorf("forgotten %d times, want once", local.forgot)
				}
			})
		})
	}
}
