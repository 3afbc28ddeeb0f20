package integration_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"

	redisadapter "github.com/dunlin-io/dunlin/adapter/redis"
	"github.com/dunlin-io/dunlin/test/nemesis"
)

// A connection that breaks leaves it open whether Redis has what it carried. The
// stream tells: nothing is lost, and nothing is written twice.
func TestStreamsResolveWhatWasInFlight(t *testing.T) {
	for name, lost := range map[string]nemesis.Direction{"RedisHasIt": nemesis.Down, "RedisHasItNot": nemesis.Up} {
		t.Run(name, func(t *testing.T) { resolveInFlight(t, startRedis(t), lost) })
	}
}

func resolveInFlight(t *testing.T, r *redisServer, lost nemesis.Direction) {
	t.Helper()
	proxy, err := nemesis.NewProxy(r.addr, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = proxy.Close() })
	adapter := openAdapter(t, &redisServer{addr: proxy.Addr()}, redisadapter.Options{Mode: redisadapter.Streams})
	a := streamNode{node: join(adapter, "/", "a").ready(t), adapter: adapter}
	b := newStreamNode(t, r, "/", "b", redisadapter.StreamOptions{}).ready(t)
	c := r.Client(t)
	a.tell(t, 0)
	a.expectLast(t, 0) // the connection that publishes stands

	before := xlen(t, c)
	proxy.Set(lost, nemesis.Faults{Hold: true})
	for i := 1; i <= 3; i++ {
		a.tell(t, i)
	}
	eventually(t, "something is in flight", func() error {
		if adapter.Stats().Queued == 3 || lost == nemesis.Down && xlen(t, c) == before {
			return errors.New("not yet")
		}
		return nil
	})
	proxy.Reset()
	proxy.Heal()
	a.tell(t, 4)
	expectAll(t, a, b, 4)
	eventually(t, "all count as published", func() error {
		if n := adapter.Stats().Published; n != 5 {
			return fmt.Errorf("%d published", n)
		}
		return nil
	})
	if n := xlen(t, c); n != before+4 {
		t.Errorf("%d entries were written, want 4", n-before)
	}
}

func xlen(t *testing.T, c *redis.Client) int {
	t.Helper()
	n, err := c.XLen(within(t), "socket.io").Result()
	if err != nil {
		t.Fatal(err)
	}
	return int(n)
}
