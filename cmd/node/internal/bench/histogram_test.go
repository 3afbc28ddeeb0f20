package bench

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestBucketsHoldWhatIsCountedInThem(t *testing.T) {
	last := time.Duration(-1)
	for i := range bucket(uint64(24 * time.Hour)) {
		up := upper(i)
		if bucket(uint64(up)) != i || bucket(uint64(up)+1) != i+1 || up <= last {
			t.Fatalf("bucket %d ends with %d, after %d", i, up, last)
		}
		last = up
	}
}

func TestQuantilesAreNearlyExact(t *testing.T) {
	var h, half histogram
	if h.quantile(0.99) != 0 || len(h.bars()) != 0 {
		t.Error("an empty histogram has something in it")
	}
	random := rand.New(rand.NewPCG(1, 2))
	var all []time.Duration
	for i := range 20_000 {
		d := time.Duration(random.ExpFloat64() * float64(5*time.Millisecond))
		all = append(all, d)
		if i%2 == 0 {
			h.add(d)
		} else {
			half.add(d)
		}
	}
	h.merge(&half)
	slices.Sort(all)
	for _, q := range []float64{0.001, 0.5, 0.9, 0.99, 0.999, 1} {
		want := all[max(0, int(q*float64(len(all)))-1)]
		if got := h.quantile(q); got < want || float64(got) > float64(want)*(1+1.0/steps)+1 {
			t.Errorf("quantile(%v) = %v, want %v", q, got, want)
		}
	}
	if h.quantile(1) != all[len(all)-1] {
		t.Errorf("the largest is %v, want %v", h.quantile(1), all[len(all)-1])
	}
	count, bars := uint64(0), h.bars()
	for _, bar := range bars {
		count += bar.Count
	}
	if count != h.count() || bars[0].Count == 0 || bars[len(bars)-1].Count == 0 {
		t.Errorf("bars = %v", bars)
	}
}

func TestNegativeDurationsAreNone(t *testing.T) {
	var h histogram
	h.add(-time.Second)
	if h.count() != 1 || h.quantile(0.5) != 0 {
		t.Errorf("quantile = %v", h.quantile(0.5))
	}
}
