package engineio

import (
	"context"
	"sync"
	"time"
)

// Refuse says whether new sessions are refused, with 503. Existing ones go on. It cannot be undone after Shutdown.
func (srv *Server) Refuse(refuse bool) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.refusing = refuse || srv.down
}

func (srv *Server) isDown() bool {
	srv.mu.RLock()
	defer srv.mu.RUnlock()
	return srv.down
}

// Shutdown refuses new sessions, closes every session as Session.Close does, and waits until all of their goroutines
// and callbacks have ended. When ctx ends before, it discards what is pending, closes every connection and returns the
// cause. A callback that does not return is then no longer waited for.
func (srv *Server) Shutdown(ctx context.Context) error {
	srv.mu.Lock()
	srv.refusing, srv.down = true, true
	srv.mu.Unlock()
	for _, s := range srv.snapshot() {
		s.Close()
	}

	done := make(chan struct{})
	// The goroutine ends with the last callback; nothing else can be waited for here.
	go func() {
		srv.running.Wait()
		srv.heartbeat.stop()
		srv.cork.stop()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	for _, s := range srv.snapshot() {
		s.finish(ReasonForcedClose, errShutdown)
	}
	srv.lingering.closeAll()
	timer := time.NewTimer(forceGrace)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
	return context.Cause(ctx)
}

// forceGrace is how long a forced Shutdown waits for goroutines that have nothing left to wait for themselves.
const forceGrace = 500 * time.Millisecond

// lingering holds connections whose session has ended, until the client answers the goodbye or its time is up.
type lingering struct {
	mu    sync.Mutex // guards the following
	conns map[*websocket]*time.Timer
	force bool // nothing lingers any more
}

func (l *lingering) add(t *websocket, limit time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.force {
		limit = 0
	}
	if l.conns == nil {
		l.conns = make(map[*websocket]*time.Timer)
	}
	l.conns[t] = time.AfterFunc(limit, func() {
		t.conn.close()
		l.remove(t)
	})
}

func (l *lingering) remove(t *websocket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if timer, ok := l.conns[t]; ok {
		timer.Stop()
		delete(l.conns, t)
	}
}

func (l *lingering) closeAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.force = true
	for t, timer := range l.conns {
		timer.Stop()
		t.conn.close()
		delete(l.conns, t)
	}
}
