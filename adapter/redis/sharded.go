package redisadapter

import (
	"errors"
	"strings"

	"github.com/dunlin-io/dunlin/core/cluster"
)

// sharded is the dialect of the sharded adapter.
type sharded struct {
	codec     family
	routing   Routing
	main      string                 // the channel that all members hear, and what the others begin with
	inhabited func(room string) bool // has members here
}

var (
	_ dialect = (*sharded)(nil)
	_ router  = (*sharded)(nil)
)

func newSharded(o *Options, namespace string, self cluster.NodeID, r cluster.Receiver) *sharded {
	s := &sharded{
		codec: family{
			namespace: namespace, self: self, extension: !o.NoExtension,
			emitter: r == nil, limits: o.limits(),
		},
		routing: o.Routing,
		main:    o.Prefix + "#" + namespace + "#",
	}
	if r != nil {
		s.inhabited = r.HasRoom
	}
	return s
}

// topics ends with the counted channel, so that a node which is counted as a
// member hears answers.
func (s *sharded) topics() []topic {
	return []topic{{s.personal(s.codec.self), false}, {s.main, false}}
}

func (s *sharded) counted() string { return s.main }

func (s *sharded) personal(id cluster.NodeID) string { return s.main + string(id) + "#" }

// apart reports whether what is for a room alone has a channel of its own.
func (s *sharded) apart(room string) bool {
	switch s.routing {
	case Dynamic:
		return utf16Len(room) != socketIDLen
	case DynamicPrivate:
		return true
	default:
		return false
	}
}

// utf16Len is the length of a string in JavaScript.
func utf16Len(s string) (n int) {
	for _, r := range s {
		if n++; r > 0xffff {
			n++
		}
	}
	return n
}

func (s *sharded) roomTopic(room string) (topic, bool) {
	if !s.apart(room) {
		return topic{}, false
	}
	return topic{s.main + room + "#", false}, true
}

// encode leaves requests for acknowledgements in the main channel: every member
// answers them, with a room's members or without.
func (s *sharded) encode(m *cluster.Message) (outgoing, error) {
	o := outgoing{command: shardPublish, channel: s.main}
	if b, ok := m.Body.(cluster.Broadcast); ok && b.RequestID == "" && len(b.Target.Rooms) == 1 && s.apart(b.Target.Rooms[0]) {
		o.channel += b.Target.Rooms[0] + "#"
	}
	payload, err := s.codec.appendSharded(newBuffer(m), m)
	if onlyForGo(m.Body) && errors.Is(err, errNoFamilyForm) {
		return outgoing{}, nil // others find out by themselves
	}
	o.payload = payload
	return o, err
}

func (s *sharded) answer(to cluster.ReplyTo, m *cluster.Message) (outgoing, error) {
	m.ReplyTo = to
	o := outgoing{command: shardPublish, channel: s.main}
	uid, extended := asker(to)
	if statement(m.Body) && (!extended || uid == "" || !s.codec.extension) {
		return outgoing{}, nil // nobody to understand it
	}
	if uid != "" {
		o.channel = s.personal(cluster.NodeID(uid))
	}
	payload, err := s.codec.appendSharded(newBuffer(m), m)
	o.payload = payload
	return o, err
}

// decode drops a message for a room without members here before it is read.
// All members sign what they send, so who wants or gives an answer is known by
// name.
func (s *sharded) decode(channel, payload string) (m cluster.Message, named bool, err error) {
	if channel != s.main && channel != s.personal(s.codec.self) {
		room, ok := strings.CutSuffix(strings.TrimPrefix(channel, s.main), "#")
		if !ok || !s.inhabited(room) {
			return cluster.Message{}, false, nil
		}
	}
	m, err = s.codec.decode(payload)
	return m, m.ReplyTo != "", err
}
