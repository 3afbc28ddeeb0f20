package redisadapter

import (
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/dunlin-io/dunlin/core/cluster"
)

// enter reserves the receiver for one call, when that of another goroutine has
// returned; Close waits until leave.
func (l *link) enter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.calling && !l.closed {
		l.idle.Wait()
	}
	if l.closed {
		return false
	}
	l.calling = true
	return true
}

func (l *link) leave() {
	l.mu.Lock()
	l.calling = false
	l.mu.Unlock()
	l.idle.Broadcast()
}

// subscribed takes from a source, the subscriptions or a stream, that the link
// hears it, or does so again. The receiver is told when all stand.
func (l *link) subscribed(resumed bool) {
	if !l.enter() {
		return
	}
	defer l.leave()
	if !resumed {
		l.awaited--
	}
	if l.awaited == 0 {
		l.receiver.Subscribed(resumed)
	}
}

// hear takes what came in on one of the link's topics.
func (l *link) hear(channel, payload string) {
	if payload == "" && channel == l.own {
		return // the trial of check
	}
	l.take(channel, func() (cluster.Message, bool, error) {
		payload, err := l.trusted(channel, payload)
		if err != nil {
			return cluster.Message{}, false, err
		}
		return l.dialect.decode(channel, payload)
	})
}

// trusted returns what may be decoded of a message.
func (l *link) trusted(channel, message string) (payload string, err error) {
	most, s := l.adapter.opts.MaxMessage, l.adapter.pub.signer
	if s != nil {
		most += sealedSize
	}
	switch n := len(message); {
	case n > most:
		return "", fmt.Errorf("%w: %d bytes", cluster.ErrTooLarge, n)
	case s != nil:
		return s.open(channel, message, &l.guard)
	case isSealed(message):
		return "", errSealed
	}
	return message, nil
}

// take reads a message and passes it on. Whatever came in, the worst that
// happens is that it is dropped.
func (l *link) take(source string, read func() (m cluster.Message, named bool, err error)) {
	if !l.enter() {
		return
	}
	defer l.leave()
	defer func() {
		if r := recover(); r != nil {
			l.adapter.report.drop(DropMalformed, 1, fmt.Errorf("panic: %v\n%s", r, debug.Stack()))
		}
	}()
	l.adapter.report.received.Add(1)
	m, named, err := read()
	if err != nil {
		reason := DropMalformed
		if errors.Is(err, errDistrusted) {
			reason = DropUnsigned
		}
		if !errors.Is(err, errOtherNamespace) {
			l.adapter.report.drop(reason, 1, fmt.Errorf("message on %.100q: %w", source, err))
		}
		return
	}
	if m.Body == nil && m.Seq == 0 {
		return
	}
	if m.Body != nil {
		l.meet(&m, named)
	}
	l.receiver.Receive(m)
}

// meet remembers Go nodes by the names that they have given.
func (l *link) meet(m *cluster.Message, named bool) {
	if _, leaving := m.Body.(cluster.Leaving); leaving {
		l.nodes.forget(m.From)
	} else if named {
		l.nodes.saw(m.From)
	}
}
