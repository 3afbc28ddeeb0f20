package socketio

import (
	"slices"
	"sync/atomic"

	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/parser"
)

// logged is recovery in a cluster: what the adapter's log has is what clients
// can be given again, by any node.
//
// An event of this node is published first, and delivered here when it is read
// back from the log. So every node delivers in the log's order, and the offset
// that a client names says what it has: all up to there that was for it, and
// nothing later. (The JavaScript server delivers its own events at once. A
// client then may hold an offset that is newer than an event of another node
// which it has not got yet, and misses that one, or is given it twice.)
//
// Whatever else this node sends meanwhile waits behind its events that are on
// their way: see flight.
type logged struct {
	ns     *Namespace
	member *cluster.Member
	store  cluster.SessionStore
	limits Recovery
	order  sequence
	flight flight
	keeper keeper

	received atomic.Uint64           // messages that the link has passed on
	read     atomic.Uint64           // those of them that have been worked off
	standing atomic.Pointer[reading] // at and epoch, for those outside of the order

	// Of the order.
	at     position // of the latest that was worked off, or where reading stands
	epoch  uint64   // of the link's offsets
	opened bool     // the link has said where it stands
	seqs   map[cluster.NodeID]uint64
	gap    gap
	recent recent
}

var _ recovery = (*logged)(nil)

// reading is a place in the log.
type reading struct {
	at    position
	epoch uint64
}

// maxSenders bounds the nodes whose latest numbers are known.
const maxSenders = 1000

// gap is the latest place where the log and what clients were given disagree.
type gap struct {
	at    position // who has received something from after it has what was before
	times uint64   // how often it was moved
	// restart is where the latest epoch began, and restarts how often one has.
	restart  position
	restarts uint64
}

func newLogged(n *Namespace, m *cluster.Member, store cluster.SessionStore) *logged {
	r := &logged{ns: n, member: m, store: store, limits: n.server.cfg.Recovery, seqs: make(map[cluster.NodeID]uint64)}
	r.standing.Store(&reading{})
	r.flight.init(r)
	r.keeper.init(r)
	r.order.must(func() { r.here() })
	return r
}

func (r *logged) latest() position { return r.standing.Load().at }

// reached is latest, or what is later and has all been worked off: other
// messages, of no interest here, may have followed.
func (r *logged) reached() position {
	known := r.standing.Load()
	o, epoch := r.store.Position()
	// The link has passed on all messages up to o before it said so. When they
	// have all been worked off, nothing up to o is missing.
	read := r.read.Load()
	if o == "" || epoch != known.epoch || r.received.Load() != read {
		return known.at
	}
	return later(known.at, positionOf(o))
}

// recorded takes a message of the log from the link.
func (n *Namespace) recorded(m cluster.Message) {
	r, ok := n.recovery.(*logged)
	if !ok {
		n.apply(&m)
		return
	}
	n.server.gather()
	_, epoch := r.store.Position()
	r.received.Add(1)
	r.order.must(func() { r.take(&m, epoch) })
}

// apply does what a message of another node says.
func (n *Namespace) apply(m *cluster.Message) {
	if m.From == n.server.cfg.NodeID {
		return
	}
	d := (*delivery)(n)
	switch b := m.Body.(type) {
	case cluster.Broadcast:
		d.Deliver(&b.Target, b.Packet)
	case cluster.Join:
		d.Join(&b.Target, b.Rooms)
	case cluster.Leave:
		d.Leave(&b.Target, b.Rooms)
	case cluster.Disconnect:
		d.Disconnect(&b.Target, b.Close)
	case cluster.FetchSockets, cluster.Rooms, cluster.Emit, cluster.Leaving, cluster.AckCount, cluster.AckReply,
		cluster.SocketsReply, cluster.RoomsReply, cluster.EmitReply, cluster.Applied,
		cluster.Where, cluster.Said, cluster.Again, cluster.Repeated:
	}
}

// take works off a message of the log. It runs in the order.
func (r *logged) take(m *cluster.Message, epoch uint64) {
	at := positionOf(m.Offset)
	if epoch != r.epoch || !r.opened {
		r.begun(at, epoch)
	}
	if b, ok := m.Body.(cluster.Broadcast); ok && repeatable(&b.Target, b.Packet) {
		r.event(m, &b, at)
	} else {
		r.ns.apply(m)
	}
	r.read.Add(1)
	r.recent.add(m, at, &r.limits)
	r.move(at)
	r.flight.proceed()
}

func (r *logged) move(at position) {
	r.at = at
	r.standing.Store(&reading{at, r.epoch})
}

// event delivers an event that can be replayed.
func (r *logged) event(m *cluster.Message, b *cluster.Broadcast, at position) {
	own := m.From == r.ns.server.cfg.NodeID
	if r.repeated(m, own) {
		// It has been delivered here before it was recorded, or was recorded
		// twice: who were given what the log has from here on would get it again.
		r.widen(at)
		return
	}
	if own {
		r.flight.arrive(m.Seq, at)
		return
	}
	p := *b.Packet
	p.Namespace = r.ns.name
	r.hand(r.ns.rooms.Select(&b.Target), &p, at)
}

// repeated reports whether a numbered message is not news.
func (r *logged) repeated(m *cluster.Message, own bool) bool {
	if own {
		return r.flight.late(m.Seq)
	}
	if m.Seq == 0 || m.From == "" {
		return false
	}
	if m.Seq <= r.seqs[m.From] {
		return true
	}
	if len(r.seqs) >= maxSenders {
		clear(r.seqs) // of nodes that are long gone, nearly all
	}
	r.seqs[m.From] = m.Seq
	return false
}

