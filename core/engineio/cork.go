package engineio

import (
	"sync"
	"sync/atomic"
	"time"
)

// corkTime is the longest that a frame waits for others, if a processor is free to run a timer.
const corkTime = time.Millisecond

// cork lets the frames of a burst gather. While a burst is open, Send puts a frame on the outbox of its connection and
// the outbox on a list; the end of any burst takes the whole list and gives each connection what has gathered for it in
// one write. Bursts of several goroutines so work off each other's lists, and no order is changed: it is that of the
// outbox.
type cork struct {
	open  atomic.Int64  // bursts; changed with mu held, as are the next two
	epoch atomic.Uint64 // bursts of an earlier one are over
	list  atomic.Uint64 // the number of the current list

	running sync.WaitGroup // of expire; stop waits

	mu      sync.Mutex // guards the following; taken after an outbox's
	dirty   []*outbox  // the list
	spare   []*outbox  // the next one's memory
	timer   *time.Timer
	stopped bool
}

// Burst is a stretch of work that may send to many sessions, and several times to one. What is sent meanwhile, by
// whomever, leaves when a burst ends, and 1 ms after the first at the latest; so a Burst may last long, but it does
// nothing any more after that. The zero Burst is over. A Burst belongs to one goroutine.
type Burst struct {
	cork  *cork
	own   *Session
	epoch uint64
}

// Burst begins a burst of work for all sessions alike. It must be ended.
func (srv *Server) Burst() Burst { return srv.cork.begin(nil) }

// Burst begins a burst of work for s, which is served first when the burst ends. It must be ended.
func (s *Session) Burst() Burst { return s.srv.cork.begin(s) }

// End writes what has gathered. Only the first call counts.
func (b *Burst) End() {
	c := b.cork
	if c == nil {
		return
	}
	b.cork = nil
	if b.own != nil {
		b.own.uncork() // another burst may have it on its list, far behind
	}
	c.mu.Lock()
	if c.epoch.Load() == b.epoch {
		c.open.Add(-1)
	}
	list := c.take()
	c.mu.Unlock()
	c.flush(list)
}

// Over reports whether the burst has ended, if only because it has lasted too long.
func (b *Burst) Over() bool {
	return b.cork == nil || b.cork.epoch.Load() != b.epoch
}

// Flush writes what bursts have gathered so far, and reports whether there was something. Who is about to wait for an
// answer calls it.
func (srv *Server) Flush() bool {
	c := &srv.cork
	c.mu.Lock()
	list := c.take()
	c.mu.Unlock()
	c.flush(list)
	return list != nil
}

func (c *cork) begin(own *Session) Burst {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open.Add(1)
	return Burst{c, own, c.epoch.Load()}
}

// gather puts o on the list, if a burst is open. It is called with o's lock held. Whoever takes the list writes o's
// frames after that lock is free again, so o is on the list as long as the list is current.
func (c *cork) gather(o *outbox) bool {
	if c.open.Load() == 0 {
		return false
	}
	if o.listed == c.list.Load()+1 { // 0: on none yet
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open.Load() == 0 {
		return false
	}
	if len(c.dirty) == 0 {
		c.arm()
	}
	o.listed = c.list.Load() + 1
	c.dirty = append(c.dirty, o)
	return true
}

// arm is called with mu held.
func (c *cork) arm() {
	if c.timer == nil {
		// expire returns by itself; stop stops the timer and waits for an expire in progress.
		c.timer = time.AfterFunc(corkTime, c.expire)
		return
	}
	c.timer.Reset(corkTime)
}

// take is called with mu held. The list it returns belongs to the caller, who flushes it.
func (c *cork) take() []*outbox {
	if len(c.dirty) == 0 {
		return nil
	}
	c.timer.Stop()
	list := c.dirty
	c.dirty, c.spare = c.spare, nil
	c.list.Add(1)
	return list
}

// expire ends all bursts: something in them computes or waits, and what is sent from now on, also by others, should
// not wait with it.
func (c *cork) expire() {
	c.mu.Lock()
	if c.stopped {
		c.mu.Unlock()
		return
	}
	c.running.Add(1)
	defer c.running.Done()
	c.epoch.Add(1)
	c.open.Store(0)
	list := c.take()
	c.mu.Unlock()
	c.flush(list)
}

// maxSpare bounds the memory that waits for the next burst, in connections.
const maxSpare = 16 << 10

func (c *cork) flush(list []*outbox) {
	if list == nil {
		return
	}
	for _, o := range list {
		o.uncork()
	}
	clear(list)
	if cap(list) <= maxSpare {
		c.mu.Lock()
		c.spare = list[:0]
		c.mu.Unlock()
	}
}

// stop waits for an expire in progress. It is called when no session is left.
func (c *cork) stop() {
	c.mu.Lock()
	c.stopped = true
	if c.timer != nil {
		c.timer.Stop()
	}
	c.mu.Unlock()
	c.running.Wait()
}
