package cluster

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrGone is why an answer is missing when its socket left.
	ErrGone = errors.New("cluster: a socket left without answering")
	// ErrClosed is returned by what was closed before or during the call.
	ErrClosed = errors.New("cluster: closed")
	// ErrTooLarge is returned by Publish for a message over the adapter's
	// size limit.
	ErrTooLarge = errors.New("cluster: message too large")
)

// PartialError says that some answers are missing. What did arrive is returned
// beside it.
type PartialError struct {
	// Expected and Received count answers: one for each node in queries and
	// server-side emits, one for each socket in broadcasts with
	// acknowledgement (plus one for each node that did not say how many).
	Expected, Received int
	// Missing names the nodes that owe answers, as far as they have names.
	Missing []NodeID
	// Err is why the waiting ended, such as context.DeadlineExceeded.
	Err error
}

func (e *PartialError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d answers received", e.Received, e.Expected)
	if len(e.Missing) > 0 {
		b.WriteString(", missing from")
		for i, n := range e.Missing {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteByte(' ')
			b.WriteString(string(n))
		}
	}
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(e.Err.Error())
	}
	return b.String()
}

func (e *PartialError) Unwrap() error { return e.Err }

// LostError says that messages never reached the bus, or may not have.
type LostError struct {
	Messages int
	Err      error // why the last of them was lost
}

func (e *LostError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("%d messages were lost", e.Messages)
	}
	return fmt.Sprintf("%d messages were lost: %v", e.Messages, e.Err)
}

func (e *LostError) Unwrap() error { return e.Err }
