package socketio

import (
	"slices"
	"sync"
	"time"

	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/parser"
)

// patience is how long an event may be on its way to the adapter's log and
// back.
const patience = 2 * time.Second

// maxFlight bounds the size of what is on its way, unless Recovery.MaxBytes is
// greater.
const maxFlight = 16 << 20

// flight is what this node has published and not read back yet, and whatever
// else it sends in the meantime, in the order of its sending. When nothing is
// on its way, nothing waits.
//
// An event that does not come back in time is delivered as it is, with all
// that waits, and so is what follows until the log answers again. What then
// comes back late is dropped; logged.gap says who cannot be recovered for it.
type flight struct {
	r *logged

	// publishing is held while a message gets its number, its place in the queue
	// and, without waiting, its place in the link's queue: the three orders are
	// one. It is taken before mu.
	publishing sync.Mutex

	mu     sync.Mutex // guards the following
	queue  []waiting
	bytes  int
	seq    uint64 // of the latest event that was published
	landed uint64 // of the latest one that was read back
	early  uint64 // of the latest one that was delivered before that
	away   bool   // the log does not answer
	closed bool
	timer  *time.Timer // runs while something is on its way
}

// waiting is an event on its way, or what is to happen behind it.
type waiting struct {
	f func() // nil for an event

	seq     uint64
	due     time.Time
	sockets []*Socket // those here that it was for when it was emitted
	target  *cluster.Target
	packet  *parser.Packet
}

func (fl *flight) init(r *logged) {
	fl.r = r
	// A namespace that is made anew must not use the numbers of the one before.
	fl.seq = uint64(time.Now().UnixMicro()) //nolint:gosec // a time after 1970
	fl.landed = fl.seq
}

// start publishes an event. Here it is for the target's sockets of this moment,
// and for one that may be leaving.
func (fl *flight) start(leaving *Socket, t *cluster.Target, p *parser.Packet) error {
	fl.publishing.Lock()
	defer fl.publishing.Unlock()
	seq, early, sockets, err := fl.depart(leaving, t, p)
	if err != nil {
		return err
	}
	if sockets != nil {
		if err = fl.r.order.try(func() { fl.r.handUnrecorded(sockets, p) }); err != nil {
			fl.abandon(seq, early)
			return err
		}
	}
	if err = fl.r.member.Record(*t, p, seq); err != nil {
		fl.abandon(seq, early)
	}
	return propagated(err)
}

// depart gives an event its number and its place in the queue, or returns the
// sockets that are to be given it now; early is what fl.early was before.
func (fl *flight) depart(leaving *Socket, t *cluster.Target, p *parser.Packet) (seq, early uint64, now []*Socket, err error) {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	n := size(p)
	if len(fl.queue) >= maxSequenced || len(fl.queue) > 0 && fl.bytes+n > max(maxFlight, fl.r.limits.MaxBytes) {
		return 0, 0, nil, ErrOverloaded
	}
	// Under mu, as admit is: a socket that comes back now either is in the index
	// already, or finds the event in the queue.
	sockets := fl.r.ns.rooms.Select(t)
	if leaving != nil && !slices.Contains(sockets, leaving) {
		sockets = append(slices.Clip(sockets), leaving)
	}
	fl.seq++
	if fl.away || fl.closed {
		early, fl.early = fl.early, fl.seq
		return fl.seq, early, append([]*Socket{}, sockets...), nil
	}
	fl.queue = append(fl.queue, waiting{seq: fl.seq, due: time.Now().Add(patience), sockets: sockets, target: t, packet: p})
	fl.bytes += n
	if fl.timer == nil {
		fl.timer = time.AfterFunc(patience, fl.overdue)
	}
	return fl.seq, fl.early, nil, nil
}

// abandon delivers, in its turn, an event that the link did not take.
func (fl *flight) abandon(seq, early uint64) {
	fl.mu.Lock()
	if fl.early == seq {
		fl.early = early
	}
	i := slices.IndexFunc(fl.queue, func(w waiting) bool { return w.f == nil && w.seq == seq })
	if i >= 0 {
		w := fl.queue[i]
		fl.bytes -= size(w.packet)
		fl.queue[i] = waiting{f: func() { fl.r.handUnrecorded(w.sockets, w.packet) }}
	}
	fl.mu.Unlock()
	fl.r.order.must(fl.proceed)
}

// follow runs f in the order, behind what is on its way.
func (fl *flight) follow(f func(), limit int) error {
	fl.mu.Lock()
	switch n := len(fl.queue); {
	case n == 0:
		fl.mu.Unlock()
		return fl.r.order.add(f, limit)
	case n >= limit:
		fl.mu.Unlock()
		return ErrOverloaded
	}
	defer fl.mu.Unlock()
	fl.queue = append(fl.queue, waiting{f: f})
	return nil
}

