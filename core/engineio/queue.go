package engineio

import (
	"sync"
	"time"
)

// outbox is the writing half of a WebSocket. At rest it holds nothing: a frame is written by whoever sends it, in one
// call that does not wait, or while a burst is open gathers for the end of it. What the connection does not take is queued and written by a goroutine that ends when the
// queue is empty; meanwhile senders only append.
type outbox struct {
	conn  conn
	owner outboxOwner
	cork  *cork

	limit    int           // bytes that may wait
	pongs    int           // WebSocket pongs that may wait
	stall    time.Duration // longest time without progress
	mu       sync.Mutex    // guards the following; held across at most one write that does not wait
	queue    []queuedFrame
	size     int    // bytes not yet taken by the connection
	pending  int    // pongs in queue
	listed   uint64 // one more than the number of the last of the cork's lists that it was on
	flushing bool   // the flusher runs; only it may write
	closing  bool   // the last frame is written or in queue
	closed   bool
	idle     chan struct{} // closed when size returns to 0; nil while nobody waits for that
}

// outboxOwner learns what happens in the background. It is called without any lock held.
type outboxOwner interface {
	// flusher starts run on a goroutine that the owner waits for.
	flusher(run func())
	// writeFailed is called at most once, when the flusher cannot go on.
	writeFailed(err error)
	// lastWritten is called once after the frame given to finish is written.
	lastWritten()
}

type queuedFrame struct {
	data  []byte
	pong  bool
	begun bool // what is before data is written already
}

// send writes frame or queues it. A failed write is returned to the one who sends; the owner is not told.
func (o *outbox) send(frame []byte) error { return o.put(frame, false) }

// sendPong is send for the answer to a WebSocket ping, of which only so many may wait.
func (o *outbox) sendPong(frame []byte) error { return o.put(frame, true) }

func (o *outbox) put(frame []byte, pong bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closing || o.closed {
		return ErrClosed
	}
	if o.size+len(frame) > min(o.limit, flushChunk) {
		o.release()
	}
	if o.size > 0 && o.size+len(frame) > o.limit || pong && o.pending >= o.pongs {
		return ErrSlowConsumer
	}
	if !pong && o.gather(frame) {
		return nil
	}
	_, err := o.write(frame, pong)
	return err
}

// trySend writes frame only if the connection takes some of it at once. What has gathered before it does not count as
// waiting: it goes first, in the same write.
func (o *outbox) trySend(frame []byte) (sent bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.size+len(frame) > flushChunk {
		o.release()
	}
	switch {
	case o.closing || o.closed || o.flushing:
		return false, nil
	case !o.conn.direct():
		o.push(queuedFrame{data: frame})
		return true, nil
	case len(frame) == 0: // nothing that could be taken
		return false, nil
	case o.gathered():
		return o.tryBehind(frame), nil
	}
	n, err := o.conn.tryWrite(frame)
	if err != nil || n == 0 {
		return false, err
	}
	if n < len(frame) {
		o.push(queuedFrame{data: frame[n:], begun: true})
	}
	return true, nil
}

// write is called with mu held.
func (o *outbox) write(frame []byte, pong bool) (done bool, err error) {
	switch {
	case o.flushing || !o.conn.direct():
		o.push(queuedFrame{data: frame, pong: pong})
		return false, nil
	case o.gathered():
		o.add(frame, pong)
		o.release()
		return !o.flushing, nil
	}
	n, err := o.conn.tryWrite(frame)
	if err != nil {
		return false, err
	}
	if n < len(frame) {
		o.push(queuedFrame{data: frame[n:], pong: pong, begun: n > 0})
		return false, nil
	}
	return true, nil
}

// push is called with mu held.
func (o *outbox) push(frame queuedFrame) {
	o.queue = append(o.queue, frame)
	o.size += len(frame.data)
	if frame.pong {
		o.pending++
	}
	if !o.flushing {
		o.flushing = true
		o.owner.flusher(o.flush)
	}
}

// finish sends a last frame; nothing can be sent after it. With discard, what waits is dropped, except a chunk on its
// way and the rest of a frame, since one cannot be taken back half written.
func (o *outbox) finish(last []byte, discard bool) {
	o.mu.Lock()
	if o.closed || o.closing && !discard {
		o.mu.Unlock()
		return
	}
	if discard {
		o.release()
		o.discard()
	}
	done := false
	if !o.closing {
		var err error
		done, err = o.write(last, false)
		o.closed = err != nil // the reader is about to find out
	}
	o.closing = true
	o.mu.Unlock()
	if done {
		o.owner.lastWritten()
	}
}

// discard is called with mu held.
func (o *outbox) discard() {
	kept := o.queue[:0]
	for _, f := range o.queue {
		if f.begun { // only the first can be
			kept = append(kept, f)
			continue
		}
		o.size -= len(f.data)
		if f.pong {
			o.pending--
		}
	}
	clear(o.queue[len(kept):])
	o.queue = kept
}

// kill drops everything. The caller closes the connection, which ends a write on its way.
func (o *outbox) kill() {
	o.mu.Lock()
	o.release()
	o.closed = true
	o.queue, o.size, o.pending = nil, 0, 0
	o.mu.Unlock()
}

// waiting returns the number of bytes not yet taken by the connection.
func (o *outbox) waiting() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.release()
	return o.size
}

// drained returns a channel that is closed once nothing waits.
func (o *outbox) drained() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.release()
	if o.size == 0 && !o.closed {
		return closedChan
	}
	if o.idle == nil {
		o.idle = make(chan struct{})
	}
	return o.idle
}

// flush is the flusher: it writes until nothing waits. Closing the connection ends it.
func (o *outbox) flush() {
	for {
		chunk, last := o.next()
		if chunk == nil {
			if last {
				o.owner.lastWritten()
			}
			return
		}
		for len(chunk) > 0 {
			n, err := o.conn.write(chunk, o.stall)
			o.wrote(n)
			if err != nil {
				o.kill()
				o.owner.writeFailed(err)
				return
			}
			chunk = chunk[n:]
		}
	}
}

// flushChunk is how much is gathered for one write. Copying small frames together costs less than a system call each.
const flushChunk = 64 << 10

// next takes whole frames off the queue: one large frame as it is, or several small ones copied together. A nil chunk
// means that the flusher has ended; last that the frame given to finish was the last written.
func (o *outbox) next() (chunk []byte, last bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || len(o.queue) == 0 {
		o.flushing, o.queue = false, nil
		return nil, o.closing && !o.closed
	}
	total, count := 0, 0
	for _, f := range o.queue {
		if count > 0 && total+len(f.data) > flushChunk {
			break
		}
		total += len(f.data)
		count++
		if f.pong {
			o.pending--
		}
	}
	chunk = o.queue[0].data
	if count > 1 {
		chunk = make([]byte, 0, total)
		for _, f := range o.queue[:count] {
			chunk = append(chunk, f.data...)
		}
	}
	clear(o.queue[:count])
	o.queue = o.queue[count:]
	return chunk, false
}

func (o *outbox) wrote(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.size = max(0, o.size-n)
	if o.size == 0 && o.idle != nil {
		close(o.idle)
		o.idle = nil
	}
}

var closedChan = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()
