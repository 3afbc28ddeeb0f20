package socketio

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"regexp"
	"sync"
	"sync/atomic"

	"github.com/dunlin-io/dunlin/core/cluster"
)

// Middleware decides whether a socket may join its namespace. It runs before
// the socket is connected, may block, and refuses with an error: a
// *ConnectError carries data to the client. Events emitted and rooms joined
// meanwhile take effect when the socket is connected.
type Middleware func(*Socket) error

// Namespace is a part of the server that clients join on its own. As a
// BroadcastOperator it acts on everybody in it. Its methods may be called from
// any goroutine.
type Namespace struct {
	operator
	shared
	name   string
	server *Server
	member *cluster.Member
	rooms  *rooms
	parent *ParentNamespace // of a dynamic namespace
	places []*registry      // the parent's and its own
	acks   atomic.Uint64    // the next acknowledgement id
	serial *serverSide

	recovery recovery // nil: off

	outgoingAny atomic.Bool // an outgoing listener was registered once

	// Guarded by server.mu.
	sockets int  // in the namespace, or about to be
	pinned  bool // the application asked for it: it stays without sockets
}

// shared is what one registers alike on a namespace and on a family of dynamic
// namespaces.
type shared struct {
	registry *registry
	log      *slog.Logger
	noted    func() // an outgoing listener was registered
}

// Use adds middleware for sockets that join. They run in order, the first
// error refuses.
func (h *shared) Use(ms ...Middleware) {
	for _, m := range ms {
		add(h.registry, &h.registry.middleware, &listener[Middleware]{f: m}, false)
	}
}

// OnConnect registers a function for each new socket. It returns before the
// socket's first event is handled.
func (h *shared) OnConnect(f func(*Socket)) (off func()) {
	return add(h.registry, &h.registry.connect, &listener[func(*Socket)]{f: f}, false)
}

// On registers a handler for the events of that name of every socket. It costs
// no memory per client. Sockets coming and going are no events: see OnConnect,
// OnDisconnecting and OnDisconnect.
func (h *shared) On(event string, f Handler) (off func()) {
	return h.registry.on(h.log, event, f, false)
}

// Once is On for the first such event of any socket.
func (h *shared) Once(event string, f Handler) (off func()) {
	return h.registry.on(h.log, event, f, true)
}

// OnAnyIncoming registers a listener for every event from any socket.
func (h *shared) OnAnyIncoming(f Handler) (off func()) {
	return add(h.registry, &h.registry.incoming, &listener[Handler]{f: f}, false)
}

// OnAnyOutgoing registers a listener for every event to any socket, once for
// each recipient. It runs on the goroutine that emits and must not block.
func (h *shared) OnAnyOutgoing(f Handler) (off func()) {
	defer h.noted()
	return add(h.registry, &h.registry.outgoing, &listener[Handler]{f: f}, false)
}

// UseEvent adds a middleware for the events of every socket, as Socket.Use
// does for one.
func (h *shared) UseEvent(m func(*Event) error) (off func()) {
	return add(h.registry, &h.registry.uses, &listener[func(*Event) error]{f: m}, false)
}

// OnDisconnecting registers a listener for sockets that leave; Socket.Rooms
// still tells where they were.
func (h *shared) OnDisconnecting(f func(*Socket, Reason)) (off func()) {
	return add(h.registry, &h.registry.disconnecting, &listener[func(*Socket, Reason)]{f: f}, false)
}

// OnDisconnect registers a listener for the end of sockets that were
// connected.
func (h *shared) OnDisconnect(f func(*Socket, Reason)) (off func()) {
	return add(h.registry, &h.registry.disconnect, &listener[func(*Socket, Reason)]{f: f}, false)
}

// OnServerSide registers a handler for the server-side events of that name
// that other nodes emit.
func (h *shared) OnServerSide(event string, f func(*ServerEvent)) (off func()) {
	return addNamed(h.registry, &h.registry.server, event, &listener[func(*ServerEvent)]{f: f})
}

func newNamespace(srv *Server, name string, parent *ParentNamespace) *Namespace {
	n := &Namespace{name: name, server: srv, parent: parent, rooms: newRooms()}
	n.operator = operator{ns: n}
	n.shared = shared{registry: &registry{}, log: srv.cfg.Logger, noted: func() { n.outgoingAny.Store(true) }}
	n.places = []*registry{n.registry}
	if parent != nil {
		n.places = []*registry{parent.registry, n.registry}
	}
	n.serial = newServerSide(n)
	return n
}

