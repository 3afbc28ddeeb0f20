package cluster

import (
	"slices"
	"sync"
	"time"
)

// A bus may lose messages when a connection breaks, and nobody is told. So a
// node numbers what it says to all others and keeps the latest of it: who finds
// a number missing asks for it again (see repair). Nodes that do not number,
// such as Node.js servers, are heard at most once.

// What is kept has to outlast what an adapter's queue holds while its bus is
// away: that is said, but not heard yet.
const (
	keptMessages = 20_000
	keptBytes    = 24 << 20
	keptFor      = 45 * time.Second
)

// The answer to one request is bounded, since it shares the adapter's queue with
// everything else.
const (
	repeatedAtOnce = 1_000
	repeatedBytes  = 1 << 20
)

// The last messages before a silence are not followed by one whose number tells
// that they are missing. So Said follows, soon and, if that is lost too, later;
// after that the kept messages expire.
var tails = []time.Duration{500 * time.Millisecond, 5 * time.Second, keptFor + time.Second}

// numbering is what a member has said to all others.
type numbering struct {
	publish func(Message) error

	mu     sync.Mutex // guards the following, and is held while a message is queued: numbers leave in order
	origin uint64     // the first number that was ever used
	last   uint64     // the last one, or the one before origin
	kept   []said     // with contiguous numbers, up to last
	bytes  int
	timer  *time.Timer
	tail   int // index in tails of what the timer does next
	tailAt time.Time
	closed bool
}

// said is a message as it was published.
type said struct {
	message Message
	at      time.Time
	size    int
}

// started is where numbers begin, in microseconds: a namespace that is closed and
// opened again goes on behind where it was, since nobody says a million messages
// a second. Adjustments of the wall clock do not touch it.
var started = time.Now()

func newNumbering(publish func(Message) error) *numbering {
	now := uint64(started.Add(time.Since(started)).UnixMicro()) //nolint:gosec // positive since 1970
	return &numbering{publish: publish, origin: now + 1, last: now}
}

// say publishes a message with the next number.
func (n *numbering) say(m Message) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	m.Seq = n.last + 1
	if err := n.publish(m); err != nil {
		return err
	}
	n.last++
	k := said{message: m, at: time.Now(), size: footprint(m.Body)}
	n.kept = append(n.kept, k)
	n.bytes += k.size
	n.trim(k.at)
	n.tail, n.tailAt = 0, k.at.Add(tails[0])
	if n.timer == nil && !n.closed {
		n.timer = time.AfterFunc(tails[0], n.tick)
	}
	return nil
}

// trim forgets what is too much or too old.
func (n *numbering) trim(now time.Time) {
	drop := 0
	for drop < len(n.kept) && (len(n.kept)-drop > keptMessages || n.bytes > keptBytes || now.Sub(n.kept[drop].at) > keptFor) {
		n.bytes -= n.kept[drop].size
		n.kept[drop] = said{}
		drop++
	}
	if n.kept = n.kept[drop:]; len(n.kept) == 0 {
		n.kept = nil
	}
}

// tick says Said after a silence. The timer is not moved for every message: it
// looks when it fires whether there was one.
func (n *numbering) tick() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return
	}
	if wait := time.Until(n.tailAt); wait > 0 {
		n.timer.Reset(wait)
		return
	}
	if n.tail++; n.tail == len(tails) {
		n.trim(time.Now())
		n.timer = nil
		return
	}
	_ = n.publish(Message{Body: Said{Position{n.origin, n.last}}}) // what is lost now is found missing later
	n.tailAt = time.Now().Add(tails[n.tail] - tails[n.tail-1])
	n.timer.Reset(time.Until(n.tailAt))
}

func (n *numbering) position() Position {
	n.mu.Lock()
	defer n.mu.Unlock()
	return Position{n.origin, n.last}
}

// repeat returns what is asked for, as far as it is kept and not too much at
// once, and what to say of the rest.
func (n *numbering) repeat(q Again) (again []Message, end Repeated) {
	n.mu.Lock()
	defer n.mu.Unlock()
	end.Position = Position{n.origin, n.last}
	from, to := q.From, min(q.To, n.last)
	if from == 0 {
		from = n.since(time.Now().Add(-q.Age))
		end.To = min(to, from-1)
	}
	first := n.last + 1 - uint64(len(n.kept)) // the number of kept[0]
	if from < first {
		end.To = min(to, first-1)
		if lost := max(from, n.origin); lost <= end.To {
			end.Lost = end.To - lost + 1
		}
		from = first
	}
	for bytes := 0; from <= to && len(again) < repeatedAtOnce && bytes < repeatedBytes; from++ {
		k := &n.kept[from-first]
		bytes += k.size
		m := k.message
		if requestOf(m.Body) != "" { // by now nobody may wait for the answer
			m.Body = Said{Position{n.origin, n.last}}
		}
		again = append(again, m)
	}
	return again, end
}

// since returns the number of the first message that was said after that time.
// It may be one that is not kept any more.
func (n *numbering) since(at time.Time) uint64 {
	i := slices.IndexFunc(n.kept, func(k said) bool { return k.at.After(at) })
	switch {
	case i < 0:
		return n.last + 1
	case i == 0:
		return n.origin
	}
	return n.last + 1 - uint64(len(n.kept)-i)
}

func (n *numbering) close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
	if n.timer != nil {
		n.timer.Stop()
	}
	n.kept = nil
}

// footprint is about how many bytes a message keeps alive.
func footprint(b Body) int {
	n := 256
	var t *Target
	var rooms []string
	switch b := b.(type) {
	case Broadcast:
		t = &b.Target
		if b.Packet != nil {
			n += len(b.Packet.Payload.JSON)
			for _, a := range b.Packet.Payload.Attachments {
				n += len(a)
			}
		}
	case Join:
		t, rooms = &b.Target, b.Rooms
	case Leave:
		t, rooms = &b.Target, b.Rooms
	case Disconnect:
		t = &b.Target
	case FetchSockets:
		t = &b.Target
	case Emit:
		n += len(b.Payload.JSON)
	case Rooms, Leaving, Where, Said, Again, AckCount, AckReply, SocketsReply, RoomsReply, EmitReply, Applied, Repeated:
	}
	if t != nil {
		rooms = slices.Concat(rooms, t.Rooms, t.Except)
	}
	for _, r := range rooms {
		n += len(r) + 16
	}
	return n
}
