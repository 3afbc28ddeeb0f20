package socketio

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"github.com/dunlin-io/dunlin/core/cluster"
)

// position is an offset as two numbers: a place in the order of what a
// namespace's clients are sent. The zero value is before everything.
type position struct{ major, minor uint64 }

// forever is after everything.
var forever = position{math.MaxUint64, math.MaxUint64}

func (p position) compare(q position) int {
	return cmp.Or(cmp.Compare(p.major, q.major), cmp.Compare(p.minor, q.minor))
}

func (p position) before(q position) bool { return p.compare(q) < 0 }

// offset is how clients and other nodes know the position; the zero value is
// none.
func (p position) offset() cluster.Offset {
	if p == (position{}) {
		return ""
	}
	return cluster.NewOffset(p.major, p.minor)
}

// positionOf reads an offset; what is none is the zero value.
func positionOf(o cluster.Offset) position {
	major, minor, _ := o.Parts()
	return position{major, minor}
}

func later(p, q position) position {
	if p.before(q) {
		return q
	}
	return p
}

// stay is a socket's time in a room that it has left: what came after joined,
// up to left, was for it.
type stay struct {
	room         string
	joined, left position // left is forever until that is known
}

// maxStays bounds the rooms that a socket has left and that are remembered.
const maxStays = 64

// presence is where a socket was when.
type presence struct {
	id    string
	rooms map[string]position // since when; its id not counted
	stays []stay
	// unknown is up to where some of its stays are forgotten.
	unknown position
}

// in reports whether the socket was in the room when the event at that position
// was sent.
func (p *presence) in(room string, at position) bool {
	if room == p.id {
		return true
	}
	if since, in := p.rooms[room]; in && since.before(at) {
		return true
	}
	return slices.ContainsFunc(p.stays, func(s stay) bool {
		return s.room == room && s.joined.before(at) && !s.left.before(at)
	})
}

// selects reports whether an event at that position was for the socket.
func (p *presence) selects(t *cluster.Target, at position) bool {
	return t.Match(func(room string) bool { return p.in(room, at) })
}

func (p *presence) clone() presence {
	return presence{id: p.id, rooms: maps.Clone(p.rooms), stays: slices.Clone(p.stays), unknown: p.unknown}
}

func (p *presence) leave(room string, at position) {
	if since, in := p.rooms[room]; in {
		delete(p.rooms, room)
		p.remember(stay{room, since, at})
	}
}

// remember adds a stay, for which the oldest one may be forgotten.
func (p *presence) remember(s stay) {
	if len(p.stays) >= maxStays {
		p.unknown = later(p.unknown, p.stays[0].left)
		p.stays = slices.Delete(p.stays, 0, 1)
	}
	p.stays = append(p.stays, s)
}
