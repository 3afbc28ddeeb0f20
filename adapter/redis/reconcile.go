package redisadapter

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// A command names at most so many topics, so that Redis is not kept from others
// for long.
const (
	maxNames     = 512
	maxNameBytes = 64 << 10
)

var errManyTopics = errors.New("redis: rooms are not subscribed to: their names exceed 24 MiB")

// action is one of the four commands.
type action uint8

const (
	unsubscribe action = iota
	punsubscribe
	psubscribe
	subscribe
)

// step is a command to write.
type step struct {
	action
	names []string
	size  int             // of all names
	subs  []*subscription // those that are subscribed to
}

// plan is what to write next.
type plan struct {
	pubsub *redis.PubSub
	steps  []step
	fence  bool
	denied bool // there was no room for all
}

// reconcile makes the subscriptions what they should be. health asks for a fence
// as a sign of life, and for what was refused.
func (s *subscriber) reconcile(health bool) (ok bool) {
	p := s.plan(health)
	err := s.write(&p)
	if err == nil && p.denied {
		s.report.trouble("has no place for rooms", errManyTopics)
	}
	if err == nil || s.ctx.Err() != nil {
		return true
	}
	s.broke(err)
	return false
}

// plan compares what should be with what was written. Patterns come before
// channels, so that a node which is counted as a member hears broadcasts.
func (s *subscriber) plan(health bool) plan {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := plan{pubsub: s.pubsub}
	if health {
		s.expire()
		for sub := range s.denied {
			s.enqueue(sub)
		}
		clear(s.denied)
	}
	for _, g := range s.removed {
		g.from = s.fence + 1
	}
	s.leaving = append(s.leaving, s.removed...)
	gone := s.stale
	s.stale = nil
	var wanted []*subscription
	for _, sub := range s.todo {
		sub.queued = false
		switch {
		case sub.wanted() && !sub.sent:
			wanted = append(wanted, sub)
		case !sub.wanted() && s.topics[sub.topic] == sub:
			delete(s.topics, sub.topic)
			delete(s.denied, sub)
			if sub.sent {
				s.unsend(sub)
				gone = append(gone, sub.topic)
			}
		}
	}
	s.todo = nil
	p.unsubscribe(gone)
	wanted, p.denied = s.admit(wanted)
	p.subscribe(wanted)
	p.fence = len(p.steps) > 0 || len(s.removed) > 0 || s.connected &&
		(health || s.asked.IsZero() && len(s.unproven)+len(s.waiting) > 0)
	s.removed = nil
	return p
}

// admit is called with mu and marks as sent those for which there is room.
func (s *subscriber) admit(wanted []*subscription) (admitted []*subscription, denied bool) {
	admitted = wanted[:0]
	for _, sub := range wanted {
		if !sub.fixed && s.bytes+sub.cost() > s.mostBytes {
			if s.lingering.Len() > 0 {
				s.goAway(s.lingering.Front()) // makes room the next time
			}
			s.denied[sub] = struct{}{}
			denied = true
			continue
		}
		s.bytes += sub.cost()
		sub.sent, sub.confirmed, sub.from = true, false, s.fence+1
		s.unproven = append(s.unproven, sub)
		admitted = append(admitted, sub)
	}
	return admitted, denied
}

// unsend is called with mu when go-redis does not know, or is to be told no more,
// of a subscription.
func (s *subscriber) unsend(sub *subscription) {
	if sub.sent {
		sub.sent, sub.stands, sub.confirmed = false, false, false
		s.bytes -= sub.cost()
	}
}

// unsubscribe plans the end of subscriptions.
func (p *plan) unsubscribe(topics []topic) {
	for _, pattern := range []bool{false, true} {
		for _, t := range topics {
			switch {
			case t.pattern != pattern:
			case pattern:
				p.add(punsubscribe, t.name, nil)
			default:
				p.add(unsubscribe, t.name, nil)
			}
		}
	}
}

// subscribe plans subscriptions.
func (p *plan) subscribe(subs []*subscription) {
	for _, pattern := range []bool{true, false} {
		for _, sub := range subs {
			switch {
			case sub.pattern != pattern:
			case pattern:
				p.add(psubscribe, sub.name, sub)
			default:
				p.add(subscribe, sub.name, sub)
			}
		}
	}
}

// add plans a command, or adds a name to the last one. What Redis refused before
// goes alone: one name can have a whole command refused.
func (p *plan) add(a action, name string, sub *subscription) {
	if len(p.steps) == 0 || !p.steps[len(p.steps)-1].takes(a, name, sub) {
		p.steps = append(p.steps, step{action: a})
	}
	last := &p.steps[len(p.steps)-1]
	last.names = append(last.names, name)
	last.size += len(name)
	if sub != nil {
		last.subs = append(last.subs, sub)
	}
}

// takes reports whether a name fits into a command that has some already.
func (st *step) takes(a action, name string, sub *subscription) bool {
	alone := sub != nil && sub.refusals > 0 || len(st.subs) > 0 && st.subs[0].refusals > 0
	return st.action == a && len(st.names) < maxNames && st.size+len(name) <= maxNameBytes && !alone
}

// write carries out a plan. go-redis remembers what it was told for the next
// connection, even if that failed; after a failure the rest is put off.
func (s *subscriber) write(p *plan) error {
	act := [...]func(context.Context, ...string) error{
		unsubscribe: p.pubsub.Unsubscribe, punsubscribe: p.pubsub.PUnsubscribe,
		psubscribe: p.pubsub.PSubscribe, subscribe: p.pubsub.Subscribe,
	}
	if s.sharded {
		act[unsubscribe], act[subscribe] = p.pubsub.SUnsubscribe, p.pubsub.SSubscribe
	}
	for i := range p.steps {
		if err := act[p.steps[i].action](s.ctx, p.steps[i].names...); err != nil {
			s.putOff(p.steps[i+1:])
			return err
		}
	}
	if !p.fence {
		return nil
	}
	s.mu.Lock()
	s.fence++
	fence := s.fence
	if s.asked.IsZero() {
		s.asked = time.Now()
	}
	s.mu.Unlock()
	return p.pubsub.Ping(s.ctx, strconv.FormatUint(fence, 10))
}

// putOff takes back steps that were not carried out.
func (s *subscriber) putOff(steps []step) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range steps {
		switch st.action {
		case unsubscribe, punsubscribe:
			for _, name := range st.names {
				s.stale = append(s.stale, topic{name, st.action == punsubscribe})
			}
		case psubscribe, subscribe:
			for _, sub := range st.subs {
				s.unsend(sub)
				s.enqueue(sub)
			}
		}
	}
}
