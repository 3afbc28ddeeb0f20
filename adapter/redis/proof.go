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
	sub := s.topics[t]
	replaced := sub != nil && sub.confirmed
	s.mu.Unlock()
	if replaced {
		// Each is asked for once on a connection: go-redis made another.
		s.broke(errResubscribed)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = time.Now()
	if sub := s.topics[t]; sub != nil {
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
	if sub := s.topics[t]; sub != nil {
		sub.confirmed = false
	}
}

// broke notes that the connection is not what it was: nothing is known to stand.
func (s *subscriber) broke(err error) {
	err = explained("", err)
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
	s.unproven = s.unproven[:0]
	for _, sub := range s.topics {
		sub.confirmed, sub.stands = false, false
		if sub.sent {
			s.unproven = append(s.unproven, sub)
		}
	}
	for _, g := range s.groups {
		if _, waits := s.waiting[g]; !waits {
			s.waiting[g] = struct{}{}
			g.ready = make(chan struct{})
		}
	}
	s.left(math.MaxUint64) // a new connection does not have what was to leave
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
	s.left(fence)
	s.mu.Unlock()
	if lost {
		s.report.resubscribed.Add(1)
		s.report.mended("subscriptions are back", brokenAt)
	}
	for _, notify := range standing {
		notify()
	}
}

// proven marks what the fence proves, and returns how to tell the groups that
// stand now. What Redis did not confirm, maybe for an ACL, is asked for again.
func (s *subscriber) proven(fence uint64) (standing []func()) {
	s.unproven = slices.DeleteFunc(s.unproven, func(sub *subscription) bool {
		switch {
		case !sub.sent: // unsubscribed since
			return true
		case sub.from > fence:
			return false
		case sub.confirmed:
			sub.stand()
			return true
		}
		s.unsend(sub)
		if sub.refusals++; sub.refusals == 1 {
			s.enqueue(sub)
		} else {
			s.denied[sub] = struct{}{}
		}
		return true
	})
	for g := range s.waiting {
		if !g.stands() {
			continue
		}
		resumed := g.stood
		g.stood = true
		delete(s.waiting, g)
		close(g.ready)
		standing = append(standing, func() { g.listener.subscribed(resumed) })
	}
	return standing
}

// left tells the groups that have left, as the fence proves.
func (s *subscriber) left(fence uint64) {
	s.leaving = slices.DeleteFunc(s.leaving, func(g *group) bool {
		left := g.from <= fence
		if left {
			close(g.gone)
		}
		return left
	})
}
