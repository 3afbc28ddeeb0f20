package bench

import "slices"

// maxGaps bounds what a ledger remembers of messages that have not come.
const maxGaps = 1024

// ledger is what one client has received of one stream, whose messages are
// numbered from 1. Its client's reader alone uses it until that has ended.
type ledger struct {
	stream *stream
	heard  bool   // that the stream exists: its message 0 has come
	next   uint64 // the number that is due, less one
	gaps   []span // numbers below it that have not come, in order

	repeated, outOfOrder uint64
	forgotten            uint64 // were in gaps, of which there were too many
}

// span is a run of numbers, both ends among them.
type span struct{ from, to uint64 }

// take enters a message and reports whether it has not come before.
func (l *ledger) take(seq uint64) (first bool) {
	switch due := l.next + 1; {
	case seq == due:
		l.next = seq
		return true
	case seq > due:
		l.gap(span{due, seq - 1})
		l.next = seq
		return true
	}
	i := slices.IndexFunc(l.gaps, func(g span) bool { return g.from <= seq && seq <= g.to })
	if i < 0 {
		l.repeated++
		return false
	}
	l.outOfOrder++
	g := l.gaps[i]
	var rest []span
	if g.from < seq {
		rest = append(rest, span{g.from, seq - 1})
	}
	if seq < g.to {
		rest = append(rest, span{seq + 1, g.to})
	}
	l.gaps = slices.Replace(l.gaps, i, i+1, rest...)
	return true
}

func (l *ledger) gap(g span) {
	if len(l.gaps) == maxGaps {
		l.forgotten += l.gaps[0].to - l.gaps[0].from + 1
		l.gaps = slices.Delete(l.gaps, 0, 1)
	}
	l.gaps = append(l.gaps, g)
}

// missing counts what has not come of the stream's messages up to sent.
func (l *ledger) missing(sent uint64) uint64 {
	n := l.forgotten + sent - l.next
	for _, g := range l.gaps {
		n += g.to - g.from + 1
	}
	return n
}
