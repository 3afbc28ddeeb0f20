package integration_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	redisadapter "github.com/dunlin-io/dunlin/adapter/redis"
	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/cluster/clustertest"
)

// Proves T-89, T-109.
func TestClassicRoutingConformance(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	var bus atomic.Int64
	for _, routing := range []redisadapter.Routing{redisadapter.Dynamic, redisadapter.DynamicPrivate} {
		t.Run(routing.String(), func(t *testing.T) {
			clustertest.Run(t, func(t *testing.T) clustertest.Bus {
				o := redisadapter.Options{Routing: routing, Prefix: fmt.Sprintf("bus%d", bus.Add(1))}
				return func() cluster.Adapter { return openAdapter(t, r, o) }
			})
		})
	}
}

// Proves T-90, T-109.
func TestShardedConformance(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	var bus atomic.Int64
	for _, routing := range []redisadapter.Routing{redisadapter.Static, redisadapter.DefaultRouting, redisadapter.DynamicPrivate} {
		t.Run(routing.String(), func(t *testing.T) {
			clustertest.Run(t, func(t *testing.T) clustertest.Bus {
				o := redisadapter.Options{Mode: redisadapter.Sharded, Routing: routing, Prefix: fmt.Sprintf("bus%d", bus.Add(1))}
				return func() cluster.Adapter { return openAdapter(t, r, o) }
			})
		})
	}
}
