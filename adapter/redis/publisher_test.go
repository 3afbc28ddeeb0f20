package redisadapter

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/dunlin-io/dunlin/core/cluster"
)

// shut is a gate that never opens, and never reaches Redis.
func shut() <-chan struct{} { return make(chan struct{}) }

func openGate() <-chan struct{} { return nil }

func testOptions(t *testing.T, o Options) *Options {
	t.Helper()
	o, err := o.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	return &o
}

func waiting(p *publisher) (payloads []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range p.queue[p.head:] {
		payloads = append(payloads, string(o.payload))
	}
	return payloads
}

// Proves T-100, J-71.
func TestOverflowDropsTheOldest(t *testing.T) {
	for name, o := range map[string]Options{
		"messages": {BufferMessages: 3},
		"bytes":    {BufferBytes: 3 * 1024},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var told atomic.Int64 // by the publisher's goroutine
				o.OnDrop = func(d Drop) {
					if d.Reason == DropOverflow { // the rest when it is closed
						told.Add(int64(d.Messages))
					}
				}
				opts := testOptions(t, o)
				r := newReporter(opts)
				p := newPublisher(nil, opts, r, shut)
				defer p.close(0)
				for i := range 10 {
					payload := fmt.Sprintf("%d%s", i, strings.Repeat(" ", 1000))
					if err := p.put(outgoing{channel: "c", payload: []byte(payload)}); err != nil {
						t.Fatal(err)
					}
				}
				got := waiting(p)
				if len(got) != 3 || got[0][0] != '7' || got[2][0] != '9' {
					t.Errorf("%d wait, from %.1s on, want 7, 8 and 9", len(got), got)
				}
				if n := r.stats().Dropped[DropOverflow]; n != 7 {
					t.Errorf("%d dropped, want 7", n)
				}
				if n, bytes := p.queued(); n != 3 || bytes != 3*1002 {
					t.Errorf("queued() = %d, %d", n, bytes)
				}
				synctest.Wait()
				if n := told.Load(); n != 7 {
					t.Errorf("OnDrop was told of %d messages, want 7", n)
				}
			})
		})
	}
}

// Proves J-71.
func TestWaitingMessagesExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := testOptions(t, Options{})
		r := newReporter(opts)
		p := newPublisher(nil, opts, r, shut)
		defer p.close(0)
		_ = p.put(outgoing{channel: "c", payload: []byte("first")})
		time.Sleep(20 * time.Second)
		_ = p.put(outgoing{channel: "c", payload: []byte("second")})
		time.Sleep(10*time.Second - time.Nanosecond)
		synctest.Wait()
		if got := waiting(p); len(got) != 2 {
			t.Errorf("after just under 30 s %q wait, want both", got)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if got := waiting(p); len(got) != 1 || got[0] != "second" {
			t.Errorf("after 30 s %q wait, want the second", got)
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if n := r.stats().Dropped[DropExpired]; n != 2 || len(waiting(p)) != 0 {
			t.Errorf("%d expired, want both", n)
		}
	})
}

func TestCloseCountsWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := testOptions(t, Options{})
		r := newReporter(opts)
		p := newPublisher(nil, opts, r, shut)
		_ = p.put(outgoing{channel: "c", payload: []byte("x")})
		p.close(time.Hour)
		if n := r.stats().Dropped[DropClosed]; n != 1 {
			t.Errorf("%d dropped, want 1", n)
		}
		if err := p.put(outgoing{channel: "c", payload: nil}); !errors.Is(err, cluster.ErrClosed) {
			t.Errorf("put() after close = %v, want ErrClosed", err)
		}
	})
}

// hearer is subscribed to the channel c.
type hearer struct{ *redis.PubSub }

func newHearer(t *testing.T, addr string) hearer {
	t.Helper()
	h := hearer{testClient(t, addr).Subscribe(t.Context(), "c")}
	t.Cleanup(func() { _ = h.Close() })
	if _, err := h.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h hearer) next(t *testing.T) string {
	t.Helper()
	m, err := h.ReceiveMessage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return m.Payload
}

