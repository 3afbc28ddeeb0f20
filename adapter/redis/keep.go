package redisadapter

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// How often the subscribing connection is asked for a sign of life, and how
// long it may be silent after that before it is given up.
const (
	healthInterval = 2500 * time.Millisecond
	deafAfter      = 5 * time.Second
)

var errDeaf = errors.New("redis: the subscribing connection does not answer")

// keep makes the subscriptions what they should be, and looks after the
// connection's health.
func (s *subscriber) keep() {
	defer s.wg.Done()
	tick := time.NewTicker(s.interval)
	defer tick.Stop()
	census := time.NewTimer(firstCount)
	defer census.Stop()
	next := firstCount
	for {
		due := false
		select {
		case <-s.ctx.Done():
			return
		case <-s.kick:
		case <-tick.C:
			if s.deaf() {
				s.replace()
			}
			due = true
		case <-census.C:
			next = s.count(next)
			census.Reset(next)
			continue
		}
		s.reconcile(due)
		if s.settling() {
			next = firstCount
			census.Reset(next)
		}
	}
}

// plan is what to write next.
type plan struct {
	pubsub                                           *redis.PubSub
	subscribe, psubscribe, unsubscribe, punsubscribe []string
	fence                                            bool
}

// plan compares what should be with what was written. health asks for a fence
// as a sign of life.
func (s *subscriber) plan(health bool) plan {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := plan{pubsub: s.pubsub, fence: health && s.connected || len(s.removed) > 0}
	for _, g := range s.removed {
		g.from = s.fence + 1
		for _, sub := range g.subs {
			// The name may have been taken again by a group that was added since;
			// it is subscribed below, after it was unsubscribed.
			if sub.sent {
				p.unsubscribe, p.punsubscribe = split(sub, p.unsubscribe, p.punsubscribe)
			}
		}
	}
	s.leaving = append(s.leaving, s.removed...)
	s.removed = nil
	for g := range s.groups {
		asked := false
		for _, sub := range g.subs {
			if !sub.sent {
				sub.sent, asked = true, true
				p.subscribe, p.psubscribe = split(sub, p.subscribe, p.psubscribe)
			}
		}
		if asked {
			g.from = s.fence + 1
		}
		p.fence = p.fence || asked || s.connected && !g.stands
	}
	return p
}

func split(sub *subscription, channels, patterns []string) (c, p []string) {
	if sub.pattern {
		return channels, append(patterns, sub.name)
	}
	return append(channels, sub.name), patterns
}

func (s *subscriber) reconcile(health bool) {
	p := s.plan(health)
	err := s.write(&p)
	if err != nil && s.ctx.Err() == nil {
		s.broke(err)
	}
}

// write carries out a plan, all of it even if a part fails: go-redis remembers
// what it was told for the next connection. Patterns come before channels, so
// that a node which is counted as a member hears broadcasts.
func (s *subscriber) write(p *plan) error {
	var failed error
	subscribe, unsubscribe := p.pubsub.Subscribe, p.pubsub.Unsubscribe
	if s.sharded {
		subscribe, unsubscribe = p.pubsub.SSubscribe, p.pubsub.SUnsubscribe
	}
	for _, step := range []struct {
		names []string
		write func(context.Context, ...string) error
	}{
		{p.unsubscribe, unsubscribe},
		{p.punsubscribe, p.pubsub.PUnsubscribe},
		{p.psubscribe, p.pubsub.PSubscribe},
		{p.subscribe, subscribe},
	} {
		if len(step.names) == 0 { // which would mean all
			continue
		}
		if err := step.write(s.ctx, step.names...); failed == nil {
			failed = err
		}
	}
	if failed != nil || !p.fence {
		return failed
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

// deaf reports whether the connection has been silent since a fence that should
// have been answered long ago.
func (s *subscriber) deaf() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.asked.IsZero() && time.Since(s.asked) > s.deafAfter && s.heard.Before(s.asked)
}

// replace gives the connection up for a new one.
func (s *subscriber) replace() {
	s.mu.Lock()
	old := s.pubsub
	s.pubsub = s.client.Subscribe(s.ctx)
	for _, sub := range s.byTopic {
		sub.sent = false
	}
	s.mu.Unlock()
	s.broke(errDeaf)
	_ = old.Close()
}
