package siotest

import (
	"context"
	"net"
	"sync"
)

// wire is a connection that a test can harm.
type wire interface {
	net.Conn
	cut()          // breaks it; nothing that is on its way arrives
	stall(on bool) // says whether it stops reading
}

// tcp is a wire of the kernel.
type tcp struct {
	net.Conn

	mu      sync.Mutex    // guards the following
	stalled chan struct{} // closed when reading may go on; nil while it may
	closed  bool
}

var _ wire = (*tcp)(nil)

func dialTCP(ctx context.Context, addr string) (wire, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &tcp{Conn: c}, nil
}

func (c *tcp) Read(p []byte) (int, error) {
	for {
		c.mu.Lock()
		stalled := c.stalled
		c.mu.Unlock()
		if stalled == nil {
			return c.Conn.Read(p)
		}
		<-stalled
	}
}

func (c *tcp) Close() error {
	c.mu.Lock()
	c.closed = true
	c.resume()
	c.mu.Unlock()
	return c.Conn.Close()
}

// cut sends a reset instead of a goodbye.
func (c *tcp) cut() {
	if t, ok := c.Conn.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = c.Close()
}

func (c *tcp) stall(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !on:
		c.resume()
	case c.stalled == nil && !c.closed:
		c.stalled = make(chan struct{})
	}
}

// resume is called with mu held.
func (c *tcp) resume() {
	if c.stalled != nil {
		close(c.stalled)
		c.stalled = nil
	}
}
