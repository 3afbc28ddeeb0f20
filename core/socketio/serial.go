package socketio

import (
	"sync"

	"github.com/dunlin-io/dunlin/core/engineio"
)

// serial runs one socket's tasks one after the other. Its goroutine exists
// only while there are tasks. When several wait, as after a read that brought
// many events, what they send gathers in a burst and leaves in one write.
type serial struct {
	conn *conn

	mu      sync.Mutex // guards the following
	tasks   []task
	running bool
}

// task is one thing to run: an event, or something else.
type task struct {
	event *Event
	other func()
}

// push adds a task. Tasks are bounded by the inbox of the connection: events
// enter it before they are pushed, and the rest are one connect and one
// disconnect.
func (q *serial) push(t task) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.tasks = append(q.tasks, t)
	if !q.running {
		q.running = true
		q.conn.server.tasks.Go(q.run)
	}
}

// clear drops the events that have not begun and hands them to each.
func (q *serial) clear(each func(*Event)) {
	q.mu.Lock()
	var dropped []*Event
	kept := q.tasks[:0]
	for _, t := range q.tasks {
		if t.event != nil {
			dropped = append(dropped, t.event)
			continue
		}
		kept = append(kept, t)
	}
	clear(q.tasks[len(kept):])
	q.tasks = kept
	q.mu.Unlock()
	for _, ev := range dropped {
		each(ev)
	}
}

// turn is how many tasks may share a burst.
const turn = 64

// run runs tasks until there are none. A task that ends its goroutine
// (runtime.Goexit, as testing's FailNow does) ends only itself.
func (q *serial) run() {
	finished := false
	var burst engineio.Burst
	defer func() {
		burst.End()
		if !finished {
			q.conn.server.tasks.Go(q.run)
		}
	}()
	for n := 1; ; n++ {
		t, more, ok := q.next()
		if !ok {
			finished = true
			return
		}
		if more && burst.Over() { // one event alone has nobody to share a write with
			burst.End()
			burst = q.conn.session.Burst()
		}
		if t.event != nil {
			t.event.run()
		} else {
			t.other()
		}
		if n%turn == 0 {
			burst.End()
		}
	}
}

// next takes the first task, and tells whether more wait. Without one, the caller's goroutine is no longer
// the queue's.
func (q *serial) next() (t task, more, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.tasks) == 0 {
		q.tasks = nil // an idle socket holds no queue
		q.running = false
		return task{}, false, false
	}
	t = q.tasks[0]
	q.tasks[0] = task{}
	q.tasks = q.tasks[1:]
	return t, len(q.tasks) > 0, true
}
