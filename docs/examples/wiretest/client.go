// Package wiretest is the client that tests the examples: just enough of
// Engine.IO 4 to connect through whatever stands before a server, by
// long-polling, by WebSocket, and by moving from one to the other. A program's
// own tests are easier with test/siotest.
package wiretest

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// Transports are the ways to connect, for tests that try all.
var Transports = []string{"polling", "websocket", "upgrade"}

const (
	patience  = 10 * time.Second
	separator = "\x1e" // between the packets of a poll
)

// Client is one connection to a server. It is for the test's own goroutine.
type Client struct {
	t    *testing.T
	base *url.URL
	web  *http.Client
	tls  *tls.Config
	conn net.Conn // nil: polling
	sid  string
	in   []string // packets that have come
	over bool     // the server has ended it
}

// Dial connects to the server at base, whose path is /socket.io/, and ends with
// the test. web makes the requests; nil: http.DefaultClient. It must not have
// a timeout.
func Dial(t *testing.T, base, transport string, web *http.Client) *Client {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	if web == nil {
		web = http.DefaultClient
	}
	c := &Client{t: t, base: u, web: web}
	if transport, ok := web.Transport.(*http.Transport); ok && transport.TLSClientConfig != nil {
		c.tls = &tls.Config{RootCAs: transport.TLSClientConfig.RootCAs, ServerName: "example.com"}
	}
	switch transport {
	case "polling":
		c.open(c.request(http.MethodGet, ""))
	case "websocket":
		c.conn = c.websocket()
		c.open(c.read())
	case "upgrade":
		c.open(c.request(http.MethodGet, ""))
		c.upgrade()
	default:
		t.Fatalf("unknown transport %q", transport)
	}
	t.Cleanup(func() {
		if c.conn != nil {
			_ = c.conn.Close()
		} else if !c.over {
			_, _ = c.do(context.Background(), http.MethodPost, "1") // goodbye
		}
		c.web.CloseIdleConnections()
	})
	return c
}

func (c *Client) open(packet string) {
	c.t.Helper()
	var hello struct{ SID string }
	if !strings.HasPrefix(packet, "0") || json.Unmarshal([]byte(packet[1:]), &hello) != nil || hello.SID == "" {
		c.t.Fatalf("the server opens with %q", packet)
	}
	c.sid = hello.SID
}

func (c *Client) url(scheme, transport string) string {
	u := *c.base
	u.Path = "/socket.io/"
	if scheme == "ws" {
		u.Scheme = strings.Replace(u.Scheme, "http", "ws", 1)
	}
	q := url.Values{"EIO": {"4"}, "transport": {transport}}
	if c.sid != "" {
		q.Set("sid", c.sid)
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// request is one poll, or one POST.
func (c *Client) request(method, body string) string {
	c.t.Helper()
	text, err := c.do(c.t.Context(), method, body)
	if err != nil {
		c.t.Fatalf("%s by polling: %v", method, err)
	}
	return text
}

func (c *Client) do(ctx context.Context, method, body string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, c.url("http", "polling"), strings.NewReader(body))
	if err != nil {
		return "", err
	}
	resp, err := c.web.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, text)
	}
	return string(text), err
}

func (c *Client) websocket() net.Conn {
	c.t.Helper()
	d := ws.Dialer{TLSConfig: c.tls, Timeout: patience}
	conn, early, _, err := d.Dial(c.t.Context(), c.url("ws", "websocket"))
	if err != nil {
		c.t.Fatalf("connect by WebSocket: %v", err)
	}
	if err := conn.SetDeadline(time.Now().Add(3 * patience)); err != nil {
		c.t.Fatal(err)
	}
	if early != nil { // came along with the handshake
		return &buffered{conn, early}
	}
	return conn
}

type buffered struct {
	net.Conn
	first io.Reader
}

func (b *buffered) Read(p []byte) (int, error) { return b.first.Read(p) }

// upgrade moves the session to WebSocket: probe, end the poll that waits, go.
func (c *Client) upgrade() {
	c.t.Helper()
	poll := make(chan string, 1)
	conn := c.websocket()
	// It ends when the server sees the probe, for which the test waits below.
	go func() { poll <- c.request(http.MethodGet, "") }()
	c.write(conn, "2probe")
	if data, err := wsutil.ReadServerText(conn); err != nil || string(data) != "3probe" {
		c.t.Fatalf("the probe was answered %q, %v", data, err)
	}
	if last := <-poll; last != "6" {
		c.t.Fatalf("the last poll brought %q", last)
	}
	c.write(conn, "5")
	c.conn = conn
}

func (c *Client) write(conn net.Conn, packet string) {
	c.t.Helper()
	if err := wsutil.WriteClientText(conn, []byte(packet)); err != nil {
		c.t.Fatalf("send %q: %v", packet, err)
	}
}

func (c *Client) read() string {
	c.t.Helper()
	data, err := wsutil.ReadServerText(c.conn)
	if err != nil {
		c.t.Fatalf("receive: %v", err)
	}
	return string(data)
}

// Send sends a Socket.IO packet, as 2["event"].
func (c *Client) Send(packet string) {
	c.t.Helper()
	c.packet("4" + packet)
}

func (c *Client) packet(packet string) {
	c.t.Helper()
	if c.conn != nil {
		c.write(c.conn, packet)
		return
	}
	if got := c.request(http.MethodPost, packet); got != "ok" {
		c.t.Fatalf("POST was answered %q", got)
	}
}

// Next returns the next Socket.IO packet.
func (c *Client) Next() string {
	c.t.Helper()
	for {
		for len(c.in) == 0 {
			if c.conn != nil {
				c.in = []string{c.read()}
			} else {
				c.in = strings.Split(c.request(http.MethodGet, ""), separator)
			}
		}
		packet := c.in[0]
		c.in = c.in[1:]
		switch packet[:min(1, len(packet))] {
		case "4":
			return packet[1:]
		case "2":
			c.packet("3")
		case "6": // ends a poll
		default:
			c.t.Fatalf("the server sent %q", packet)
		}
	}
}

// Expect takes the next packet and compares it with any of those given.
func (c *Client) Expect(packets ...string) {
	c.t.Helper()
	if got := c.Next(); !slices.Contains(packets, got) {
		c.t.Fatalf("the server sent %s, want %s", got, strings.Join(packets, " or "))
	}
}

// ExpectEnd waits until the server ends the connection. What comes before is
// passed over.
func (c *Client) ExpectEnd() {
	c.t.Helper()
	for !c.over {
		if c.conn == nil {
			c.over = slices.Contains(strings.Split(c.request(http.MethodGet, ""), separator), "1")
			continue
		}
		if _, err := wsutil.ReadServerText(c.conn); err != nil {
			var closed wsutil.ClosedError
			if !errors.As(err, &closed) && !errors.Is(err, io.EOF) {
				c.t.Fatalf("the connection ended with %v", err)
			}
			c.over = true
		}
	}
}

// Join joins the namespace "/" with an auth payload and returns the socket's id.
func (c *Client) Join(auth string) (id string) {
	c.t.Helper()
	c.Send("0" + auth)
	got := c.Next()
	var hello struct{ SID string }
	if !strings.HasPrefix(got, "0") || json.Unmarshal([]byte(got[1:]), &hello) != nil {
		c.t.Fatalf("CONNECT was answered %s", got)
	}
	return hello.SID
}
