package engineio_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/core/engineio"
)

// openMany opens n WebSocket sessions over TCP with as little on the client's side as possible: a bare connection.
func openMany(tb testing.TB, n int, accept func(*engineio.Session) engineio.Handler) (*engineio.Server, []net.Conn) {
	tb.Helper()
	srv, err := engineio.New(engineio.Config{PingInterval: time.Hour, PingTimeout: time.Hour}, accept)
	if err != nil {
		tb.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	hs := &http.Server{Handler: srv}
	go func() { _ = hs.Serve(l) }() // ends when the server is closed
	conns := make([]net.Conn, n)
	buf := make([]byte, 4096)
	request := []byte(upgradeRequest("EIO=4&transport=websocket", "User-Agent", strings.Repeat("u", 110), "Accept-Language", "en", "Cookie", strings.Repeat("c", 200)))
	for i := range conns {
		if conns[i], err = net.Dial("tcp", l.Addr().String()); err != nil {
			tb.Fatal(err)
		}
		if _, err := conns[i].Write(request); err != nil {
			tb.Fatal(err)
		}
		got := 0
		for !bytes.Contains(buf[:got], []byte(`"maxPayload"`)) {
			k, err := conns[i].Read(buf[got:])
			if err != nil {
				tb.Fatal(err)
			}
			got += k
		}
	}
	tb.Cleanup(func() {
		for _, c := range conns {
			c.Close()
		}
		_ = hs.Close()
		if err := srv.Shutdown(tb.Context()); err != nil && tb.Context().Err() == nil {
			tb.Error(err)
		}
	})
	return srv, conns
}

// BenchmarkBroadcast sends one batch to 500 sessions. Nothing is allocated for a recipient.
func BenchmarkBroadcast(b *testing.B) {
	const n = 500
	srv, conns := openMany(b, n, nopAccept)
	for _, c := range conns {
		go func() { _, _ = io.Copy(io.Discard, c) }() // ends with the connection
	}
	var sessions []*engineio.Session
	for s := range srv.Sessions() {
		sessions = append(sessions, s)
	}
	batch := text(strings.Repeat("x", 140))
	for _, together := range []int{0, 1, 8} { // messages in a burst; 0: without one
		b.Run(fmt.Sprintf("burst=%d", together), func(b *testing.B) {
			b.ReportAllocs()
			var burst engineio.Burst
			for i := range b.N {
				if together > 0 && i%together == 0 {
					burst = srv.Burst()
				}
				for _, s := range sessions {
					if err := s.Send(batch); err != nil {
						b.Fatal(err)
					}
				}
				if together > 0 && (i+1)%together == 0 {
					burst.End()
				}
			}
			burst.End()
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/recipient")
		})
	}
}

func BenchmarkNewBatch(b *testing.B) {
	data := bytes.Repeat([]byte("x"), 140)
	b.ReportAllocs()
	for range b.N {
		engineio.NewBatch(engineio.Message{Data: data})
	}
}

func BenchmarkEcho(b *testing.B) {
	_, conns := openMany(b, 1, func(s *engineio.Session) engineio.Handler { return &echo{s} })
	frame := clientFrame(true, opText, []byte("4"+strings.Repeat("x", 49)))
	buf := make([]byte, 256)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if _, err := conns[0].Write(frame); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(conns[0], buf[:52]); err != nil {
			b.Fatal(err)
		}
	}
}

type echo struct{ *engineio.Session }

func (e *echo) HandleMessage(m engineio.Message) {
	_ = e.Send(engineio.NewBatch(engineio.Message{Binary: m.Binary, Data: m.Data})) // NewBatch copies at once
}

func (e *echo) HandleClose(engineio.Reason, error) {}

// footprint returns heap and stack bytes in use.
func footprint() (heap, stack float64) {
	for range 4 {
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc), float64(m.StackInuse)
}

// BenchmarkIdleSession reports the memory of an idle WebSocket session after one message, and the client's half of its
// connection with it (about 0.6 KB).
func BenchmarkIdleSession(b *testing.B) {
	const n = 2000
	heap, stack := footprint()
	_, conns := openMany(b, n, nopAccept)
	frame := clientFrame(true, opText, []byte("4hello"))
	for _, c := range conns {
		_, _ = c.Write(frame)
	}
	heapAfter, stackAfter := footprint()
	b.ReportMetric((heapAfter-heap)/n, "heap-B/session")
	b.ReportMetric((stackAfter-stack)/n, "stack-B/session")
	b.ReportMetric(0, "ns/op")
	runtime.KeepAlive(conns)
}

// ws 8.22: a small slice pins a large read buffer.
func TestAdvisoryW7IdleSessionsHoldNoReadBuffer(t *testing.T) {
	const n = 300
	heap, stack := footprint()
	srv, conns := openMany(t, n, nopAccept)
	for _, frame := range [][]byte{
		clientFrame(true, opText, []byte("4hello")),
		clientFrame(true, opPing, []byte("ping")),
		clientFrame(true, opBinary, make([]byte, 8000)),
	} {
		for _, c := range conns {
			if _, err := c.Write(frame); err != nil {
				t.Fatal(err)
			}
		}
	}
	for srv.Stats().MessagesIn < 2*n {
		time.Sleep(time.Millisecond)
	}
	heapAfter, stackAfter := footprint()
	if each := (heapAfter - heap + stackAfter - stack) / n; each > 14<<10 { // a read buffer alone is 16 KiB
		t.Errorf("an idle session holds %.0f bytes", each)
	}
	runtime.KeepAlive(conns)
}
