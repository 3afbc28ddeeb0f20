package redisadapter

import (
	"context"
	"fmt"
	"net"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// dedicated returns a client with one connection of its own to the master that
// has the key. Commands on it end when ctx does, blocking ones too: the
// connection is closed under them.
func dedicated(ctx context.Context, client redis.UniversalClient, key string) (*redis.Client, error) {
	master, err := masterOf(ctx, client, key)
	if err != nil {
		return nil, err
	}
	o := *master.Options()
	o.PoolSize, o.MinIdleConns, o.MaxIdleConns, o.MaxActiveConns = 1, 0, 0, 0
	o.MaxRetries = -1
	o.DialerRetries = 1
	o.DisableIdentity = true
	o.ContextTimeoutEnabled = true
	o.Limiter, o.AutoPipelineOptions, o.PipelinePoolSize = nil, nil, 0
	o.ClientSideCache, o.ClientSideCacheConfig = nil, nil
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	dial := o.Dialer
	o.Dialer = func(dialing context.Context, network, addr string) (net.Conn, error) {
		dialing, cancel := context.WithCancel(dialing)
		defer cancel()
		defer context.AfterFunc(ctx, cancel)()
		conn, err := dial(dialing, network, addr)
		if err != nil {
			return nil, err
		}
		return endingConn{conn, context.AfterFunc(ctx, func() { _ = conn.Close() })}, nil
	}
	return redis.NewClient(&o), nil
}

// masterOf returns the client of the one Redis server that has the key.
func masterOf(ctx context.Context, client redis.UniversalClient, key string) (*redis.Client, error) {
	switch c := client.(type) {
	case *redis.Client:
		return c, nil
	case *redis.ClusterClient:
		return c.MasterForKey(ctx, key)
	}
	return nil, fmt.Errorf("redis adapter: streams need a *redis.Client or *redis.ClusterClient, not %T", client)
}

// endingConn is a connection that is closed when a context ends.
type endingConn struct {
	net.Conn
	detach func() bool // from the context
}

func (c endingConn) Close() error {
	c.detach()
	return c.Conn.Close()
}
