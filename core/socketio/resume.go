package socketio

import (
	"context"
	"crypto/subtle"
	"errors"
	"time"

	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/parser"
)

// How a client comes back to any node.
//
// Its session is taken from the store, which only one node can do, and the node
// that had the socket is told to end it, and says how its session was then.
// Then the log is read from where the client stands (Since), while the
// namespace keeps, in recent, what it goes on reading. Let P be the position at
// which the socket is established, in the order. What the client is given is
// then exactly what was for it
//
//   - up to P: out of Since, which has everything that was in the log when it
//     was called and so all that had been read before recent began, and out of
//     recent, after the last message of Since;
//   - after P: as it is read, in the order, like everybody else. What this node
//     had on its way to the log is for the socket too (flight.admit).
//
// Nothing is given twice, because both are cut at P, and nothing is left out,
// because one begins where the other ends. Before that, reading must have come
// to where the client stands: it may have been served by a node that is ahead.

// takeOverWait bounds the waiting for the node that had the socket: it may be
// gone.
const takeOverWait = 500 * time.Millisecond

// maxPID bounds the length of secrets; those of all servers have 20 characters.
const maxPID = 64

// resumed is what a client that comes back is given its past from.
type resumed struct {
	session  cluster.Session
	base     presence
	through  position // session's
	messages []cluster.Message
	last     position // of the latest event that the client has, with the missed ones
	restarts uint64
	listens  bool
}

// ask runs f in the order and waits for it.
func (r *logged) ask(f func()) {
	done := make(chan struct{})
	r.order.must(func() {
		defer close(done)
		f()
	})
	<-done
}

func (r *logged) resume(c *claim) (*earlier, RecoveryReason) {
	e := &earlier{log: &resumed{}}
	r.ask(func() {
		r.recent.listen()
		e.log.listens, e.log.restarts = true, r.gap.restarts
	})
	reason := r.fetch(e, c)
	if reason == RecoveryDone {
		r.ask(func() { _, reason = r.missed(e) })
	}
	if reason != RecoveryDone {
		r.release(e)
		return nil, reason
	}
	return e, RecoveryDone
}

// fetch takes the session and what the log has for it.
func (r *logged) fetch(e *earlier, c *claim) RecoveryReason {
	ctx, cancel := context.WithTimeout(context.Background(), storeWait)
	defer cancel()
	s, err := r.session(ctx, c.PID)
	switch {
	case errors.Is(err, cluster.ErrNoSession):
		return RecoveryUnknown
	case err != nil:
		return RecoveryStore
	}
	e.log.session = s
	e.log.base, e.log.through = presenceOf(&s), positionOf(s.Through)
	e.presence, e.pid, e.data, e.start = e.log.base, s.PID, s.Data, positionOf(s.Start)
	if reason := e.begins(&s, cluster.Offset(c.Offset)); reason != RecoveryDone {
		return reason
	}
	e.log.messages, err = r.store.Since(ctx, e.from.offset(), r.limits.MaxEvents)
	switch {
	case errors.Is(err, cluster.ErrTrimmed):
		return RecoveryTrimmed
	case errors.Is(err, cluster.ErrFuture):
		return RecoveryOffset
	case err != nil:
		return RecoveryStore
	}
	for {
		var here position
		r.ask(func() { here = r.here() })
		if !here.before(e.from) {
			return RecoveryDone
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return RecoveryStore
		}
	}
}

// session takes a session out of the store, and the socket from who has it.
func (r *logged) session(ctx context.Context, pid string) (cluster.Session, error) {
	if len(pid) > maxPID {
		return cluster.Session{}, cluster.ErrNoSession
	}
	// Also when the store fails: the client is here.
	mine, here := r.keeper.takeOver(pid)
	s, err := r.store.Take(ctx, pid)
	switch {
	case err != nil && (!here || !errors.Is(err, cluster.ErrNoSession)):
		return s, err
	case here:
		return mine, nil
	case s.Namespace != "" && s.Namespace != r.ns.name, subtle.ConstantTimeCompare([]byte(s.PID), []byte(pid)) != 1:
		return s, cluster.ErrNoSession
	case s.Node == "" || s.Node == r.ns.server.cfg.NodeID:
		return s, nil
	}
	ctx, cancel := context.WithTimeout(ctx, takeOverWait)
	defer cancel()
	if newer, ok := r.member.TakeOver(ctx, s.Node, pid); ok && newer.PID == s.PID {
		return newer, nil
	}
	return s, nil
}

