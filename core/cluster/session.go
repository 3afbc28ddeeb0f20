package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
)

var (
	// ErrNoSession is returned by Take when the store has no such session: it
	// expired, was taken already, or never was.
	ErrNoSession = errors.New("cluster: no such session")
	// ErrTrimmed is returned by Since when some of what was asked for may no
	// longer be there.
	ErrTrimmed = errors.New("cluster: the log does not reach back that far")
)

// SessionStore is implemented by links that record what is published, for a
// while and in one order for all nodes, and that keep sessions beside it. Such
// a link passes each recorded message to Receive with its Offset, in that
// order, and those of this node as well: that is how a sender learns where its
// message stands.
//
// Recorded are broadcasts without a request for acknowledgements, joins, leaves
// and disconnections.
type SessionStore interface {
	// Position returns the offset of the last message that was passed to
	// Receive or skipped, and before the first one where reading began. All
	// that is recorded later has a greater one. It is empty until the link has
	// been ready once, and again when it cannot say (Redis came back empty).
	Position() Offset
	// Save keeps sessions for ttl, instead of those with the same PIDs.
	Save(ctx context.Context, ttl time.Duration, sessions ...Session) error
	// Forget deletes sessions.
	Forget(ctx context.Context, pids ...string) error
	// Take returns a session and deletes it, in one step: whoever asks second
	// gets ErrNoSession.
	Take(ctx context.Context, pid string) (Session, error)
	// Since returns the messages of this namespace that were recorded after
	// from, oldest first: all up to the time of the call, or ErrTrimmed when
	// some may be gone or there are more than most.
	Since(ctx context.Context, from Offset, most int) ([]Message, error)
}

// Session is what is kept of a socket so that its client can come back to any
// node.
type Session struct {
	PID    string
	Socket string // its id
	// Rooms are those it was in, its id not counted, with the position at which
	// it joined each; empty when that is not known, as in sessions of Node.js
	// nodes.
	Rooms map[string]Offset
	Data  json.RawMessage // the application's data as JSON; nil when it has none
	// Start is the position at which the socket was connected for the first
	// time: what was recorded before is none of its business. Empty when that
	// is not known.
	Start Offset
	// Node is the one that has or had the socket; empty when that is not known.
	Node NodeID
}

// parts returns the two numbers of an offset.
func (o Offset) parts() (major, minor uint64, ok bool) {
	a, b, found := strings.Cut(string(o), "-")
	if !found || len(a) > 1 && a[0] == '0' || len(b) > 1 && b[0] == '0' {
		return 0, 0, false
	}
	major, err := strconv.ParseUint(a, 10, 64)
	if err != nil {
		return 0, 0, false
	}
	minor, err = strconv.ParseUint(b, 10, 64)
	return major, minor, err == nil
}

// Valid reports whether the offset has the form that all stores share, which is
// that of Redis stream ids: two decimal numbers with a dash between them, so
// that JavaScript nodes accept it too.
func (o Offset) Valid() bool {
	_, _, ok := o.parts()
	return ok
}

// Compare orders valid offsets; those that are not come first.
func (o Offset) Compare(p Offset) int {
	a, b, ok := o.parts()
	c, d, ok2 := p.parts()
	switch {
	case ok != ok2 && ok:
		return 1
	case ok != ok2:
		return -1
	}
	return cmp.Or(cmp.Compare(a, c), cmp.Compare(b, d))
}
