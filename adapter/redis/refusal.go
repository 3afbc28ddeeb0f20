package redisadapter

import (
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Refusal is a reason that Redis gives for not doing what it is asked to.
type Refusal uint8

// The reasons. What is published while Redis is out of memory, read-only, loading
// or wants a password waits in the buffer, as it does while Redis is away; what
// is forbidden, or meets a key of another type, is dropped.
const (
	OutOfMemory     Refusal = iota // OOM: maxmemory is reached, and nothing may be evicted
	ReadOnly                       // READONLY: it is a replica
	Loading                        // LOADING: it has just been started
	Unauthenticated                // NOAUTH or WRONGPASS: it wants a password, or another; for long commands it says that otherwise
	Forbidden                      // NOPERM: its access control list does not allow it
	WrongType                      // WRONGTYPE: the key of a stream is something else
	refusals
)

// refusalKinds are the words with which Redis refuses, and what to do then.
var refusalKinds = [refusals]struct {
	name     string
	prefixes []string
	mend     string
}{
	OutOfMemory:     {"out_of_memory", []string{"OOM "}, "give Redis more maxmemory, or let streams be shorter"},
	ReadOnly:        {"read_only", []string{"READONLY "}, "connect to the master, this is a replica"},
	Loading:         {"loading", []string{"LOADING "}, "wait until Redis has loaded its data"},
	Unauthenticated: {"unauthenticated", []string{"NOAUTH ", "WRONGPASS ", "Protocol error: unauthenticated "}, "give the right user and password"},
	Forbidden:       {"forbidden", []string{"NOPERM "}, "allow it to this user of Redis with ACL SETUSER, see docs/adapters.md"},
	WrongType:       {"wrong_type", []string{"WRONGTYPE "}, "something else uses this key: remove it, or give the stream another name"},
}

// String returns the reason as a label for logs and metrics.
func (r Refusal) String() string {
	if r < refusals {
		return refusalKinds[r].name
	}
	return fmt.Sprintf("Refusal(%d)", uint8(r))
}

// RefusedError says that Redis refused something, and how to mend it. Errors of
// this package have it in their chain, as have those given to [Options].OnError
// and OnDrop.
type RefusedError struct {
	Reason Refusal
	What   string // the command, with channels or key, as far as that is known
	Err    error  // what Redis said
}

// Error implements error.
func (e *RefusedError) Error() string {
	var text strings.Builder
	if e.What != "" {
		text.WriteString(e.What + ": ")
	}
	text.WriteString(e.Err.Error())
	if e.Reason < refusals {
		text.WriteString(": " + refusalKinds[e.Reason].mend)
	}
	return text.String()
}

// Unwrap returns what Redis said.
func (e *RefusedError) Unwrap() error { return e.Err }

// explained makes a *RefusedError of an error that Redis answered with, if there
// is more to say about it.
func explained(what string, err error) error {
	if already := (*RefusedError)(nil); err == nil || errors.As(err, &already) {
		return err
	}
	for reason, kind := range refusalKinds {
		for _, prefix := range kind.prefixes {
			if redis.HasErrorPrefix(err, prefix) {
				return &RefusedError{Reason: Refusal(reason), What: what, Err: err} //nolint:gosec // an index of six
			}
		}
	}
	return err
}

// lasting reports whether it takes somebody to mend an error, so that there is no
// sense in asking often.
func lasting(err error) bool {
	var refused *RefusedError
	return errors.As(explained("", err), &refused) && refused.Reason != Loading
}
