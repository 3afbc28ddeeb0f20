package socketio

import (
	"encoding/json"
	"errors"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/parser"
)

// Recovery configures connection state recovery: a client that comes back
// after an interruption gets its socket id, rooms, data and the events it
// missed. Events that wait for an acknowledgement and volatile ones are not
// kept. It works on the node that held the session.
//
// An interruption is a disconnection all the same: OnDisconnecting and
// OnDisconnect run, and OnConnect runs again, where Socket.Recovery tells the
// difference. Each event to a client has one more argument, its offset, which
// the client sends back and hands to its listeners too.
type Recovery struct {
	// MaxDisconnection is how long a client may have been away; 0 switches
	// recovery off.
	MaxDisconnection time.Duration
	// SkipMiddleware lets a client whose session is found join without asking
	// the middleware. (The JavaScript server skips it by default, so that who
	// was banned meanwhile gets back in.)
	SkipMiddleware bool
	// MaxEvents and MaxBytes bound what one namespace remembers; 0: 10,000
	// events, 16 MiB. A client that missed more is not recovered.
	MaxEvents, MaxBytes int
	// MaxSessions bounds the clients of one namespace that are away; the
	// oldest give way; 0: 100,000.
	MaxSessions int
}

func (r Recovery) on() bool { return r.MaxDisconnection > 0 }

// RecoveryState says whether a socket continues an earlier one.
type RecoveryState struct {
	Recovered bool
	Reason    RecoveryReason
}

// RecoveryReason is why a socket was recovered or not.
type RecoveryReason string

// Reasons of a RecoveryState.
const (
	RecoveryNotAsked RecoveryReason = ""                // the client is new, or recovery is off
	RecoveryDone     RecoveryReason = "recovered"       // id, rooms, data and every missed event were restored
	RecoveryUnknown  RecoveryReason = "unknown session" // of another node, expired, used already, or made up
	RecoveryOffset   RecoveryReason = "invalid offset"  // the client's last event is not one of the session's
	RecoveryTrimmed  RecoveryReason = "history trimmed" // it missed more than is remembered
)

// errReplaced is why a connection ends whose client has already come back.
var errReplaced = errors.New("replaced by a newer connection of the same client")

// session is what is kept of a socket.
type session struct {
	id    string
	pid   string
	rooms map[string]uint64 // and since when it was in them
	data  json.RawMessage
	start uint64 // number of the first event that was for it
	live  *Socket
	ended chan struct{} // closed when live has become nil
	since time.Time     // of the disconnection; zero while live
}

// recovery is connection state recovery of one namespace.
type recovery struct {
	ns      *Namespace
	order   sequence
	journal journal // belongs to order

	position atomic.Uint64 // number of the first event that has not been handed out yet

	mu       sync.Mutex // guards the following
	sessions map[string]*session
	away     []*session // in the order of their disconnection; those taken back stay until they expire
	sweeper  *time.Timer
	closed   bool
}

func newRecovery(n *Namespace) *recovery {
	limits := n.server.cfg.Recovery
	if !limits.on() {
		return nil
	}
	r := &recovery{ns: n, sessions: make(map[string]*session)}
	r.journal = journal{limits: limits, epoch: newID()[:8]}
	n.rooms.position = r.position.Load
	return r
}

// broadcast records an event, unless it cannot be replayed, and delivers it.
func (r *recovery) broadcast(t *cluster.Target, p *parser.Packet) error {
	return r.order.try(func() {
		r.ns.fanOut(t, p, r.record(t, p))
		r.position.Store(r.journal.next())
	})
}

// emit is broadcast to one socket.
func (r *recovery) emit(s *Socket, p *parser.Packet, volatile bool) error {
	return r.order.try(func() {
		t := &cluster.Target{Rooms: []string{s.id}, Volatile: volatile}
		if b, err := r.ns.server.encode(r.record(t, p)); err == nil {
			_ = s.deliver(p, b, volatile) // who has just left misses it, and may get it back
		}
	})
}