// hand gives an event, with its offset, to sockets here. It runs in the order.
func (r *logged) hand(sockets []*Socket, p *parser.Packet, at position) {
	if len(sockets) == 0 {
		return
	}
	wire := withOffset(p, at.offset())
	b, err := r.ns.server.encode(wire)
	if err != nil {
		r.ns.server.cfg.Logger.Error("encode broadcast", "namespace", r.ns.name, "err", err)
		return
	}
	for _, s := range sockets {
		err := s.deliver(p, b, false)
		if s.kept == nil {
			continue
		}
		r.renew(s.kept)
		if err == nil {
			s.kept.last = at
		} else if !s.kept.broken { // its connection is: the socket will end
			s.kept.broken, s.kept.through = true, r.at
		}
	}
	r.ns.server.stats.delivered.Add(uint64(len(sockets)))
}

// handUnrecorded gives an event to sockets here although the log does not have
// it, or not where it belongs.
func (r *logged) handUnrecorded(sockets []*Socket, p *parser.Packet) {
	r.ns.server.stats.unrecorded.Add(1)
	r.widen(r.at)
	r.ns.fanOut(sockets, false, p, p)
}

// widen moves the gap.
func (r *logged) widen(at position) {
	r.gap.at = later(r.gap.at, at)
	r.gap.times++
	r.keeper.all(false)
}

// here is reached for who is in the order.
func (r *logged) here() position {
	o, epoch := r.store.Position()
	if o != "" && (epoch != r.epoch || !r.opened) && r.received.Load() == r.read.Load() {
		at := positionOf(o)
		r.begun(at, epoch)
		r.move(at)
	}
	if at := r.reached(); r.at.before(at) {
		r.move(at)
	}
	return r.at
}

// begun says that the offsets known so far mean nothing any more: the link has
// only just begun to read, or something of the log was lost to it.
func (r *logged) begun(at position, epoch uint64) {
	first := !r.opened && r.keeper.empty()
	r.epoch, r.opened = epoch, true
	if first {
		return
	}
	r.gap.at, r.gap.restart = at, at
	r.gap.times++
	r.gap.restarts++
	r.recent.forget(forever)
	r.ns.rooms.restart()
	r.keeper.all(true)
}

// certain reports whether the gap has an end.
func (r *logged) certain() bool { return r.opened && r.flight.certain() }

func (r *logged) inOrder(f func()) { _ = r.flight.follow(f, maxWork) }

func (r *logged) try(f func()) error { return r.flight.follow(f, maxSequenced) }

func (r *logged) next(f func()) {
	if !r.flight.join(f) {
		f()
	}
}

func (r *logged) broadcast(t *cluster.Target, p *parser.Packet) error {
	if t.Local || !repeatable(t, p) {
		sockets := r.ns.rooms.Select(t)
		if err := r.try(func() { r.ns.fanOut(sockets, t.Volatile, p, p) }); err != nil {
			return err
		}
		return propagated(r.member.Broadcast(*t, p))
	}
	return r.flight.start(nil, t, p)
}

func (r *logged) deliver(t *cluster.Target, p *parser.Packet) error {
	return r.order.try(func() { r.ns.fanOut(r.ns.rooms.Select(t), t.Volatile, p, p) })
}

func (r *logged) emit(s *Socket, p *parser.Packet, volatile bool) error {
	t := &cluster.Target{Rooms: []string{s.id}, Volatile: volatile}
	if !repeatable(t, p) {
		return r.try(func() {
			if b, err := r.ns.server.encode(p); err == nil {
				_ = s.deliver(p, b, volatile)
			}
		})
	}
	err := r.flight.start(s, t, p)
	if slices.Contains([]error{nil, ErrOverloaded}, err) {
		return err
	}
	return nil // the socket gets it all the same
}

func (r *logged) admit(s *Socket, e *earlier, insert func() error) error {
	return r.flight.admit(s, e, insert)
}

func (r *logged) held(s *Socket, p *parser.Packet) { _ = r.emit(s, p, false) }

func (r *logged) close() {
	r.keeper.close()
	r.flight.close()
}

// recent is what has been read since the first of the clients came back that
// are being recovered now. It belongs to the order.
type recent struct {
	listeners int
	messages  []*cluster.Message
	bytes     int
	lost      position // of the latest message that was forgotten
}

func (c *recent) add(m *cluster.Message, at position, l *Recovery) {
	if c.listeners == 0 {
		return
	}
	c.messages = append(c.messages, m)
	c.bytes += weight(m)
	if len(c.messages) > l.MaxEvents || c.bytes > l.MaxBytes {
		c.forget(at)
	}
}

// forget drops what was kept for those who are listening, up to a position.
func (c *recent) forget(at position) {
	if c.listeners > 0 {
		c.messages, c.bytes, c.lost = nil, 0, at
	}
}

func (c *recent) listen() { c.listeners++ }

func (c *recent) leave() {
	if c.listeners--; c.listeners == 0 {
		*c = recent{}
	}
}

func weight(m *cluster.Message) int {
	if b, ok := m.Body.(cluster.Broadcast); ok && b.Packet != nil {
		return size(b.Packet)
	}
	return 0
}
