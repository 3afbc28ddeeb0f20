package bench

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Durations are counted by magnitude: each power of two of nanoseconds has this
// many steps, so that a percentile is wrong by 1/32 at most.
const (
	stepBits = 5
	steps    = 1 << stepBits
	buckets  = (65 - stepBits) * steps
)

// histogram counts durations. Its methods may be called concurrently.
type histogram struct {
	counts [buckets]atomic.Uint64
	max    atomic.Int64
}

func (h *histogram) add(d time.Duration) {
	d = max(d, 0)
	h.counts[bucket(uint64(d))].Add(1) //nolint:gosec // not negative
	for {
		old := h.max.Load()
		if int64(d) <= old || h.max.CompareAndSwap(old, int64(d)) {
			return
		}
	}
}

func bucket(ns uint64) int {
	if ns < steps {
		return int(ns) //nolint:gosec // less than steps
	}
	shift := bits.Len64(ns) - 1 - stepBits
	return (shift << stepBits) + int(ns>>shift) //nolint:gosec // less than 2*steps
}

// upper is the largest duration of a bucket.
func upper(bucket int) time.Duration {
	if bucket < 2*steps {
		return time.Duration(bucket)
	}
	shift := bucket>>stepBits - 1
	return time.Duration((bucket&(steps-1)|steps)+1)<<shift - 1
}

// merge adds what another histogram has counted, which nobody changes meanwhile.
func (h *histogram) merge(o *histogram) {
	for i := range o.counts {
		if n := o.counts[i].Load(); n > 0 {
			h.counts[i].Add(n)
		}
	}
	h.max.Store(max(h.max.Load(), o.max.Load()))
}

func (h *histogram) count() (n uint64) {
	for i := range h.counts {
		n += h.counts[i].Load()
	}
	return n
}

// quantile returns a duration that the share q of all does not exceed; 0 when
// there are none.
func (h *histogram) quantile(q float64) time.Duration {
	total := h.count()
	rank, seen := uint64(q*float64(total)), uint64(0)
	for i := range h.counts {
		if seen += h.counts[i].Load(); seen > 0 && seen >= rank {
			return min(upper(i), time.Duration(h.max.Load()))
		}
	}
	return 0
}

// bars counts by the bounds 1, 2, 5, 10, 20, 50 … microseconds, from the first
// that has something up to the last.
func (h *histogram) bars() []Bar {
	var all []Bar
	i, used := 0, 0
	for limit := time.Microsecond; i < buckets; {
		bar := Bar{UpTo: Micros(limit)}
		for ; i < buckets && upper(i) <= limit; i++ {
			bar.Count += h.counts[i].Load()
		}
		if bar.Count > 0 || len(all) > 0 {
			all = append(all, bar)
		}
		if bar.Count > 0 {
			used = len(all)
		}
		if limit > time.Hour {
			break
		}
		limit = following(limit)
	}
	return all[:used]
}

// following is the next in the series 1, 2, 5, 10 …
func following(d time.Duration) time.Duration {
	first := d
	for first >= 10 {
		first /= 10
	}
	if first == 2 {
		return d / 2 * 5
	}
	return d * 2
}
