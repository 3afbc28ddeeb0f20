package main

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/dunlin-io/dunlin/docs/examples/wiretest"
)

func TestRoomOnTwoNodes(t *testing.T) {
	store := miniredis.RunT(t)
	first, second := start(t, store.Addr()), start(t, store.Addr())

	a := wiretest.Dial(t, first, "websocket", nil)
	idA := a.Join("")
	a.Send(`2["join","games"]`)
	if got := a.Next(); !strings.HasPrefix(got, `2["joined","`+idA+`","`) {
		t.Fatalf("the server sent %s", got)
	}
	b := wiretest.Dial(t, second, "polling", nil)
	idB := b.Join("")
	b.Send(`2["join","games"]`)
	got, other := b.Next(), a.Next()
	if want := `2["joined","` + idB + `","`; !strings.HasPrefix(got, want) || got != other {
		t.Errorf("the nodes' clients got %s and %s, want %s… twice", got, other, want)
	}
}

// start runs a node until the test ends, and returns where.
func start(t *testing.T, store string) (url string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{Addr: store})
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, l, client) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String()
}
