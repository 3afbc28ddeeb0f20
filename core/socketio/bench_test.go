package socketio_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/core/engineio"
	"github.com/dunlin-io/dunlin/core/socketio"
)

// audience is a server with clients over TCP, which are bare connections: what is
// measured is the server's, nearly.
type audience struct {
	*socketio.Server
	clients []net.Conn
}

func newAudience(tb testing.TB, n int) *audience {
	tb.Helper()
	srv, err := socketio.New(socketio.Config{Engine: engineio.Config{PingInterval: time.Hour}, Logger: quiet()})
	if err != nil {
		tb.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	hs := &http.Server{Handler: srv}
	served := make(chan struct{})
	// It ends when the server is closed; the cleanup waits.
	go func() {
		defer close(served)
		_ = hs.Serve(l)
	}()
	a := &audience{Server: srv}
	tb.Cleanup(func() {
		for _, c := range a.clients {
			_ = c.Close()
		}
		_ = srv.Shutdown(context.Background())
		_ = hs.Close()
		<-served
	})
	for range n {
		a.clients = append(a.clients, connect(tb, l.Addr().String()))
	}
	if srv.Len() != n {
		tb.Fatalf("%d sockets, want %d", srv.Len(), n)
	}
	return a
}

// connect joins the namespace / over a WebSocket.
func connect(tb testing.TB, address string) net.Conn {
	tb.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		tb.Fatal(err)
	}
	say := func(text, answer string) {
		if _, err := io.WriteString(c, text); err != nil {
			tb.Fatal(err)
		}
		awaitText(tb, c, answer)
	}
	say("GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", `"maxPayload"`)
	say(string(textFrame("40")), `40{"sid"`)
	return c
}

// awaitText reads until text has come.
func awaitText(tb testing.TB, c net.Conn, text string) {
	tb.Helper()
	buf := make([]byte, 64<<10)
	for n := 0; !bytes.Contains(buf[:n], []byte(text)); {
		if n == len(buf) {
			n = copy(buf, buf[n-len(text):]) // what comes is more than fits
		}
		k, err := c.Read(buf[n:])
		if err != nil {
			tb.Fatalf("wait for %s: %v", text, err)
		}
		n += k
	}
}

// textFrame is a message of a client, with the mask 0.
func textFrame(text string) []byte {
	if len(text) < 126 {
		return append([]byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0}, text...)
	}
	head := binary.BigEndian.AppendUint16([]byte{0x81, 0x80 | 126}, uint16(len(text)))
	return append(append(head, 0, 0, 0, 0), text...)
}

// listen takes what comes, and looks at nothing.
func (a *audience) listen() {
	for _, c := range a.clients {
		go func() { _, _ = io.Copy(io.Discard, c) }() // ends with the connection
	}
}

type chatMessage struct {
	From string `json:"from"`
	Text string `json:"text"`
	At   int64  `json:"at"`
}

var chat = chatMessage{"alice", "Hello everyone, how are you doing today?", 1763820000123}

// join lets all sockets but the first join a room.
func (a *audience) join(room string) (first *socketio.Socket) {
	for s := range a.Sockets() {
		if first == nil {
			first = s
			continue
		}
		s.Join(room)
	}
	return first
}

// BenchmarkFanOut emits to sockets of this node.
func BenchmarkFanOut(b *testing.B) {
	for _, n := range []int{10, 1_000} {
		a := newAudience(b, n)
		a.listen()
		first := a.join("room")
		for name, to := range map[string]socketio.BroadcastOperator{
			"everybody":   a.Local(),
			"a room":      a.To("room"),
			"all but one": a.Except(first.ID()),
			"volatile":    a.Volatile(),
		} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				before := a.Stats().Delivered
				for b.Loop() {
					if err := to.Emit("chat", chat); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(a.Stats().Delivered-before), "ns/recipient")
			})
		}
	}
}

func TestFanOutAllocatesNothingForARecipient(t *testing.T) {
	const few, many = 10, 1_000
	allocations := func(n int) map[string]float64 {
		a := newAudience(t, n)
		first := a.join("room")
		counted := make(map[string]float64)
		for name, to := range map[string]socketio.BroadcastOperator{
			"everybody":     a.Local(),
			"a room":        a.To("room"),
			"several rooms": a.To("room", first.ID(), "none"),
			"all but one":   a.Except(first.ID()),
			"volatile":      a.Volatile(),
		} {
			// What so many emits are fits into the buffers of the connections,
			// so that nothing of the clients is counted.
			const emits = 50
			before := a.Stats().Delivered
			counted[name] = testing.AllocsPerRun(emits, func() {
				if err := to.Emit("chat", chat); err != nil {
					t.Fatal(err)
				}
			})
			if got, want := a.Stats().Delivered-before, uint64(emits*(n-1)); got < want {
				t.Errorf("to %s: %d deliveries, want at least %d", name, got, want)
			}
		}
		return counted
	}
	most := 10.0 // selecting among rooms makes a list, which grows in steps
	if raceDetector {
		most = many - few // it makes every pool forget
	}
	less, more := allocations(few), allocations(many)
	for name, n := range more {
		if grown := n - less[name]; grown > most {
			t.Errorf("to %s: %v allocations for %d recipients and %v for %d", name, n, many, less[name], few)
		}
	}
}

// BenchmarkHandler has one client emit events that a handler takes; bursts of 64,
// with an acknowledgement of the last.
func BenchmarkHandler(b *testing.B) {
	const burst = 64
	for name, register := range map[string]func(io *socketio.Server){
		"typed": func(io *socketio.Server) {
			socketio.On(io, "chat", func(context.Context, *socketio.Socket, chatMessage) error { return nil })
		},
		"typed, two arguments": func(io *socketio.Server) {
			socketio.On2(io, "chat", func(context.Context, *socketio.Socket, chatMessage, int) error { return nil })
		},
		"scanned": func(io *socketio.Server) {
			io.On("chat", func(ev *socketio.Event) {
				var m chatMessage
				if err := ev.Scan(&m); err != nil {
					b.Error(err)
				}
				_ = ev.Ack()
			})
		},
		"not looked at": func(io *socketio.Server) {
			io.On("chat", func(ev *socketio.Event) { _ = ev.Ack() })
		},
	} {
		b.Run(name, func(b *testing.B) {
			a := newAudience(b, 1)
			register(a.Server)
			message := `["chat",{"from":"alice","text":"Hello everyone, how are you doing today?","at":1763820000123},17]`
			if name == "typed" || name == "scanned" {
				message = strings.Replace(message, ",17]", "]", 1)
			}
			events := bytes.Repeat(textFrame("42"+message), burst-1)
			events = append(events, textFrame("427"+message)...)
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; n += burst {
				if _, err := a.clients[0].Write(events); err != nil {
					b.Fatal(err)
				}
				awaitText(b, a.clients[0], "437[]")
			}
		})
	}
}
