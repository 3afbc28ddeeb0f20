package redisadapter_test

import (
	"testing"

	"github.com/redis/go-redis/v9"
)

// spy hears what is published.
type spy struct{ *redis.PubSub }

// newSpy subscribes to a pattern, and to channels, of which it is a counted
// subscriber.
func newSpy(t testing.TB, addr, pattern string, channels ...string) spy {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1, DisableIdentity: true})
	ctx := t.Context()
	s := spy{c.Subscribe(ctx, channels...)}
	t.Cleanup(func() {
		_ = s.Close()
		_ = c.Close()
	})
	if err := s.PSubscribe(ctx, pattern); err != nil {
		t.Fatal(err)
	}
	for range 1 + len(channels) {
		if _, err := s.Receive(ctx); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// next skips what is said to nobody, to try whether Redis allows it.
func (s spy) next(t testing.TB) *redis.Message {
	t.Helper()
	for {
		m, err := s.ReceiveMessage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if m.Payload != "" {
			return m
		}
	}
}
