package bench

import "testing"

func TestLedger(t *testing.T) {
	for name, c := range map[string]struct {
		come                                []uint64
		sent, missing, repeated, outOfOrder uint64
	}{
		"nothing":           {sent: 3, missing: 3},
		"in order":          {come: []uint64{1, 2, 3}, sent: 3},
		"end is missing":    {come: []uint64{1}, sent: 3, missing: 2},
		"middle is missing": {come: []uint64{1, 4, 5}, sent: 5, missing: 2},
		"swapped":           {come: []uint64{2, 1, 3}, sent: 3, outOfOrder: 1},
		"late inside a gap": {come: []uint64{5, 3}, sent: 5, missing: 3, outOfOrder: 1},
		"gap filled":        {come: []uint64{5, 3, 2, 4, 1}, sent: 5, outOfOrder: 4},
		"late twice":        {come: []uint64{5, 3, 3}, sent: 5, missing: 3, outOfOrder: 1, repeated: 1},
		"repeated":          {come: []uint64{1, 2, 2, 1, 3, 3}, sent: 3, repeated: 3},
	} {
		var l ledger
		first := 0
		for _, seq := range c.come {
			if l.take(seq) {
				first++
			}
		}
		if l.missing(c.sent) != c.missing || l.repeated != c.repeated || l.outOfOrder != c.outOfOrder {
			t.Errorf("%s: %d missing, %d repeated, %d out of order", name, l.missing(c.sent), l.repeated, l.outOfOrder)
		}
		if uint64(first) != c.sent-c.missing {
			t.Errorf("%s: %d taken as new", name, first)
		}
	}
}

func TestLedgerIsBounded(t *testing.T) {
	var l ledger
	const n = 3 * maxGaps
	for i := range uint64(n) {
		l.take(2 * (i + 1))
	}
	if len(l.gaps) != maxGaps || l.missing(2*n) != n {
		t.Errorf("%d gaps, %d missing, want %d and %d", len(l.gaps), l.missing(2*n), maxGaps, n)
	}
}
