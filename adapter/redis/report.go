package redisadapter

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Stats are counters since the adapter was made, and how full its buffer is.
type Stats struct {
	Published    uint64 // messages that Redis has taken
	Received     uint64 // messages from Redis, own ones included
	Resubscribed uint64 // how often subscriptions came back after they had been lost
	Gaps         uint64 // how often entries of a stream may have been missed
	Nodes        int    // of the cluster, this one included, when they were counted last
	Topics       int    // channels and patterns that are subscribed to, or are to be
	Lingering    int    // of these, channels of rooms that have lost their last member
	Unheard      int    // of these, what Redis refuses, or there are too many of
	Queued       int    // messages that wait to be published
	QueuedBytes  int
	Dropped      map[DropReason]uint64
	Refused      map[Refusal]uint64 // how often Redis said no, with each reason
}

// reporter is where trouble goes: the counters, the log and the user's hooks.
type reporter struct {
	log     *slog.Logger
	onError func(error)
	onDrop  func(Drop)

	published    atomic.Uint64
	received     atomic.Uint64
	resubscribed atomic.Uint64
	gaps         atomic.Uint64
	dropped      [dropReasons]atomic.Uint64
	refused      [refusals]atomic.Uint64

	mu     sync.Mutex // guards the following
	silent map[string]silence
}

// silence is what was not logged since a kind of trouble was logged last.
type silence struct {
	since time.Time
	most  time.Duration // how long it lasts
	more  int
}

// Trouble that goes on is logged after one second, two, four, and so on.
const (
	firstSilence = time.Second
	mostSilence  = time.Minute
)

func newReporter(o *Options) *reporter {
	return &reporter{log: o.Logger, onError: o.OnError, onDrop: o.OnDrop, silent: make(map[string]silence)}
}

// may reports whether a kind of trouble may be logged now, and how often it was
// not since the last time.
func (r *reporter) may(kind string) (unlogged int, ok bool) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.silent[kind]
	quiet := now.Sub(s.since)
	if quiet < s.most {
		s.more++
		r.silent[kind] = s
		return 0, false
	}
	next := firstSilence
	if quiet < 2*s.most {
		next = min(2*s.most, mostSilence)
	}
	r.silent[kind] = silence{since: now, most: next}
	return s.more, true
}

// drop counts messages that are lost.
func (r *reporter) drop(reason DropReason, messages int, err error) {
	r.count(reason, messages)
	r.tell(reason, messages, err)
}

func (r *reporter) count(reason DropReason, messages int) {
	r.dropped[reason].Add(uint64(messages)) //nolint:gosec // not negative
}

// tell logs a loss that was counted and calls the user's hook, which may publish:
// so never within Publish.
func (r *reporter) tell(reason DropReason, messages int, err error) {
	if messages == 0 {
		return
	}
	r.refuse(err)
	if unlogged, ok := r.may("drop " + reason.String()); ok {
		attrs := []any{"reason", reason.String(), "messages", messages, "unlogged", unlogged}
		if err != nil {
			attrs = append(attrs, "error", err)
		}
		r.log.Warn("redis messages dropped", attrs...)
	}
	if r.onDrop != nil {
		r.onDrop(Drop{Reason: reason, Messages: messages, Err: err})
	}
}

// trouble reports an error of a connection.
func (r *reporter) trouble(what string, err error) {
	r.refuse(err)
	if unlogged, ok := r.may(what); ok {
		r.log.Warn("redis "+what, "error", err, "unlogged", unlogged)
	}
	if r.onError != nil {
		r.onError(err)
	}
}

// refuse counts an error if Redis has answered with it.
func (r *reporter) refuse(err error) {
	var refused *RefusedError
	if errors.As(err, &refused) && refused.Reason < refusals {
		r.refused[refused.Reason].Add(1)
	}
}

// mended reports the end of trouble.
func (r *reporter) mended(what string, since time.Time) {
	r.log.Info("redis "+what, "after", time.Since(since))
}

func (r *reporter) stats() Stats {
	s := Stats{
		Published:    r.published.Load(),
		Received:     r.received.Load(),
		Resubscribed: r.resubscribed.Load(),
		Gaps:         r.gaps.Load(),
		Dropped:      make(map[DropReason]uint64),
		Refused:      make(map[Refusal]uint64),
	}
	for i := range r.refused {
		if n := r.refused[i].Load(); n > 0 {
			s.Refused[Refusal(i)] = n //nolint:gosec // an index of six
		}
	}
	for i := range r.dropped {
		if n := r.dropped[i].Load(); n > 0 {
			s.Dropped[DropReason(i)] = n
		}
	}
	return s
}
