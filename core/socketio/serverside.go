package socketio

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/parser"
)

// ServerEvent is an event that another node emitted to the servers.
type ServerEvent struct {
	Namespace *Namespace
	Name      string
	From      cluster.NodeID // empty when a Node.js server or an emitter sent it
	Args

	reply func(parser.Args)
}

// WantsAck reports whether the other node waits for an answer.
func (ev *ServerEvent) WantsAck() bool { return ev.reply != nil }

// Ack answers; only the first call of it does. Node.js servers see the first
// argument only.
func (ev *ServerEvent) Ack(args ...any) error {
	a, err := parser.MakeArgs(args...)
	if err != nil {
		return err
	}
	if ev.reply != nil {
		ev.reply(a)
	}
	return nil
}

// ServerSideEmit sends an event to the other nodes (Namespace.OnServerSide).
func (n *Namespace) ServerSideEmit(event string, args ...any) error {
	p, err := encodeServerSide(event, args)
	if err != nil {
		return err
	}
	return propagated(n.member.Emit(p))
}

// ServerSideEmitWithAck sends an event to the other nodes and waits for one
// answer from each. When some are missing, those that came are returned with a
// *PartialError. A node that has no handler for the event answers at once,
// without arguments; a Node.js server without one does not answer.
func (n *Namespace) ServerSideEmitWithAck(ctx context.Context, event string, args ...any) ([]Reply, error) {
	p, err := encodeServerSide(event, args)
	if err != nil {
		return nil, err
	}
	answers, err := n.member.EmitWithAck(ctx, p)
	replies := make([]Reply, len(answers))
	for i, a := range answers {
		replies[i] = Reply{Node: a.Node, Args: a.Args}
	}
	return replies, err
}

// encodeServerSide refuses the names that mean something to servers.
func encodeServerSide(event string, args []any) (parser.Payload, error) {
	switch event {
	case "connect", "connection", "new_namespace", cluster.TakeOverEvent:
		return parser.Payload{}, fmt.Errorf("%w: %q", ErrReservedEvent, event)
	}
	a, err := parser.MakeEvent(event, args...)
	if err != nil {
		return parser.Payload{}, fmt.Errorf("socketio: server-side event: %w", err)
	}
	return a.EventPayload(), nil
}

// serverSide runs the handlers of one namespace's server-side events in order,
// on a goroutine that exists only while there are events: the receive loop of
// an adapter must not wait for them.
type serverSide struct {
	ns *Namespace

	mu      sync.Mutex // guards the following
	queue   []*ServerEvent
	running bool
	closed  bool
}

func newServerSide(n *Namespace) *serverSide { return &serverSide{ns: n} }

func (q *serverSide) push(from cluster.NodeID, p parser.Payload, reply func(parser.Args)) {
	name, args, err := p.Event()
	if err != nil {
		q.ns.server.cfg.Logger.Warn("server-side event dropped", "namespace", q.ns.name, "from", from, "err", err)
		return
	}
	ev := &ServerEvent{Namespace: q.ns, Name: name, From: from, Args: args, reply: reply}
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return
	case len(q.queue) >= q.ns.server.cfg.Limits.ServerEvents:
		q.ns.server.stats.serverEventsDropped.Add(1)
		return
	}
	q.queue = append(q.queue, ev)
	if !q.running {
		q.running = true
		q.ns.server.tasks.Go(q.run)
	}
}

func (q *serverSide) run() {
	finished := false
	defer func() {
		if !finished { // a handler ended the goroutine
			q.ns.server.tasks.Go(q.run)
		}
	}()
	for {
		q.mu.Lock()
		if len(q.queue) == 0 {
			q.queue, q.running = nil, false
			q.mu.Unlock()
			finished = true
			return
		}
		ev := q.queue[0]
		q.queue = q.queue[1:]
		q.mu.Unlock()
		q.dispatch(ev)
	}
}

func (q *serverSide) dispatch(ev *ServerEvent) {
	handled := false
	for _, r := range q.ns.registries() {
		r.mu.RLock()
		ls := r.server[ev.Name]
		r.mu.RUnlock()
		for _, l := range ls {
			handled = true
			q.call(l.f, ev)
		}
	}
	if !handled && ev.reply != nil {
		ev.reply(parser.Args{})
	}
}

func (q *serverSide) call(f func(*ServerEvent), ev *ServerEvent) {
	defer func() {
		if v := recover(); v != nil {
			q.ns.server.panicked(nil, ev.Name, &PanicError{Value: v, Stack: debug.Stack()})
		}
	}()
	f(ev)
}

// close drops the events that have not begun.
func (q *serverSide) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.queue = nil
}
