package integration_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	redisadapter "github.com/dunlin-io/dunlin/adapter/redis"
	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/cluster/clustertest"
)

// Proves T-109.
func TestStreamsConformance(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	var bus atomic.Int64
	for name, o := range map[string]redisadapter.Options{
		"One":     {},
		"Several": {Streams: redisadapter.StreamOptions{Count: 4, ReadCount: 3}},
		"Signed":  {Streams: redisadapter.StreamOptions{Count: 4, SignedHash: true}},
		"Sharded": {Streams: redisadapter.StreamOptions{ShardedPubSub: true}},
	} {
		o.Mode = redisadapter.Streams
		t.Run(name, func(t *testing.T) {
			clustertest.Run(t, func(t *testing.T) clustertest.Bus {
				n := bus.Add(1)
				o.Prefix, o.Streams.Name = fmt.Sprintf("bus%d", n), fmt.Sprintf("stream%d", n)
				return func() cluster.Adapter { return openAdapter(t, r, o) }
			})
		})
	}
}

// Proves T-94.
func TestStreamsConformanceOnRedisCluster(t *testing.T) {
	t.Parallel()
	addrs := startRedisCluster(t)
	bus := 0
	for name, count := range map[string]int{"One": 1, "Several": 4} {
		t.Run(name, func(t *testing.T) {
			o := redisadapter.Options{Mode: redisadapter.Streams, Streams: redisadapter.StreamOptions{Count: count}}
			conformsOnRedisCluster(t, addrs, o, &bus)
		})
	}
}
