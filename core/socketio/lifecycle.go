package socketio

import (
	"context"
	"errors"
	"slices"

	"github.com/dunlin-io/dunlin/core/engineio"
	"github.com/dunlin-io/dunlin/core/parser"
)

// connect runs as the socket's first task: it finds the namespace, asks the
// middleware, and admits or refuses.
func (s *Socket) connect() {
	ns, err := s.conn.server.enter(s)
	if err != nil {
		s.refuse(err)
		return
	}
	s.mu.Lock()
	s.ns = ns // before any user code sees the socket
	s.mu.Unlock()
	for _, r := range ns.registries() {
		for _, m := range read(r, &r.middleware) {
			if err := s.admit(m.f); err != nil {
				s.refuse(err)
				return
			}
		}
	}
	if !s.establish() {
		ns.release()
		return
	}
	s.conn.joined()
	ns.server.stats.connected.Add(1)
	for _, r := range ns.registries() {
		for _, l := range read(r, &r.connect) {
			s.guard("connection", func() { l.f(s) })
		}
	}
}

// admit runs one middleware; a panic refuses.
func (s *Socket) admit(m Middleware) error {
	err := errors.New("middleware ended without a result") // what a runtime.Goexit leaves
	if p := s.guard("middleware", func() { err = m(s) }); p != nil {
		return errInternal
	}
	return err
}

// errInternal is all that a client is told about a panic.
var errInternal = &ConnectError{Message: "internal error"}

// establish puts the socket into the namespace, then sends CONNECT, then what
// was held back, and only then lets emits pass directly. It reports false when
// the connection went away meanwhile.
func (s *Socket) establish() bool {
	s.mu.Lock()
	early := s.early.rooms
	s.mu.Unlock()
	created, ok := s.ns.rooms.insert(s, early)
	if !ok {
		s.refuse(errInternal) // the id is taken: 120 random bits say this does not happen
		return false
	}
	s.ns.roomsCreated(created)

	next := []*engineio.Batch{s.connectPacket()}
	for {
		s.mu.Lock()
		if s.state.Load() == stateClosed {
			s.mu.Unlock()
			s.ns.remove(s)
			return false
		}
		if len(next) == 0 && len(s.early.batches) == 0 {
			s.state.Store(stateConnected)
			s.early = nil
			s.mu.Unlock()
			return true
		}
		next = append(next, s.early.batches...)
		s.early.batches, s.early.bytes = nil, 0
		s.mu.Unlock()
		for _, b := range next {
			_ = s.conn.session.Send(b) // the session reports its failure by closing
		}
		next = nil
	}
}

func (s *Socket) connectPacket() *engineio.Batch {
	b, err := s.conn.server.encode(&parser.Packet{
		Type: parser.Connect, Namespace: s.namespace,
		Payload: parser.Payload{JSON: []byte(`{"sid":"` + s.id + `"}`)},
	})
	if err != nil {
		panic(err) // the payload is ours
	}
	return b
}

// refuse answers CONNECT_ERROR. The connection stays, for other namespaces.
func (s *Socket) refuse(err error) {
	srv := s.conn.server
	if hook := srv.cfg.Hooks.OnConnectError; hook != nil {
		hook(s.namespace, s.Handshake(), err)
	}
	srv.stats.refused.Add(1)
	if s.conn.forget(s) {
		s.conn.send(connectError(s.namespace, err))
	}
	cause := &DisconnectError{Reason: ReasonServerDisconnect, Err: err}
	var acks []func(Args, error)
	s.mu.Lock()
	ns := s.ns
	if s.state.Swap(stateClosed) != stateClosed {
		acks = s.end(cause)
	}
	s.mu.Unlock()
	for _, settle := range acks {
		settle(Args{}, cause)
	}
	if ns != nil {
		ns.release()
	}
}

func connectError(namespace string, err error) *parser.Packet {
	var ce *ConnectError
	out := struct {
		Message string `json:"message"`
		Data    any    `json:"data,omitempty"`
	}{Message: err.Error()}
	if errors.As(err, &ce) {
		out.Message, out.Data = ce.Message, ce.Data
	}
	raw, encErr := parser.MakeRaw(out)
	if encErr != nil {
		out.Data = nil
		raw, _ = parser.MakeRaw(out)
	}
	return &parser.Packet{Type: parser.ConnectError, Namespace: namespace, Payload: raw.Payload()}
}

// end fails what waits for the socket. The caller holds mu and has closed the
// state; it must call the functions that end returns afterwards.
func (s *Socket) end(cause *DisconnectError) (acks []func(Args, error)) {
	s.cause = cause
	s.early = nil
	if s.cancel != nil {
		s.cancel(cause)
	}
	for _, settle := range s.acks {
		acks = append(acks, settle)
	}
	s.acks = nil
	s.conn.inbox.owe(-len(acks))
	return acks
}

// disconnect is the server's decision that the socket leaves its namespace.
func (s *Socket) disconnect(reason Reason) {
	if s.state.Load() != stateConnected {
		return
	}
	_ = s.sendPacket(&parser.Packet{Type: parser.Disconnect, Namespace: s.namespace})
	s.conn.forget(s)
	s.close(reason, nil)
}

// close ends the socket's life, once. Listeners run later, as the socket's
// last task; everything else has happened when close returns.
func (s *Socket) close(reason Reason, err error) {
	cause := &DisconnectError{Reason: reason, Err: err}
	s.mu.Lock()
	before := s.state.Swap(stateClosed)
	if before == stateClosed {
		s.mu.Unlock()
		return
	}
	acks := s.end(cause)
	s.mu.Unlock()
	for _, settle := range acks {
		settle(Args{}, cause)
	}
	if before == statePending {
		return // connect notices
	}
	rooms := append([]string{s.id}, s.ns.remove(s)...)
	s.mu.Lock()
	s.lastRooms = rooms
	s.mu.Unlock()
	s.ns.server.stats.disconnected(reason)
	if reason == ReasonServerDisconnect {
		// Whoever was thrown out is not listened to any more.
		s.queue.clear(func(ev *Event) { s.conn.inbox.leave(ev.size) })
	}
	s.queue.push(task{other: func() { s.farewell(reason) }})
}

// farewell runs the disconnecting and disconnect listeners.
func (s *Socket) farewell(reason Reason) {
	s.tell(reason, "disconnecting", func(r *registry) *list[func(*Socket, Reason)] { return &r.disconnecting })
	s.mu.Lock()
	s.lastRooms = nil
	s.mu.Unlock()
	s.tell(reason, "disconnect", func(r *registry) *list[func(*Socket, Reason)] { return &r.disconnect })
	s.ns.release()
}

func (s *Socket) tell(reason Reason, event string, of func(*registry) *list[func(*Socket, Reason)]) {
	for _, r := range s.registries() {
		for _, l := range read(r, of(r)) {
			if l.take() {
				s.guard(event, func() { l.f(s, reason) })
			}
		}
	}
}

// registries are the places where something about this socket may be
// registered: the namespace's, then its own.
func (s *Socket) registries() []*registry {
	rs := s.ns.registries()
	if own := s.handlers.Load(); own != nil {
		rs = append(slices.Clip(rs), own)
	}
	return rs
}

// heard waits until the namespace hears what is emitted to rooms.
func (n *Namespace) heard(ctx context.Context, rooms []string) error {
	if err := n.member.Ready(ctx); err != nil {
		return err
	}
	for _, ready := range n.rooms.Watched(rooms) {
		select {
		case <-ready:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
