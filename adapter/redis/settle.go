package redisadapter

import (
	"context"
	"errors"
	"os"
	"slices"
	"time"

	"github.com/dunlin-io/dunlin/core/cluster"
)

// When Redis comes back, so do all nodes, but not at once; what the first one
// publishes before the others have subscribed again is lost to them. So a node
// holds back what has waited until as many nodes as before are there, but not
// for long: some may never return.
const (
	settleTime = 2 * time.Second
	settleSoon = mostBackoff + 50*time.Millisecond // by then nodes that have done nothing but retry are back
	firstCount = 20 * time.Millisecond             // between two counts while nodes are awaited
)

// standing returns nil when there is sense in publishing: our own subscriptions
// stand and the other nodes are back, or we have none. Otherwise it returns a
// channel that is closed when that may have changed.
func (s *subscriber) standing() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.groups) == 0 {
		return nil
	}
	return s.gate
}

// reopen is called with mu when the subscriptions stand. It opens the gate, or
// has keep do so when the others are back. If the connection broke soon after
// it was made the count may not know them all: then it waits for a moment.
func (s *subscriber) reopen(lost bool, brokenAt time.Time) {
	now := time.Now()
	if s.stoodAt.IsZero() {
		s.stoodAt = now
		s.open()
		return
	}
	young := brokenAt.Sub(s.stoodAt) < s.interval
	if !lost || s.nodes <= 1 && !young {
		s.open()
		return
	}
	s.settleAt, s.settleBy = now, now.Add(settleTime)
	if young {
		s.settleAt = now.Add(settleSoon)
	}
	s.signal()
}

// open is called with mu.
func (s *subscriber) open() {
	s.settleBy = time.Time{}
	if s.gate != nil {
		close(s.gate)
		s.gate = nil
	}
}

func (s *subscriber) settling() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.settleBy.IsZero()
}

func (s *subscriber) stats(st *Stats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Nodes = int(s.nodes)
	st.Topics, st.Lingering, st.Unheard = len(s.topics), s.lingering.Len(), len(s.denied)
}

// count counts the nodes and returns when to do so again: often while they are
// awaited, and ever more rarely after that. It opens the gate when all are back.
func (s *subscriber) count(last time.Duration) (next time.Duration) {
	s.mu.Lock()
	channel := ""
	for counted := range s.groups { // always the same one, as long as it is there
		if channel == "" || counted < channel {
			channel = counted
		}
	}
	standing := s.brokenAt.IsZero()
	own := s.groups[channel].channels()
	s.mu.Unlock()
	if channel == "" || !standing {
		return s.interval
	}
	ctx, cancel := context.WithTimeout(s.ctx, settleTime)
	defer cancel()
	counts, err := s.numSub(ctx, append(own, channel))
	if err == nil && s.strayed(channel, own, counts) {
		s.replace(errStrayed)
		return firstCount
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	n, now := counts[channel], time.Now()
	switch {
	case s.settleBy.IsZero():
		if err == nil && s.brokenAt.IsZero() {
			s.nodes = n
		}
		return min(2*last, s.interval)
	case err == nil && n >= s.nodes && now.After(s.settleAt), now.After(s.settleBy):
		s.open()
	}
	return firstCount
}

var errStrayed = errors.New("redis: the server that publishes does not have our subscriptions: another has become the master")

// strayed reports whether the subscribing connection is with another server than
// the one that publishes, as after a failover that the former master survived: it
// would go on and hear nothing. A server that never counts us, as a proxy may not,
// proves nothing; nor does one a second time before it has counted us again.
func (s *subscriber) strayed(counted string, own []string, counts map[string]int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[counted]
	if g == nil || len(own) == 0 || !s.brokenAt.IsZero() || !g.stands() {
		return false
	}
	if !slices.ContainsFunc(own, func(channel string) bool { return counts[channel] == 0 }) {
		s.seen = true
		return false
	}
	strayed := s.seen
	s.seen = false
	return strayed
}

// channels are those that the group cannot do without, if all of them stand. It
// is called with the subscriber's mu; g may be nil.
func (g *group) channels() (names []string) {
	if g == nil || !g.stands() {
		return nil
	}
	for _, sub := range g.fixed {
		if !sub.pattern {
			names = append(names, sub.name)
		}
	}
	return names
}

// numSub returns the number of subscribers of each channel, within ctx even
// where the user's client does not look at it.
func (s *subscriber) numSub(ctx context.Context, names []string) (map[string]int64, error) {
	return within(ctx, s, func() (map[string]int64, error) { return numSub(ctx, s.client, s.sharded, names) })
}

// within returns what query does, or ctx's error when that ends before.
func within[T any](ctx context.Context, s *subscriber, query func() (T, error)) (answer T, err error) {
	type result struct {
		answer T
		err    error
	}
	done := make(chan result, 1)
	s.mu.Lock()
	if s.ctx.Err() != nil {
		s.mu.Unlock()
		return answer, cluster.ErrClosed
	}
	s.queries.Add(1)
	s.mu.Unlock()
	// It ends with the client's own timeouts; close waits for it.
	go func() {
		defer s.queries.Done()
		answer, err := query()
		done <- result{answer, err}
	}()
	select {
	case r := <-done:
		if end, ok := ctx.Deadline(); ok && errors.Is(r.err, os.ErrDeadlineExceeded) && !time.Now().Before(end) {
			<-ctx.Done() // the connection had the same deadline, and was first
			return answer, context.Cause(ctx)
		}
		return r.answer, r.err
	case <-ctx.Done():
		return answer, context.Cause(ctx)
	}
}
