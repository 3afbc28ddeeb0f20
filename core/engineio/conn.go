package engineio

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// conn is a raw connection. One goroutine reads; writes are serialised by outbox, except close, which anyone may call.
type conn interface {
	// read waits for bytes and returns them in a buffer that is valid until release. While it waits it should hold as
	// little memory as it can.
	read() ([]byte, error)
	// release gives the buffer of the last read back.
	release()

	// direct reports whether tryWrite can do anything.
	direct() bool
	// tryWrite writes what can be written without waiting. Less than all of p with a nil error means: not now.
	tryWrite(p []byte) (int, error)
	// write waits until some of p is written, for at most stall, and returns how much.
	write(p []byte, stall time.Duration) (int, error)

	// close ends the connection and with it any read or write that waits. It may be called more than once.
	close()
}

// newConn picks the driver: direct system calls where the connection is a plain socket, ordinary blocking calls for
// TLS, pipes and connections wrapped by others.
func newConn(c net.Conn) conn {
	if raw := newSocketConn(c); raw != nil {
		return raw
	}
	return &streamConn{Conn: c}
}

// streamConn drives any net.Conn. It cannot write without risking to wait, so everything is flushed by the outbox's
// goroutine. A blocked reader holds a small buffer.
type streamConn struct {
	net.Conn
	buf *[streamBufferSize]byte // owned by the reading goroutine
}

const streamBufferSize = 2 << 10

var streamBuffers = sync.Pool{New: func() any { return new([streamBufferSize]byte) }}

func (c *streamConn) read() ([]byte, error) {
	c.buf = streamBuffers.Get().(*[streamBufferSize]byte)
	for {
		n, err := c.Read(c.buf[:])
		if n > 0 {
			return c.buf[:n], nil
		}
		if err != nil {
			c.release()
			return nil, err
		}
	}
}

func (c *streamConn) release() {
	if c.buf != nil {
		streamBuffers.Put(c.buf)
		c.buf = nil
	}
}

func (c *streamConn) direct() bool { return false }

func (c *streamConn) tryWrite([]byte) (int, error) { return 0, nil }

// streamChunk bounds one blocking write, so that a slow but steady reader shows progress before the deadline.
const streamChunk = 16 << 10

func (c *streamConn) write(p []byte, stall time.Duration) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(stall)); err != nil {
		return 0, err
	}
	n, err := c.Write(p[:min(len(p), streamChunk)])
	if n > 0 && errors.Is(err, os.ErrDeadlineExceeded) {
		return n, nil
	}
	if err == nil && n == 0 {
		return 0, io.ErrShortWrite
	}
	return n, err
}

func (c *streamConn) close() { _ = c.Close() }
