package socketio

import "sync"

// serial runs one socket's tasks one after the other. Its goroutine exists
// only while there are tasks.
type serial struct {
	tasker *goroutines // those that the server waits for

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
		q.tasker.Go(q.run)
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

// run runs tasks until there are none. A task that ends its goroutine
// (runtime.Goexit, as testing's FailNow does) ends only itself.
func (q *serial) run() {
	finished := false
	defer func() {
		if !finished {
			q.tasker.Go(q.run)
		}
	}()
	for {
		q.mu.Lock()
		if len(q.tasks) == 0 {
			q.tasks = nil // an idle socket holds no queue
			q.running = false
			q.mu.Unlock()
			finished = true
			return
		}
		t := q.tasks[0]
		q.tasks[0] = task{}
		q.tasks = q.tasks[1:]
		q.mu.Unlock()
		if t.event != nil {
			t.event.run()
			continue
		}
		t.other()
	}
}
