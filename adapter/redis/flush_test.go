package redisadapter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/parser"
)

func newFlushTest(t *testing.T, addr string, o Options) (*Adapter, *link) {
	t.Helper()
	a, err := Open(&redis.UniversalOptions{Addrs: []string{addr}}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a, a.Open("/", "", nil).(*link)
}

// publishEvent publishes an event; what becomes of it is the business of Flush.
func publishEvent(t *testing.T, l *link, name string) {
	t.Helper()
	args, err := parser.MakeEvent(name)
	if err != nil {
		t.Fatal(err)
	}
	p := &parser.Packet{Type: parser.Event, Namespace: "/", Payload: args.EventPayload()}
	if err := l.Publish(cluster.Message{Body: cluster.Broadcast{Packet: p}}); err != nil {
		t.Fatal(err)
	}
}

func flush(t *testing.T, l *link) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	return l.Flush(ctx)
}

func TestFlushWaitsUntilRedisHasEverything(t *testing.T) {
	m := miniredis.RunT(t)
	a, l := newFlushTest(t, m.Addr(), Options{})
	if err := flush(t, l); err != nil {
		t.Errorf("Flush of nothing = %v", err)
	}
	const events = 3 * maxBatchMessages
	for i := range events {
		publishEvent(t, l, fmt.Sprint(i))
	}
	if err := flush(t, l); err != nil {
		t.Fatalf("Flush = %v", err)
	}
	if n := a.Stats().Published; n != events {
		t.Errorf("%d published when Flush returned, want %d", n, events)
	}
}

func TestFlushSaysThatRedisIsAway(t *testing.T) {
	m := miniredis.RunT(t)
	addr := m.Addr()
	m.Close()
	failed := make(chan error, 1000)
	_, l := newFlushTest(t, addr, Options{OnError: func(err error) { failed <- err }})
	publishEvent(t, l, "a")
	publishEvent(t, l, "b")
	<-failed
	<-failed // Flush knows why by now
	ended, end := context.WithCancel(t.Context())
	end()
	err := l.Flush(ended)
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "refused") || !strings.Contains(err.Error(), "2 messages") {
		t.Errorf("Flush without Redis = %v", err)
	}
	if err := m.Restart(); err != nil {
		t.Fatal(err)
	}
	if err := flush(t, l); err != nil {
		t.Errorf("Flush when Redis is there = %v", err)
	}
}

func TestFlushTellsEachLossOnceToItsLink(t *testing.T) {
	m := miniredis.RunT(t)
	a, l := newFlushTest(t, m.Addr(), Options{})
	other := a.Open("/other", "", nil).(*link)
	m.SetError("NOPERM this user has no permissions")
	publishEvent(t, l, "a")
	publishEvent(t, l, "b")
	err := flush(t, l)
	m.SetError("")
	var lost *cluster.LostError
	if !errors.As(err, &lost) || lost.Messages != 2 || !strings.Contains(err.Error(), "refused: PUBLISH \"socket.io#/#\": NOPERM") {
		t.Errorf("Flush = %v, want 2 lost", err)
	}
	if err := flush(t, other); err != nil {
		t.Errorf("Flush of a link that published nothing = %v", err)
	}
	publishEvent(t, l, "c")
	if err := flush(t, l); err != nil {
		t.Errorf("the next Flush = %v", err)
	}
}

func TestFlushTellsWhatNeverLeftTheQueue(t *testing.T) {
	for _, test := range []struct {
		reason DropReason
		o      Options
		lose   func(*publisher)
		want   int
	}{
		{DropOverflow, Options{BufferMessages: 3}, func(*publisher) {}, 2},
		{DropExpired, Options{}, func(*publisher) { time.Sleep(30 * time.Second) }, 5},
		{DropClosed, Options{}, func(p *publisher) { p.close(0) }, 5},
	} {
		t.Run(test.reason.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				opts := testOptions(t, test.o)
				p := newPublisher(nil, opts, newReporter(opts), shut)
				defer p.close(0)
				var mine losses
				for range 5 {
					if err := p.put(outgoing{channel: "c", payload: []byte("x"), losses: &mine}); err != nil {
						t.Fatal(err)
					}
				}
				test.lose(p)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if err, waits := p.flush(ctx), test.want < 5; errors.Is(err, context.DeadlineExceeded) != waits {
					t.Errorf("flush = %v, want to wait for what is left: %t", err, waits)
				}
				var lost *cluster.LostError
				if err := mine.take(); !errors.As(err, &lost) || lost.Messages != test.want || !strings.Contains(err.Error(), test.reason.String()) {
					t.Errorf("lost: %v, want %d", err, test.want)
				}
				if err := mine.take(); err != nil {
					t.Errorf("told twice: %v", err)
				}
			})
		})
	}
}

// A flush that began before must not wait for what comes after it.
func TestFlushDoesNotWaitForWhatComesLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := testOptions(t, Options{})
		p := newPublisher(nil, opts, newReporter(opts), shut)
		defer p.close(0)
		_ = p.put(outgoing{channel: "c", payload: []byte("first")})
		flushed := make(chan error, 1)
		go func() { flushed <- p.flush(t.Context()) }()
		synctest.Wait()
		time.Sleep(10 * time.Second)
		_ = p.put(outgoing{channel: "c", payload: []byte("later")})
		synctest.Wait()
		select {
		case err := <-flushed:
			t.Fatalf("flush = %v while the first message waits", err)
		default:
		}
		time.Sleep(20 * time.Second) // the first expires
		synctest.Wait()
		select {
		case err := <-flushed:
			if err != nil {
				t.Errorf("flush = %v", err)
			}
		default:
			t.Error("flush still waits, for what came later")
		}
	})
}

func TestFlushCountsWhatMayHaveLeftAsLost(t *testing.T) {
	c := newCutter(t)
	a, l := newFlushTest(t, c.Addr().String(), Options{})
	publishEvent(t, l, "cut off")
	err := flush(t, l)
	var lost *cluster.LostError
	if !errors.As(err, &lost) || lost.Messages != 1 || !errors.Is(err, io.EOF) {
		t.Errorf("Flush = %v, want one lost with its connection", err)
	}
	_ = a.Close()
	_ = c.Close()
	c.conns.Wait()
}

func TestCloseTellsWhatIsLost(t *testing.T) {
	m := miniredis.RunT(t)
	addr := m.Addr()
	m.Close()
	failed := make(chan error, 1000)
	a, l := newFlushTest(t, addr, Options{OnError: func(err error) { failed <- err }})
	publishEvent(t, l, "never")
	<-failed
	<-failed
	err := a.Close()
	var lost *cluster.LostError
	if !errors.As(err, &lost) || lost.Messages != 1 || !strings.Contains(err.Error(), "refused") {
		t.Errorf("Close = %v, want one lost and why", err)
	}
	if err := flush(t, l); !errors.As(err, &lost) {
		t.Errorf("Flush after Close = %v", err)
	}
	if err := a.Close(); err != nil {
		t.Errorf("the second Close = %v", err)
	}
}
