package socketio_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/adapter/memory"
	"github.com/dunlin-io/dunlin/core/socketio"
)

// Bursts gather frames for connections that can be written without waiting:
// real sockets, unlike those of siotest.

// onTCP starts a server on loopback.
func onTCP(t *testing.T, cfg socketio.Config) (srv *socketio.Server, addr string) {
	t.Helper()
	srv, err := socketio.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	hs := &http.Server{Handler: srv}
	served := make(chan struct{})
	// Ends with hs; the test waits for it.
	go func() {
		defer close(served)
		_ = hs.Serve(l)
	}()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		hs.Close()
		<-served
	})
	return srv, l.Addr().String()
}

// wire is a client's WebSocket, reduced to short text frames.
type wire struct {
	t *testing.T
	net.Conn
	in *bufio.Reader
}

func dialWire(t *testing.T, addr string) *wire {
	t.Helper()
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	fmt.Fprint(c, "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	w := &wire{t, c, bufio.NewReader(c)}
	resp, err := http.ReadResponse(w.in, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("upgrade: %v %v", resp, err)
	}
	resp.Body.Close()
	w.next()
	w.send("40")
	w.next()
	return w
}

// send writes packets as frames, in one write.
func (w *wire) send(packets ...string) {
	w.t.Helper()
	var b []byte
	for _, p := range packets {
		b = append(b, 0x81, 0x80|byte(len(p)), 0, 0, 0, 0)
		b = append(b, p...)
	}
	if _, err := w.Write(b); err != nil {
		w.t.Error(err)
	}
}

// sendQueued sends events that run in one burst: they wait behind a handler
// until all of them are there.
func (w *wire) sendQueued(srv *socketio.Server, events ...string) {
	w.t.Helper()
	want := srv.Stats().EventsIn + uint64(len(events)) + 1
	off := srv.On("hold", func(*socketio.Event) {
		for srv.Stats().EventsIn < want {
			time.Sleep(time.Millisecond)
		}
	})
	defer off()
	w.send(append([]string{`42["hold"]`}, events...)...)
	for srv.Stats().EventsIn < want {
		time.Sleep(time.Millisecond)
	}
}

func (w *wire) next() string {
	w.t.Helper()
	var head [2]byte
	if _, err := io.ReadFull(w.in, head[:]); err != nil {
		w.t.Fatalf("no frame: %v", err)
	}
	n := int(head[1])
	if n == 126 {
		var size [2]byte
		_, _ = io.ReadFull(w.in, size[:])
		n = int(binary.BigEndian.Uint16(size[:]))
	}
	data := make([]byte, n)
	if _, err := io.ReadFull(w.in, data); err != nil {
		w.t.Fatalf("half a frame: %v", err)
	}
	if head[0] == 0x88 {
		return "close"
	}
	return string(data)
}

func (w *wire) expect(packets ...string) {
	w.t.Helper()
	for _, want := range packets {
		if got := w.next(); got != want {
			w.t.Fatalf("client got %q, want %q", got, want)
		}
	}
}

// The handler goes on only when the client has heard of it: it would wait for
// ever, if what it sends waited for its end.
func TestHandlerThatWaitsHoldsNothingBack(t *testing.T) {
	srv, addr := onTCP(t, socketio.Config{})
	heard := make(chan struct{})
	srv.On("wait", func(ev *socketio.Event) {
		for i := range 3 {
			emit(t, ev.Socket.Emit("n", i))
			<-heard
		}
		srv.Emit("all")
		<-heard
	})
	w, other := dialWire(t, addr), dialWire(t, addr)
	w.sendQueued(srv, `42["wait"]`, `42["behind"]`)
	for i := range 3 {
		w.expect(fmt.Sprintf(`42["n",%d]`, i))
		heard <- struct{}{}
	}
	w.expect(`42["all"]`)
	other.expect(`42["all"]`)
	close(heard)
}

func TestHandlerThatComputesHoldsNothingBack(t *testing.T) {
	if runtime.GOMAXPROCS(0) < 2 {
		t.Log("one processor: it is the scheduler's time slice that ends the burst")
	}
	srv, addr := onTCP(t, socketio.Config{})
	var heard atomic.Bool
	srv.On("compute", func(ev *socketio.Event) {
		emit(t, ev.Socket.Emit("begun"))
		for !heard.Load() { // no call that the scheduler could use
		}
		emit(t, ev.Socket.Emit("done"))
	})
	w := dialWire(t, addr)
	w.sendQueued(srv, `42["compute"]`, `42["behind"]`)
	w.expect(`42["begun"]`)
	heard.Store(true)
	w.expect(`42["done"]`)
}

func TestWaitingForAnAcknowledgementSendsFirst(t *testing.T) {
	srv, addr := onTCP(t, socketio.Config{})
	srv.On("ask", func(ev *socketio.Event) {
		for range 100 {
			if _, err := ev.Socket.EmitWithAck(t.Context(), "q"); err != nil {
				t.Error(err)
			}
		}
		emit(t, ev.Ack("done"))
	})
	w := dialWire(t, addr)
	w.sendQueued(srv, `420["ask"]`, `42["behind"]`)
	for range 100 {
		id := strings.TrimSuffix(strings.TrimPrefix(w.next(), "42"), `["q"]`)
		w.send("43" + id + "[]")
	}
	w.expect(`430["done"]`)
}

func TestAnswersToManyEventsKeepTheirOrder(t *testing.T) {
	srv, addr := onTCP(t, socketio.Config{Logger: quiet()})
	srv.On("n", func(ev *socketio.Event) {
		switch n := scan[int](t, ev.Args); n % 50 {
		case 7:
			panic("of a handler")
		case 9:
			runtime.Goexit()
		case 11:
			srv.Emit("all", n)
		case 13:
			_ = ev.Socket.Volatile().Emit("volatile", n)
		default:
			emit(t, ev.Ack(n))
		}
	})
	w := dialWire(t, addr)
	const n = 1000
	var events []string
	for i := range n {
		events = append(events, fmt.Sprintf(`42%d["n",%d]`, i, i))
	}
	go w.send(events...) // ends with the write
	for i := range n {
		switch i % 50 {
		case 7, 9:
		case 11:
			w.expect(fmt.Sprintf(`42["all",%d]`, i))
		case 13:
			w.expect(fmt.Sprintf(`42["volatile",%d]`, i))
		default:
			w.expect(fmt.Sprintf(`43%d[%d]`, i, i))
		}
	}
}

func TestDisconnectComesBehindWhatWasEmitted(t *testing.T) {
	srv, addr := onTCP(t, socketio.Config{})
	srv.On("bye", func(ev *socketio.Event) {
		for i := range 3 {
			emit(t, ev.Socket.Emit("n", i))
		}
		ev.Socket.DisconnectConn()
	})
	w := dialWire(t, addr)
	w.sendQueued(srv, `42["bye"]`, `42["behind"]`)
	w.expect(`42["n",0]`, `42["n",1]`, `42["n",2]`, "41", "close")
}

func TestBroadcastsOfAnotherNodeKeepTheirOrder(t *testing.T) {
	hub := memory.New()
	a, _ := onTCP(t, socketio.Config{Adapter: hub, NodeID: "a"})
	b, addr := onTCP(t, socketio.Config{Adapter: hub, NodeID: "b"})
	for _, srv := range []*socketio.Server{a, b} {
		if err := srv.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	clients := []*wire{dialWire(t, addr), dialWire(t, addr)}
	for _, burst := range []int{1, 1, 10, 300} {
		for i := range burst {
			a.Emit("n", i)
		}
		for _, w := range clients {
			for i := range burst {
				w.expect(fmt.Sprintf(`42["n",%d]`, i))
			}
		}
	}
}
