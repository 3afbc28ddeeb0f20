package engineio

import "sync"

// corkFrames is how many frames gather for a connection before memory is allocated for them.
const corkFrames = 8

var (
	corkQueues = sync.Pool{New: func() any { return new([corkFrames]queuedFrame) }}
	corkChunks = sync.Pool{New: func() any { return new([flushChunk]byte) }}
)

// gathered reports whether the queue waits for the end of a burst and not for the connection. Whatever is not Send ends
// that first, and so finds everything as if there were no bursts. It is called with mu held.
func (o *outbox) gathered() bool { return !o.flushing && len(o.queue) > 0 }

// gather queues frame for the end of a burst, if one is open. It is called with mu held.
func (o *outbox) gather(frame []byte) bool {
	if o.flushing || len(frame) > flushChunk || !o.conn.direct() || !o.cork.gather(o) {
		return false
	}
	o.add(frame, false)
	return true
}

// add queues frame where the end of a burst finds it. It is called with mu held.
func (o *outbox) add(frame []byte, pong bool) {
	if o.queue == nil {
		o.queue = corkQueues.Get().(*[corkFrames]queuedFrame)[:0]
	}
	o.queue = append(o.queue, queuedFrame{data: frame, pong: pong})
	o.size += len(frame)
	if pong {
		o.pending++
	}
}

// tryBehind adds frame to what has gathered and writes both. If the connection takes nothing of frame, it reports false
// and takes frame back. It is called with mu held.
func (o *outbox) tryBehind(frame []byte) (sent bool) {
	before := o.size
	o.add(frame, false)
	if sent = o.writeGathered() > before; !sent {
		o.queue = o.queue[:len(o.queue)-1]
		o.size -= len(frame)
	}
	o.settle()
	return sent
}

// uncork writes what has gathered.
func (o *outbox) uncork() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.release()
}

// release is uncork with mu held. What the connection does not take is left to the flusher, and so is an error, which
// the flusher runs into and reports.
func (o *outbox) release() {
	if o.gathered() {
		o.writeGathered()
		o.settle()
	}
}

// writeGathered writes the queue in one call that does not wait, and returns how many bytes the connection took. It is
// called with mu held and followed by settle.
func (o *outbox) writeGathered() int {
	chunk := o.queue[0].data
	if len(o.queue) > 1 {
		buf := corkChunks.Get().(*[flushChunk]byte)
		defer corkChunks.Put(buf)
		chunk = buf[:0]
		for _, f := range o.queue {
			chunk = append(chunk, f.data...)
		}
	}
	n, err := o.conn.tryWrite(chunk)
	if err != nil {
		n = 0
	}
	o.size -= n
	o.drop(n)
	return n
}

// drop takes the first n bytes off the queue. It is called with mu held.
func (o *outbox) drop(n int) {
	done := 0
	for done < len(o.queue) && n >= len(o.queue[done].data) {
		f := &o.queue[done]
		n -= len(f.data)
		if f.pong {
			o.pending--
		}
		*f = queuedFrame{}
		done++
	}
	if done == len(o.queue) {
		if cap(o.queue) == corkFrames {
			corkQueues.Put((*[corkFrames]queuedFrame)(o.queue[:corkFrames]))
		}
		o.queue = nil
		return
	}
	o.queue = o.queue[done:]
	if n > 0 {
		o.queue[0].data, o.queue[0].begun = o.queue[0].data[n:], true
	}
}

// settle leaves to the flusher what writeGathered has not written. It is called with mu held.
func (o *outbox) settle() {
	if len(o.queue) == 0 {
		o.queue = nil
		return
	}
	o.flushing = true
	o.owner.flusher(o.flush)
}
