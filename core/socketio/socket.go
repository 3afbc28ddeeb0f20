package socketio

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/dunlin-io/dunlin/core/engineio"
	"github.com/dunlin-io/dunlin/core/parser"
)

// A socket's life: pending while middleware runs; greeted once CONNECT went
// out, while what was held back follows; then connected, then closed.
const (
	statePending int32 = iota
	stateGreeted
	stateConnected
	stateClosed
)

// Socket is a client's place in one namespace. Every method may be called from
// any goroutine.
type Socket struct {
	id        string // changes only before any user code sees the socket
	pid       string // the secret by which a client continues; empty without recovery
	namespace string // its name, known before ns is
	ns        *Namespace
	conn      *conn
	queue     serial
	state     atomic.Int32
	handlers  atomic.Pointer[registry] // nil until something is registered
	admitted  bool                     // connect has let it in; belongs to queue
	dismissed atomic.Bool              // DISCONNECT waits behind what was sent before, which still goes out
	kept      *kept                    // what the cluster keeps of it; nil before begin and without a log

	// Guarded by ns.rooms.
	in    []membership
	at    int
	mark  uint64
	past  *presence       // the rooms it has left; nil when there are none
	heard <-chan struct{} // closed when what others send to its id arrives; nil: nothing to wait for

	mu        sync.Mutex // guards the following, and changes of state
	auth      parser.Payload
	data      json.RawMessage
	values    map[any]any
	early     *early // nil once connected
	acks      map[uint64]func(Args, error)
	lastRooms []string // of a closed socket, until its disconnecting listeners have run
	cause     *DisconnectError
	recovered RecoveryState
	ctx       context.Context
	cancel    context.CancelCauseFunc
}

// early is what a socket was given before it was connected.
type early struct {
	held  []held
	bytes int
	rooms []string
}

// held is something to send: an encoded packet that others get too, or an event
// of this socket's own, which is encoded when its turn comes.
type held struct {
	batch *engineio.Batch
	event *parser.Packet
}

// ID identifies the socket in the cluster: 20 URL-safe characters, known to
// its client. It is also the name of a room with this one member.
func (s *Socket) ID() string { return s.id }

// Namespace is where the socket is.
func (s *Socket) Namespace() *Namespace { return s.ns }

// Connected reports whether the socket has been admitted and has not left.
func (s *Socket) Connected() bool { return s.state.Load() == stateConnected }

// Recovery says whether the socket continues an earlier one of the same client.
func (s *Socket) Recovery() RecoveryState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.recovered
}

// Handshake returns the request that opened the connection, and the auth
// payload. Each call makes a new one.
func (s *Socket) Handshake() *Handshake {
	s.mu.Lock()
	auth := s.auth
	s.mu.Unlock()
	return newHandshake(s.conn.session.Handshake(), auth)
}

// Transport is what the connection uses now: "polling" or "websocket".
func (s *Socket) Transport() string { return s.conn.session.Transport() }

// Context holds the values of Config.Admit's context. It is cancelled when the
// socket is disconnected, with a *DisconnectError as its cause.
func (s *Socket) Context() context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx == nil {
		s.ctx, s.cancel = context.WithCancelCause(context.WithoutCancel(s.conn.session.Context()))
		if s.cause != nil {
			s.cancel(s.cause)
		}
	}
	return s.ctx
}

// Rooms returns the rooms that the socket is in, its own id first. In a
// disconnecting listener they are those that it was in; afterwards there are
// none.
func (s *Socket) Rooms() []string {
	s.mu.Lock()
	switch s.state.Load() {
	case statePending:
		defer s.mu.Unlock()
		return append([]string{s.id}, s.early.rooms...)
	case stateClosed:
		defer s.mu.Unlock()
		return slices.Clone(s.lastRooms)
	}
	s.mu.Unlock()
	return s.ns.rooms.Of(s)
}

// InRoom reports whether the room is one of Rooms.
func (s *Socket) InRoom(room string) bool {
	switch s.state.Load() {
	case statePending, stateClosed:
		return slices.Contains(s.Rooms(), room)
	}
	return s.ns.rooms.In(s, room)
}

// Join adds the socket to rooms, on this node at once. A socket that has left
// joins nothing. Rooms beyond Limits.Rooms are refused and logged.
func (s *Socket) Join(rooms ...string) { _ = s.join(rooms) }

