package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	// ErrFuture is returned by Since for an offset after that of the newest
	// message in the log.
	ErrFuture = errors.New("cluster: the log has not come that far")
)

// SessionStore is implemented by links that record what is published, for a
// while and in one order for all nodes, and that keep sessions beside it. Such
// a link passes each recorded message to Receive with its Offset, in that
// order, and those of this node as well, with the Seq that they were published
// with: that is how a sender learns where its message stands.
//
// Recorded are broadcasts without a request for acknowledgements, joins, leaves
// and disconnections.
type SessionStore interface {
	// Position returns the offset of the last message whose Receive has
	// returned or that was skipped, and before the first one where reading
	// began. All that is passed to Receive later in the same epoch has a greater
	// one. The offset is empty until the link has been ready once, and while the
	// link cannot say. The epoch grows when recorded messages may have been
	// missed, or offsets begin anew (the log was trimmed too early, Redis came
	// back empty); it has grown before the next message is passed to Receive.
	Position() (o Offset, epoch uint64)
	// Save keeps sessions for ttl, instead of those with the same PIDs.
	Save(ctx context.Context, ttl time.Duration, sessions ...Session) error
	// Renew is Save for those sessions only that this node was the last to save
	// and that are still there. A node whose client has come back elsewhere so
	// does not bring the session back to life, nor overwrite the new one.
	Renew(ctx context.Context, ttl time.Duration, sessions ...Session) error
	// Forget deletes those sessions that Renew would save.
	Forget(ctx context.Context, pids ...string) error
	// Take returns a session and deletes it, in one step: whoever asks second
	// gets ErrNoSession.
	Take(ctx context.Context, pid string) (Session, error)
	// Since returns the messages of this namespace that were recorded after
	// from, oldest first: all up to the time of the call. It returns ErrTrimmed
	// when some may be gone or there are more than most, and ErrFuture.
	Since(ctx context.Context, from Offset, most int) ([]Message, error)
}

// Session is what is kept of a socket so that its client can come back to any
// node. Sessions of Node.js nodes have a PID, a Socket, Rooms without positions
// and Data.
type Session struct {
	PID    string
	Socket string // its id
	// Rooms are those it was in, its id not counted, with the position at which
	// it joined each; empty when that is not known.
	Rooms map[string]Offset
	Data  json.RawMessage // the application's data as JSON; nil when it has none

	// The following travel as the session's Extension.

	Namespace string
	// Node is the one that has the socket; empty when that has ended, or when it is
	// not known.
	Node NodeID
	// Start is the position at which the socket was connected for the first
	// time: what was recorded before is none of its business.
	Start Offset
	// Left are the rooms that it has left lately, and Forgot the position up to
	// which some that it has left before are not among them.
	Left   []Stay
	Forgot Offset
	// Gap is the latest position at which the socket may have got or missed
	// something that is not in the log, or not there. Only a client that has
	// received something from after it knows what it has. Empty when there is
	// no such position.
	Gap Offset
	// Last is the offset of the last message handed to the connection before
	// the session was saved, empty when there was none, and Through the
	// position up to which the log had been read then.
	Last, Through Offset
}

// Stay is a socket's time in a room that it has left: the messages after Joined
// up to Left were for it.
type Stay struct {
	Room         string
	Joined, Left Offset
}

// extension is the form of Session.Extension.
type extension struct {
	Namespace string            `json:"nsp,omitempty"`
	Node      NodeID            `json:"node,omitempty"`
	Start     Offset            `json:"start,omitempty"`
	Rooms     map[string]Offset `json:"rooms,omitempty"`
	Left      []Stay            `json:"left,omitempty"`
	Forgot    Offset            `json:"forgot,omitempty"`
	Gap       Offset            `json:"gap,omitempty"`
	Last      Offset            `json:"last,omitempty"`
	Through   Offset            `json:"through,omitempty"`
}

// Extension returns, as JSON, what Node.js nodes know nothing of. A store may
// keep it beside the other fields without looking into it.
func (s *Session) Extension() ([]byte, error) {
	b, err := json.Marshal(extension{s.Namespace, s.Node, s.Start, s.Rooms, s.Left, s.Forgot, s.Gap, s.Last, s.Through})
	if err != nil {
		return nil, fmt.Errorf("encode session: %w", err)
	}
	return b, nil
}

// SetExtension sets what Extension has returned, which may have been tampered
// with meanwhile. Rooms keep their names: those that are not in the session
// already are ignored.
func (s *Session) SetExtension(b []byte) error {
	var x extension
	if err := json.Unmarshal(b, &x); err != nil {
		return fmt.Errorf("decode session: %w", err)
	}
	offsets := []Offset{x.Start, x.Forgot, x.Gap, x.Last, x.Through}
	for _, o := range x.Rooms {
		offsets = append(offsets, o)
	}
	for _, l := range x.Left {
		offsets = append(offsets, l.Joined, l.Left)
	}
	for _, o := range offsets {
		if o != "" && !o.Valid() {
			return fmt.Errorf("decode session: offset %.40q is none", string(o))
		}
	}
	for room, since := range x.Rooms {
		if _, in := s.Rooms[room]; in {
			s.Rooms[room] = since
		}
	}
	s.Namespace, s.Node, s.Start, s.Left, s.Forgot = x.Namespace, x.Node, x.Start, x.Left, x.Forgot
	s.Gap, s.Last, s.Through = x.Gap, x.Last, x.Through
	return nil
}

// NewOffset returns the offset with these two numbers.
func NewOffset(major, minor uint64) Offset {
	return Offset(strconv.FormatUint(major, 10) + "-" + strconv.FormatUint(minor, 10))
}

// Parts returns the two numbers of a valid offset.
func (o Offset) Parts() (major, minor uint64, ok bool) {
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
	_, _, ok := o.Parts()
	return ok
}

// Compare orders valid offsets; those that are not come first.
func (o Offset) Compare(p Offset) int {
	a, b, ok := o.Parts()
	c, d, ok2 := p.Parts()
	switch {
	case ok != ok2 && ok:
		return 1
	case ok != ok2:
		return -1
	}
	return cmp.Or(cmp.Compare(a, c), cmp.Compare(b, d))
}