// testClient is as Open configures it.
func testClient(t testing.TB, addr string) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{
		Addr: addr, MaxRetries: -1, DialerRetries: 1, DisableIdentity: true, ContextTimeoutEnabled: true,
	})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestPublishKeepsOrder(t *testing.T) {
	m := miniredis.RunT(t)
	opts := testOptions(t, Options{})
	r := newReporter(opts)
	p := newPublisher(testClient(t, m.Addr()), opts, r, openGate)
	heard := newHearer(t, m.Addr())
	const n = 2000
	for i := range n {
		if err := p.put(outgoing{channel: "c", payload: fmt.Append(nil, i)}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		if got := heard.next(t); got != fmt.Sprint(i) {
			t.Fatalf("message %d is %q", i, got)
		}
	}
	p.close(time.Minute)
	if s := r.stats(); s.Published != n || len(s.Dropped) != 0 {
		t.Errorf("%+v, want %d published", s, n)
	}
}

func TestRefusedMessagesAreDroppedAndOthersGoOn(t *testing.T) {
	m := miniredis.RunT(t)
	dropped := make(chan Drop, 1)
	opts := testOptions(t, Options{OnDrop: func(d Drop) { dropped <- d }})
	p := newPublisher(testClient(t, m.Addr()), opts, newReporter(opts), openGate)
	defer p.close(time.Minute)
	m.SetError("NOPERM no")
	_ = p.put(outgoing{channel: "c", payload: []byte("refused")})
	if d := <-dropped; d.Reason != DropRefused || d.Err == nil {
		t.Errorf("OnDrop(%+v), want a refusal", d)
	}
	m.SetError("")
	heard := newHearer(t, m.Addr())
	_ = p.put(outgoing{channel: "c", payload: []byte("taken")})
	if got := heard.next(t); got != "taken" {
		t.Errorf("heard %q", got)
	}
}

func TestMessagesWaitWhileRedisLoads(t *testing.T) {
	m := miniredis.RunT(t)
	failed := make(chan error, 1000)
	opts := testOptions(t, Options{OnError: func(err error) { failed <- err }})
	r := newReporter(opts)
	p := newPublisher(testClient(t, m.Addr()), opts, r, openGate)
	defer p.close(time.Minute)
	heard := newHearer(t, m.Addr())
	m.SetError("LOADING Redis is loading the dataset in memory")
	for i := range 3 {
		_ = p.put(outgoing{channel: "c", payload: fmt.Append(nil, i)})
	}
	<-failed
	<-failed
	m.SetError("")
	for i := range 3 {
		if got := heard.next(t); got != fmt.Sprint(i) {
			t.Errorf("message %d is %q", i, got)
		}
	}
	if s := r.stats(); len(s.Dropped) != 0 {
		t.Errorf("dropped %v", s.Dropped)
	}
}

// cutter answers every command but the first PUBLISH it sees, for which it
// closes the connection without saying whether it was carried out.
type cutter struct {
	net.Listener
	published atomic.Int32
	conns     sync.WaitGroup
}

func newCutter(t *testing.T) *cutter {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{Listener: l}
	// It ends when the listener is closed.
	c.conns.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c.conns.Go(func() { c.serve(conn) })
		}
	})
	return c
}

// serve reads commands as arrays of bulk strings and answers each with an
// integer, which go-redis takes for anything but HELLO.
func (c *cutter) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	r := bufio.NewReader(conn)
	for {
		var n int
		if _, err := fmt.Fscanf(r, "*%d\r\n", &n); err != nil {
			return
		}
		name := ""
		for i := range n {
			var size int
			if _, err := fmt.Fscanf(r, "$%d\r\n", &size); err != nil {
				return
			}
			arg := make([]byte, size+2)
			for read := 0; read < len(arg); {
				k, err := r.Read(arg[read:])
				if err != nil {
					return
				}
				read += k
			}
			if i == 0 {
				name = strings.ToLower(string(arg[:size]))
			}
		}
		answer := ":0\r\n"
		switch name {
		case "hello":
			answer = "-ERR unknown command\r\n"
		case "ping":
			answer = "+PONG\r\n"
		case "publish":
			if c.published.Add(1) == 1 {
				return
			}
		}
		if _, err := conn.Write([]byte(answer)); err != nil {
			return
		}
	}
}

func TestWhatMayHaveBeenSentIsNotSentAgain(t *testing.T) {
	c := newCutter(t)
	dropped := make(chan Drop, 1)
	opts := testOptions(t, Options{OnDrop: func(d Drop) { dropped <- d }})
	r := newReporter(opts)
	client := testClient(t, c.Addr().String())
	p := newPublisher(client, opts, r, openGate)
	_ = p.put(outgoing{channel: "c", payload: []byte("lost")})
	if d := <-dropped; d.Reason != DropInFlight || d.Messages != 1 {
		t.Errorf("OnDrop(%+v), want one in flight", d)
	}
	_ = p.put(outgoing{channel: "c", payload: []byte("next")})
	p.mu.Lock()
	p.down = nil // close would give up at once
	p.mu.Unlock()
	p.close(time.Minute)
	if n := c.published.Load(); n != 2 {
		t.Errorf("Redis was told to publish %d times, want 2", n)
	}
	if got := r.stats().Published; got != 1 {
		t.Errorf("%d published, want 1", got)
	}
	_ = client.Close()
	_ = c.Close()
	c.conns.Wait()
}

func BenchmarkPublish(b *testing.B) {
	m := miniredis.RunT(b)
	opts, err := Options{BufferMessages: 1 << 30, BufferBytes: 1 << 30}.withDefaults()
	if err != nil {
		b.Fatal(err)
	}
	p := newPublisher(testClient(b, m.Addr()), &opts, newReporter(&opts), openGate)
	payload := []byte(strings.Repeat("x", 220))
	b.ReportAllocs()
	for b.Loop() {
		_ = p.put(outgoing{channel: "socket.io#/#", payload: payload})
	}
	p.close(time.Hour)
}
