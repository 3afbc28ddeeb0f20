package siotest

import (
	"sync"
	"time"
)

// mailbox is a queue without a bound: a test bounds what it sends.
type mailbox[T any] struct {
	mu      sync.Mutex // guards the following
	items   []T
	closed  bool
	changed chan struct{} // closed at the next change; nil while nobody waits
}

// put appends v, unless the mailbox is closed.
func (m *mailbox[T]) put(v T) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.closed {
		m.items = append(m.items, v)
		m.wake()
	}
}

// close lets takers have what is left and then nothing.
func (m *mailbox[T]) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	m.wake()
}

// reopen takes close back and forgets what nobody has taken if that is said.
func (m *mailbox[T]) reopen(forget bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = false
	if forget {
		m.items = nil
	}
}

// wake is called with mu held.
func (m *mailbox[T]) wake() {
	if m.changed != nil {
		close(m.changed)
		m.changed = nil
	}
}

// take waits at most limit for the next item.
func (m *mailbox[T]) take(limit time.Duration) (v T, ok bool) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		m.mu.Lock()
		if len(m.items) > 0 {
			v, m.items = m.items[0], m.items[1:]
			m.mu.Unlock()
			return v, true
		}
		if m.closed {
			m.mu.Unlock()
			return v, false
		}
		changed := m.watch()
		m.mu.Unlock()
		select {
		case <-changed:
		case <-timer.C:
			return v, false
		}
	}
}

// takeAll waits until there is something and returns all of it, or nil when
// the mailbox is closed and empty.
func (m *mailbox[T]) takeAll() []T {
	for {
		m.mu.Lock()
		if len(m.items) > 0 || m.closed {
			all := m.items
			m.items = nil
			m.mu.Unlock()
			return all
		}
		changed := m.watch()
		m.mu.Unlock()
		<-changed
	}
}

func (m *mailbox[T]) len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.items)
}

// drain returns what is there.
func (m *mailbox[T]) drain() []T {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.items
	m.items = nil
	return all
}

// watch is called with mu held.
func (m *mailbox[T]) watch() <-chan struct{} {
	if m.changed == nil {
		m.changed = make(chan struct{})
	}
	return m.changed
}
