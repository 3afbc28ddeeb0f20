package redisadapter

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/dunlin-io/dunlin/core/cluster"
)

// unsubscribeWait is how long closing a link waits for Redis to be told.
const unsubscribeWait = time.Second

// dialect is how one namespace speaks in a mode: where messages go, and how they
// become bytes. It does no I/O. encode and answer may be called concurrently.
type dialect interface {
	// topics are what a member subscribes to, in that order, and counted is the
	// one among them whose subscribers are the members.
	topics() []topic
	counted() string
	// personal is the channel to which only that node subscribes.
	personal(id cluster.NodeID) string
	// encode and answer return what is to be sent to all, or to who asked; a
	// message without payload is not sent.
	encode(m *cluster.Message) (outgoing, error)
	answer(to cluster.ReplyTo, m *cluster.Message) (outgoing, error)
	// decode reads what came in on a channel. A message without a body is of no
	// interest here. named says that its sender names itself in answers, too.
	decode(channel, payload string) (m cluster.Message, named bool, err error)
}

// link is one namespace in any mode.
type link struct {
	adapter   *Adapter
	dialect   dialect
	receiver  cluster.Receiver // nil: publishes only
	group     *group           // nil without receiver
	refused   error            // why it could not be opened
	recording *recording       // nil but for members in the mode Streams
	nodes     nodes
	losses    losses
	guard     guard         // of what comes in on channels
	own       string        // the channel that only this node hears; empty without receiver
	gone      chan struct{} // closed by Close
	awaited   int           // sources that do not stand yet; belongs to who is calling

	mu      sync.Mutex // guards the following
	closed  bool
	calling bool // the receiver
	idle    sync.Cond
}

var (
	_ cluster.Link    = (*link)(nil)
	_ cluster.Flusher = (*link)(nil)
)

func newLink(a *Adapter, d dialect, r cluster.Receiver) *link {
	l := &link{adapter: a, dialect: d, receiver: r, awaited: 1, gone: make(chan struct{})}
	l.idle.L = &l.mu
	if d, ok := d.(*streamed); ok && r != nil {
		l.recording = newRecording(l, d)
		l.nodes.self = d.codec.self
		l.awaited += len(l.recording.streams)
	}
	return l
}

func (l *link) err() error {
	if l.refused != nil {
		return l.refused
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return cluster.ErrClosed
	}
	return nil
}

// Ready implements cluster.Link: the node's own subscriptions stand.
func (l *link) Ready(ctx context.Context) error {
	if err := l.err(); err != nil {
		return err
	}
	if l.group == nil {
		return nil
	}
	if err := l.adapter.sub.waitReady(ctx, l.group, l.gone); err != nil {
		return err
	}
	if l.recording != nil {
		if err := l.recording.waitReady(ctx, l.gone); err != nil {
			return err
		}
	}
	if err := l.adapter.check(ctx, l); err != nil {
		return err
	}
	return l.err()
}

// Publish implements cluster.Link. A message that wants answers is refused while
// Redis is away; others wait for it.
func (l *link) Publish(m cluster.Message) error {
	if err := l.err(); err != nil {
		return err
	}
	if isLocal(m.Body) {
		return nil
	}
	if wantsAnswers(m.Body) {
		if err := l.away(); err != nil {
			return err
		}
	}
	o, err := l.dialect.encode(&m)
	if err != nil {
		return err
	}
	return l.put(o)
}

// Send implements cluster.Link.
func (l *link) Send(to cluster.ReplyTo, m cluster.Message) error {
	if err := l.err(); err != nil {
		return err
	}
	o, err := l.dialect.answer(to, &m)
	if err != nil {
		return err
	}
	return l.put(o)
}

func (l *link) put(o outgoing) error {
	if o.payload == nil {
		return nil
	}
	if n := len(o.payload); n > l.adapter.opts.MaxMessage {
		return fmt.Errorf("%w: %d bytes, the limit is %d", cluster.ErrTooLarge, n, l.adapter.opts.MaxMessage)
	}
	o.losses = &l.losses
	if o.entry != nil && l.recording != nil {
		o.entry.log = l.recording.log
	}
	return l.adapter.pub.put(o)
}

// away returns why nobody could be asked now.
func (l *link) away() error {
	if l.group == nil {
		return l.adapter.pub.err()
	}
	return l.adapter.sub.err()
}

// Members implements cluster.Link.
func (l *link) Members(ctx context.Context) (cluster.Members, error) {
	if err := l.err(); err != nil {
		return cluster.Members{}, err
	}
	if l.group != nil {
		if err := l.adapter.sub.connection(ctx); err != nil {
			return cluster.Members{}, err
		}
	}
	return l.members(ctx)
}

// Close implements cluster.Link. It must not be called by the receiver.
func (l *link) Close() error {
	if !l.end() || l.group == nil || l.adapter.sub.err() != nil {
		return nil
	}
	t := time.NewTimer(unsubscribeWait)
	defer t.Stop()
	select {
	case <-l.group.gone:
	case <-t.C:
	}
	return nil
}

// end closes the link but does not wait until Redis was told; it reports whether
// the link was open. The receiver is not called afterwards.
func (l *link) end() bool {
	if l.refused != nil {
		return false
	}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return false
	}
	l.closed = true
	close(l.gone)
	for l.calling {
		l.idle.Wait()
	}
	l.mu.Unlock()
	if l.group != nil {
		l.adapter.sub.remove(l.group)
	}
	if l.recording != nil {
		l.recording.leave()
	}
	l.adapter.forget(l)
	return true
}

func isLocal(b cluster.Body) bool {
	switch b := b.(type) {
	case cluster.Broadcast:
		return b.Target.Local
	case cluster.Join:
		return b.Target.Local
	case cluster.Leave:
		return b.Target.Local
	case cluster.Disconnect:
		return b.Target.Local
	case cluster.FetchSockets:
		return b.Target.Local
	case cluster.Rooms, cluster.Emit, cluster.Leaving, cluster.AckCount, cluster.AckReply,
		cluster.SocketsReply, cluster.RoomsReply, cluster.EmitReply, cluster.Applied, cluster.Again,
		cluster.Repeated, cluster.Said, cluster.Where:
	}
	return false
}

func wantsAnswers(b cluster.Body) bool {
	switch b := b.(type) {
	case cluster.Broadcast:
		return b.RequestID != ""
	case cluster.Emit:
		return b.RequestID != ""
	case cluster.FetchSockets, cluster.Rooms:
		return true
	case cluster.Join, cluster.Leave, cluster.Disconnect, cluster.Leaving, cluster.AckCount, cluster.AckReply,
		cluster.SocketsReply, cluster.RoomsReply, cluster.EmitReply, cluster.Applied, cluster.Again,
		cluster.Repeated, cluster.Said, cluster.Where:
	}
	return false
}
