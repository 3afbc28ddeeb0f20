package redisadapter

import (
	"errors"
	"strings"

	"github.com/dunlin-io/dunlin/core/cluster"
)

// classic is the dialect of the classic adapter.
type classic struct {
	names     channels
	codec     codec
	routing   Routing
	shared    bool                   // answers go to the channel that all hear
	inhabited func(room string) bool // has members here
}

var (
	_ dialect = (*classic)(nil)
	_ router  = (*classic)(nil)
)

func newClassic(o *Options, namespace string, self cluster.NodeID, r cluster.Receiver) *classic {
	extension := !o.NoExtension
	c := &classic{
		names: newChannels(o.Prefix, namespace, self),
		codec: codec{
			namespace: namespace, self: self, extension: extension,
			emitter: r == nil, limits: o.limits(),
		},
		routing: o.Routing,
		shared:  o.SharedAnswers,
	}
	if r != nil {
		c.inhabited = r.HasRoom
	}
	return c
}

// topics ends with the request channel, so that a node which is counted as a
// member hears broadcasts.
func (c *classic) topics() []topic {
	rest := []topic{{c.names.own, false}, {c.names.response, false}, {c.names.request, false}}
	switch c.routing {
	case Dynamic:
		return append([]topic{{c.names.private, true}, {c.names.broadcast, false}}, rest...)
	case DynamicPrivate:
		return append([]topic{{c.names.broadcast, false}}, rest...)
	default:
		return append([]topic{{c.names.pattern, true}}, rest...)
	}
}

// roomTopic leaves to the pattern all that it matches: what is both matched and
// subscribed to would arrive twice. A ? of a pattern is one byte.
func (c *classic) roomTopic(room string) (topic, bool) {
	if c.routing == DynamicPrivate || c.routing == Dynamic && len(room) != socketIDLen {
		return topic{c.names.roomChannel(room), false}, true
	}
	return topic{}, false
}

func (c *classic) counted() string { return c.names.request }

func (c *classic) personal(id cluster.NodeID) string { return c.names.responseOf(string(id)) }

func (c *classic) encode(m *cluster.Message) (outgoing, error) {
	if b, ok := m.Body.(cluster.Broadcast); ok && b.RequestID == "" {
		payload, err := c.codec.appendBroadcast(newBuffer(m), m.Seq, &b)
		return outgoing{channel: c.names.of(&b.Target), payload: payload}, err
	}
	payload, err := c.codec.appendRequest(newBuffer(m), m)
	if onlyForGo(m.Body) && errors.Is(err, errNoForm) {
		return outgoing{}, nil // others find out by themselves
	}
	return outgoing{channel: c.names.request, payload: payload}, err
}

func (c *classic) answer(to cluster.ReplyTo, m *cluster.Message) (outgoing, error) {
	if statement(m.Body) {
		return c.statement(to, m)
	}
	payload, err := c.codec.appendAnswer(newBuffer(m), to, m)
	return outgoing{channel: c.answerChannel(to, m.Body), payload: payload}, err
}

// statement says something to one Go node, in the form in which it is said to
// all.
func (c *classic) statement(to cluster.ReplyTo, m *cluster.Message) (outgoing, error) {
	uid, extended := asker(to)
	if !extended || uid == "" || !c.codec.extension {
		return outgoing{}, nil // nobody to understand it
	}
	o, err := c.encode(m)
	if err != nil || o.payload == nil {
		return outgoing{}, err
	}
	return outgoing{
		channel: c.names.responseOf(uid),
		payload: append([]byte{statementMark}, o.payload...),
	}, nil
}

// answerChannel returns where an answer goes. Go nodes are answered on their own
// channel only. Server-side events are answered on the shared channel, as the
// JavaScript adapter does whatever its options.
func (c *classic) answerChannel(to cluster.ReplyTo, b cluster.Body) string {
	mark, uid := "", ""
	if len(to) > 0 {
		mark, uid = string(to[:1]), string(to[1:])
	}
	_, event := b.(cluster.EmitReply)
	switch {
	case uid == "":
		return c.names.response
	case mark == askedWithExtended:
		return c.names.responseOf(uid)
	case event || c.shared:
		return c.names.response
	}
	return c.names.responseOf(uid)
}

func (c *classic) decode(channel, payload string) (m cluster.Message, named bool, err error) {
	switch channel {
	case c.names.request:
		m, err = c.codec.request(payload)
		return m, strings.HasPrefix(string(m.ReplyTo), askedWithExtended), err
	case c.names.response, c.names.own:
		if payload != "" && payload[0] == statementMark && channel == c.names.own {
			m, err = c.codec.statement(payload[1:])
			return m, true, err
		}
		m, err = c.codec.answer(payload)
		if m.From == c.codec.self {
			return cluster.Message{}, false, err
		}
		return m, true, err
	}
	m, err = c.broadcast(channel, payload)
	return m, false, err
}

// broadcast drops our own message and that for a room without members here
// before it is read.
func (c *classic) broadcast(channel, payload string) (cluster.Message, error) {
	room, ok := c.names.room(channel)
	if !ok {
		return cluster.Message{}, errOtherNamespace // the pattern of a namespace matches more than itself
	}
	uid, ok := sender(payload)
	if ok && uid == c.codec.uid() {
		return cluster.Message{}, nil
	}
	if room != "" && !c.inhabited(room) {
		return c.codec.unread(uid, payload), nil
	}
	m, err := c.codec.broadcast(payload)
	if m.From == c.codec.self {
		return cluster.Message{}, err
	}
	return m, err
}
