package redisadapter

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/dunlin-io/dunlin/core/cluster"
)

// enter reserves the receiver for one call; Close waits until leave.
func (l *link) enter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
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

func (l *link) subscribed(resumed bool) {
	if l.enter() {
		defer l.leave()
		l.receiver.Subscribed(resumed)
	}
}

// hear takes what came in on one of the link's channels. Whatever it is, the
// worst that happens is that it is dropped.
func (l *link) hear(channel, payload string) {
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
	m, err := l.decode(channel, payload)
	if err != nil {
		if !errors.Is(err, errOtherNamespace) {
			l.adapter.report.drop(DropMalformed, 1, fmt.Errorf("message on %.100q: %w", channel, err))
		}
		return
	}
	if m.Body != nil {
		l.receiver.Receive(m)
	}
}

// decode reads a message. One without a body is of no interest here.
func (l *link) decode(channel, payload string) (cluster.Message, error) {
	if n := len(payload); n > l.adapter.opts.MaxMessage {
		return cluster.Message{}, fmt.Errorf("%w: %d bytes", cluster.ErrTooLarge, n)
	}
	switch {
	case channel == l.names.request:
		m, err := l.codec.request(payload)
		if err != nil || m.Body == nil {
			return cluster.Message{}, err
		}
		l.meet(&m, strings.HasPrefix(string(m.ReplyTo), askedWithExtended))
		return m, nil
	case channel == l.names.response, channel == l.names.own:
		m, err := l.codec.answer(payload)
		if err != nil || m.From == l.codec.self {
			return cluster.Message{}, err
		}
		l.meet(&m, true)
		return m, nil
	}
	return l.decodeBroadcast(channel, payload)
}

// decodeBroadcast drops our own message and that for a room without members
// here before it is read.
func (l *link) decodeBroadcast(channel, payload string) (cluster.Message, error) {
	room, ok := l.names.room(channel)
	if !ok {
		return cluster.Message{}, errOtherNamespace // the pattern of a namespace matches more than itself
	}
	uid, ok := sender(payload)
	if ok && uid == l.codec.uid() || room != "" && !l.receiver.HasRoom(room) {
		return cluster.Message{}, nil
	}
	m, err := l.codec.broadcast(payload)
	if m.From == l.codec.self {
		return cluster.Message{}, err
	}
	return m, err
}

// meet remembers Go nodes by the names that they have given.
func (l *link) meet(m *cluster.Message, extended bool) {
	if _, leaving := m.Body.(cluster.Leaving); leaving {
		l.nodes.forget(m.From)
	} else if extended {
		l.nodes.saw(m.From)
	}
}
