package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	redisadapter "github.com/dunlin-io/dunlin/adapter/redis"
)

const (
	checkTimeout  = 2 * time.Second
	checkInterval = time.Second
	retryInterval = 100 * time.Millisecond // while the node is not ready
)

// watch keeps the node's health up to date, so that /readyz costs Redis
// nothing, and announces the node the first time that it is ready.
func (a *App) watch(ctx context.Context) {
	announced, worrying := false, false
	for ctx.Err() == nil {
		problem := a.check(ctx)
		if ctx.Err() != nil {
			return
		}
		a.health.Observe(problem)
		interval := checkInterval
		switch {
		case problem != nil:
			interval = retryInterval
			if !worrying {
				a.log.Warn("not ready: clients of this node are cut off from those of others, and /readyz answers 503", "err", problem)
			}
		case !announced:
			announced = true
			a.log.Info("ready", "url", a.main.url)
			a.out.Print("ready ", a.main.url)
		case worrying:
			a.log.Info("ready again")
		}
		worrying = problem != nil
		select {
		case <-ctx.Done():
		case <-time.After(interval):
		}
	}
}

// check returns nil when Redis answers and every namespace is subscribed.
func (a *App) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	if err := a.bus.check(ctx); err != nil {
		if strings.HasSuffix(err.Error(), startRedis) {
			return fmt.Errorf("%w; the node joins by itself when it answers", err)
		}
		return err
	}
	if err := a.io.Ready(ctx); err != nil {
		if refused := (*redisadapter.RefusedError)(nil); errors.As(err, &refused) {
			return fmt.Errorf("redis %s: %w", a.bus.name, refused)
		}
		if errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("redis %s answers, but has not confirmed the subscriptions of this node for %v: it tries again by itself", a.bus.name, checkTimeout)
		}
		return err
	}
	return nil
}
