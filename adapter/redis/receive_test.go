package redisadapter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/dunlin-io/dunlin/core/cluster"
)

// proxy passes connections on, and can stop doing so without closing them.
type proxy struct {
	net.Listener
	upstream string
	wg       sync.WaitGroup

	mu     sync.Mutex // guards the following
	frozen chan struct{}
	conns  []net.Conn
}

func newProxy(t *testing.T, upstream string) *proxy {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{Listener: l, upstream: upstream, frozen: make(chan struct{})}
	p.wg.Add(1)
	// It ends when the listener is closed; the cleanup waits for all.
	go p.accept()
	t.Cleanup(func() {
		_ = l.Close()
		p.freeze()
		p.mu.Lock()
		for _, c := range p.conns {
			_ = c.Close()
		}
		p.mu.Unlock()
		p.wg.Wait()
	})
	return p
}

func (p *proxy) accept() {
	defer p.wg.Done()
	for {
		near, err := p.Accept()
		if err != nil {
			return
		}
		far, err := new(net.Dialer).Dial("tcp", p.upstream)
		if err != nil {
			_ = near.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, near, far)
		frozen := p.frozen
		p.mu.Unlock()
		p.wg.Add(2)
		go p.pump(far, near, frozen)
		go p.pump(near, far, frozen)
	}
}

func (p *proxy) pump(dst io.WriteCloser, src io.Reader, frozen <-chan struct{}) {
	defer p.wg.Done()
	buf := make([]byte, 4096)
	for {
		n, err := src.Read(buf)
		if err != nil {
			_ = dst.Close()
			return
		}
		select {
		case <-frozen: // swallowed
			continue
		default:
		}
		if _, err := dst.Write(buf[:n]); err != nil {
			return
		}
	}
}

// freeze makes the present connections swallow all that is sent.
func (p *proxy) freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.frozen)
	p.frozen = make(chan struct{})
}

// quick has what takes seconds happen in milliseconds.
func quick(t *testing.T, addr string, o Options) *Adapter {
	t.Helper()
	a, err := Open(&redis.UniversalOptions{Addrs: []string{addr}}, o)
	if err != nil {
		t.Fatal(err)
	}
	a.sub.interval, a.sub.deafAfter = 10*time.Millisecond, 50*time.Millisecond // before anything is open
	t.Cleanup(func() { _ = a.Close() })
	return a
}

// earpiece is a Receiver that notes when it hears, and when it may.
type earpiece struct {
	heard   chan cluster.Message
	resumed chan bool
}

func newEarpiece() *earpiece {
	return &earpiece{make(chan cluster.Message, 1000), make(chan bool, 1000)}
}

func (e *earpiece) Receive(m cluster.Message) { e.heard <- m }
func (e *earpiece) HasRoom(string) bool       { return true }
func (e *earpiece) Subscribed(resumed bool)   { e.resumed <- resumed }

func (e *earpiece) expectSubscribed(t *testing.T, resumed bool) {
	t.Helper()
	select {
	case got := <-e.resumed:
		if got != resumed {
			t.Errorf("Subscribed(%v), want %v", got, resumed)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("not subscribed")
	}
}

func TestDeafConnectionIsReplaced(t *testing.T) {
	m := miniredis.RunT(t)
	p := newProxy(t, m.Addr())
	failed := make(chan error, 1000)
	a := quick(t, p.Addr().String(), Options{OnError: func(err error) {
		select {
		case failed <- err:
		default:
		}
	}})
	e := newEarpiece()
	l := a.Open("/", "me", e)
	e.expectSubscribed(t, false)
	p.freeze()
	e.expectSubscribed(t, true)
	for err := range failed {
		if errors.Is(err, errDeaf) {
			break
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := l.Ready(ctx); err != nil {
		t.Errorf("Ready: %v", err)
	}
	m.Publish("socket.io-request#/#", `{"uid":"you","requestId":"1","type":1}`)
	if got := <-e.heard; got.From != "you" {
		t.Errorf("heard %+v", got)
	}
	if n := a.Stats().Resubscribed; n == 0 {
		t.Error("no resubscription was counted")
	}
}

func TestConnectionThatGoRedisReplacedUnseenIsNoticed(t *testing.T) {
	m := miniredis.RunT(t)
	a := quick(t, m.Addr(), Options{})
	e := newEarpiece()
	_ = a.Open("/", "me", e)
	_ = a.Open("/other", "me", newEarpiece())
	e.expectSubscribed(t, false)
	// What go-redis does on a new connection: it subscribes once more.
	if err := a.sub.current().Subscribe(t.Context(), "socket.io-request#/#"); err != nil {
		t.Fatal(err)
	}
	e.expectSubscribed(t, true)
}

func TestNamespacesComeAndGoWhileRedisIsAway(t *testing.T) {
	m := miniredis.RunT(t)
	a := quick(t, m.Addr(), Options{})
	first := newEarpiece()
	_ = a.Open("/first", "me", first)
	first.expectSubscribed(t, false)
	m.Close()
	for a.sub.err() == nil {
		<-time.After(time.Millisecond)
	}
	var links []cluster.Link
	for i := range 20 {
		links = append(links, a.Open(fmt.Sprint("/", i), "me", newEarpiece()))
	}
	for _, l := range links[:10] {
		if err := l.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	if err := m.Restart(); err != nil {
		t.Fatal(err)
	}
	first.expectSubscribed(t, true)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, l := range links[10:] {
		if err := l.Ready(ctx); err != nil {
			t.Errorf("Ready: %v", err)
		}
	}
	if n := len(m.PubSubChannels("")); n != 3*11 || m.PubSubNumPat() != 11 {
		t.Errorf("%d channels and %d patterns subscribed, want 33 and 11", n, m.PubSubNumPat())
	}
}

func TestReceiverThatPanicsCostsItsMessageOnly(t *testing.T) {
	m := miniredis.RunT(t)
	a := quick(t, m.Addr(), Options{})
	e := &fragile{earpiece: newEarpiece()}
	_ = a.Open("/", "me", e)
	e.expectSubscribed(t, false)
	m.Publish("socket.io-request#/#", `{"uid":"you","requestId":"1","type":1}`)
	m.Publish("socket.io-request#/#", `{"uid":"you","requestId":"2","type":1}`)
	if got, _ := (<-e.heard).Body.(cluster.Rooms); got.RequestID != "2" {
		t.Errorf("heard %+v, want the second request", got)
	}
}

// fragile panics at the first message.
type fragile struct {
	*earpiece
	once sync.Once
}

func (f *fragile) Receive(m cluster.Message) {
	f.once.Do(func() { panic("the first") })
	f.earpiece.Receive(m)
}
