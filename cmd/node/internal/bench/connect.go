package bench

import (
	"context"
	"sync"
	"time"
)

// connects lets every client connect and leave, again and again: as fast as the
// server lets them, or at fixed times. What is measured is the time until the
// server has let the client into the namespace.
func (r *run) connects(ctx context.Context) error {
	first, err := r.open(ctx, 0, "") // what is wrong from the beginning is no result
	if err != nil {
		return err
	}
	reset(first.conn.Conn)
	end := r.window()
	within, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	var slots sync.WaitGroup
	start := time.Now()
	for i := range r.cfg.Clients {
		var interval, offset time.Duration
		if r.cfg.Rate > 0 {
			interval = time.Second * time.Duration(r.cfg.Clients) / time.Duration(r.cfg.Rate)
			offset = interval * time.Duration(i) / time.Duration(r.cfg.Clients)
		}
		// It ends with within, or a timeout later; connects waits.
		slots.Go(func() { r.comeAndGo(ctx, within, i, start.Add(offset), interval) })
	}
	slots.Wait()
	r.stopMeasuring()
	return nil
}

// afterRefusal keeps a server that refuses from being asked as fast as it can.
const afterRefusal = 100 * time.Millisecond

// comeAndGo connects one client after the other until within ends. The last one
// may take longer, so it gets ctx.
func (r *run) comeAndGo(ctx, within context.Context, index int, due time.Time, interval time.Duration) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for sleep(within, timer, time.Until(due)) {
		if interval == 0 {
			due = time.Now()
		}
		c, err := r.open(ctx, index, "")
		if err != nil {
			if ctx.Err() == nil {
				r.refused(err)
			}
			due = time.Now().Add(afterRefusal - interval)
		} else {
			reset(c.conn.Conn)
			now := time.Now()
			r.count(c, now.Sub(r.epoch), now.Sub(due), false)
		}
		due = due.Add(interval)
	}
}

// refused notes a connection that did not come about.
func (r *run) refused(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lost++; r.lost == 1 {
		r.firstEnd = err
	}
}
