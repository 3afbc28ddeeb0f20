package siotest

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// bufferSize is how much one end may write before the other has to read, about
// what a kernel's socket buffers hold.
const bufferSize = 64 << 10

// conn is one end of a connection in memory. It behaves like a TCP connection:
// writes are buffered, closing one end lets the other read what is left, and
// deadlines end what waits. It waits on sync.Cond only, which is durable in a
// synctest bubble.
type conn struct {
	in, out       *stream
	local, remote net.Addr
}

var _ wire = (*conn)(nil)

// connect returns the two ends of a connection.
func connect(client, server net.Addr) (c, s *conn) {
	up, down := newStream(), newStream()
	return &conn{in: down, out: up, local: client, remote: server},
		&conn{in: up, out: down, local: server, remote: client}
}

func (c *conn) Read(p []byte) (int, error)  { return c.in.read(p) }
func (c *conn) Write(p []byte) (int, error) { return c.out.write(p) }

// Close lets the peer read what was written, and then io.EOF.
func (c *conn) Close() error {
	c.in.closeReader()
	c.out.closeWriter()
	return nil
}

// cut ends both directions at once, as a broken cable does; nothing that is
// still buffered arrives.
func (c *conn) cut() {
	c.in.reset()
	c.out.reset()
}

// stall says whether this end stops taking what arrives.
func (c *conn) stall(on bool) { c.in.stall(on) }

func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

func (c *conn) SetDeadline(t time.Time) error {
	c.in.readers.set(c.in, t)
	c.out.writers.set(c.out, t)
	return nil
}

func (c *conn) SetReadDeadline(t time.Time) error  { c.in.readers.set(c.in, t); return nil }
func (c *conn) SetWriteDeadline(t time.Time) error { c.out.writers.set(c.out, t); return nil }

// stream is one direction of a connection.
type stream struct {
	mu               sync.Mutex // guards the following
	changed          sync.Cond
	data             []byte
	writerClosed     bool // the reader finds io.EOF after data
	readerClosed     bool // nobody will take data
	broken, stalled  bool
	readers, writers deadline
}

func newStream() *stream {
	s := &stream{}
	s.changed.L = &s.mu
	return s
}

func (s *stream) read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.readerClosed:
			return 0, net.ErrClosed
		case s.broken:
			return 0, syscall.ECONNRESET
		case s.readers.passed:
			return 0, os.ErrDeadlineExceeded
		case len(p) == 0:
			return 0, nil
		case len(s.data) > 0 && !s.stalled:
			n := copy(p, s.data)
			s.data = s.data[n:]
			s.changed.Broadcast()
			return n, nil
		case s.writerClosed && len(s.data) == 0:
			return 0, io.EOF
		}
		s.changed.Wait()
	}
}

func (s *stream) write(p []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.writerClosed:
			return n, net.ErrClosed
		case s.broken:
			return n, syscall.ECONNRESET
		case s.readerClosed:
			return n, syscall.EPIPE
		case s.writers.passed:
			return n, os.ErrDeadlineExceeded
		}
		if room := bufferSize - len(s.data); room > 0 {
			some := p[n:min(len(p), n+room)]
			s.data = append(s.data, some...)
			n += len(some)
			s.changed.Broadcast()
		}
		if n == len(p) {
			return n, nil
		}
		s.changed.Wait()
	}
}

func (s *stream) closeReader() { s.change(func() { s.readerClosed, s.data = true, nil }) }
func (s *stream) closeWriter() { s.change(func() { s.writerClosed = true }) }
func (s *stream) reset()       { s.change(func() { s.broken, s.data = true, nil }) }
func (s *stream) stall(on bool) {
	s.change(func() { s.stalled = on })
}

func (s *stream) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	s.changed.Broadcast()
}

// deadline is the end of waiting on one side of a stream, whose mu guards it.
type deadline struct {
	passed bool
	timer  *time.Timer
	epoch  int // tells a timer that fired too late for Stop that it is out of date
}

func (d *deadline) set(s *stream, t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.epoch++
	d.passed = !t.IsZero() && !t.After(time.Now())
	if !t.IsZero() && !d.passed {
		epoch := d.epoch
		d.timer = time.AfterFunc(time.Until(t), func() {
			s.change(func() { d.passed = d.passed || d.epoch == epoch })
		})
	}
	s.changed.Broadcast()
}
