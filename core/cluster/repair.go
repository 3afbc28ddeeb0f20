package cluster

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// How long a missing message is waited for before it is given up, counted from
// the last time that the link came back; how often it is asked for; and how much
// of what followed it may wait meanwhile, for each sender.
const (
	repairTime  = 10 * time.Second
	repairAgain = 500 * time.Millisecond
	heldMost    = 10_000
	heldBytes   = 16 << 20
)

// introduction is how long after it began to listen a node takes others as it
// finds them.
const introduction = 5 * time.Second

// Gap says that messages of other nodes are lost.
type Gap struct {
	Node   NodeID // whose; empty when that is not known
	Missed uint64 // how many; 0 when that is not known
}

// RepairStats count what became of numbered messages since a member was opened.
type RepairStats struct {
	Repeated uint64 // arrived again, and were dropped
	Repaired uint64 // were missing, and came later
	Lost     uint64 // are known to be lost
	Refused  uint64 // had numbers that their sender has not reached
}

// repair puts the numbered messages of other nodes in order: repetitions are
// dropped, and behind a gap everything of that sender waits until the missing
// messages have come or are known to be lost. Other senders are not affected.
type repair struct {
	ask      func(Again)   // the sender, for what is missing; it may be lost and is asked again
	dispatch func(Message) // what is next; called by one goroutine at a time
	lost     func(Gap)     // in its place among the messages

	mu      sync.Mutex // guards the following
	begun   time.Time  // when the link began to hear; zero: not yet
	senders map[NodeID]*sender
	latest  *sender // whose message came last: usually the next one is its, too
	ready   []result
	working bool // somebody dispatches what is ready
	timer   *time.Timer
	closed  bool
	stats   RepairStats
}

// result is a message to be dispatched, or a gap to be told of.
type result struct {
	message Message
	gap     Gap
}

// receive takes a message with a number; one without a body only counts.
func (r *repair) receive(m Message) {
	r.mu.Lock()
	s := r.sender(m.From)
	if s.next == 0 {
		r.meet(s, m.Seq-1)
	}
	if m.Seq == s.next && m.Seq > s.said && !r.working { // nearly always
		s.next, s.said = m.Seq+1, m.Seq
		r.working = true
		r.mu.Unlock()
		if m.Body != nil {
			r.dispatch(m)
		}
		r.mu.Lock()
		r.work()
		r.mu.Unlock()
		return
	}
	r.accept(s, m)
	r.settle(s)
}

// meet begins with a sender that has said so much. What it said since this node
// listens should have been heard. Who has only begun to listen has just asked
// where the others are.
func (r *repair) meet(s *sender, said uint64) {
	s.next, s.said = said+1, said
	if !r.begun.IsZero() && time.Since(r.begun) > introduction {
		s.next, s.fresh = 1, true
	}
}

// begin notes that the link hears the others.
func (r *repair) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.begun.IsZero() {
		r.begun = time.Now()
	}
}

// accept files a message that is not simply the next one.
func (r *repair) accept(s *sender, m Message) {
	i, held := slices.BinarySearchFunc(s.held, m.Seq, func(h Message, seq uint64) int { return cmp.Compare(h.Seq, seq) })
	if s.overtaken(m.Seq) {
		r.ready = append(r.ready, result{message: m})
		return
	}
	if m.Seq < s.next || held {
		if !r.restarts(s, m.Seq) {
			r.stats.Repeated++
			return
		}
	}
	if m.Seq <= s.said {
		r.stats.Repaired++
	}
	s.said = max(s.said, m.Seq)
	s.held = slices.Insert(s.held, i, m)
	s.bytes += footprint(m.Body)
	r.advance(s)
	for len(s.held) > heldMost || len(s.held) > 1 && s.bytes > heldBytes {
		r.abandon(s)
	}
}

// restarts reports whether a sender's numbers are far behind what was believed,
// again and again, and begins anew with this one if so: what was believed was
// wrong, and nobody has said so in time.
func (r *repair) restarts(s *sender, seq uint64) bool {
	if seq+keptMessages >= s.next {
		s.stale = 0
		return false
	}
	if s.stale++; s.stale < staleMost {
		return false
	}
	for i := range s.held {
		r.release(s, s.held[i])
	}
	s.held, s.stale, s.fresh = nil, 0, false
	s.next, s.said = seq, seq-1
	return true
}

// staleMost is how many messages with numbers of long ago are taken for
// repetitions.
const staleMost = 3

// advance moves what is in order to ready, and notes whether a gap is left.
func (r *repair) advance(s *sender) {
	n := 0
	for n < len(s.held) && s.held[n].Seq == s.next {
		r.release(s, s.held[n])
		s.next++
		n++
	}
	if s.held = slices.Delete(s.held, 0, n); len(s.held) == 0 {
		s.held = nil
	}
	if _, _, gap := s.gap(); !gap {
		s.since, s.asked = time.Time{}, time.Time{}
	} else if n > 0 || s.since.IsZero() {
		s.since = time.Now() // another gap
		if s.next > s.to {
			s.asked = time.Time{}
		}
	}
}

func (r *repair) release(s *sender, m Message) {
	s.bytes -= footprint(m.Body)
	r.ready = append(r.ready, result{message: m})
}

// giveUp ends the waiting for numbers up to to, of which so many are lost.
func (r *repair) giveUp(s *sender, to, lost uint64) {
	n := 0
	for n < len(s.held) && s.held[n].Seq <= to {
		r.release(s, s.held[n])
		n++
	}
	s.held = slices.Delete(s.held, 0, n)
	if lost > 0 {
		r.stats.Lost += lost
		r.ready = append(r.ready, result{gap: Gap{Node: s.id, Missed: lost}})
	}
	s.next, s.said = max(s.next, to+1), max(s.said, to)
	s.since, s.asked, s.fresh = time.Time{}, time.Time{}, false
	r.advance(s)
}

