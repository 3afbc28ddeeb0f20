package cluster

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"sync"

	"github.com/dunlin-io/dunlin/core/parser"
)

// maxRequests bounds the requests of one namespace that wait for answers.
const maxRequests = 10_000

var errTooManyRequests = errors.New("cluster: too many requests wait for other nodes")

// FetchSockets describes the target's sockets on the other nodes. The error is
// a *PartialError when an answer is missing.
func (m *Member) FetchSockets(ctx context.Context, t Target) ([]FoundSocket, error) {
	var found []FoundSocket
	err := m.ask(ctx, t.Local, func(id string) Body {
		return FetchSockets{Target: t, RequestID: id}
	}, func(from NodeID, b Body) bool {
		r, ok := b.(SocketsReply)
		for i := range r.Sockets {
			found = append(found, FoundSocket{Node: from, SocketInfo: r.Sockets[i]})
		}
		return ok
	})
	return found, err
}

// CountSockets counts the target's sockets on the other nodes. The error is a
// *PartialError when an answer is missing.
func (m *Member) CountSockets(ctx context.Context, t Target) (n int, err error) {
	err = m.ask(ctx, t.Local, func(id string) Body {
		// The request for ids, which is that of old Node.js adapters, knows no
		// exceptions.
		return FetchSockets{Target: t, RequestID: id, IDsOnly: len(t.Except) == 0}
	}, func(_ NodeID, b Body) bool {
		r, ok := b.(SocketsReply)
		n += len(r.Sockets)
		return ok
	})
	return n, err
}

// FoundSocket is a socket of another node; Node is empty where the answer did
// not say.
type FoundSocket struct {
	Node NodeID
	SocketInfo
}

// Rooms names the rooms of all nodes, each once, in no order.
func (m *Member) Rooms(ctx context.Context) ([]string, error) {
	rooms := m.cfg.Local.Rooms()
	seen := make(map[string]struct{}, len(rooms))
	for _, r := range rooms {
		seen[r] = struct{}{}
	}
	err := m.ask(ctx, false, func(id string) Body { return Rooms{RequestID: id} },
		func(_ NodeID, b Body) bool {
			r, ok := b.(RoomsReply)
			for _, room := range r.Rooms {
				if _, dup := seen[room]; !dup {
					seen[room] = struct{}{}
					rooms = append(rooms, room)
				}
			}
			return ok
		})
	return rooms, err
}

// EmitAnswer is one node's answer to a server-side event.
type EmitAnswer struct {
	Node NodeID
	Args parser.Args
}

// EmitWithAck sends a server-side event to the other nodes and collects one
// answer from each.
func (m *Member) EmitWithAck(ctx context.Context, p parser.Payload) ([]EmitAnswer, error) {
	var answers []EmitAnswer
	err := m.ask(ctx, false, func(id string) Body { return Emit{Payload: p, RequestID: id} },
		func(from NodeID, b Body) bool {
			r, ok := b.(EmitReply)
			if ok {
				answers = append(answers, EmitAnswer{Node: from, Args: r.Args})
			}
			return ok
		})
	return answers, err
}

// ask puts one question to every other node and waits for one answer from
// each. accept runs under a lock and never after ask returned; it reports
// whether the body was an answer at all.
func (m *Member) ask(ctx context.Context, local bool, question func(id string) Body, accept func(NodeID, Body) bool) error {
	if local {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, m.cfg.RequestTimeout)
	defer cancel()
	members, err := m.link.Members(ctx)
	if err != nil {
		return &PartialError{Err: err}
	}
	if members.Len() == 0 {
		return nil
	}
	q := &query{roll: newRoll(members), accept: accept}
	id, err := m.pending.add(q)
	if err != nil {
		return q.partial(err)
	}
	defer m.pending.remove(id)
	if err := m.say(question(id)); err != nil {
		return q.partial(err)
	}
	select {
	case <-q.done:
		return q.result()
	case <-ctx.Done():
		return q.partial(context.Cause(ctx))
	}
}

