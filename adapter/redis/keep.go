package redisadapter

import (
	"errors"
	"time"
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
	var retry backoff
	for {
		due := false
		select {
		case <-s.ctx.Done():
			return
		case <-s.kick:
		case <-tick.C:
			if s.deaf() {
				s.replace(errDeaf)
			}
			due = true
		case <-census.C:
			next = s.count(next)
			census.Reset(next)
			continue
		}
		if s.reconcile(due) {
			retry.reset()
		} else {
			retry.wait(s.ctx, nil) // rooms that come and go must not make it dial without end
		}
		if s.settling() {
			next = firstCount
			census.Reset(next)
		}
	}
}

// deaf reports whether the connection has been silent since a fence that should
// have been answered long ago.
func (s *subscriber) deaf() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.asked.IsZero() && time.Since(s.asked) > s.deafAfter && s.heard.Before(s.asked)
}

// replace gives the connection up for a new one.
func (s *subscriber) replace(why error) {
	s.mu.Lock()
	old := s.pubsub
	s.pubsub = s.client.Subscribe(s.ctx)
	for _, sub := range s.topics {
		s.unsend(sub)
		s.enqueue(sub)
	}
	s.stale = nil
	s.mu.Unlock()
	s.broke(why)
	_ = old.Close()
}