// join is follow for who is in the order, and reports whether there was
// something to wait for.
func (fl *flight) join(f func()) bool {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	if len(fl.queue) == 0 {
		return false
	}
	fl.queue = append(fl.queue, waiting{f: f})
	return true
}

// admit puts a socket into the index by insert. One that has come back also gets
// what is on its way to it: in the order of the log, that comes after it has
// come back.
func (fl *flight) admit(s *Socket, e *earlier, insert func() error) error {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	if err := insert(); err != nil || e == nil {
		return err
	}
	for i := range fl.queue {
		if w := &fl.queue[i]; w.f == nil && e.selects(w.target, forever) {
			w.sockets = append(slices.Clip(w.sockets), s)
		}
	}
	return nil
}

// head takes the first in the queue if it is something that goes, or an event
// for which take is true. It runs in the order.
func (fl *flight) head(take func(w *waiting) bool) (w waiting, ok bool) {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	if len(fl.queue) == 0 || fl.queue[0].f == nil && !take(&fl.queue[0]) {
		return waiting{}, false
	}
	w = fl.queue[0]
	fl.queue[0] = waiting{}
	if fl.queue = fl.queue[1:]; len(fl.queue) == 0 {
		fl.queue = nil
	}
	if w.f == nil {
		fl.bytes -= size(w.packet)
	}
	return w, true
}

// proceed does what waits for no event.
func (fl *flight) proceed() { fl.give(func(*waiting) bool { return false }) }

// give works off the head of the queue; events are delivered as they are.
func (fl *flight) give(take func(w *waiting) bool) {
	for w, ok := fl.head(take); ok; w, ok = fl.head(take) {
		if w.f != nil {
			w.f()
		} else {
			fl.r.handUnrecorded(w.sockets, w.packet)
		}
	}
}

// arrive delivers the event with that number, which the log has at that
// position, after all that was sent before it. What waits behind it waits until
// proceed: it must find the position to be that of the event. It runs in the
// order.
func (fl *flight) arrive(seq uint64, at position) {
	fl.mu.Lock()
	uncertain := fl.early > fl.landed
	fl.landed = max(fl.landed, seq)
	back := fl.away
	fl.away = false
	fl.mu.Unlock()
	fl.tellBack(back)
	// The link keeps the order: what is still here and was sent before has been
	// lost on its way.
	fl.give(func(w *waiting) bool { return w.seq < seq })
	if w, ok := fl.head(func(w *waiting) bool { return w.seq == seq || seq == 0 }); ok {
		fl.r.hand(w.sockets, w.packet, at)
	}
	if uncertain && fl.certain() {
		fl.r.widen(fl.r.at)
	}
}

// late reports whether the event with that number is not awaited any more.
func (fl *flight) late(seq uint64) bool {
	fl.mu.Lock()
	if seq == 0 || seq > fl.landed && seq > fl.early {
		fl.mu.Unlock()
		return false
	}
	fl.landed = max(fl.landed, seq)
	back := fl.away
	fl.away = false
	fl.mu.Unlock()
	fl.tellBack(back)
	return true
}

func (fl *flight) tellBack(back bool) {
	if back {
		fl.r.ns.server.cfg.Logger.Info("the adapter's log answers again", "namespace", fl.r.ns.name)
	}
}

// certain reports whether nothing may come back late.
func (fl *flight) certain() bool {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	return fl.early <= fl.landed
}

// overdue runs when the first event may be.
func (fl *flight) overdue() { fl.r.order.must(func() { fl.expire(false) }) }

// expire delivers everything if the first event is overdue, or all is to end.
func (fl *flight) expire(all bool) {
	fl.mu.Lock()
	i := slices.IndexFunc(fl.queue, func(w waiting) bool { return w.f == nil })
	switch {
	case i >= 0 && !all && time.Until(fl.queue[i].due) > 0:
		fl.timer = time.AfterFunc(time.Until(fl.queue[i].due), fl.overdue)
		fl.mu.Unlock()
		return
	case fl.timer != nil:
		fl.timer.Stop()
		fl.timer = nil
	}
	lost := i >= 0
	if lost {
		fl.away, fl.early = true, fl.seq
	}
	fl.mu.Unlock()
	if lost && !all {
		fl.r.ns.server.cfg.Logger.Warn("the adapter's log does not answer: events are delivered without it, "+
			"and clients that come back from before are not recovered", "namespace", fl.r.ns.name)
	}
	fl.give(func(*waiting) bool { return true })
}

// close delivers what is on its way.
func (fl *flight) close() {
	fl.mu.Lock()
	fl.closed = true
	fl.mu.Unlock()
	fl.r.order.must(func() { fl.expire(true) })
}