// abandon ends the waiting for the first gap, if there is one. Who was not known
// before may have said nothing of interest.
func (r *repair) abandon(s *sender) bool {
	from, to, gap := s.gap()
	if !gap {
		return false
	}
	switch lost := to - from + 1; {
	case s.fresh:
		r.giveUp(s, to, 0)
	case lost > plausible:
		r.giveUp(s, to, 0)
		r.ready = append(r.ready, result{gap: Gap{Node: s.id}})
	default:
		r.giveUp(s, to, lost)
	}
	return true
}

// plausible is how many messages may be missing; more is no number that anybody
// has counted.
const plausible = 1_000_000

// settle dispatches what is ready and asks for what is missing. It unlocks mu.
func (r *repair) settle(s *sender) {
	question, missing := r.question(s, time.Now())
	if !r.working {
		r.working = true
		r.work()
	}
	r.mu.Unlock()
	if missing {
		r.ask(question)
	}
}

// work dispatches until nothing is ready. The caller holds mu, which is not held
// meanwhile, and has set working.
func (r *repair) work() {
	for len(r.ready) > 0 && !r.closed {
		batch := r.ready
		r.ready = nil
		r.mu.Unlock()
		for i := range batch {
			switch one := &batch[i]; {
			case one.gap.Node != "":
				r.lost(one.gap)
			case one.message.Body != nil:
				r.dispatch(one.message)
			}
		}
		r.mu.Lock()
	}
	r.ready, r.working = nil, false
}

// heard takes how far a node is.
func (r *repair) heard(from NodeID, p Position) {
	r.mu.Lock()
	s := r.sender(from)
	switch {
	case s.next == 0 && p.Last < p.Origin: // it has not said anything yet
		s.next = p.Origin
	case s.next == 0:
		r.meet(s, p.Last)
		if !s.fresh {
			s.toldAt, s.told = time.Now(), p.Last
		}
	}
	s.said = max(s.said, p.Last)
	r.advance(s)
	r.settle(s)
}

// repeated takes the end of an answer. When it has brought anything the rest is
// asked for at once.
func (r *repair) repeated(from NodeID, end Repeated) {
	r.mu.Lock()
	s := r.senders[from]
	if s == nil {
		r.mu.Unlock()
		return
	}
	r.disbelieve(s, end.Last)
	if end.To >= s.next {
		r.giveUp(s, end.To, min(end.Lost, end.To-s.next+1))
	}
	if s.next > s.from {
		s.asked = time.Time{}
	}
	r.settle(s)
}

// disbelieve drops what claims a number that its sender has not reached: a bus
// may be disturbed, or spoken on by others. What the sender may have said since
// it answered stays.
func (r *repair) disbelieve(s *sender, last uint64) {
	most := last + keptMessages
	if s.said <= most || last < s.next {
		return
	}
	s.said = last
	for n := len(s.held); n > 0; n-- {
		m := s.held[n-1]
		if m.Seq <= most {
			s.said = max(s.said, m.Seq)
			break
		}
		s.bytes -= footprint(m.Body)
		s.held = s.held[:n-1]
		r.stats.Refused++
	}
	r.advance(s)
}

// left forgets a node: nobody can be asked for what it said.
func (r *repair) left(id NodeID) {
	r.mu.Lock()
	s := r.senders[id]
	if s == nil {
		r.mu.Unlock()
		return
	}
	for r.abandon(s) {
		continue
	}
	delete(r.senders, id)
	if r.latest == s {
		r.latest = nil
	}
	r.settle(s)
}

// resumed gives gaps their full time again: while the link was down nobody
// could answer.
func (r *repair) resumed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.senders {
		if !s.since.IsZero() {
			s.since, s.asked = time.Now(), time.Time{}
		}
	}
}

// knows reports whether all these nodes number what they say.
func (r *repair) knows(ids []NodeID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range ids {
		if r.senders[id] == nil {
			return false
		}
	}
	return true
}

// question returns what to ask for a sender's gap, unless that was asked just
// now, and sees to it that it is asked again. The caller holds mu.
func (r *repair) question(s *sender, now time.Time) (Again, bool) {
	from, to, gap := s.gap()
	if !gap || r.closed {
		return Again{}, false
	}
	if r.timer == nil {
		// Ends by itself when no gap is left; close stops it.
		r.timer = time.AfterFunc(repairAgain, r.tick)
	}
	if now.Sub(s.asked) < repairAgain {
		return Again{}, false
	}
	s.asked, s.from, s.to = now, from, to
	if s.fresh {
		return Again{Node: s.id, To: to, Age: now.Sub(r.begun)}, true
	}
	return Again{Node: s.id, From: from, To: to}, true
}

// tick asks again, and gives up what has been missing for too long.
func (r *repair) tick() {
	r.mu.Lock()
	r.timer = nil
	now := time.Now()
	var questions []Again
	for _, s := range r.senders {
		if s.since.IsZero() {
			continue
		}
		if now.Sub(s.since) >= repairTime {
			r.abandon(s)
		}
		if q, ok := r.question(s, now); ok {
			questions = append(questions, q)
		}
	}
	if !r.working {
		r.working = true
		r.work()
	}
	closed := r.closed
	r.mu.Unlock()
	for _, q := range questions {
		if !closed {
			r.ask(q)
		}
	}
}

// counted returns the counters.
func (r *repair) counted() RepairStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stats
}

// close ends the waiting; what is held is dropped with the membership.
func (r *repair) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if r.timer != nil {
		r.timer.Stop()
	}
}
