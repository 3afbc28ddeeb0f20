package memory

import (
	"cmp"
	"container/list"
	"context"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/dunlin-io/dunlin/core/cluster"
)

// Log bounds what a hub remembers. Zero fields mean the default.
type Log struct {
	// Messages is how many of the latest messages of all namespaces are kept;
	// 0: 10,000.
	Messages int
	// Sessions is how many clients' sessions are kept; those that were saved
	// longest ago give way; 0: 100,000.
	Sessions int
}

// NewLog returns a hub that records messages and keeps sessions, so that a
// client can come back to any of its servers (socketio.Recovery). Its links
// are cluster.SessionStores.
//
// What is recorded is late where Faults say so, but neither lost nor doubled,
// and a Partition does not concern it. While a node is interrupted, what it has
// to record waits, and it reads on afterwards.
func NewLog(l Log) *Hub {
	if l.Messages <= 0 {
		l.Messages = 10_000
	}
	if l.Sessions <= 0 {
		l.Sessions = 100_000
	}
	h := New()
	now := id{major: milliseconds()}
	h.log = &log{limits: l, last: now, trimmed: now, sessions: make(map[sessionKey]*list.Element)}
	return h
}

// id is an offset as numbers: the time in milliseconds, and a number that tells
// apart what has come in the same one.
type id struct{ major, minor uint64 }

func (i id) offset() cluster.Offset { return cluster.NewOffset(i.major, i.minor) }

func milliseconds() uint64 { return uint64(time.Now().UnixMilli()) } //nolint:gosec // a time after 1970

// log is what a hub remembers. Its mu is taken before that of a link and held
// while a message is put into the mailboxes, so that all links get one order.
type log struct {
	limits Log

	mu       sync.Mutex // guards the following
	records  []cluster.Message
	last     id // of the latest record, and before the first one the time of the log's making
	trimmed  id // of the latest record that is gone
	sessions map[sessionKey]*list.Element
	saved    list.List // of *saved, in the order of their saving
}

type sessionKey struct{ namespace, pid string }

type saved struct {
	key     sessionKey
	session cluster.Session
	owner   cluster.NodeID
	expires time.Time
}

// recorded reports whether a message belongs into a log.
func recorded(m *cluster.Message) bool {
	switch b := m.Body.(type) {
	case cluster.Broadcast:
		return b.RequestID == ""
	case cluster.Join, cluster.Leave, cluster.Disconnect:
		return true
	case cluster.FetchSockets, cluster.Rooms, cluster.Emit, cluster.Leaving, cluster.AckCount, cluster.AckReply,
		cluster.SocketsReply, cluster.RoomsReply, cluster.EmitReply, cluster.Applied:
		return false
	case cluster.Again, cluster.Repeated, cluster.Said, cluster.Where:
	}
	return false
}

// record gives a message its offset and hands it to every link of its
// namespace, that of the sender too.
func (h *Hub) record(from *link, m cluster.Message) {
	l := h.log
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := milliseconds(); now > l.last.major {
		l.last = id{major: now}
	} else {
		l.last.minor++
	}
	m.Namespace, m.Offset = from.namespace, l.last.offset()
	l.records = append(l.records, m)
	if n := len(l.records) - l.limits.Messages; n > 0 {
		l.trimmed = number(l.records[n-1].Offset)
		clear(l.records[:n])
		l.records = l.records[n:]
	}
	for _, to := range h.others(from) {
		to.read(from.self, m)
	}
}

func number(o cluster.Offset) id {
	major, minor, _ := o.Parts()
	return id{major, minor}
}

func (i id) compare(o id) int {
	return cmp.Or(cmp.Compare(i.major, o.major), cmp.Compare(i.minor, o.minor))
}

// after returns the index of the first record after an offset.
func (l *log) after(from id) int {
	return sort.Search(len(l.records), func(i int) bool { return number(l.records[i].Offset).compare(from) > 0 })
}

// reading is a link's place in the log. It is guarded by the link's mu.
type reading struct {
	unsent   []cluster.Message // of an interrupted node
	holding  bool              // unsent comes before what is new
	due      int               // records in the mailbox, or on the way to it
	put      id                // the latest of them
	passed   cluster.Offset    // the latest that Receive has returned from
	behind   bool              // the node is interrupted and has missed records, which it will read
	gap      bool              // what is put next follows a gap
	restarts uint64
}

// read takes a record. The caller holds the log's mu.
func (l *link) read(from cluster.NodeID, m cluster.Message) {
	r := l.hub.faults.said(from, l.self)
	away := l.hub.faults.interrupted(l.self)
	l.mu.Lock()
	defer l.mu.Unlock()
	if away || l.reading.behind {
		l.reading.behind = true
		return
	}
	l.enqueue(m, r)
}

// enqueue puts a record into the mailbox, now or later. The caller holds mu.
func (l *link) enqueue(m cluster.Message, r *rule) {
	if l.closed {
		return
	}
	l.reading.due++
	l.reading.put = number(m.Offset)
	if r == nil && l.late.from[""] == nil {
		l.put(arrival{message: m})
		return
	}
	// The log is one sender, whoever has written what is in it: its order stays.
	s := l.late.from[""]
	if s == nil {
		if l.late.from == nil {
			l.late.from = make(map[cluster.NodeID]*sender)
		}
		s = &sender{}
		l.late.from[""] = s
	}
	var delay time.Duration
	if r != nil && (r.Only == nil || r.Only(m)) {
		l.shuffle("", s)
		delay = r.Delay + time.Duration(s.dice.Float64()*float64(r.Jitter))
	}
	l.post(s, m, delay)
}

