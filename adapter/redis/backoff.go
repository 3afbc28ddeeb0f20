package redisadapter

import (
	"context"
	"math/rand/v2"
	"time"
)

// How long to wait before the next attempt to reach Redis. The longest is short:
// an attempt is cheap, and what comes back is to be noticed at once. It is longer
// where somebody has to change something first.
const (
	firstBackoff   = 25 * time.Millisecond
	mostBackoff    = 100 * time.Millisecond
	lastingBackoff = time.Second
)

// backoff grows the waiting time between attempts. Its zero value is the
// beginning.
type backoff struct{ next time.Duration }

// wait waits after err, the longer the more often it was called since reset, and
// returns early when ctx ends. The jitter keeps nodes from coming back in step.
func (b *backoff) wait(ctx context.Context, err error) {
	most := mostBackoff
	if lasting(err) {
		most = lastingBackoff
	}
	b.next = min(max(firstBackoff, b.next), most)
	t := time.NewTimer(b.next/2 + rand.N(b.next/2))
	defer t.Stop()
	b.next *= 2
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func (b *backoff) reset() { b.next = 0 }
