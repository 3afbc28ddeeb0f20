package socketio

import "sync"

// inbox bounds the events of one connection that wait for its handlers. When
// it is full, reading stops, and TCP tells the client. A handler that waits
// for an acknowledgement from this very connection needs reading to go on:
// while acknowledgements are due the bound is twice as high and reading never
// stops; beyond it the connection is closed.
type inbox struct {
	maxEvents, maxBytes int

	mu            sync.Mutex // guards the following
	changed       sync.Cond
	events, bytes int
	acks          int // acknowledgements that the client owes
	closed        bool
}

func (b *inbox) init(l *Limits) {
	b.maxEvents, b.maxBytes = l.InboxEvents, l.InboxBytes
	b.changed.L = &b.mu
}

// enter waits until there is room for an event of that size. It returns
// ErrInboxFull when there is none and waiting for it could wait for ever, and
// ErrDisconnected after close.
func (b *inbox) enter(size int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		switch {
		case b.closed:
			return ErrDisconnected
		case b.events == 0 || b.events < b.maxEvents && b.bytes+size <= b.maxBytes:
			b.events++
			b.bytes += size
			return nil
		case b.acks > 0 && b.events < 2*b.maxEvents && b.bytes+size <= 2*b.maxBytes:
			b.events++
			b.bytes += size
			return nil
		case b.acks > 0:
			return ErrInboxFull
		}
		b.changed.Wait()
	}
}

// leave says that an event has been handled.
func (b *inbox) leave(size int) {
	b.mu.Lock()
	b.events--
	b.bytes -= size
	b.mu.Unlock()
	b.changed.Signal()
}

// owe says that the client owes n more acknowledgements; n may be negative.
func (b *inbox) owe(n int) {
	b.mu.Lock()
	b.acks += n
	b.mu.Unlock()
	b.changed.Signal()
}

func (b *inbox) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.changed.Signal()
}
