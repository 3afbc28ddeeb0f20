package socketio

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/parser"
)

// Emitter acts on the sockets of a cluster from a process that serves none: a
// job, a backend, a command. It is no node: nobody counts it or asks it, and it
// hears nothing. It has the methods of its EmitterNamespace "/". Safe for
// concurrent use.
type Emitter struct {
	*EmitterNamespace

	// MaxAttachments is how many binary values an event may hold, as
	// Limits.Parser.MaxAttachments of the servers says what their clients take;
	// 0 means parser.DefaultMaxAttachments, a negative value no limit, which
	// clients with the msgpack parser know none of. Set it before the first
	// event.
	MaxAttachments int

	adapter cluster.Adapter

	mu         sync.Mutex // guards the following
	namespaces map[string]*EmitterNamespace
	closed     bool
}

// NewEmitter returns an emitter that publishes through a, which is the kind of
// adapter that the servers have, with the same options. It does no I/O.
//
// What is emitted leaves in the background. A process that is about to end calls
// Flush, then Close, and then closes the adapter.
func NewEmitter(a cluster.Adapter) *Emitter {
	e := &Emitter{adapter: a, namespaces: make(map[string]*EmitterNamespace)}
	e.EmitterNamespace = e.Of("/")
	return e
}

// Of returns the namespace of that name, which the emitter remembers until
// Close. The leading slash may be left out.
func (e *Emitter) Of(name string) *EmitterNamespace {
	if !strings.HasPrefix(name, "/") {
		name = "/" + name
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if n := e.namespaces[name]; n != nil {
		return n
	}
	n := &EmitterNamespace{emitter: e, name: name, link: e.adapter.Open(name, "", nil)}
	n.EmitterOperator = EmitterOperator{ns: n}
	e.namespaces[name] = n
	if e.closed {
		_ = n.link.Close() // it exists, and everything on it says ErrClosed
	}
	return n
}

func (e *Emitter) all() []*EmitterNamespace {
	e.mu.Lock()
	defer e.mu.Unlock()
	ns := make([]*EmitterNamespace, 0, len(e.namespaces))
	for _, n := range e.namespaces {
		ns = append(ns, n)
	}
	return ns
}

// Flush returns once the bus has everything that was emitted before the call. It
// fails when ctx ends first, which loses nothing that still waits, and with a
// *cluster.LostError when some was lost since the last Flush.
//
// Nil does not mean that a server has heard it: a bus keeps no count of that.
func (e *Emitter) Flush(ctx context.Context) error {
	var errs []error
	for _, n := range e.all() {
		if f, ok := n.link.(cluster.Flusher); ok {
			if err := f.Flush(ctx); err != nil {
				errs = append(errs, fmt.Errorf("socketio: flush namespace %q: %w", n.name, err))
			}
		}
	}
	return errors.Join(errs...)
}

// Close ends the emitter, whose methods return ErrClosed from then on. It does
// not wait for what was emitted (see Flush), and leaves the adapter open, which
// goes on publishing it.
func (e *Emitter) Close() error {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	var errs []error
	for _, n := range e.all() {
		errs = append(errs, n.link.Close())
	}
	return errors.Join(errs...)
}

// EmitterNamespace is a namespace as an Emitter sees it. It has the methods of
// an EmitterOperator that selects every socket in it.
type EmitterNamespace struct {
	EmitterOperator
	emitter *Emitter
	name    string
	link    cluster.Link
}

// Name returns the namespace's name, with its leading slash.
func (n *EmitterNamespace) Name() string { return n.name }

// Nodes returns how many servers have the namespace now. None may be a mistake
// in the namespace or in the adapter's options, or a dynamic namespace without
// clients.
func (n *EmitterNamespace) Nodes(ctx context.Context) (int, error) {
	m, err := n.link.Members(ctx)
	if err != nil {
		return 0, emitterError(err)
	}
	return m.Len(), nil
}

// ServerSideEmit sends an event to all servers (Namespace.OnServerSide).
func (n *EmitterNamespace) ServerSideEmit(event string, args ...any) error {
	p, err := encodeServerSide(event, args)
	if err != nil {
		return err
	}
	return n.publish(cluster.Emit{Payload: p})
}

func (n *EmitterNamespace) publish(b cluster.Body) error {
	return emitterError(n.link.Publish(cluster.Message{Namespace: n.name, Body: b}))
}

func emitterError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, cluster.ErrClosed):
		return ErrClosed
	}
	return fmt.Errorf("socketio: emitter: %w", err)
}

