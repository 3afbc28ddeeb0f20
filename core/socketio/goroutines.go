package socketio

import (
	"context"
	"sync"
)

// goroutines counts the goroutines that a server has started, so that Shutdown
// can wait for them. Unlike a sync.WaitGroup it may grow while it is waited
// for: a handler that is still running may emit and so start others.
type goroutines struct {
	mu   sync.Mutex // guards the following
	n    int
	zero chan struct{} // closed when n falls to 0; nil while nobody waits
}

// Go runs f on a goroutine of its own.
func (g *goroutines) Go(f func()) {
	g.mu.Lock()
	g.n++
	g.mu.Unlock()
	// f belongs to who called Go and ends by its own means; Wait waits for it.
	go func() {
		defer g.done()
		f()
	}()
}

func (g *goroutines) done() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.n--; g.n == 0 && g.zero != nil {
		close(g.zero)
		g.zero = nil
	}
}

// Wait returns when there are no goroutines, or with ctx's error.
func (g *goroutines) Wait(ctx context.Context) error {
	g.mu.Lock()
	if g.n == 0 {
		g.mu.Unlock()
		return nil
	}
	if g.zero == nil {
		g.zero = make(chan struct{})
	}
	zero := g.zero
	g.mu.Unlock()
	select {
	case <-zero:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
