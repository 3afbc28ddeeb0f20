package cluster

import (
	"slices"
	"time"
)

// Target says which sockets of a namespace an operation concerns and how a
// broadcast travels to them. It is a value: do not change its slices once it
// was handed over.
type Target struct {
	// Rooms selects the members of any of these rooms, each socket once.
	// Empty selects every socket of the namespace.
	Rooms []string
	// Except leaves out the members of these rooms. A socket's id is a room
	// with one member.
	Except []string
	// Local keeps the operation on the node where it started.
	Local bool
	// Volatile lets a recipient miss a broadcast that its transport cannot
	// take right now.
	Volatile bool
	// Compress overrides whether the transport may compress; nil leaves the
	// transport's default.
	Compress *bool
	// Timeout travels with a broadcast that wants acknowledgements; zero
	// sends none. Nodes do not act on it: the asking node keeps the time.
	Timeout time.Duration
	// Single says that at most one socket can answer (a socket addressed by
	// its id on another node).
	Single bool
}

// Match reports whether a socket is selected, given its own rooms. It is the
// rule that room indexes implement faster.
func (t *Target) Match(in func(room string) bool) bool {
	if slices.ContainsFunc(t.Except, in) {
		return false
	}
	if len(t.Rooms) == 0 {
		return true
	}
	return slices.ContainsFunc(t.Rooms, in)
}