// takenOver ends the socket whose client is on another node now.
func (n *Namespace) takenOver(pid string, reply func(cluster.Session)) {
	r, ok := n.recovery.(*logged)
	if !ok {
		reply(cluster.Session{})
		return
	}
	// It ends with the socket, at the latest after a second; Shutdown waits.
	n.server.tasks.Go(func() {
		s, ok := r.keeper.takeOver(pid)
		if !ok {
			s = r.keeper.sessionOfParted(pid)
		}
		reply(s)
	})
}

// begins finds out where the client stands.
func (e *earlier) begins(s *cluster.Session, o cluster.Offset) RecoveryReason {
	gap, last := positionOf(s.Gap), positionOf(s.Last)
	e.log.last = positionOf(o)
	switch {
	case o == "" && s.Start == "": // a session of a Node.js node, which would not recover it either
		return RecoveryOffset
	case o != "" && (!o.Valid() || e.log.last.before(e.start)):
		return RecoveryOffset
	case s.Gap != "" && !gap.before(e.log.last):
		return RecoveryLost
	}
	e.from = later(e.start, e.log.last)
	if e.log.last == last { // it has all that it was handed
		e.from = later(e.from, e.log.through)
	}
	return RecoveryDone
}

func (r *logged) missed(e *earlier) ([]*parser.Packet, RecoveryReason) {
	l := e.log
	at := r.here()
	replay := replay{ns: r.ns, where: l.base.clone(), through: l.through, at: at, room: r.limits.MaxBytes}
	known := e.from // everything up to here is in messages
	if n := len(l.messages); n > 0 {
		known = later(known, positionOf(l.messages[n-1].Offset))
	}
	switch {
	case l.restarts != r.gap.restarts:
		return nil, RecoveryLost
	case e.from.before(l.base.unknown), known.before(r.recent.lost):
		return nil, RecoveryTrimmed
	}
	for i := range l.messages {
		replay.add(&l.messages[i], e.from)
	}
	for _, m := range r.recent.messages {
		replay.add(m, known)
	}
	if replay.reason != "" {
		return nil, replay.reason
	}
	e.presence = replay.where
	l.last = later(l.last, replay.last)
	return replay.missed, RecoveryDone
}

// replay works off the log for one client.
type replay struct {
	ns      *Namespace
	where   presence
	through position // the session is as of then
	at      position // what is later is not for replay
	room    int      // bytes
	seen    map[numbered]struct{}
	missed  []*parser.Packet
	last    position
	reason  RecoveryReason // why it cannot be done; empty when it can
}

// numbered tells messages apart.
type numbered struct {
	from cluster.NodeID
	seq  uint64
}

// add works off a message after a position.
func (p *replay) add(m *cluster.Message, after position) {
	at := positionOf(m.Offset)
	if !after.before(at) || p.at.before(at) {
		return
	}
	// The session of a Node.js node does not say when it was saved.
	news := p.through != (position{}) && p.through.before(at)
	switch b := m.Body.(type) {
	case cluster.Broadcast:
		p.event(m, &b, at)
	case cluster.Join:
		if !news || !p.where.selects(&b.Target, at) {
			return
		}
		for _, room := range b.Rooms {
			if _, in := p.where.rooms[room]; !in && room != p.where.id {
				p.where.rooms[room] = at
			}
		}
	case cluster.Leave:
		if !news || !p.where.selects(&b.Target, at) {
			return
		}
		for _, room := range b.Rooms {
			p.where.leave(room, at)
		}
	case cluster.Disconnect:
		if news && p.where.selects(&b.Target, at) {
			p.reason = RecoveryUnknown
		}
	case cluster.FetchSockets, cluster.Rooms, cluster.Emit, cluster.Leaving, cluster.AckCount, cluster.AckReply,
		cluster.SocketsReply, cluster.RoomsReply, cluster.EmitReply, cluster.Applied,
		cluster.Where, cluster.Said, cluster.Again, cluster.Repeated:
	}
}

