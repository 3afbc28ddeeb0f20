package redisadapter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/dunlin-io/dunlin/core/cluster"
)

const (
	maxPID      = 256 // bytes
	sessionPage = 64  // how many sessions go into one round trip
	mostTries   = 5   // at a session that is saved at the same time by somebody else
)

// recordedLink is a link in the mode Streams.
type recordedLink struct{ *link }

var _ cluster.SessionStore = recordedLink{}

// Position implements cluster.SessionStore.
func (l recordedLink) Position() (o cluster.Offset, epoch uint64) {
	return l.recording.log.where()
}

func (l recordedLink) key(pid string) string { return l.adapter.opts.Streams.SessionPrefix + pid }

// Save implements cluster.SessionStore.
func (l recordedLink) Save(ctx context.Context, ttl time.Duration, sessions ...cluster.Session) error {
	return paged(sessions, sessionPage, func(page []cluster.Session) error {
		values, err := l.values(page)
		if err != nil {
			return err
		}
		_, err = l.adapter.client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i, value := range values {
				p.Set(ctx, l.key(page[i].PID), value, max(ttl, time.Millisecond))
			}
			return nil
		})
		return wrapped("save sessions", err)
	})
}

func (l recordedLink) values(sessions []cluster.Session) ([]string, error) {
	values := make([]string, len(sessions))
	for i := range sessions {
		v, err := l.recording.codec.sessionValue(&sessions[i])
		if err != nil {
			return nil, err
		}
		if n := len(v); n > l.adapter.opts.MaxMessage {
			return nil, fmt.Errorf("save session: %w: %d bytes", cluster.ErrTooLarge, n)
		}
		if s := l.adapter.pub.signer; s != nil {
			v = s.sealSession(l.key(sessions[i].PID), v)
		}
		values[i] = v
	}
	return values, nil
}

// Renew implements cluster.SessionStore.
func (l recordedLink) Renew(ctx context.Context, ttl time.Duration, sessions ...cluster.Session) error {
	values, err := l.values(sessions)
	if err != nil {
		return err
	}
	pids, byPID := make([]string, len(sessions)), make(map[string]string, len(sessions))
	for i := range sessions {
		pids[i] = sessions[i].PID
		byPID[pids[i]] = values[i]
	}
	return wrapped("renew sessions", l.own(ctx, pids, func(p redis.Pipeliner, pid string) {
		p.Set(ctx, l.key(pid), byPID[pid], max(ttl, time.Millisecond))
	}))
}

// Forget implements cluster.SessionStore.
func (l recordedLink) Forget(ctx context.Context, pids ...string) error {
	return wrapped("forget sessions", l.own(ctx, pids, func(p redis.Pipeliner, pid string) {
		p.Del(ctx, l.key(pid))
	}))
}

// own does something to the sessions that this node was the last to save.
func (l recordedLink) own(ctx context.Context, pids []string, do func(p redis.Pipeliner, pid string)) error {
	size := sessionPage
	if _, several := l.adapter.client.(*redis.ClusterClient); several {
		size = 1 // keys that are watched together must be in one place
	}
	return paged(pids, size, func(page []string) error {
		err := l.watch(ctx, page, do)
		if !errors.Is(err, redis.TxFailedErr) {
			return err
		}
		return paged(page, 1, func(one []string) error { // somebody was faster with one of them
			for range mostTries {
				if err = l.watch(ctx, one, do); !errors.Is(err, redis.TxFailedErr) {
					break
				}
			}
			return err
		})
	})
}

func (l recordedLink) watch(ctx context.Context, pids []string, do func(p redis.Pipeliner, pid string)) error {
	keys := make([]string, len(pids))
	for i, pid := range pids {
		keys[i] = l.key(pid)
	}
	return l.adapter.client.Watch(ctx, func(tx *redis.Tx) error {
		values, err := tx.MGet(ctx, keys...).Result()
		if err != nil {
			return err
		}
		var ours []string
		for i, value := range values {
			if text, ok := value.(string); ok && l.isOurs(pids[i], text) {
				ours = append(ours, pids[i])
			}
		}
		if len(ours) == 0 {
			return nil
		}
		_, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
			for _, pid := range ours {
				do(p, pid)
			}
			return nil
		})
		return err
	}, keys...)
}

// isOurs reports whether this node saved a session. Without the extension that
// is not written.
func (l recordedLink) isOurs(pid, value string) bool {
	s, err := l.read(pid, value)
	return err == nil && (s.Node == l.dialect.(*streamed).codec.self || !l.recording.codec.extension)
}

// Take implements cluster.SessionStore. A session of another namespace stays.
func (l recordedLink) Take(ctx context.Context, pid string) (cluster.Session, error) {
	if err := l.err(); err != nil {
		return cluster.Session{}, err
	}
	if pid == "" || len(pid) > maxPID {
		return cluster.Session{}, cluster.ErrNoSession
	}
	value, err := l.adapter.client.Get(ctx, l.key(pid)).Result()
	if err != nil {
		return cluster.Session{}, noSession(err)
	}
	if _, err := l.session(pid, value); err != nil {
		return cluster.Session{}, err
	}
	var get *redis.StringCmd
	_, err = l.adapter.client.TxPipelined(ctx, func(p redis.Pipeliner) error {
		get = p.Get(ctx, l.key(pid))
		p.Del(ctx, l.key(pid))
		return nil
	})
	if err != nil {
		return cluster.Session{}, noSession(err)
	}
	return l.session(pid, get.Val())
}

func (l recordedLink) session(pid, value string) (cluster.Session, error) {
	s, err := l.read(pid, value)
	if err != nil {
		reason := DropMalformed
		if errors.Is(err, errDistrusted) {
			reason = DropUnsigned
		}
		l.adapter.report.drop(reason, 1, fmt.Errorf("session: %w", err))
		return cluster.Session{}, cluster.ErrNoSession
	}
	if s.PID != pid || s.Namespace != "" && s.Namespace != l.recording.codec.namespace {
		return cluster.Session{}, cluster.ErrNoSession
	}
	return s, nil
}

// read decodes what is kept of a session, if it is signed where it must be.
func (l recordedLink) read(pid, value string) (cluster.Session, error) {
	if s := l.adapter.pub.signer; s != nil {
		var err error
		if value, err = s.openSession(l.key(pid), value); err != nil {
			return cluster.Session{}, err
		}
	}
	return l.recording.codec.session(value)
}

func noSession(err error) error {
	if errors.Is(err, redis.Nil) {
		return cluster.ErrNoSession
	}
	return fmt.Errorf("take session: %w", explained("", err))
}

func wrapped(what string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, explained("", err))
	}
	return nil
}

// paged calls f with at most size elements at a time, until it fails.
func paged[E any](all []E, size int, f func(page []E) error) error {
	for len(all) > 0 {
		n := min(size, len(all))
		if err := f(all[:n:n]); err != nil {
			return err
		}
		all = all[n:]
	}
	return nil
}
