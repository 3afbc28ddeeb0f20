package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/redis/go-redis/v9"

	redisadapter "github.com/dunlin-io/dunlin/adapter/redis"
	"github.com/dunlin-io/dunlin/cmd/node/internal/config"
	"github.com/dunlin-io/dunlin/core/cluster"
)

// bus is the node's connection to the others.
type bus struct {
	name    string                // for logs
	client  redis.UniversalClient // nil: the node is alone
	adapter cluster.Adapter
}

func newBus(cfg *config.Bus, logger *slog.Logger) (*bus, error) {
	if cfg.Redis == "" {
		return &bus{name: "none: this node is alone", adapter: cluster.Solo{}}, nil
	}
	open, err := cfg.RedisClient()
	if err != nil {
		return nil, fmt.Errorf("--redis: %w", err)
	}
	// go-redis writes to standard error by itself. What it has to say arrives
	// as errors, too.
	redis.SetLogger(silent{})
	client := open()
	adapter, err := redisadapter.New(client, redisadapter.Options{Mode: cfg.Adapter, Secrets: cfg.BusSecrets, Logger: logger})
	if err != nil {
		return nil, fmt.Errorf("--adapter: %w", errors.Join(err, client.Close()))
	}
	return &bus{name: cfg.RedisName(), client: client, adapter: adapter}, nil
}

// check asks Redis for a sign of life.
func (b *bus) check(ctx context.Context) error {
	if b.client == nil {
		return nil
	}
	if err := b.client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("redis %s: %w: %s", b.name, err, mend(err))
	}
	return nil
}

const startRedis = "start Redis, or correct --redis"

// mend says what to do about an error of Redis.
func mend(err error) string {
	text := err.Error()
	switch {
	case strings.Contains(text, "NOAUTH"), strings.Contains(text, "WRONGPASS"), strings.Contains(text, "without any password"):
		return "give the right user and password in --redis"
	case strings.Contains(text, "NOPERM"):
		return "let this user of Redis do what docs/adapters.md has in the line for --adapter"
	case strings.Contains(text, "LOADING"):
		return "wait until Redis has loaded its data"
	case strings.Contains(text, "all sentinels"):
		return "start the Sentinels, or correct their addresses and the name of the master in --redis"
	case strings.Contains(text, "cluster support disabled"):
		return "this Redis is no Redis Cluster: name it alone, as redis://host:port"
	case strings.Contains(text, "no such host"):
		return "correct the host in --redis"
	case strings.Contains(text, "certificate"), strings.Contains(text, "tls:"):
		return "check the certificate of Redis, or write redis:// if it does not speak TLS"
	}
	return startRedis
}

func (b *bus) close() error {
	if b.client == nil {
		return nil
	}
	var err error
	if adapter, ok := b.adapter.(*redisadapter.Adapter); ok {
		err = adapter.Close()
	}
	return errors.Join(err, b.client.Close())
}

// silent discards what go-redis logs.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}
