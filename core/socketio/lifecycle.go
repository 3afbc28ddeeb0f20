package socketio

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/dunlin-io/dunlin/core/parser"
)

// connect runs as the socket's first task: it finds the namespace, looks for an
// earlier session, asks the middleware, and admits or refuses.
func (s *Socket) connect() {
	decided := false
	defer func() {
		if !decided { // user code ended the goroutine
			s.refuse(errInternal)
		}
	}()
	ns, err := s.conn.server.enter(s)
	if err != nil {
		decided = true
		s.refuse(err)
		return
	}
	s.mu.Lock()
	s.ns = ns // before any user code sees the socket
	s.mu.Unlock()
	earlier := s.resume()
	if earlier != nil {
		defer ns.recovery.release(earlier)
	}
	asked := earlier == nil || !ns.server.cfg.Recovery.SkipMiddleware
	if asked {
		err = s.ask()
	}
	if err == nil {
		err = s.enter(earlier)
	}
	if errors.Is(err, errMovedOn) { // begin afresh
		if err = nil; !asked {
			err = s.ask()
		}
		if err == nil {
			err = s.enter(nil)
		}
	}
	decided = true
	switch {
	case errors.Is(err, errRoomsClosed):
		s.refuse(errInvalidNamespace)
		return
	case errors.Is(err, errGoneAway):
		ns.release()
		return
	case err != nil:
		s.refuse(err)
		return
	}
	s.admitted = true
	s.conn.joined()
	ns.server.stats.connected.Add(1)
	if recovered := s.Recovery(); recovered.Reason != RecoveryNotAsked {
		ns.server.stats.recovery(recovered.Reason)
	}
	var steps []func()
	for _, r := range ns.registries() {
		for _, l := range read(r, &r.connect) {
			steps = append(steps, func() { _ = s.guard("connection", func() { l.f(s) }) })
		}
	}
	inTurn(steps)
}

// ask asks the middleware.
func (s *Socket) ask() error {
	for _, r := range s.ns.registries() {
		for _, m := range read(r, &r.middleware) {
			if err := s.admit(m.f); err != nil {
				return err
			}
		}
	}
	return nil
}

// enter runs establish in the order of what the namespace sends.
func (s *Socket) enter(e *earlier) error {
	established := make(chan error, 1)
	s.ns.inOrder(func() { established <- s.establish(e) })
	return <-established
}

// inTurn runs all steps, whatever they do: one that ends the goroutine
// (runtime.Goexit) takes the others along as deferred calls.
func inTurn(steps []func()) {
	if len(steps) > 0 {
		defer inTurn(steps[1:])
		steps[0]()
	}
}