// query is a question that every other node answers once.
type query struct {
	mu     sync.Mutex // guards the following
	roll   roll
	accept func(NodeID, Body) bool
	err    error

	doneOnce
}

func (q *query) answer(from NodeID, b Body) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.accept == nil || !q.roll.owes(from) || !q.accept(from, b) {
		return
	}
	q.roll.tick(from)
	if q.roll.complete() {
		q.finish()
	}
}

func (q *query) left(n NodeID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.roll.strike(n); q.roll.complete() {
		q.finish()
	}
}

func (q *query) fail(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.err = err
	q.finish()
}

func (q *query) result() error {
	q.mu.Lock()
	err := q.err
	q.mu.Unlock()
	if err != nil {
		return q.partial(err)
	}
	return nil
}

// partial ends the query: late answers are not accepted any more, so that the
// caller owns what accept collected.
func (q *query) partial(err error) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.accept = nil
	return &PartialError{Expected: q.roll.expected, Received: q.roll.received, Missing: q.roll.missing(), Err: err}
}

// waiter is a request that waits for answers.
type waiter interface {
	answer(from NodeID, b Body)
	left(n NodeID)
	fail(err error)
	init()
}

// doneOnce is a channel that is closed once.
type doneOnce struct {
	done chan struct{}
	once sync.Once
}

func (d *doneOnce) init()   { d.done = make(chan struct{}) }
func (d *doneOnce) finish() { d.once.Do(func() { close(d.done) }) }

// requests is the table of what waits for answers.
type requests struct {
	mu     sync.Mutex // guards the following
	byID   map[string]waiter
	closed bool
}

func (r *requests) add(w waiter) (id string, err error) {
	w.init()
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return "", ErrClosed
	case len(r.byID) >= maxRequests:
		return "", errTooManyRequests
	}
	if r.byID == nil {
		r.byID = make(map[string]waiter)
	}
	id = newRequestID()
	r.byID[id] = w
	return id, nil
}

func (r *requests) remove(id string) {
	r.mu.Lock()
	delete(r.byID, id)
	r.mu.Unlock()
}

func (r *requests) answer(from NodeID, b Body) {
	r.mu.Lock()
	w := r.byID[requestID(b)]
	r.mu.Unlock()
	if w != nil {
		w.answer(from, b)
	}
}

func (r *requests) left(n NodeID) {
	for _, w := range r.all() {
		w.left(n)
	}
}

func (r *requests) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	for _, w := range r.all() {
		w.fail(ErrClosed)
	}
}

func (r *requests) all() []waiter {
	r.mu.Lock()
	defer r.mu.Unlock()
	ws := make([]waiter, 0, len(r.byID))
	for _, w := range r.byID {
		ws = append(ws, w)
	}
	return ws
}

// newRequestID returns 16 URL-safe characters. They are unguessable, so that a
// late or forged answer does not meet a newer request.
func newRequestID() string {
	var b [12]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// requestOf returns the id of a request, or nothing.
func requestOf(b Body) string {
	switch b := b.(type) {
	case Broadcast:
		return b.RequestID
	case Join:
		return b.RequestID
	case Leave:
		return b.RequestID
	case Disconnect:
		return b.RequestID
	case FetchSockets:
		return b.RequestID
	case Rooms:
		return b.RequestID
	case Emit:
		return b.RequestID
	case Leaving, Where, Said, Again, AckCount, AckReply, SocketsReply, RoomsReply, EmitReply, Applied, Repeated:
	}
	return ""
}

// requestID returns the id of the request that is answered.
func requestID(b Body) string {
	switch b := b.(type) {
	case AckCount:
		return b.RequestID
	case AckReply:
		return b.RequestID
	case SocketsReply:
		return b.RequestID
	case RoomsReply:
		return b.RequestID
	case EmitReply:
		return b.RequestID
	case Applied:
		return b.RequestID
	case Broadcast, Join, Leave, Disconnect, FetchSockets, Rooms, Emit, Leaving, Where, Said, Again, Repeated:
		return ""
	}
	return ""
}
