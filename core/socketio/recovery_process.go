package socketio

import (
	"crypto/subtle"
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/parser"
)

// inProcess is recovery on one node: sessions and events are in its memory.
type inProcess struct {
	ns      *Namespace
	order   sequence
	journal journal // belongs to order

	handedOut atomic.Uint64 // number of the latest event

	mu       sync.Mutex // guards the following
	sessions map[string]*session
	away     []*session // in the order of their disconnection; those taken back stay until they expire
	sweeper  *time.Timer
	closed   bool
}

var _ recovery = (*inProcess)(nil)

// session is what is kept of a socket.
type session struct {
	pid   string
	where presence
	data  json.RawMessage
	start position // of the latest event before it was connected
	live  *Socket
	ended chan struct{} // closed when live has become nil
	since time.Time     // of the disconnection; zero while live
}

func newInProcess(n *Namespace) *inProcess {
	return &inProcess{ns: n, sessions: make(map[string]*session), journal: newJournal(n.server.cfg.Recovery)}
}

func (r *inProcess) latest() position { return position{r.journal.epoch, r.handedOut.Load()} }

func (r *inProcess) inOrder(f func())   { r.order.must(f) }
func (r *inProcess) try(f func()) error { return r.order.try(f) }
func (r *inProcess) next(f func())      { f() }
func (r *inProcess) release(*earlier)   {}

func (r *inProcess) record(t *cluster.Target, p *parser.Packet) *parser.Packet {
	if !repeatable(t, p) {
		return p
	}
	return r.journal.record(t, p)
}

func (r *inProcess) broadcast(t *cluster.Target, p *parser.Packet) error {
	if err := r.deliver(t, p); err != nil {
		return err
	}
	return propagated(r.ns.member.Broadcast(*t, p))
}

// deliver records an event, unless it cannot be replayed, and hands it out.
func (r *inProcess) deliver(t *cluster.Target, p *parser.Packet) error {
	return r.order.try(func() {
		r.ns.fanOut(r.ns.rooms.Select(t), t.Volatile, p, r.record(t, p))
		r.handedOut.Store(r.journal.latest().minor)
	})
}

func (r *inProcess) emit(s *Socket, p *parser.Packet, volatile bool) error {
	return r.order.try(func() {
		t := &cluster.Target{Rooms: []string{s.id}, Volatile: volatile}
		if b, err := r.ns.server.encode(r.record(t, p)); err == nil {
			_ = s.deliver(p, b, volatile) // who has just left misses it, and may get it back
		}
		r.handedOut.Store(r.journal.latest().minor)
	})
}

func (r *inProcess) held(s *Socket, p *parser.Packet) {
	s.conn.send(r.record(&cluster.Target{Rooms: []string{s.id}}, p))
	r.handedOut.Store(r.journal.latest().minor)
}

func (r *inProcess) resume(c *claim) (*earlier, RecoveryReason) {
	found := r.find(c.PID)
	if found == nil {
		return nil, RecoveryUnknown
	}
	e := &earlier{presence: found.where, pid: found.pid, data: found.data, start: found.start, from: found.start, process: found}
	answer := make(chan RecoveryReason, 1)
	r.order.must(func() {
		reason := r.begins(e, c.Offset)
		if reason == RecoveryDone {
			_, reason = r.missed(e)
		}
		answer <- reason
	})
	return e, <-answer
}

// find takes a session out of the table.
func (r *inProcess) find(pid string) *session {
	r.mu.Lock()
	found := r.sessions[pid]
	var live *Socket
	if found != nil {
		live = found.live
	}
	r.mu.Unlock()
	if live != nil {
		live.conn.end(ReasonTransportClose, errReplaced)
		select {
		case <-found.ended: // by us, or by who has noticed the end of its connection
		case <-time.After(replacing):
			return nil
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	found = r.sessions[pid]
	if found == nil || found.live != nil || time.Since(found.since) > r.journal.limits.MaxDisconnection ||
		subtle.ConstantTimeCompare([]byte(found.pid), []byte(pid)) != 1 {
		return nil
	}
	delete(r.sessions, pid)
	return found
}

func (r *inProcess) giveBack(e *earlier) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed && time.Since(e.process.since) <= r.journal.limits.MaxDisconnection {
		r.sessions[e.pid] = e.process
	}
}

// begins finds out what the client has. It runs in the order.
func (r *inProcess) begins(e *earlier, offset string) RecoveryReason {
	if offset == "" {
		return RecoveryDone
	}
	o := cluster.Offset(offset)
	e.from = positionOf(o)
	if !o.Valid() || e.from.before(e.start) || r.journal.latest().before(e.from) || e.from.major != r.journal.epoch {
		return RecoveryOffset
	}
	return RecoveryDone
}

func (r *inProcess) missed(e *earlier) ([]*parser.Packet, RecoveryReason) {
	missed, ok := r.journal.since(e.from, &e.presence)
	if !ok || e.from.before(e.unknown) {
		return nil, RecoveryTrimmed
	}
	return missed, RecoveryDone
}

func (r *inProcess) begin(s *Socket, e *earlier) {
	now := &session{pid: s.pid, start: r.journal.latest(), live: s, ended: make(chan struct{})}
	if e != nil {
		now.start = e.start
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sessions[s.pid] = now
}

func (r *inProcess) admit(_ *Socket, _ *earlier, insert func() error) error { return insert() }

func (r *inProcess) changed(*Socket) {}

func (r *inProcess) leaving(s *Socket) farewell {
	return farewell{where: r.ns.rooms.Presence(s)}
}

func (r *inProcess) end(s *Socket, f farewell) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := r.sessions[s.pid]
	if kept == nil || kept.live != s {
		return
	}
	defer close(kept.ended)
	if !recoverable(f.reason) || r.closed {
		delete(r.sessions, s.pid)
		return
	}
	kept.live, kept.since, kept.where, kept.data = nil, time.Now(), f.where, f.data
	r.away = append(r.away, kept)
	for len(r.away) > r.journal.limits.MaxSessions {
		r.expire()
	}
	if r.sweeper == nil {
		r.sweeper = time.AfterFunc(r.journal.limits.MaxDisconnection, r.sweep)
	}
}

// expire forgets the session that has been away longest.
func (r *inProcess) expire() {
	oldest := r.away[0]
	r.away[0] = nil
	r.away = r.away[1:]
	if r.sessions[oldest.pid] == oldest && oldest.live == nil {
		delete(r.sessions, oldest.pid)
	}
}

// sweep forgets what has expired and comes back when the next one does.
func (r *inProcess) sweep() {
	r.order.must(r.journal.trim)
	r.mu.Lock()
	defer r.mu.Unlock()
	limit := r.journal.limits.MaxDisconnection
	for len(r.away) > 0 && time.Since(r.away[0].since) >= limit {
		r.expire()
	}
	r.sweeper = nil
	if len(r.away) > 0 && !r.closed {
		r.sweeper = time.AfterFunc(limit-time.Since(r.away[0].since), r.sweep)
	}
}

func (r *inProcess) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if r.sweeper != nil {
		r.sweeper.Stop()
		r.sweeper = nil
	}
	for _, s := range r.sessions {
		if s.live != nil {
			close(s.ended) // end does not find it any more
		}
	}
	r.sessions, r.away = make(map[string]*session), nil
}