// JoinWait adds the socket to rooms and returns once nothing that is emitted
// to them anywhere in the cluster from now on can be missed. On an error of
// ctx the socket is in the rooms nevertheless.
func (s *Socket) JoinWait(ctx context.Context, rooms ...string) error {
	if err := s.join(rooms); err != nil {
		return err
	}
	return s.ns.heard(ctx, rooms)
}

func (s *Socket) join(rooms []string) error {
	s.mu.Lock()
	if s.state.Load() == statePending {
		defer s.mu.Unlock()
		joined := slices.Clone(s.early.rooms)
		for _, r := range rooms {
			if r != s.id && !slices.Contains(joined, r) {
				joined = append(joined, r)
			}
		}
		if len(joined) > s.conn.server.cfg.Limits.Rooms {
			return s.ns.tooManyRooms(s)
		}
		s.early.rooms = joined
		return nil
	}
	s.mu.Unlock()
	created, err := s.ns.rooms.Join(s, rooms, s.conn.server.cfg.Limits.Rooms)
	if errors.Is(err, errTooManyRooms) {
		return s.ns.tooManyRooms(s)
	}
	s.ns.roomsCreated(created)
	s.changed()
	return err
}

// changed says that rooms or data are others now.
func (s *Socket) changed() {
	if r := s.ns.recovery; r != nil {
		r.changed(s)
	}
}

// Leave takes the socket out of rooms. It stays in the room of its own id.
func (s *Socket) Leave(rooms ...string) {
	s.mu.Lock()
	if s.state.Load() == statePending {
		defer s.mu.Unlock()
		s.early.rooms = slices.DeleteFunc(s.early.rooms, func(r string) bool { return slices.Contains(rooms, r) })
		return
	}
	s.mu.Unlock()
	s.ns.roomsDeleted(s.ns.rooms.Leave(s, rooms))
	if r := s.ns.recovery; r != nil {
		// What was emitted before is for the rooms' members of then.
		r.inOrder(func() { s.ns.rooms.settle(s, s.ns.rooms.position()) })
		r.changed(s)
	}
}

// LeaveAll takes the socket out of every room but its own id.
func (s *Socket) LeaveAll() {
	if rooms := s.Rooms(); len(rooms) > 1 {
		s.Leave(rooms[1:]...)
	}
}

// SetData stores the application's data about the socket. It is encoded as
// JSON at once, so that other nodes can see it (BroadcastOperator.FetchSockets)
// without a race. For values of this process alone use a Key.
func (s *Socket) SetData(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.data = b
	pending := s.state.Load() == statePending
	s.mu.Unlock()
	if !pending {
		s.changed()
	}
	return nil
}

// ScanData decodes what SetData has stored. Without data, dst stays as it is.
func (s *Socket) ScanData(dst any) error {
	s.mu.Lock()
	data := s.data
	s.mu.Unlock()
	if data == nil {
		return nil
	}
	return json.Unmarshal(data, dst)
}

// Disconnect takes the socket out of its namespace. The client is told, does
// not come back by itself, and keeps its other namespaces.
func (s *Socket) Disconnect() { s.disconnect(ReasonServerDisconnect) }

// DisconnectConn takes every socket of the connection out of its namespace and
// closes the connection. The client does not come back by itself.
func (s *Socket) DisconnectConn() {
	s.conn.disconnect(ReasonServerDisconnect)
}

// CloseTransport closes the connection. To the client it looks like a network
// failure: it reconnects.
func (s *Socket) CloseTransport() { s.conn.session.Close() }

// Pending returns how many bytes wait for the connection to take them.
func (s *Socket) Pending() int { return s.conn.session.Pending() }

// Drained returns once what was emitted has been handed to the network.
func (s *Socket) Drained(ctx context.Context) error {
	if s.ns.recovery != nil {
		passed := make(chan struct{})
		s.ns.inOrder(func() { close(passed) })
		select {
		case <-passed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return s.conn.session.Drained(ctx)
}

// Key is a place for a value that belongs to a socket in this process. It is
// neither encoded nor seen by other nodes, and a recovered socket begins
// without it (what SetData stored it keeps).
type Key[T any] struct{ _ byte }

// NewKey returns a key that is different from all others.
func NewKey[T any]() *Key[T] { return new(Key[T]) }

// Set stores v.
func (k *Key[T]) Set(s *Socket, v T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.values == nil {
		s.values = make(map[any]any)
	}
	s.values[k] = v
}

// Get returns the value stored last.
func (k *Key[T]) Get(s *Socket) (v T, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok = s.values[k].(T)
	return v, ok
}
