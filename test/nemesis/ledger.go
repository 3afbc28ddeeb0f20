// Package nemesis breaks clusters on purpose and proves what they promise: a
// ledger holds every message that was sent and every one that was received, a
// checker finds what must not be, a proxy disturbs connections, and the tests
// kill, stop and cut off real processes.
package nemesis

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// MessageID names a message: its producer, who numbers them from 1 on without
// gaps.
type MessageID struct {
	Producer string
	Seq      int
}

func (m MessageID) String() string { return fmt.Sprintf("%s/%d", m.Producer, m.Seq) }

// Outcome is what a producer knows of a message that it sent.
type Outcome uint8

// Outcomes.
const (
	Unknown  Outcome = iota // no answer: it may have been accepted or not
	Accepted                // the node acknowledged it
	Refused                 // the node said no
)

// Ledger records what happened. It is safe for concurrent use.
type Ledger struct {
	mu        sync.Mutex // guards the following
	sends     map[MessageID]*send
	consumers map[string]*consumer
	windows   []window
}

type send struct {
	at      time.Time
	outcome Outcome
}

// consumer is one that is to receive everything between joined and left.
type consumer struct {
	node     string
	joined   time.Time
	left     time.Time // zero: still there
	receipts []receipt // in the order of their arrival
}

type receipt struct {
	id MessageID
	at time.Time
}

// window is a time in which messages of some producers may fail to reach some
// consumers.
type window struct {
	from, to time.Time
	cause    string
	between  func(producer, consumer string) bool
}

// NewLedger returns an empty ledger.
func NewLedger() *Ledger {
	return &Ledger{sends: make(map[MessageID]*send), consumers: make(map[string]*consumer)}
}

// Sending records a message before it is handed to a node.
func (l *Ledger) Sending(id MessageID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sends[id] = &send{at: time.Now()}
}

// Sent records what the node said to it.
func (l *Ledger) Sent(id MessageID, o Outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.sends[id]; s != nil {
		s.outcome = o
	}
}

// Joined records that a consumer, a client of node, receives from now on.
func (l *Ledger) Joined(name, node string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.consumers[name] = &consumer{node: node, joined: time.Now()}
}

// Left records that a consumer is not expected to receive any more.
func (l *Ledger) Left(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.consumers[name]; c != nil && c.left.IsZero() {
		c.left = time.Now()
	}
}

// Received records a receipt.
func (l *Ledger) Received(name string, id MessageID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.consumers[name]
	if c == nil {
		c = &consumer{}
		l.consumers[name] = c
	}
	c.receipts = append(c.receipts, receipt{id: id, at: time.Now()})
}

// MayLose declares a window: what is sent in it by a producer may fail to reach
// a consumer if between says so.
func (l *Ledger) MayLose(from, to time.Time, cause string, between func(producer, consumer string) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.windows = append(l.windows, window{from: from, to: to, cause: cause, between: between})
}

// Violation is something that must not be.
type Violation struct {
	Kind     string // phantom, duplicate, order, lost, uncounted
	Consumer string
	Message  MessageID
	Detail   string
}

func (v Violation) String() string {
	return fmt.Sprintf("%s: %s at %s: %s", v.Kind, v.Message, v.Consumer, v.Detail)
}

// Verdict is what Check found.
type Verdict struct {
	Sent, Accepted, Received int
	// Excused counts messages that did not reach a consumer inside a window
	// that was declared for it, by the window's cause.
	Excused    map[string]int
	Violations []Violation
}

// Check compares the receipts with what was sent:
//
//   - nothing is received that was not sent (phantom) or was refused,
//   - nothing twice by the same consumer (duplicate),
//   - a producer's messages in the order in which they were sent (order),
//   - and an accepted message reaches every consumer that was there from before it
//     was sent until the end (lost), outside the declared windows.
//
// A message of which the producer knows nothing may be received or not.
func (l *Ledger) Check() Verdict {
	l.mu.Lock()
	defer l.mu.Unlock()
	v := Verdict{Sent: len(l.sends), Excused: make(map[string]int)}
	for _, s := range l.sends {
		if s.outcome == Accepted {
			v.Accepted++
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.consumers)) {
		l.check(name, l.consumers[name], &v)
	}
	return v
}

func (l *Ledger) check(name string, c *consumer, v *Verdict) {
	violation := func(kind string, id MessageID, format string, args ...any) {
		v.Violations = append(v.Violations, Violation{kind, name, id, fmt.Sprintf(format, args...)})
	}
	v.Received += len(c.receipts)
	seen := make(map[MessageID]bool, len(c.receipts))
	latest := make(map[string]int)
	for _, r := range c.receipts {
		s := l.sends[r.id]
		switch {
		case s == nil:
			violation("phantom", r.id, "received, and never sent")
		case s.outcome == Refused:
			violation("phantom", r.id, "received, and refused by its node")
		}
		if seen[r.id] {
			violation("duplicate", r.id, "received again at %s", r.at.Format(time.StampMilli))
			continue
		}
		seen[r.id] = true
		if before := latest[r.id.Producer]; before > r.id.Seq {
			violation("order", r.id, "received after %d", before)
		}
		latest[r.id.Producer] = max(latest[r.id.Producer], r.id.Seq)
	}
	for _, id := range l.expected(c) {
		if seen[id] {
			continue
		}
		if cause, ok := l.excuse(id, name); ok {
			v.Excused[cause]++
			continue
		}
		violation("lost", id, "sent at %s and accepted", l.sends[id].at.Format(time.StampMilli))
	}
}

// expected returns what a consumer must receive.
func (l *Ledger) expected(c *consumer) []MessageID {
	var ids []MessageID
	if c.joined.IsZero() {
		return nil
	}
	for id, s := range l.sends {
		if s.outcome == Accepted && s.at.After(c.joined) && c.left.IsZero() {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b MessageID) int {
		return cmp.Or(cmp.Compare(a.Producer, b.Producer), cmp.Compare(a.Seq, b.Seq))
	})
	return ids
}

func (l *Ledger) excuse(id MessageID, consumer string) (cause string, ok bool) {
	at := l.sends[id].at
	for _, w := range l.windows {
		if !at.Before(w.from) && !at.After(w.to) && w.between(id.Producer, consumer) {
			return w.cause, true
		}
	}
	return "", false
}

// Counted compares what the cluster says it lost with what the ledger says, and
// adds a violation if they differ.
func (v *Verdict) Counted(cause string, counted int) {
	if got := v.Excused[cause]; got != counted {
		v.Violations = append(v.Violations, Violation{
			Kind: "uncounted", Consumer: "cluster",
			Detail: fmt.Sprintf("%s: %d receipts are missing and the nodes count %d", cause, got, counted),
		})
	}
}
