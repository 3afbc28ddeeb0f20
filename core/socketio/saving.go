package socketio

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/dunlin-io/dunlin/core/cluster"
)

const (
	// saveInterval is how often a socket's session is saved at most while it
	// changes again and again.
	saveInterval = time.Second
	// saveBatch is how many sessions are saved with one call.
	saveBatch = 256
	// storeWait bounds the waiting for the adapter's store.
	storeWait = 2 * time.Second
	// gathering is how long after a round of saving the next one begins at the
	// earliest, so that others can join in.
	gathering = 10 * time.Millisecond
)

// run saves what is due.
func (k *keeper) run() {
	defer close(k.stopped)
	timer := time.NewTimer(0)
	defer timer.Stop()
	var last time.Time
	for {
		select {
		case <-k.stop:
			ctx, cancel := context.WithTimeout(context.Background(), storeWait)
			k.round(ctx, true)
			cancel()
			return
		case <-timer.C:
		case <-k.wake:
			select {
			case <-time.After(time.Until(last.Add(gathering))):
			case <-k.stop:
			}
		}
		last = time.Now()
		k.round(context.Background(), false)
		timer.Reset(k.next())
	}
}

// next is how long there is nothing to do unless something happens.
func (k *keeper) next() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.pause.After(time.Now()):
		return time.Until(k.pause)
	case len(k.changed) > 0:
		return saveInterval / 4
	}
	return k.refresh / 8
}

// round saves what is due once; with final, everything that is not saved yet.
func (k *keeper) round(ctx context.Context, final bool) {
	due, returned, forget := k.due(time.Now(), final)
	for len(due) > 0 && ctx.Err() == nil {
		batch := due[:min(saveBatch, len(due))]
		if !k.save(ctx, batch) {
			break
		}
		due = due[len(batch):]
	}
	failed := len(due) > 0
	if !failed && len(returned) > 0 {
		failed = !k.call(ctx, func(ctx context.Context) error {
			return k.r.store.Save(ctx, k.r.limits.MaxDisconnection, returned...)
		})
		if !failed {
			returned = nil
		}
	}
	if !failed && len(forget) > 0 {
		if failed = !k.call(ctx, func(ctx context.Context) error { return k.r.store.Forget(ctx, forget...) }); !failed {
			forget = nil
		}
	}
	if !failed {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, it := range due {
		k.queue(it)
	}
	k.returned = append(returned, k.returned...)
	k.forget = append(forget, k.forget...)
	k.pause = time.Now().Add(saveInterval)
}

// due takes what is to be done now.
func (k *keeper) due(now time.Time, final bool) (due []*kept, returned []cluster.Session, forget []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !final && k.pause.After(now) {
		return nil, nil, nil
	}
	if k.stale {
		for _, it := range k.byPID {
			if k.anew {
				it.saved = time.Time{}
			}
			if it.gone == nil {
				k.changed[it] = struct{}{}
			}
		}
		k.stale, k.anew = false, false
	}
	if final || now.Sub(k.changes) >= saveInterval/4 {
		k.changes = now
		for it := range k.changed {
			if final || now.Sub(it.saved) >= saveInterval {
				delete(k.changed, it)
				k.queue(it)
			}
		}
	}
	if !final && now.Sub(k.scan) >= k.refresh/8 {
		k.scan = now
		for _, it := range k.byPID {
			if it.gone == nil && now.Sub(it.saved) >= k.refresh {
				k.queue(it)
			}
		}
	}
	maps.DeleteFunc(k.parted, func(_ string, p parted) bool { return now.Sub(p.at) >= partedTime })
	due, returned, forget = k.urgent, k.returned, k.forget
	k.urgent, k.returned, k.forget = nil, nil, nil
	due = slices.DeleteFunc(due, func(it *kept) bool {
		it.queued = false
		expired := it.gone != nil && now.Sub(it.gone.at) >= k.r.limits.MaxDisconnection
		if expired && k.byPID[it.pid] == it {
			delete(k.byPID, it.pid)
			k.left--
		}
		return expired || it.taken
	})
	return due, returned, forget
}

// save saves the sessions of a few sockets and reports whether that worked.
func (k *keeper) save(ctx context.Context, batch []*kept) bool {
	live := k.r.limits.MaxDisconnection + k.refresh
	now := time.Now()
	sessions, gone := k.sessions(batch)
	type group struct {
		anew, gone bool
	}
	groups := make(map[group][]cluster.Session)
	final := make(map[*kept]bool)
	saving := make(chan struct{})
	defer close(saving)
	k.mu.Lock()
	for i, it := range batch {
		if it.taken || sessions[i].PID == "" {
			continue
		}
		it.saving = saving
		final[it] = gone[i] != nil
		g := group{anew: now.Sub(it.saved) >= live, gone: final[it]}
		groups[g] = append(groups[g], sessions[i])
	}
	k.mu.Unlock()
	for g, some := range groups {
		ttl := live
		if g.gone {
			ttl = k.r.limits.MaxDisconnection
		}
		do := k.r.store.Renew
		if g.anew {
			do = k.r.store.Save
		}
		if !k.call(ctx, func(ctx context.Context) error { return do(ctx, ttl, some...) }) {
			return false
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for it, gone := range final {
		it.saved = now
		if gone && k.byPID[it.pid] == it {
			k.part(it, now)
		}
	}
	return true
}

// call calls the store.
func (k *keeper) call(ctx context.Context, f func(context.Context) error) bool {
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	if err := f(ctx); err != nil {
		k.r.ns.server.stats.sessionErrors.Add(1)
		return false
	}
	return true
}

// sessions describes sockets as they are now. That of a socket which is just
// leaving, and will be described again, is empty.
func (k *keeper) sessions(its []*kept) (sessions []cluster.Session, gone []*farewell) {
	sessions, gone = make([]cluster.Session, len(its)), make([]*farewell, len(its))
	k.mu.Lock()
	for i, it := range its {
		gone[i] = it.gone
	}
	k.mu.Unlock()
	k.r.ask(func() {
		for i, it := range its {
			if gone[i] != nil || it.socket.state.Load() != stateClosed {
				k.r.describe(it, gone[i], &sessions[i])
			}
		}
	})
	for i, it := range its {
		s := &sessions[i]
		if s.PID == "" {
			continue
		}
		var where presence
		if gone[i] != nil {
			where, s.Data = gone[i].where, gone[i].data
		} else {
			where, s.Data = k.r.ns.rooms.Presence(it.socket), it.socket.rawData()
		}
		where.export(s)
	}
	return sessions, gone
}

func (s *Socket) rawData() json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.data
}
