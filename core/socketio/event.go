package socketio

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/dunlin-io/dunlin/core/parser"
)

// Handler handles one event of one socket. The handlers of one socket run one
// after the other, in the order in which its events arrived; those of
// different sockets run at the same time. A Handler may block.
type Handler func(*Event)

// Event is an event from a client, or, in an outgoing listener, to a client.
// It owns its bytes and may be kept. It has the methods of Args: Scan, Len,
// Values; see parser.Args.
type Event struct {
	Socket *Socket
	Name   string
	Args

	id    uint64
	size  int
	wants bool
	acked atomic.Bool
}

// Context is the socket's context: it ends when the socket is disconnected.
func (ev *Event) Context() context.Context { return ev.Socket.Context() }

// WantsAck reports whether the client asked for an acknowledgement.
func (ev *Event) WantsAck() bool { return ev.wants }

// Ack answers the client. Only the first call sends something; the others
// return ErrAcked. It does nothing when the client wants no acknowledgement.
// It may be called after the handler has returned, from any goroutine.
func (ev *Event) Ack(args ...any) error {
	if !ev.wants {
		return nil
	}
	a, err := parser.MakeArgs(args...)
	if err != nil {
		return err
	}
	if ev.acked.Swap(true) {
		return ErrAcked
	}
	return ev.Socket.sendPacket(&parser.Packet{
		Type: parser.Ack, Namespace: ev.Socket.namespace, ID: ev.id, HasID: true, Payload: a.Payload(),
	})
}

// run handles the event and gives its place in the inbox back.
func (ev *Event) run() {
	defer ev.Socket.conn.inbox.leave(ev.size)
	if ev.Socket.admitted {
		ev.Socket.dispatch(ev)
	}
}

// listener is one registered function; F is its type.
type listener[F any] struct {
	f    F
	once bool
	done atomic.Bool
}

// take reports whether the listener is to be called now.
func (l *listener[F]) take() bool { return !l.once || !l.done.Swap(true) }

// list is a list of listeners. A slice that was read is never changed.
type list[F any] []*listener[F]

func (l list[F]) with(x *listener[F]) list[F]   { return append(slices.Clip(l), x) }
func (l list[F]) before(x *listener[F]) list[F] { return append(list[F]{x}, l...) }
func (l list[F]) without(x *listener[F]) list[F] {
	return slices.DeleteFunc(slices.Clone(l), func(o *listener[F]) bool { return o == x })
}

// registry holds what a user has registered on a namespace, a family of
// dynamic namespaces, or a socket.
type registry struct {
	mu            sync.RWMutex // guards the following
	named         map[string]list[Handler]
	incoming      list[Handler]
	outgoing      list[Handler]
	uses          list[func(*Event) error]
	connect       list[func(*Socket)]
	middleware    list[Middleware]
	disconnecting list[func(*Socket, Reason)]
	disconnect    list[func(*Socket, Reason)]
	server        map[string]list[func(*ServerEvent)]
}

// add puts x into *l and returns what takes it out again.
func add[F any](r *registry, l *list[F], x *listener[F], first bool) (off func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if first {
		*l = l.before(x)
	} else {
		*l = l.with(x)
	}
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		*l = l.without(x)
	}
}

// addNamed is add for a map of lists, which forgets empty ones.
func addNamed[F any](r *registry, m *map[string]list[F], name string, x *listener[F]) (off func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if *m == nil {
		*m = make(map[string]list[F])
	}
	(*m)[name] = (*m)[name].with(x)
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if rest := (*m)[name].without(x); len(rest) > 0 {
			(*m)[name] = rest
		} else {
			delete(*m, name)
		}
	}
}

// read returns a list as it is now.
func read[F any](r *registry, l *list[F]) list[F] {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return *l
}

// insteadOf says what to use for the names that mean something on a JavaScript
// server and are no events here.
var insteadOf = map[string]string{
	"connect":       "OnConnect",
	"connection":    "OnConnect",
	"disconnecting": "OnDisconnecting",
	"disconnect":    "OnDisconnect",
}

// on registers a handler. For a name that clients cannot emit, or hardly mean
// to, it says what was probably meant.
func (r *registry) on(log *slog.Logger, event string, h Handler, once bool) (off func()) {
	if use := insteadOf[event]; use != "" {
		log.Warn("On registers handlers for events that clients emit; the life of sockets has its own functions",
			"event", event, "use", use)
	}
	x := &listener[Handler]{f: h, once: once}
	off = addNamed(r, &r.named, event, x)
	if once {
		x.f = func(ev *Event) {
			off()
			h(ev)
		}
	}
	return off
}

func (r *registry) handlers(event string) list[Handler] {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.named[event]
}