func (p *replay) event(m *cluster.Message, b *cluster.Broadcast, at position) {
	if !repeatable(&b.Target, b.Packet) || b.RequestID != "" {
		return
	}
	if m.Seq != 0 && m.From != "" { // may have been recorded twice
		key := numbered{m.From, m.Seq}
		if _, again := p.seen[key]; again {
			return
		}
		if p.seen == nil {
			p.seen = make(map[numbered]struct{})
		}
		p.seen[key] = struct{}{}
	}
	if !p.where.selects(&b.Target, at) {
		return
	}
	packet := withOffset(b.Packet, m.Offset)
	packet.Namespace = p.ns.name
	if p.room -= size(packet); p.room < 0 {
		p.reason = RecoveryTrimmed
		return
	}
	p.missed = append(p.missed, packet)
	p.last = at
}

func (r *logged) release(e *earlier) {
	r.order.must(func() {
		if e.log.listens {
			e.log.listens = false
			r.recent.leave()
		}
	})
}

func (r *logged) giveBack(e *earlier) {
	s := e.log.session
	s.Node = ""
	r.keeper.giveBack(s)
}

func (r *logged) begin(s *Socket, e *earlier) {
	now := &kept{
		socket: s, pid: s.pid, ended: make(chan struct{}),
		start: r.here(), gaps: r.gap.times, restarts: r.gap.restarts,
	}
	if e != nil {
		now.start, now.last = later(e.start, position{}), e.log.last
		if e.start == (position{}) {
			now.start = e.from
		}
	}
	s.kept = now
	r.keeper.add(now)
}

func (r *logged) changed(s *Socket) {
	if state := s.state.Load(); state == stateGreeted || state == stateConnected {
		r.keeper.change(s.kept)
	}
}

func (r *logged) leaving(s *Socket) farewell {
	return farewell{at: time.Now(), through: r.reached(), where: r.ns.rooms.Presence(s)}
}

func (r *logged) end(s *Socket, f farewell) { r.keeper.end(s.kept, &f) }

// describe says where the socket stands. It runs in the order.
func (r *logged) describe(it *kept, gone *farewell, s *cluster.Session) {
	*s = cluster.Session{PID: it.pid, Socket: it.socket.id, Namespace: r.ns.name, Node: r.ns.server.cfg.NodeID}
	through := r.here()
	r.renew(it)
	if gone != nil {
		s.Node = "" // there is no socket to end any more
		through = gone.through
	}
	if it.broken && it.through.before(through) {
		through = it.through
	}
	s.Start, s.Last, s.Through = it.start.offset(), it.last.offset(), through.offset()
	switch {
	case it.gaps == r.gap.times:
	case r.gap.restarts > 0 && it.last.before(r.gap.restart): // what the client has may be of another epoch
		s.Gap = forever.offset()
	default:
		s.Gap = r.gap.at.offset()
	}
	if !r.certain() {
		s.Gap = forever.offset()
	}
}

// renew forgets what is of an earlier epoch.
func (r *logged) renew(it *kept) {
	if it.restarts != r.gap.restarts {
		it.restarts, it.start, it.last = r.gap.restarts, r.gap.restart, position{}
	}
}

// presenceOf reads where the socket of a session was.
func presenceOf(s *cluster.Session) presence {
	p := presence{id: s.Socket, rooms: make(map[string]position, len(s.Rooms)), unknown: positionOf(s.Forgot)}
	for room, since := range s.Rooms {
		p.rooms[room] = positionOf(since)
	}
	for _, l := range s.Left {
		p.remember(stay{l.Room, positionOf(l.Joined), positionOf(l.Left)})
	}
	return p
}

// export is presenceOf the other way.
func (p *presence) export(s *cluster.Session) {
	s.Rooms = make(map[string]cluster.Offset, len(p.rooms))
	for room, since := range p.rooms {
		s.Rooms[room] = since.offset()
	}
	for _, l := range p.stays {
		s.Left = append(s.Left, cluster.Stay{Room: l.room, Joined: l.joined.offset(), Left: l.left.offset()})
	}
	s.Forgot = p.unknown.offset()
}