// open joins the namespace's conversation with the other nodes. It is called
// once, before the namespace is used.
func (n *Namespace) open() {
	cluster.Open(n.server.cfg.Adapter, cluster.MemberConfig{
		Namespace:      n.name,
		Self:           n.server.cfg.NodeID,
		Local:          (*delivery)(n),
		RequestTimeout: n.server.cfg.RequestTimeout,
		OnGap: func(g cluster.Gap) {
			n.server.stats.gaps.Add(1)
			n.server.stats.missed.Add(g.Missed)
			if hook := n.server.cfg.Hooks.OnGap; hook != nil {
				hook(n.name, g)
			}
		},
		Opened: func(m *cluster.Member) {
			n.member = m
			if m.WatchesRooms() {
				n.rooms.watch, n.rooms.unwatch = m.WatchRoom, m.UnwatchRoom
			}
			n.openRecovery(m)
		},
		Recorded:  func(m cluster.Message) { n.recorded(m) },
		TakenOver: func(pid string, reply func(cluster.Session)) { n.takenOver(pid, reply) },
	})
}

func (n *Namespace) close() error {
	if n.recovery != nil {
		n.recovery.close() // it still needs the link
	}
	err := n.member.Close()
	n.serial.close()
	return err
}

// inOrder runs f after what was sent before, where sending has an order.
func (n *Namespace) inOrder(f func()) {
	if n.recovery != nil {
		n.recovery.inOrder(f)
		return
	}
	f()
}

// Name returns the namespace's name, with its leading slash.
func (n *Namespace) Name() string { return n.name }

// Socket returns this node's socket with that id.
func (n *Namespace) Socket(id string) (*Socket, bool) { return n.rooms.Socket(id) }

// Sockets returns this node's sockets at the time of the call.
func (n *Namespace) Sockets() iter.Seq[*Socket] {
	return func(yield func(*Socket) bool) {
		for _, s := range n.rooms.Select(&cluster.Target{}) {
			if !yield(s) {
				return
			}
		}
	}
}

// Len returns how many sockets this node has in the namespace.
func (n *Namespace) Len() int { return n.rooms.Len() }

// Rooms names the rooms of all nodes, sockets' ids included, each once and in
// no order. The error is a *PartialError when a node did not answer.
func (n *Namespace) Rooms(ctx context.Context) ([]string, error) { return n.member.Rooms(ctx) }

// registries are where something about the namespace may be registered. The
// slice is not changed.
func (n *Namespace) registries() []*registry { return n.places }

func (n *Namespace) listensOutgoing() bool {
	return n.outgoingAny.Load() || n.parent != nil && n.parent.outgoingAny.Load()
}

// remove takes a socket out of the index and returns the rooms it was in.
func (n *Namespace) remove(s *Socket) (left []string) {
	left, gone := n.rooms.delete(s)
	n.roomsDeleted(gone)
	return left
}

// release says that a socket has left for good, so that a dynamic namespace
// can end.
func (n *Namespace) release() { n.server.leave(n) }

var errTooManyRooms = errors.New("socketio: too many rooms for one socket")

func (n *Namespace) tooManyRooms(s *Socket) error {
	limit := n.server.cfg.Limits.Rooms
	n.server.cfg.Logger.Warn("room limit reached: raise Limits.Rooms if this is meant",
		"namespace", n.name, "socket", s.id, "limit", limit)
	return fmt.Errorf("%w: more than %d", errTooManyRooms, limit)
}

func (n *Namespace) roomsCreated(names []string) { n.toldRooms(names, true) }
func (n *Namespace) roomsDeleted(names []string) { n.toldRooms(names, false) }

func (n *Namespace) toldRooms(names []string, created bool) {
	hook := n.server.cfg.Hooks.OnRoom
	if hook == nil {
		return
	}
	for _, name := range names {
		hook(n.name, name, created)
	}
}

// ParentNamespace is a family of dynamic namespaces, which come into being
// when a client asks for one that matches, and end with their last socket.
// What is registered here holds for all of them, also for those that exist.
type ParentNamespace struct {
	shared
	server      *Server
	pattern     *regexp.Regexp // of whole names; nil when match decides
	match       func(ctx context.Context, name string, h *Handshake) (bool, error)
	outgoingAny atomic.Bool

	mu       sync.Mutex // guards the following
	children map[string]*Namespace
}

// Emit emits to everybody in every namespace of the family that exists on this
// node, and through them on the other nodes. It returns the first error.
func (p *ParentNamespace) Emit(event string, args ...any) error {
	var first error
	for n := range p.Namespaces() {
		if err := n.Emit(event, args...); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// Namespaces returns the namespaces of the family on this node.
func (p *ParentNamespace) Namespaces() iter.Seq[*Namespace] {
	return func(yield func(*Namespace) bool) {
		p.mu.Lock()
		ns := make([]*Namespace, 0, len(p.children))
		for _, n := range p.children {
			ns = append(ns, n)
		}
		p.mu.Unlock()
		for _, n := range ns {
			if !yield(n) {
				return
			}
		}
	}
}

func (p *ParentNamespace) note(n *Namespace, alive bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if alive {
		p.children[n.name] = n
		return
	}
	if p.children[n.name] == n {
		delete(p.children, n.name)
	}
}