// dropped notes that a message gave way. The caller holds mu.
func (l *link) dropped(m *cluster.Message) {
	l.hub.countLost()
	if m.Offset != "" {
		l.reading.due--
	}
}

// catchUp records what an interrupted node had to say, and reads what it has
// missed.
func (l *link) catchUp() {
	if l.hub.log == nil {
		return
	}
	for {
		l.mu.Lock()
		unsent := l.reading.unsent
		l.reading.unsent = nil
		l.reading.holding = len(unsent) > 0
		l.mu.Unlock()
		if len(unsent) == 0 {
			break
		}
		for _, m := range unsent {
			l.hub.record(l, m)
		}
	}
	records := l.hub.log
	records.mu.Lock()
	defer records.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.reading.behind {
		return
	}
	l.reading.behind = false
	if l.reading.put.compare(records.trimmed) < 0 {
		l.reading.gap = true
	}
	for _, m := range records.records[records.after(l.reading.put):] {
		if m.Namespace == l.namespace {
			l.enqueue(m, nil)
		}
	}
}

// publish records a message, or keeps it for catchUp while the node is
// interrupted or something of its own comes first.
func (l *link) publish(m cluster.Message) {
	l.mu.Lock()
	if !l.reading.holding && !l.hub.faults.interrupted(l.self) {
		l.mu.Unlock()
		l.hub.record(l, m)
		return
	}
	defer l.mu.Unlock()
	l.reading.holding = true
	if len(l.reading.unsent) >= maxQueue {
		l.reading.unsent = l.reading.unsent[1:]
		l.hub.countLost()
	}
	l.reading.unsent = append(l.reading.unsent, m)
}

// logLink is a link of a hub with a log.
type logLink struct{ *link }

var _ cluster.SessionStore = logLink{}

// Position implements cluster.SessionStore.
func (l logLink) Position() (cluster.Offset, uint64) {
	l.hub.log.mu.Lock()
	end := l.hub.log.last
	l.hub.log.mu.Unlock()
	// All that was recorded up to end has been put into the mailbox by now.
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reading.due > 0 || l.reading.behind {
		return l.reading.passed, l.reading.restarts
	}
	return end.offset(), l.reading.restarts
}

// store returns the log, locked, unless the link cannot reach it.
func (l logLink) store(ctx context.Context) (*log, error) {
	switch {
	case l.isClosed():
		return nil, cluster.ErrClosed
	case l.hub.faults.interrupted(l.self):
		return nil, ErrInterrupted
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	}
	l.hub.log.mu.Lock()
	return l.hub.log, nil
}

// Save implements cluster.SessionStore.
func (l logLink) Save(ctx context.Context, ttl time.Duration, sessions ...cluster.Session) error {
	s, err := l.store(ctx)
	if err != nil {
		return err
	}
	defer s.mu.Unlock()
	for i := range sessions {
		key := sessionKey{l.namespace, sessions[i].PID}
		s.remove(s.sessions[key])
		s.sessions[key] = s.saved.PushBack(&saved{key, sessions[i], l.self, time.Now().Add(ttl)})
	}
	for e := s.saved.Front(); e != nil && (len(s.sessions) > s.limits.Sessions || s.expired(e)); e = s.saved.Front() {
		s.remove(e)
	}
	return nil
}

// Renew implements cluster.SessionStore.
func (l logLink) Renew(ctx context.Context, ttl time.Duration, sessions ...cluster.Session) error {
	s, err := l.store(ctx)
	if err != nil {
		return err
	}
	mine := slices.DeleteFunc(slices.Clone(sessions), func(x cluster.Session) bool { return !s.owned(l, x.PID) })
	s.mu.Unlock()
	return l.Save(ctx, ttl, mine...)
}

// Forget implements cluster.SessionStore.
func (l logLink) Forget(ctx context.Context, pids ...string) error {
	s, err := l.store(ctx)
	if err != nil {
		return err
	}
	defer s.mu.Unlock()
	for _, pid := range pids {
		if s.owned(l, pid) {
			s.remove(s.sessions[sessionKey{l.namespace, pid}])
		}
	}
	return nil
}

// Take implements cluster.SessionStore.
func (l logLink) Take(ctx context.Context, pid string) (cluster.Session, error) {
	s, err := l.store(ctx)
	if err != nil {
		return cluster.Session{}, err
	}
	defer s.mu.Unlock()
	e := s.sessions[sessionKey{l.namespace, pid}]
	if e == nil || s.expired(e) {
		return cluster.Session{}, cluster.ErrNoSession
	}
	s.remove(e)
	return e.Value.(*saved).session, nil
}

// Since implements cluster.SessionStore.
func (l logLink) Since(ctx context.Context, from cluster.Offset, most int) ([]cluster.Message, error) {
	s, err := l.store(ctx)
	if err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	at := number(from)
	switch {
	case at.compare(s.trimmed) < 0:
		return nil, cluster.ErrTrimmed
	case at.compare(s.last) > 0:
		return nil, cluster.ErrFuture
	}
	var found []cluster.Message
	for _, m := range s.records[s.after(at):] {
		if m.Namespace != l.namespace {
			continue
		}
		if len(found) == most {
			return nil, cluster.ErrTrimmed
		}
		found = append(found, m)
	}
	return found, nil
}

func (l *log) owned(by logLink, pid string) bool {
	e := l.sessions[sessionKey{by.namespace, pid}]
	return e != nil && !l.expired(e) && e.Value.(*saved).owner == by.self
}

func (l *log) expired(e *list.Element) bool { return !time.Now().Before(e.Value.(*saved).expires) }

func (l *log) remove(e *list.Element) {
	if e != nil {
		delete(l.sessions, l.saved.Remove(e).(*saved).key)
	}
}
