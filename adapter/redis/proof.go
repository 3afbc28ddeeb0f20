package redisadapter

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"time"
)

var errResubscribed = errors.New("redis: the subscribing connection was replaced")

func (s *subscriber) confirmed(t topic) {
	s.mu.Lock()
	sub := s.byTopic[t]
	replaced := sub != nil && sub.confirmed
	s.mu.Unlock()
	if replaced {
		// Each is asked for once on a connection: go-redis made another.
		s.broke(errResubscribed)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = time.Now()
	if sub := s.byTopic[t]; sub != nil {
		sub.confirmed = true
	}
	if !s.connected {
		s.connected = true
		s.signal() // for a fence
	}
}

// forgotten notes that Redis has unsubscribed a name. If it was taken again since,
// its confirmation is still to come.
func (s *subscriber) forgotten(t topic) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = time.Now()
	if sub := s.byTopic[t]; sub != nil {
		sub.confirmed = false
	}
}

// broke notes that the connection is not what it was: nothing is known to stand.
func (s *subscriber) broke(err error) {
	s.mu.Lock()
	if s.brokenAt.IsZero() {
		s.brokenAt = time.Now()
	}
	s.cause = err
	s.connected = false
	s.settleBy = time.Time{}
	if s.gate == nil {
		s.gate = make(chan struct{})
	}
	s.valid = s.fence + 1
	s.asked = time.Time{}
	for _, sub := range s.byTopic {
		sub.confirmed = false
	}
	for g := range s.groups {
		if g.stands {
			g.stands = false
			g.ready = make(chan struct{})
		}
	}
	s.release(math.MaxUint64) // a new connection does not have what was to leave
	s.mu.Unlock()
	s.report.trouble("subscriptions are lost", err)
}

// pong takes the answer to a fence.
func (s *subscriber) pong(payload string) {
	fence, err := strconv.ParseUint(payload, 10, 64)
	if err != nil {
		return
	}
	now := time.Now()
	s.mu.Lock()
	s.heard = now
	if fence < s.valid {
		s.mu.Unlock()
		return
	}
	s.connected = true
	s.asked = time.Time{}
	brokenAt, lost := s.brokenAt, s.cause != nil
	if !brokenAt.IsZero() {
		s.brokenAt, s.cause = time.Time{}, nil
		close(s.mended)
		s.mended = make(chan struct{})
		s.reopen(lost, brokenAt)
	}
	standing := s.proven(fence)
	s.release(fence)
	s.mu.Unlock()
	if lost {
		s.report.resubscribed.Add(1)
		s.report.mended("subscriptions are back", brokenAt)
	}
	for _, notify := range standing {
		notify()
	}
}

// proven marks the groups that the fence proves and returns how to tell them.
func (s *subscriber) proven(fence uint64) (standing []func()) {
	for g := range s.groups {
		if g.stands || g.from == 0 || g.from > fence {
			continue
		}
		refused := false
		for _, sub := range g.subs {
			if !sub.confirmed { // Redis said no, maybe by an ACL: ask again later
				sub.sent, refused = false, true
			}
		}
		if refused {
			continue
		}
		resumed := g.stood
		g.stands, g.stood = true, true
		close(g.ready)
		standing = append(standing, func() { g.listener.subscribed(resumed) })
	}
	return standing
}

// release tells the groups that have left, as the fence proves.
func (s *subscriber) release(fence uint64) {
	s.leaving = slices.DeleteFunc(s.leaving, func(g *group) bool {
		left := g.from <= fence
		if left {
			close(g.gone)
		}
		return left
	})
}
