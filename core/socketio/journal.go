package socketio

import (
	"crypto/rand"
	"encoding/binary"
	"time"

	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/parser"
)

// journal remembers the latest events of a namespace, so that a client that
// was away can be given what it missed. It belongs to the namespace's sequence:
// nobody else touches it.
//
// Each event gets a number, and its offset, epoch-number, as an additional last
// argument: the client sends the latest one back when it reconnects.
type journal struct {
	limits  Recovery
	epoch   uint64 // of this process: offsets of another one mean nothing here
	entries []entry
	first   uint64 // number of entries[0], or of the next entry when there is none
	bytes   int
}

type entry struct {
	at     time.Time
	target cluster.Target
	packet *parser.Packet // with its offset
}

func newJournal(limits Recovery) journal {
	var epoch [8]byte
	rand.Read(epoch[2:])
	return journal{limits: limits, epoch: binary.BigEndian.Uint64(epoch[:]), first: 1}
}

// record gives an event its number and returns it as the clients get it.
func (j *journal) record(t *cluster.Target, p *parser.Packet) *parser.Packet {
	stamped := withOffset(p, cluster.NewOffset(j.epoch, j.first+uint64(len(j.entries))))
	j.entries = append(j.entries, entry{at: time.Now(), target: *t, packet: stamped})
	j.bytes += size(stamped)
	j.trim()
	return stamped
}

// latest is the position of the event that was recorded last.
func (j *journal) latest() position {
	return position{j.epoch, j.first + uint64(len(j.entries)) - 1}
}

// trim drops what is too old or too much.
func (j *journal) trim() {
	oldest := time.Now().Add(-j.limits.MaxDisconnection - journalSlack)
	n := 0
	for n < len(j.entries) &&
		(len(j.entries)-n > j.limits.MaxEvents || j.bytes > j.limits.MaxBytes || j.entries[n].at.Before(oldest)) {
		j.bytes -= size(j.entries[n].packet)
		j.entries[n] = entry{}
		n++
	}
	j.entries = j.entries[n:]
	j.first += uint64(n)
}

// journalSlack is for what a client missed before anybody noticed that it was
// gone: a ping interval and timeout, usually.
const journalSlack = time.Minute

// since returns what a socket was to get after a position, given where it was
// when; ok is false when some of it may be forgotten.
func (j *journal) since(from position, where *presence) (missed []*parser.Packet, ok bool) {
	n := from.minor + 1
	if n < j.first {
		return nil, false
	}
	for ; n < j.first+uint64(len(j.entries)); n++ {
		e := &j.entries[n-j.first]
		if where.selects(&e.target, position{j.epoch, n}) {
			missed = append(missed, e.packet)
		}
	}
	return missed, true
}
