package redisadapter_test

import (
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	redisadapter "github.com/dunlin-io/dunlin/adapter/redis"
	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/cluster/clustertest"
)

// open returns an adapter on the Redis at addr, which is closed with the test.
func open(t *testing.T, addr string, o redisadapter.Options) *redisadapter.Adapter {
	t.Helper()
	a, err := redisadapter.Open(&redis.UniversalOptions{Addrs: []string{addr}}, o)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return a
}

// Proves T-109, J-73, J-76.
func TestClassicConformance(t *testing.T) {
	for name, o := range map[string]redisadapter.Options{
		"Extension":      {},
		"NoExtension":    {NoExtension: true},
		"SharedAnswers":  {SharedAnswers: true},
		"Dynamic":        {Routing: redisadapter.Dynamic},
		"DynamicPrivate": {Routing: redisadapter.DynamicPrivate, Prefix: "my:prefix*["},
		"Prefix":         {Prefix: "my:prefix*[", NoExtension: true, SharedAnswers: true},
	} {
		t.Run(name, func(t *testing.T) {
			clustertest.Run(t, func(t *testing.T) clustertest.Bus {
				m := miniredis.RunT(t)
				return func() cluster.Adapter { return open(t, m.Addr(), o) }
			})
		})
	}
}
