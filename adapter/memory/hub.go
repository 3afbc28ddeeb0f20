// Package memory joins servers of one process into a cluster, for tests and
// for programs that run several servers side by side. Nothing is encoded:
// nodes share the immutable messages.
package memory

import (
	"context"
	"slices"
	"sync"

	"github.com/dunlin-io/dunlin/core/cluster"
)

// maxQueue bounds the messages that wait for one node in one namespace; the
// oldest give way.
const maxQueue = 100_000

// Hub is the bus between the servers of one process. It implements
// cluster.Adapter: give the same Hub to each server. Safe for concurrent use.
type Hub struct {
	faults faults
	log    *log // nil: nothing is recorded

	mu    sync.Mutex // guards the following
	links map[string][]*link
	lost  uint64
}

var _ cluster.Adapter = (*Hub)(nil)

// New returns a hub without servers.
func New() *Hub { return &Hub{links: make(map[string][]*link)} }

// Lost returns how many messages gave way because a node did not take them
// fast enough, or because too many were on their way. FaultCounts has what was
// lost on purpose.
func (h *Hub) Lost() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lost
}

// Open implements cluster.Adapter. Two links of one namespace must not have
// the same id.
func (h *Hub) Open(namespace string, self cluster.NodeID, r cluster.Receiver) cluster.Link {
	l := &link{hub: h, namespace: namespace, self: self, receiver: r}
	l.idle.L = &l.mu
	if r == nil {
		return l
	}
	h.enter(l)
	r.Subscribed(false)
	if h.log != nil {
		return logLink{l}
	}
	return l
}

func (h *Hub) enter(l *link) {
	if h.log != nil {
		h.log.mu.Lock() // nothing is recorded between the position and the first message
		defer h.log.mu.Unlock()
		l.reading.put, l.reading.passed = h.log.last, h.log.last.offset()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	// A new slice each time: publishers walk the old one without the lock.
	h.links[l.namespace] = append(slices.Clone(h.links[l.namespace]), l)
}

func (h *Hub) others(l *link) []*link {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.links[l.namespace]
}

func (h *Hub) leave(l *link) {
	h.mu.Lock()
	defer h.mu.Unlock()
	rest := slices.DeleteFunc(slices.Clone(h.links[l.namespace]), func(o *link) bool { return o == l })
	if len(rest) == 0 {
		delete(h.links, l.namespace)
		return
	}
	h.links[l.namespace] = rest
}

func (h *Hub) countLost() {
	h.mu.Lock()
	h.lost++
	h.mu.Unlock()
}

// link is one server's end in one namespace: a mailbox that is emptied by a
// goroutine which exists only while there is something in it.
type link struct {
	hub       *Hub
	namespace string
	self      cluster.NodeID
	receiver  cluster.Receiver // nil: publishes only

	mu      sync.Mutex // guards the following
	queue   []arrival
	late    late
	reading reading
	running bool
	closed  bool
	idle    sync.Cond // running became false
}

// arrival is what the receiver is told next.
type arrival struct {
	message cluster.Message
	resumed bool // instead: the link hears the others again
	gap     bool // what the log held before it is missing
}

func (l *link) Ready(ctx context.Context) error {
	if l.isClosed() {
		return cluster.ErrClosed
	}
	return l.hub.faults.connected(ctx, l.self)
}

func (l *link) Publish(m cluster.Message) error {
	if l.isClosed() {
		return cluster.ErrClosed
	}
	m.ReplyTo = cluster.ReplyTo(l.self)
	if l.hub.log != nil && recorded(&m) {
		l.publish(m)
		return nil
	}
	for _, o := range l.hub.others(l) {
		if o != l {
			l.hub.carry(l, o, m)
		}
	}
	return nil
}

func (l *link) Send(to cluster.ReplyTo, m cluster.Message) error {
	if l.isClosed() {
		return cluster.ErrClosed
	}
	m.ReplyTo = cluster.ReplyTo(l.self)
	for _, o := range l.hub.others(l) {
		if o.self == cluster.NodeID(to) {
			l.hub.carry(l, o, m)
		}
	}
	return nil
}

func (l *link) Members(ctx context.Context) (cluster.Members, error) {
	if l.isClosed() {
		return cluster.Members{}, cluster.ErrClosed
	}
	if l.hub.faults.interrupted(l.self) {
		return cluster.Members{}, ErrInterrupted
	}
	var m cluster.Members
	for _, o := range l.hub.others(l) {
		if o != l && !l.hub.faults.interrupted(o.self) {
			m.Known = append(m.Known, o.self)
		}
	}
	return m, ctx.Err()
}

// Close implements cluster.Link. It must not be called by the receiver.
func (l *link) Close() error {
	l.hub.leave(l)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.queue = nil
	l.late.stop()
	for l.running {
		l.idle.Wait()
	}
	return nil
}

func (l *link) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// put appends to the mailbox. The caller holds mu.
func (l *link) put(a arrival) {
	if l.closed {
		return
	}
	if len(l.queue) >= maxQueue {
		first := l.queue[0]
		l.queue = l.queue[1:]
		l.dropped(&first.message)
		l.queue[0].gap = l.queue[0].gap || first.gap || first.message.Offset != ""
	}
	if a.message.Offset != "" {
		a.gap, l.reading.gap = l.reading.gap, false
	}
	l.queue = append(l.queue, a)
	if !l.running {
		l.running = true
		// drain ends when the mailbox is empty or closed; Close waits for it.
		go l.drain()
	}
}

func (l *link) drain() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.queue) > 0 {
		batch := l.queue
		l.queue = nil
		l.mu.Unlock()
		for i := range batch {
			if l.isClosed() {
				break
			}
			if batch[i].gap {
				l.mu.Lock()
				l.reading.restarts++
				l.mu.Unlock()
			}
			if batch[i].resumed {
				l.receiver.Subscribed(true)
				continue
			}
			l.receiver.Receive(batch[i].message)
			if o := batch[i].message.Offset; o != "" {
				l.mu.Lock()
				l.reading.due--
				l.reading.passed = o
				l.mu.Unlock()
			}
		}
		l.mu.Lock()
	}
	l.running = false
	l.idle.Broadcast()
}
