package engineio

import (
	"sync"
	"time"
)

// heartbeat pings the sessions of a server. Every session waits either for its next ping or for a pong, and within one
// of these groups all wait equally long: two lists in order of arrival are two lists in order of due time. Each change
// is O(1), and one timer serves all.
type heartbeat struct {
	interval time.Duration
	timeout  time.Duration
	slack    time.Duration // pings due within it leave together: one wake-up serves many
	began    time.Time
	running  sync.WaitGroup // of beats; stop waits

	mu      sync.Mutex // guards the following and the beat of every session
	resting beatList   // until the next ping
	pinged  beatList   // until a pong
	timer   *time.Timer
	armed   time.Duration // when the timer fires; 0 if it does not
	stopped bool
}

// beat is a session's place in a heartbeat.
type beat struct {
	list       *beatList // nil: in none
	prev, next *Session
	due        time.Duration // since heartbeat.began
}

func newHeartbeat(interval, timeout time.Duration) *heartbeat {
	return &heartbeat{interval: interval, timeout: timeout, slack: interval / 1000, began: time.Now()}
}

func (h *heartbeat) add(s *Session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.resting.append(s, h.now()+h.interval)
	h.arm()
}

// restart schedules the next ping a full interval from now, whatever was pending, unless s was removed meanwhile. After
// a change of transport an answer may have been lost on the old one; without this no ping would follow.
func (h *heartbeat) restart(s *Session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.beat.list != nil {
		h.resting.append(s, h.now()+h.interval)
		h.arm()
	}
}

// pong answers a ping. One that nobody asked for changes nothing.
func (h *heartbeat) pong(s *Session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.beat.list == &h.pinged {
		h.resting.append(s, h.now()+h.interval)
		h.arm()
	}
}

func (h *heartbeat) remove(s *Session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s.beat.unlink()
}

// stop waits for a beat in progress. There is none afterwards.
func (h *heartbeat) stop() {
	h.mu.Lock()
	h.stopped = true
	if h.timer != nil {
		h.timer.Stop()
	}
	h.mu.Unlock()
	h.running.Wait()
}

func (h *heartbeat) now() time.Duration { return time.Since(h.began) }

// arm is called with mu held.
func (h *heartbeat) arm() {
	due := time.Duration(0)
	for _, l := range []*beatList{&h.resting, &h.pinged} {
		if l.head != nil && (due == 0 || l.head.beat.due < due) {
			due = l.head.beat.due
		}
	}
	if due == 0 || h.stopped || h.armed != 0 && h.armed <= due {
		return // a timer that fires too early arms itself again
	}
	h.armed = due
	wait := due - h.now()
	if h.timer == nil {
		// fire returns by itself; stop stops the timer and waits for a fire in progress.
		h.timer = time.AfterFunc(wait, h.fire)
		return
	}
	h.timer.Reset(wait)
}

// fire does what is due, on the timer's goroutine.
func (h *heartbeat) fire() {
	ping, late, ok := h.collect()
	if !ok {
		return
	}
	defer h.running.Done()
	for _, s := range ping {
		s.ping()
	}
	for _, s := range late {
		if !s.excused() {
			h.remove(s)
			s.finish(ReasonPingTimeout, nil)
		}
	}
}

// late reports whether the pong of s is overdue. A request that comes after the deadline asks, because the timer may be
// late itself.
func (h *heartbeat) late(s *Session) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return s.beat.list == &h.pinged && s.beat.due <= h.now()
}

// collect takes from both lists what is due. The pong deadline runs from when the ping was due, so that small delays do
// not add up; if this process has been held up for longer, it is the client that needs the time, and it runs from now.
func (h *heartbeat) collect() (ping, late []*Session, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopped {
		return nil, nil, false
	}
	h.running.Add(1)
	h.armed = 0
	now := h.now()
	for s := h.pinged.head; s != nil && s.beat.due <= now; s = h.pinged.head {
		h.pinged.append(s, now+h.timeout) // out of the way, or excused
		late = append(late, s)
	}
	heldUp := h.resting.head != nil && now-h.resting.head.beat.due > h.timeout/4
	for s := h.resting.head; s != nil && s.beat.due <= now+h.slack; s = h.resting.head {
		due := s.beat.due
		if heldUp {
			due = now
		}
		h.pinged.append(s, due+h.timeout)
		ping = append(ping, s)
	}
	h.arm()
	return ping, late, true
}

// beatList is a doubly linked list of sessions, through their beats.
type beatList struct{ head, tail *Session }

// append moves s to the end of l, from wherever it was.
func (l *beatList) append(s *Session, due time.Duration) {
	s.beat.unlink()
	s.beat = beat{list: l, prev: l.tail, due: due}
	if l.tail == nil {
		l.head = s
	} else {
		l.tail.beat.next = s
	}
	l.tail = s
}

func (b *beat) unlink() {
	if b.list == nil {
		return
	}
	if b.prev == nil {
		b.list.head = b.next
	} else {
		b.prev.beat.next = b.next
	}
	if b.next == nil {
		b.list.tail = b.prev
	} else {
		b.next.beat.prev = b.prev
	}
	*b = beat{}
}