// resume takes over what is kept of the client's earlier socket, if it claims
// one and it is there.
func (s *Socket) resume() *earlier {
	r := s.ns.recovery
	if r == nil {
		return nil
	}
	s.pid = newID()
	c := claimed(s.auth)
	if c == nil {
		return nil
	}
	e, reason := r.resume(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recovered = RecoveryState{Recovered: reason == RecoveryDone, Reason: reason}
	switch {
	case reason != RecoveryDone:
		return nil
	case s.early == nil: // the connection has gone meanwhile
		r.giveBack(e)
		r.release(e)
		return nil
	}
	// The secret stays the same: the official client compares it to tell whether
	// it was recovered.
	s.id, s.pid, s.data = e.id, e.pid, e.data
	s.early.rooms = slices.Sorted(maps.Keys(e.rooms))
	return e
}

// admit runs one middleware; a panic refuses.
func (s *Socket) admit(m Middleware) error {
	var err error
	if p := s.guard("middleware", func() { err = m(s) }); p != nil {
		return errInternal
	}
	return err
}

// errInternal is all that a client is told about a panic.
var errInternal = &ConnectError{Message: "internal error"}

// Why establish fails.
var (
	errGoneAway = errors.New("socketio: the connection is gone")
	errMovedOn  = errors.New("socketio: history has moved on while the client was being recovered")
)

// establish puts the socket into the namespace, then sends CONNECT, then what
// the client has missed and what was held back, and only then lets emits pass
// directly. It fails when the connection or the namespace went away before
// CONNECT, and when a client cannot be recovered after all.
func (s *Socket) establish(e *earlier) error {
	missed, created, err := s.greet(e)
	if err != nil {
		if e != nil && !errors.Is(err, errMovedOn) {
			s.ns.recovery.giveBack(e)
		}
		return err
	}
	s.ns.roomsCreated(created)
	for _, p := range missed {
		s.conn.send(p)
	}
	for {
		s.mu.Lock()
		if s.state.Load() == stateClosed { // it was connected all the same: its farewell follows
			s.mu.Unlock()
			return nil
		}
		next := s.early.held
		if len(next) == 0 {
			s.state.Store(stateConnected)
			s.early = nil
			s.mu.Unlock()
			return nil
		}
		s.early.held, s.early.bytes = nil, 0
		s.mu.Unlock()
		for _, h := range next {
			s.sendHeld(h)
		}
	}
}

// greet puts the socket into the index and sends CONNECT. From here on the
// client may send events, and the server may end the socket, which comes after
// CONNECT because of the lock. Sending does not wait.
func (s *Socket) greet(e *earlier) (missed []*parser.Packet, created []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.Load() == stateClosed {
		return nil, nil, errGoneAway
	}
	if missed, err = s.replay(e); err != nil {
		return nil, nil, err
	}
	insert := func() error {
		created, err = s.ns.rooms.insert(s, s.early.rooms)
		for errors.Is(err, errIDTaken) { // a recovered socket may meet its own past
			s.id = newID()
			created, err = s.ns.rooms.insert(s, s.early.rooms)
		}
		return err
	}
	r := s.ns.recovery
	if r == nil {
		err = insert()
	} else {
		err = r.admit(s, e, insert)
	}
	if err != nil {
		return nil, nil, err
	}
	if e != nil {
		s.ns.rooms.backdate(s, &e.presence)
	}
	if r != nil {
		r.begin(s, e)
	}
	s.state.Store(stateGreeted)
	s.conn.send(s.connectPacket())
	return missed, created, nil
}

// replay returns the events that the client has missed. The caller holds mu.
func (s *Socket) replay(e *earlier) ([]*parser.Packet, error) {
	if e == nil {
		return nil, nil
	}
	before := e.rooms
	missed, reason := s.ns.recovery.missed(e)
	if reason != RecoveryDone {
		// The middleware took too long. What it gave to the socket stays, what was
		// restored does not.
		s.recovered = RecoveryState{Reason: reason}
		s.pid, s.data = newID(), nil
		e.rooms = nil
	}
	s.early.rooms = slices.DeleteFunc(s.early.rooms, func(room string) bool {
		_, restored := before[room]
		_, still := e.rooms[room]
		return restored && !still
	})
	for room := range e.rooms { // joined while the client was away
		if _, known := before[room]; !known && !slices.Contains(s.early.rooms, room) {
			s.early.rooms = append(s.early.rooms, room)
		}
	}
	if reason != RecoveryDone {
		return nil, errMovedOn
	}
	return missed, nil
}

func (s *Socket) sendHeld(h held) {
	r := s.ns.recovery
	switch {
	case r == nil && h.event != nil:
		s.conn.send(h.event)
	case r == nil:
		_ = s.conn.session.Send(h.batch) // the session reports its failure by closing
	case h.event != nil:
		r.held(s, h.event)
	default:
		r.next(func() { _ = s.conn.session.Send(h.batch) })
	}
}

func (s *Socket) connectPacket() *parser.Packet {
	payload := `{"sid":"` + s.id + `"}`
	if s.pid != "" {
		payload = `{"sid":"` + s.id + `","pid":"` + s.pid + `"}`
	}
	return &parser.Packet{Type: parser.Connect, Namespace: s.namespace, Payload: parser.Payload{JSON: []byte(payload)}}
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
	s.mu.Lock()
	state := s.state.Load()
	s.mu.Unlock()
	if state != stateGreeted && state != stateConnected {
		return
	}
	s.dismiss()
	s.conn.forget(s)
	s.close(reason, nil)
}

// dismiss sends DISCONNECT, behind what was sent before.
func (s *Socket) dismiss() {
	s.dismissed.Store(true)
	s.ns.inOrder(func() {
		s.dismissed.Store(false)
		s.conn.send(&parser.Packet{Type: parser.Disconnect, Namespace: s.namespace})
	})
}

// close ends the socket's life, once. Listeners run later, as the socket's
// last task; everything else has happened when close returns.
func (s *Socket) close(reason Reason, err error) {
	cause := &DisconnectError{Reason: reason, Err: err}
	var f farewell
	s.mu.Lock()
	if s.state.Load() >= stateGreeted && s.ns.recovery != nil {
		f = s.ns.recovery.leaving(s)
	}
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
		return // greet notices
	}
	left := s.ns.remove(s)
	s.mu.Lock()
	s.lastRooms = append([]string{s.id}, left...)
	f.reason, f.data = reason, s.data
	s.mu.Unlock()
	if s.ns.recovery != nil {
		s.ns.recovery.end(s, f)
	}
	s.ns.server.stats.disconnected(reason)
	if reason == ReasonServerDisconnect {
		// Whoever was thrown out is not listened to any more.
		s.queue.clear(func(ev *Event) { s.conn.inbox.leave(ev.size) })
	}
	s.queue.push(task{other: func() { s.farewell(reason) }})
}

// farewell runs the disconnecting and disconnect listeners, as the socket's
// last task.
func (s *Socket) farewell(reason Reason) {
	steps := s.farewells(nil, reason, "disconnecting", func(r *registry) *list[func(*Socket, Reason)] { return &r.disconnecting })
	steps = append(steps, func() {
		s.mu.Lock()
		s.lastRooms = nil
		s.mu.Unlock()
	})
	steps = s.farewells(steps, reason, "disconnect", func(r *registry) *list[func(*Socket, Reason)] { return &r.disconnect })
	s.admitted = false
	inTurn(append(steps, s.ns.release))
}

func (s *Socket) farewells(steps []func(), reason Reason, event string,
	of func(*registry) *list[func(*Socket, Reason)],
) []func() {
	for _, r := range s.registries() {
		for _, l := range read(r, of(r)) {
			steps = append(steps, func() { _ = s.guard(event, func() { l.f(s, reason) }) })
		}
	}
	return steps
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
