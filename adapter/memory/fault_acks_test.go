package memory_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/adapter/memory"
	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/parser"
)

// Whatever happens to the messages of other nodes, each of their sockets counts
// once, and one node's answers do not stand for another's.
func TestAcknowledgementsCountOncePerSocket(t *testing.T) {
	const limit = time.Second
	for name, test := range map[string]struct {
		b, c               []cluster.Body // what these nodes send, with the RequestID to be filled in
		answers            int
		received, expected int // of the *PartialError; 0: none
		missing            []cluster.NodeID
		took               time.Duration
		err                error
	}{
		"all is well": {
			b:       []cluster.Body{cluster.AckCount{Count: 1}, cluster.AckReply{SocketID: "b1"}},
			c:       []cluster.Body{cluster.AckReply{SocketID: "c1"}, cluster.AckCount{Count: 1}},
			answers: 2,
		},
		"an answer comes twice": {
			b:       []cluster.Body{cluster.AckCount{Count: 2}, cluster.AckReply{SocketID: "b1"}, cluster.AckReply{SocketID: "b1"}},
			c:       []cluster.Body{cluster.AckCount{}},
			answers: 1, received: 1, expected: 2, missing: []cluster.NodeID{"b"}, took: limit, err: context.DeadlineExceeded,
		},
		"everything comes twice": {
			b: []cluster.Body{
				cluster.AckCount{Count: 2},
				cluster.AckCount{Count: 2},
				cluster.AckReply{SocketID: "b1"},
				cluster.AckReply{SocketID: "b1"},
				cluster.AckReply{SocketID: "b2"},
				cluster.AckReply{SocketID: "b2"},
			},
			c:       []cluster.Body{cluster.AckCount{Count: 1}, cluster.AckReply{SocketID: "b1"}}, // the same id elsewhere
			answers: 3,
		},
		"a socket is gone, and answers": {
			b:       []cluster.Body{cluster.AckCount{Count: 1}, cluster.AckReply{SocketID: "b1", Gone: true}, cluster.AckReply{SocketID: "b1"}},
			c:       []cluster.Body{cluster.AckCount{Count: 1}, cluster.AckReply{SocketID: "c1"}},
			answers: 1, received: 1, expected: 2, err: cluster.ErrGone,
		},
		"a count is lost": {
			b:       []cluster.Body{cluster.AckReply{SocketID: "b1"}, cluster.AckReply{SocketID: "b2"}, cluster.AckReply{SocketID: "b3"}},
			c:       []cluster.Body{cluster.AckCount{Count: 1}, cluster.AckReply{SocketID: "c1"}},
			answers: 4, received: 4, expected: 5, missing: []cluster.NodeID{"b"}, took: limit, err: context.DeadlineExceeded,
		},
		"a count is lost, and its node leaves": {
			b:       []cluster.Body{cluster.AckReply{SocketID: "b1"}, cluster.AckReply{SocketID: "b2"}, cluster.Leaving{}, cluster.AckReply{SocketID: "b3"}},
			c:       []cluster.Body{cluster.AckCount{Count: 2}},
			answers: 3, received: 3, expected: 5, missing: []cluster.NodeID{"c"}, took: limit, err: context.DeadlineExceeded,
		},
		"a node leaves that owes": {
			b:       []cluster.Body{cluster.AckCount{Count: 2}, cluster.AckReply{SocketID: "b1"}, cluster.Leaving{}, cluster.Leaving{}},
			c:       []cluster.Body{cluster.AckCount{Count: 1}, cluster.AckReply{SocketID: "c1"}},
			answers: 2, received: 2, expected: 3, err: cluster.ErrGone,
		},
		"more answers than sockets": {
			b:       []cluster.Body{cluster.AckCount{Count: 1}, cluster.AckReply{SocketID: "b1"}, cluster.AckReply{SocketID: "b2"}},
			c:       []cluster.Body{cluster.AckCount{Count: 1}},
			answers: 2, received: 2, expected: 3, missing: []cluster.NodeID{"c"}, took: limit, err: context.DeadlineExceeded,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hub := memory.New()
				m := newMember(t, hub, &here{})
				b, c := newPeer(t, hub, "b"), newPeer(t, hub, "c")
				go func() {
					for _, p := range []struct {
						*peer
						id     cluster.NodeID
						bodies []cluster.Body
					}{{b, "b", test.b}, {c, "c", test.c}} {
						q := <-p.got
						for _, body := range p.bodies {
							p.answer(cluster.Message{ReplyTo: q.ReplyTo}, p.id, about(q.Body.(cluster.Broadcast).RequestID, body))
						}
						synctest.Wait()
					}
				}()
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				defer cancel()
				start := time.Now()
				answers, err := m.BroadcastWithAck(ctx, cluster.Target{}, &parser.Packet{})
				if took := time.Since(start); took != test.took || len(answers) != test.answers {
					t.Errorf("%d answers after %v, want %d after %v", len(answers), took, test.answers, test.took)
				}
				var partial *cluster.PartialError
				switch {
				case test.expected == 0 && err != nil:
					t.Errorf("error %v", err)
				case test.expected == 0:
				case !errors.As(err, &partial) || !errors.Is(err, test.err) || partial.Received != test.received ||
					partial.Expected != test.expected || !slices.Equal(partial.Missing, test.missing):
					t.Errorf("error %v, want %d of %d, missing %q: %v", err, test.received, test.expected, test.missing, test.err)
				}
			})
		})
	}
}

// about fills in to which request an answer belongs.
func about(request string, b cluster.Body) cluster.Body {
	switch b := b.(type) {
	case cluster.AckCount:
		b.RequestID = request
		return b
	case cluster.AckReply:
		b.RequestID = request
		return b
	default:
		return b
	}
}
