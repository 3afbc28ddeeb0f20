package cluster

import "time"

// sender is a node that numbers its messages.
type sender struct {
	id     NodeID
	next   uint64    // the number of the message that is to be dispatched next
	said   uint64    // the highest number that is known to have been used
	held   []Message // behind a gap, in order
	bytes  int
	since  time.Time // when the gap was found, or the link came back; zero: there is none
	asked  time.Time // when something was asked for
	fresh  bool      // it was not known before, and is asked for what it said meanwhile
	told   uint64    // how far it was when it was met by its word alone
	toldAt time.Time
	before map[uint64]struct{} // messages up to told that have come since
	stale  int                 // messages in a row whose numbers are of long ago
	from   uint64              // the first number that was asked for
	to     uint64              // and the last
}

// gap returns the numbers that are missing before what is held.
func (s *sender) gap() (from, to uint64, ok bool) {
	to = s.said
	if len(s.held) > 0 {
		to = s.held[0].Seq - 1
	}
	return s.next, to, to >= s.next
}

// maxSenders bounds the table of nodes that number their messages.
const maxSenders = 1024

// sender finds or adds a node. The caller holds mu.
func (r *repair) sender(id NodeID) *sender {
	if r.latest != nil && r.latest.id == id {
		return r.latest
	}
	s := r.senders[id]
	if s == nil {
		s = r.add(id)
	}
	r.latest = s
	return s
}

func (r *repair) add(id NodeID) *sender {
	if r.senders == nil {
		r.senders = make(map[NodeID]*sender)
	}
	for other, o := range r.senders {
		if len(r.senders) < maxSenders {
			break
		}
		if o.since.IsZero() {
			delete(r.senders, other) // it is known again when it says something
		}
	}
	s := &sender{id: id}
	r.senders[id] = s
	return s
}

// overtaken reports whether a message was overtaken by the word of how far its
// sender is, by which the sender was met: not every bus keeps order between its
// channels.
func (s *sender) overtaken(seq uint64) bool {
	if seq > s.told {
		return false
	}
	if len(s.before) == overtakenMost || time.Since(s.toldAt) > introduction {
		s.told, s.before = 0, nil
		return false
	}
	if _, repeated := s.before[seq]; repeated {
		return false
	}
	if s.before == nil {
		s.before = make(map[uint64]struct{})
	}
	s.before[seq] = struct{}{}
	return true
}

// overtakenMost bounds these messages.
const overtakenMost = 1_000
