package memory

import (
	"cmp"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/dunlin-io/dunlin/core/cluster"
)

// late is what is on its way to a link and takes time. It is guarded by the
// link's mu.
type late struct {
	queue []delayed // in the order of arrival
	from  map[cluster.NodeID]*sender
	timer *time.Timer // of queue[0]; nil while the queue is empty
}

type delayed struct {
	at      time.Time
	from    *sender
	message cluster.Message
}

// sender is one node as a link's mail knows it.
type sender struct {
	dice    *rand.Rand
	epoch   int       // of the dice
	waiting int       // messages in the queue
	last    time.Time // when the last of them arrives
}

// arrive takes a message, lost, late or twice as the rule says; nil is none.
func (l *link) arrive(from cluster.NodeID, m cluster.Message, r *rule) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	s := l.late.from[from]
	if r == nil && s == nil { // the way of every message where nothing is wrong
		l.put(arrival{message: m})
		return
	}
	if s == nil {
		if l.late.from == nil {
			l.late.from = make(map[cluster.NodeID]*sender)
		}
		s = &sender{}
		l.late.from[from] = s
	}
	if r == nil {
		l.post(s, m, 0)
		return
	}
	l.shuffle(from, s)
	// Each message takes the same number of throws, whatever the rule: the fate
	// of one thing does not depend on the chance of another.
	loss, duplication, first, second := s.dice.Float64(), s.dice.Float64(), s.dice.Float64(), s.dice.Float64()
	counts := &l.hub.faults.counts
	if loss < r.Loss {
		counts.lost.Add(1)
		return
	}
	l.post(s, m, r.Delay+time.Duration(first*float64(r.Jitter)))
	if duplication < r.Duplication {
		counts.duplicated.Add(1)
		l.post(s, m, r.Delay+time.Duration(second*float64(r.Jitter)))
	}
}

// shuffle makes the dice of a way, once for each Hub.Seed.
func (l *link) shuffle(from cluster.NodeID, s *sender) {
	seed, epoch := l.hub.faults.chance()
	if s.dice != nil && s.epoch == epoch {
		return
	}
	h := fnv.New64a()
	for _, name := range []string{l.namespace, string(from), string(l.self)} {
		_, _ = h.Write([]byte(name + "\x00"))
	}
	s.dice, s.epoch = rand.New(rand.NewPCG(seed, h.Sum64())), epoch
}

// post puts a message into the mailbox after d, and behind what is on its way
// from the same sender.
func (l *link) post(s *sender, m cluster.Message, d time.Duration) {
	if d <= 0 && s.waiting == 0 {
		l.put(arrival{message: m})
		return
	}
	l.hub.faults.counts.delayed.Add(1)
	q := &l.late
	if len(q.queue) >= maxQueue {
		l.dropped(&m)
		l.reading.gap = l.reading.gap || m.Offset != ""
		return
	}
	at := time.Now().Add(max(d, 0))
	if s.waiting > 0 && at.Before(s.last) {
		at = s.last
	}
	s.waiting, s.last = s.waiting+1, at
	i, _ := slices.BinarySearchFunc(q.queue, at, func(o delayed, at time.Time) int {
		return cmp.Or(o.at.Compare(at), -1) // behind its equals
	})
	q.queue = slices.Insert(q.queue, i, delayed{at: at, from: s, message: m})
	if i == 0 {
		l.schedule()
	}
}

// schedule sets the timer to the next message.
func (l *link) schedule() {
	q := &l.late
	if q.timer != nil {
		q.timer.Stop()
		q.timer = nil
	}
	if len(q.queue) > 0 {
		q.timer = time.AfterFunc(time.Until(q.queue[0].at), l.due)
	}
}

// due puts into the mailbox what has arrived.
func (l *link) due() {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := &l.late
	now := time.Now()
	for len(q.queue) > 0 && !q.queue[0].at.After(now) {
		q.queue[0].from.waiting--
		l.put(arrival{message: q.queue[0].message})
		q.queue[0] = delayed{}
		q.queue = q.queue[1:]
	}
	l.schedule()
}

// stop drops everything.
func (q *late) stop() {
	if q.timer != nil {
		q.timer.Stop()
	}
	q.queue, q.from, q.timer = nil, nil, nil
}