// EmitterOperator acts on sockets of a namespace on all nodes, as
// BroadcastOperator does on a server. It is an immutable value: each modifier
// returns another one. The methods of the zero value return ErrClosed.
//
// None of them waits for the bus: a nil error means that the operation is on its
// way. Emitter.Flush waits, and tells of losses. Operations of one goroutine
// arrive in their order.
type EmitterOperator struct {
	ns     *EmitterNamespace
	target cluster.Target
	scoped bool // To was called: no rooms means nobody
}

// To narrows to the members of any of the rooms; several calls add up, and each
// socket is reached once. A socket's id is a room. An operator that was given
// only empty lists reaches nobody.
func (o EmitterOperator) To(rooms ...string) EmitterOperator {
	o.target.Rooms = union(o.target.Rooms, rooms)
	o.scoped = true
	return o
}

// In is To.
func (o EmitterOperator) In(rooms ...string) EmitterOperator { return o.To(rooms...) }

// Except leaves out the members of the rooms.
func (o EmitterOperator) Except(rooms ...string) EmitterOperator {
	o.target.Except = union(o.target.Except, rooms)
	return o
}

// Volatile lets a socket miss an event that its connection cannot take at once.
func (o EmitterOperator) Volatile() EmitterOperator { o.target.Volatile = true; return o }

// Compress says whether events may be compressed.
func (o EmitterOperator) Compress(on bool) EmitterOperator { o.target.Compress = &on; return o }

// Emit sends an event to the selected sockets. Arguments are encoded before it
// returns, as by Socket.Emit.
func (o EmitterOperator) Emit(event string, args ...any) error {
	if o.ns == nil {
		return ErrClosed
	}
	payload, err := encodeEvent(event, args)
	if err != nil {
		return err
	}
	most := o.ns.emitter.MaxAttachments
	if most == 0 {
		most = parser.DefaultMaxAttachments
	}
	if n := len(payload.Attachments); most > 0 && n > most {
		return fmt.Errorf("socketio: event %q holds %d binary values and clients close the connection at more than %d: "+
			"send fewer, or raise Emitter.MaxAttachments if your clients take more: %w", event, n, most, parser.ErrTooMany)
	}
	return o.publish(cluster.Broadcast{
		Target: o.target,
		Packet: &parser.Packet{Type: parser.Event, Namespace: o.ns.name, Payload: payload},
	})
}

// Send emits "message".
func (o EmitterOperator) Send(args ...any) error { return o.Emit("message", args...) }

// SocketsJoin makes the selected sockets join rooms. Where nodes subscribe room by
// room, an event to a room that its node has not had before may come too early.
func (o EmitterOperator) SocketsJoin(rooms ...string) error {
	if len(rooms) == 0 {
		return nil
	}
	return o.publish(cluster.Join{Target: o.target, Rooms: union(nil, rooms)})
}

// SocketsLeave makes the selected sockets leave rooms.
func (o EmitterOperator) SocketsLeave(rooms ...string) error {
	if len(rooms) == 0 {
		return nil
	}
	return o.publish(cluster.Leave{Target: o.target, Rooms: union(nil, rooms)})
}

// DisconnectSockets does Socket.Disconnect to the selected sockets.
func (o EmitterOperator) DisconnectSockets() error {
	return o.publish(cluster.Disconnect{Target: o.target})
}

// DisconnectConns does Socket.DisconnectConn to the selected sockets.
func (o EmitterOperator) DisconnectConns() error {
	return o.publish(cluster.Disconnect{Target: o.target, Close: true})
}

func (o EmitterOperator) publish(b cluster.Body) error {
	switch {
	case o.ns == nil:
		return ErrClosed
	case o.scoped && len(o.target.Rooms) == 0:
		return nil // nobody is selected
	}
	return o.ns.publish(b)
}
