package redisadapter

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/dunlin-io/dunlin/core/cluster"
)

// unsubscribeWait is how long closing a link waits for Redis to be told.
const unsubscribeWait = time.Second

// link is one namespace in classic mode.
type link struct {
	adapter  *Adapter
	names    channels
	codec    codec
	receiver cluster.Receiver // nil: publishes only
	group    *group           // nil without receiver
	refused  error            // why it could not be opened
	nodes    nodes
	gone     chan struct{} // closed by Close

	mu      sync.Mutex // guards the following
	closed  bool
	calling bool // the receiver
	idle    sync.Cond
}

var _ cluster.Link = (*link)(nil)

func newLink(a *Adapter, namespace string, self cluster.NodeID, r cluster.Receiver) *link {
	extension := !a.opts.NoExtension
	l := &link{
		adapter:  a,
		names:    newChannels(a.opts.Prefix, namespace, self),
		receiver: r,
		codec: codec{
			namespace: namespace, self: self, extension: extension,
			emitter: r == nil && !extension, limits: a.opts.limits(),
		},
		gone: make(chan struct{}),
	}
	l.idle.L = &l.mu
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
	return l.err()
}

// Publish implements cluster.Link. A message that wants answers is refused while
// Redis is away; others wait for it.
func (l *link) Publish(m cluster.Message) error {
	if err := l.err(); err != nil {
		return err
	}
	b, broadcast := m.Body.(cluster.Broadcast)
	if isLocal(m.Body) {
		return nil
	}
	if wantsAnswers(m.Body) {
		if err := l.away(); err != nil {
			return err
		}
	}
	var payload []byte
	var err error
	channel := l.names.request
	if broadcast && b.RequestID == "" {
		channel = l.names.of(&b.Target)
		payload, err = l.codec.appendBroadcast(l.buffer(&m), m.Seq, &b)
	} else {
		payload, err = l.codec.appendRequest(l.buffer(&m), &m)
	}
	if _, leaving := m.Body.(cluster.Leaving); leaving && errors.Is(err, errNoForm) {
		return nil // others find out by themselves
	}
	if err != nil {
		return err
	}
	return l.put(channel, payload)
}

// Send implements cluster.Link.
func (l *link) Send(to cluster.ReplyTo, m cluster.Message) error {
	if err := l.err(); err != nil {
		return err
	}
	payload, err := l.codec.appendAnswer(l.buffer(&m), to, &m)
	if err != nil {
		return err
	}
	if payload == nil {
		return nil
	}
	return l.put(l.answerChannel(to, m.Body), payload)
}

// answerChannel returns where an answer goes. Go nodes are answered on their own
// channel only. Server-side events are answered on the shared channel, as the
// JavaScript adapter does whatever its options.
func (l *link) answerChannel(to cluster.ReplyTo, b cluster.Body) string {
	mark, uid := "", ""
	if len(to) > 0 {
		mark, uid = string(to[:1]), string(to[1:])
	}
	_, event := b.(cluster.EmitReply)
	switch {
	case uid == "":
		return l.names.response
	case mark == askedWithExtended:
		return l.names.responseOf(uid)
	case event || l.adapter.opts.SharedAnswers:
		return l.names.response
	}
	return l.names.responseOf(uid)
}

// buffer returns a buffer of about the size that a message needs.
func (l *link) buffer(m *cluster.Message) []byte {
	size := 128 + len(l.codec.self)
	switch b := m.Body.(type) {
	case cluster.Broadcast:
		if b.Packet != nil {
			size += len(b.Packet.Payload.JSON)
			for _, a := range b.Packet.Payload.Attachments {
				size += len(a) + 8
			}
		}
		for _, r := range b.Target.Rooms {
			size += len(r) + 2
		}
		for _, r := range b.Target.Except {
			size += len(r) + 2
		}
	case cluster.Emit:
		size += len(b.Payload.JSON)
	case cluster.SocketsReply:
		size += 512 * len(b.Sockets)
	case cluster.Join, cluster.Leave, cluster.Disconnect, cluster.FetchSockets, cluster.Rooms, cluster.Leaving,
		cluster.AckCount, cluster.AckReply, cluster.RoomsReply, cluster.EmitReply, cluster.Applied:
	}
	return make([]byte, 0, size)
}

func (l *link) put(channel string, payload []byte) error {
	if n := len(payload); n > l.adapter.opts.MaxMessage {
		return fmt.Errorf("%w: %d bytes, the limit is %d", cluster.ErrTooLarge, n, l.adapter.opts.MaxMessage)
	}
	return l.adapter.pub.put(channel, payload)
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
		cluster.SocketsReply, cluster.RoomsReply, cluster.EmitReply, cluster.Applied:
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
		cluster.SocketsReply, cluster.RoomsReply, cluster.EmitReply, cluster.Applied:
	}
	return false
}
