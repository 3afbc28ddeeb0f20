package redisadapter

import (
	"fmt"
	"sync"
)

const (
	guardWindow = 1024 // messages of one sender that may come out of order
	maxSenders  = 16_384
)

var errTooManySenders = fmt.Errorf("%w: too many nodes have signed messages of late", errDistrusted)

// guard remembers which signed messages have come in at one place, where those of
// one sender come nearly in order, so that each is taken once. What it has
// forgotten is too old to be taken.
type guard struct {
	mu      sync.Mutex // guards the following
	senders map[uint64]*heard
}

// heard are the numbers of one sender's messages.
type heard struct {
	newest uint64
	last   int64                    // when the latest was signed, in Unix milliseconds
	seen   [guardWindow / 64]uint64 // bit number%guardWindow, for the window that ends with newest
}

// admit takes note of a message that was here at that Unix time in milliseconds,
// or says why it must be dropped.
func (g *guard) admit(s stamp, at int64) error {
	const most = int64(freshness / 1e6)
	if s.at > at+most || s.at < at-most {
		return errStale
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	h := g.senders[s.sender]
	if h == nil {
		if h = g.meet(s.sender, at-most); h == nil {
			return errTooManySenders
		}
	}
	h.last = max(h.last, s.at)
	return h.take(s.number)
}

// meet makes room for one more sender; those whose messages have all been signed
// before that time cannot be repeated any more.
func (g *guard) meet(sender uint64, before int64) *heard {
	if g.senders == nil {
		g.senders = make(map[uint64]*heard)
	}
	if n := len(g.senders); n >= maxSenders || n&(n-1) == 0 { // now and then
		for id, h := range g.senders {
			if h.last < before {
				delete(g.senders, id)
			}
		}
	}
	if len(g.senders) >= maxSenders {
		return nil
	}
	h := new(heard)
	g.senders[sender] = h
	return h
}

func (h *heard) take(number uint64) error {
	switch {
	case number > h.newest:
		if number-h.newest >= guardWindow {
			clear(h.seen[:])
		} else {
			for n := h.newest + 1; n < number; n++ {
				h.seen[n%guardWindow/64] &^= 1 << (n % 64)
			}
		}
		h.newest = number
	case h.newest-number >= guardWindow, h.seen[number%guardWindow/64]&(1<<(number%64)) != 0:
		return errRepeated
	}
	h.seen[number%guardWindow/64] |= 1 << (number % 64)
	return nil
}