func (r *recovery) record(t *cluster.Target, p *parser.Packet) *parser.Packet {
	if t.Volatile || p.HasID || p.Type != parser.Event {
		return p
	}
	return r.journal.record(t, p)
}

// claim is what a client says of its earlier socket.
type claim struct {
	PID    string `json:"pid"`
	Offset string `json:"offset"`
}

// resume takes the session that the client claims, once. A socket that still
// has it is closed: its client is here.
func (r *recovery) resume(auth parser.Payload) (*session, *claim) {
	var c claim
	if auth.JSON == nil || json.Unmarshal(auth.JSON, &c) != nil || c.PID == "" {
		return nil, nil
	}
	r.mu.Lock()
	found := r.sessions[c.PID]
	var live *Socket
	if found != nil {
		live = found.live
	}
	r.mu.Unlock()
	if live != nil {
		live.conn.end(ReasonTransportClose, errReplaced)
		<-found.ended // by us, or by who has noticed the end of its connection
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	found = r.sessions[c.PID]
	if found == nil || found.live != nil || time.Since(found.since) > r.journal.limits.MaxDisconnection {
		return nil, &c
	}
	delete(r.sessions, c.PID)
	return found, &c
}

// giveBack undoes resume for a client that went away again before it was
// connected.
func (r *recovery) giveBack(s *session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed && time.Since(s.since) <= r.journal.limits.MaxDisconnection {
		r.sessions[s.pid] = s
	}
}

// missed returns what the session's client has not got, or why that is not
// known. It runs in the order.
func (r *recovery) missed(s *session, c *claim) ([]*parser.Packet, RecoveryReason) {
	from := s.start
	if c.Offset != "" {
		n, ok := r.journal.number(c.Offset)
		if !ok || n+1 < s.start || n >= r.journal.next() {
			return nil, RecoveryOffset
		}
		from = n + 1
	}
	rooms := maps.Clone(s.rooms)
	rooms[s.id] = 0
	missed, ok := r.journal.since(from, rooms)
	if !ok {
		return nil, RecoveryTrimmed
	}
	return missed, RecoveryDone
}

// begin keeps a socket that has just been connected. It runs in the order.
func (r *recovery) begin(s *Socket, earlier *session) {
	now := &session{id: s.id, pid: s.pid, start: r.journal.next(), live: s, ended: make(chan struct{})}
	if earlier != nil {
		now.start = earlier.start
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sessions[s.pid] = now
}

// recoverable reports whether a client that left for that reason may come back
// as if nothing had happened.
func recoverable(reason Reason) bool {
	switch reason {
	case ReasonTransportClose, ReasonTransportError, ReasonPingTimeout, ReasonForcedClose, ReasonServerShutdown, ReasonProtocol:
		return true
	case ReasonClientDisconnect, ReasonServerDisconnect, ReasonParse:
		return false
	}
	return false
}

// end keeps what is needed of a socket that has left, or forgets it.
func (r *recovery) end(s *Socket, reason Reason, rooms map[string]uint64, data json.RawMessage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := r.sessions[s.pid]
	if kept == nil || kept.live != s {
		return
	}
	defer close(kept.ended)
	if !recoverable(reason) || r.closed {
		delete(r.sessions, s.pid)
		return
	}
	kept.live, kept.since, kept.rooms, kept.data = nil, time.Now(), rooms, data
	r.away = append(r.away, kept)
	for len(r.away) > r.journal.limits.MaxSessions {
		r.expire()
	}
	if r.sweeper == nil {
		r.sweeper = time.AfterFunc(r.journal.limits.MaxDisconnection, r.sweep)
	}
}

// expire forgets the session that has been away longest.
func (r *recovery) expire() {
	oldest := r.away[0]
	r.away[0] = nil
	r.away = r.away[1:]
	if r.sessions[oldest.pid] == oldest && oldest.live == nil {
		delete(r.sessions, oldest.pid)
	}
}

// sweep forgets what has expired and comes back when the next one does.
func (r *recovery) sweep() {
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

func (r *recovery) close() {
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
