package siotest

import (
	"context"
	"net"
	"sync"
	"syscall"
)

// Listener is a net.Listener in memory. Its methods may be called from any
// goroutine.
type Listener struct {
	arriving chan *conn
	done     chan struct{}
	close    func()

	mu   sync.Mutex // guards the following
	port int        // of the client that came last
}

var _ net.Listener = (*Listener)(nil)

// Listen returns a listener that Dial reaches.
func Listen() *Listener {
	l := &Listener{arriving: make(chan *conn), done: make(chan struct{}), port: 49151}
	l.close = sync.OnceFunc(func() { close(l.done) })
	return l
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.arriving:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *Listener) Close() error { l.close(); return nil }

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

// Dial connects to the listener. It fails when the listener is closed, or with
// ctx's error when nobody accepts.
func (l *Listener) Dial(ctx context.Context) (net.Conn, error) {
	c, err := l.dial(ctx)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (l *Listener) dial(ctx context.Context) (*conn, error) {
	l.mu.Lock()
	l.port = l.port%65535 + 1
	from := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: l.port}
	l.mu.Unlock()
	client, server := connect(from, l.Addr())
	select {
	case l.arriving <- server:
		return client, nil
	case <-l.done:
		return nil, syscall.ECONNREFUSED
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
