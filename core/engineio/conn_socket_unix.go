//go:build unix

package engineio

import (
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

// socketConn drives a plain TCP or Unix socket through its descriptor, under the runtime's poller: a reader that waits
// holds no buffer, and a write can be tried without waiting.
type socketConn struct {
	net.Conn
	raw syscall.RawConn

	// The following belong to the reading goroutine. onReadable is readReady, bound once: a method value made for each
	// call would be garbage.
	onReadable func(fd uintptr) bool
	buf        *[socketBufferSize]byte
	n          int
	err        error
}

const socketBufferSize = 16 << 10

var socketBuffers = sync.Pool{New: func() any { return new([socketBufferSize]byte) }}

// newSocketConn returns nil for what is not exactly a socket of the net package: a type that embeds one may do more in
// its Read and Write than the descriptor knows.
func newSocketConn(c net.Conn) conn {
	var (
		raw syscall.RawConn
		err error
	)
	switch c := c.(type) {
	case *net.TCPConn:
		raw, err = c.SyscallConn()
	case *net.UnixConn:
		raw, err = c.SyscallConn()
	default:
		return nil
	}
	if err != nil {
		return nil
	}
	s := &socketConn{Conn: c, raw: raw}
	s.onReadable = s.readReady
	return s
}

func (c *socketConn) read() ([]byte, error) {
	if err := c.raw.Read(c.onReadable); err != nil {
		c.release()
		return nil, err
	}
	if c.err != nil {
		return nil, c.err
	}
	return c.buf[:c.n], nil
}

// readReady takes a buffer only now that there may be bytes for it.
func (c *socketConn) readReady(fd uintptr) bool {
	c.buf = socketBuffers.Get().(*[socketBufferSize]byte)
	for {
		c.n, c.err = syscall.Read(int(fd), c.buf[:])
		if !errors.Is(c.err, syscall.EINTR) {
			break
		}
	}
	if c.err == nil && c.n == 0 {
		c.err = io.EOF
	}
	if c.err != nil {
		c.release()
	}
	if errors.Is(c.err, syscall.EAGAIN) {
		c.err = nil
		return false
	}
	return true
}

func (c *socketConn) release() {
	if c.buf != nil {
		socketBuffers.Put(c.buf)
		c.buf = nil
	}
}

func (c *socketConn) direct() bool { return true }

func (c *socketConn) tryWrite(p []byte) (int, error) {
	w := socketWrites.Get().(*socketWrite)
	defer w.free()
	w.p = p
	if err := c.raw.Write(w.onWritable); err != nil {
		return 0, err
	}
	return w.n, w.err
}

func (c *socketConn) write(p []byte, stall time.Duration) (int, error) {
	w := socketWrites.Get().(*socketWrite)
	defer w.free()
	w.p, w.wait = p, true
	if err := c.SetWriteDeadline(time.Now().Add(stall)); err != nil {
		return 0, err
	}
	if err := c.raw.Write(w.onWritable); err != nil {
		return 0, err
	}
	// An expired deadline would fail later writes that do not wait.
	if err := c.SetWriteDeadline(time.Time{}); err != nil {
		return w.n, err
	}
	return w.n, w.err
}

func (c *socketConn) close() { _ = c.Close() }

// socketWrite is the state of one write. It is pooled with its bound method, so that a write allocates nothing and a
// connection at rest keeps nothing.
type socketWrite struct {
	p          []byte
	wait       bool
	n          int
	err        error
	onWritable func(fd uintptr) bool
}

var socketWrites = sync.Pool{New: func() any {
	w := new(socketWrite)
	w.onWritable = w.ready
	return w
}}

func (w *socketWrite) ready(fd uintptr) bool {
	for {
		w.n, w.err = syscall.Write(int(fd), w.p)
		if !errors.Is(w.err, syscall.EINTR) {
			break
		}
	}
	if w.err != nil {
		w.n = 0
	}
	if errors.Is(w.err, syscall.EAGAIN) {
		w.err = nil
		return !w.wait
	}
	return true
}

func (w *socketWrite) free() {
	w.p, w.wait, w.n, w.err = nil, false, 0, nil
	socketWrites.Put(w)
}
