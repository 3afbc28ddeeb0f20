package socketio

import (
	"errors"
	"math"
	"sync"
)

// ErrOverloaded is returned by Emit on a server with connection state recovery
// when events come faster than they can be put in order.
var ErrOverloaded = errors.New("socketio: too many events at once")

// maxSequenced bounds the events that wait to be put in order.
const maxSequenced = 100_000

// maxWork is for what has to happen however much waits.
const maxWork = math.MaxInt

// sequence gives everything that a namespace sends one order, without a lock
// held while it is sent: who finds it idle works off what is there and what
// others add meanwhile; who finds it busy adds and leaves.
type sequence struct {
	mu    sync.Mutex // guards the following
	queue []func()
	busy  bool
}

// try runs f after everything that was added before. It returns ErrOverloaded,
// and f never runs, when too much waits.
func (q *sequence) try(f func()) error { return q.add(f, maxSequenced) }

// must is try for what has to happen however much waits. There is only so much
// of it: a few times for each socket.
func (q *sequence) must(f func()) { _ = q.add(f, maxWork) }

func (q *sequence) add(f func(), limit int) error {
	q.mu.Lock()
	if len(q.queue) >= limit {
		q.mu.Unlock()
		return ErrOverloaded
	}
	q.queue = append(q.queue, f)
	if q.busy {
		q.mu.Unlock()
		return nil
	}
	q.busy = true
	for len(q.queue) > 0 {
		work := q.queue
		q.queue = nil
		q.mu.Unlock()
		for _, f := range work {
			f()
		}
		q.mu.Lock()
	}
	q.busy = false
	q.mu.Unlock()
	return nil
}
