package socketio

import (
	"strconv"
	"strings"
	"time"

	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/parser"
)

// journal remembers the latest events of a namespace, so that a client that
// was away can be given what it missed. It belongs to the namespace's sequence:
// nobody else touches it.
//
// Each event gets a number, and its offset, epoch.number, as an additional last
// argument: the client sends the latest one back when it reconnects.
type journal struct {
	limits  Recovery
	epoch   string // of this process: offsets of another one mean nothing here
	entries []entry
	first   uint64 // number of entries[0], or of the next entry when there is none
	bytes   int
}

type entry struct {
	at     time.Time
	target cluster.Target
	packet *parser.Packet // with its offset
}

// record gives an event its number and returns it as the clients get it.
func (j *journal) record(t *cluster.Target, p *parser.Packet) *parser.Packet {
	stamped := *p
	stamped.Payload = withOffset(p.Payload, j.offset(j.next()))
	j.entries = append(j.entries, entry{at: time.Now(), target: *t, packet: &stamped})
	j.bytes += size(&stamped)
	j.trim()
	return &stamped
}

// next is the number that the next event gets.
func (j *journal) next() uint64 { return j.first + uint64(len(j.entries)) }

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

// since returns what a socket was to get from number n on, given since when it
// was in which rooms; ok is false when some of it may be forgotten.
func (j *journal) since(n uint64, rooms map[string]uint64) (missed []*parser.Packet, ok bool) {
	if n < j.first || n > j.next() {
		return nil, false
	}
	for ; n < j.next(); n++ {
		e := &j.entries[n-j.first]
		if e.target.Match(func(room string) bool {
			began, in := rooms[room]
			return in && began <= n
		}) {
			missed = append(missed, e.packet)
		}
	}
	return missed, true
}

func (j *journal) offset(n uint64) string { return j.epoch + "." + strconv.FormatUint(n, 36) }

// number reads an offset of this journal.
func (j *journal) number(offset string) (n uint64, ok bool) {
	epoch, digits, found := strings.Cut(offset, ".")
	if !found || epoch != j.epoch {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 36, 64)
	return n, err == nil
}

// withOffset adds an argument to an event. The offset needs no escaping.
func withOffset(p parser.Payload, offset string) parser.Payload {
	text := make([]byte, 0, len(p.JSON)+len(offset)+3)
	text = append(text, p.JSON[:len(p.JSON)-1]...) // ours to encode: it ends with its bracket
	text = append(text, ',', '"')
	text = append(text, offset...)
	return parser.Payload{JSON: append(text, '"', ']'), Attachments: p.Attachments}
}

func size(p *parser.Packet) int {
	n := len(p.Payload.JSON)
	for _, a := range p.Payload.Attachments {
		n += len(a)
	}
	return n
}
