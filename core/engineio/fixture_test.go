package engineio_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/core/engineio"
)

// fixture is a server under test behind a real http.Server, over TCP on loopback or over in-memory pipes. Pipes work in
// a synctest bubble.
type fixture struct {
	*engineio.Server
	t    *testing.T
	http *http.Server
	dial func() (net.Conn, error)
	get  *http.Client

	https bool

	mu       sync.Mutex
	sessions []*recorder
	opened   chan *recorder
}

// recorder is a Handler that notes what happens.
type recorder struct {
	*engineio.Session
	onMessage func(engineio.Message)
	messages  chan engineio.Message
	closed    chan struct{}
	reason    engineio.Reason
	err       error
}

func (r *recorder) HandleMessage(m engineio.Message) {
	if r.onMessage != nil {
		r.onMessage(m)
		return
	}
	m.Data = bytes.Clone(m.Data)
	select {
	case r.messages <- m:
	case <-r.Done():
	}
}

func (r *recorder) HandleClose(reason engineio.Reason, err error) {
	r.reason, r.err = reason, err
	close(r.closed)
}

// waitClosed returns the reason for which the session ended.
func (r *recorder) waitClosed(t *testing.T) engineio.Reason {
	t.Helper()
	select {
	case <-r.closed:
		return r.reason
	case <-time.After(10 * time.Second):
		t.Fatal("session still open after 10s")
		return ""
	}
}

func (r *recorder) expectMessage(t *testing.T, want string) {
	t.Helper()
	select {
	case m := <-r.messages:
		if string(m.Data) != want {
			t.Fatalf("server received %.80q, want %.80q", m.Data, want)
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("server received nothing, want %.80q", want)
	}
}

func text(s string) *engineio.Batch { return engineio.NewBatch(engineio.Message{Data: []byte(s)}) }

func blob(s string) *engineio.Batch {
	return engineio.NewBatch(engineio.Message{Binary: true, Data: []byte(s)})
}

// echoes makes a session answer every message with itself.
func echoes(r *recorder) {
	r.onMessage = func(m engineio.Message) {
		_ = r.Send(engineio.NewBatch(engineio.Message{Binary: m.Binary, Data: bytes.Clone(m.Data)}))
	}
}

type option func(*fixture)

// overPipe serves in-memory connections.
func overPipe(f *fixture) {
	l := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
	f.dial = l.dial
	go func() { _ = f.http.Serve(l) }() // ends when the fixture closes the server
}

func overTCP(f *fixture) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.t.Fatal(err)
	}
	f.dial = func() (net.Conn, error) { return net.Dial("tcp", l.Addr().String()) }
	go func() { _ = f.http.Serve(l) }() // ends when the fixture closes the server
}

// serve starts a fixture. setup is called for each session inside accept; nil records.
func serve(t *testing.T, cfg engineio.Config, over option, setup func(*recorder)) *fixture {
	t.Helper()
	f := &fixture{t: t, opened: make(chan *recorder, 1024)}
	srv, err := engineio.New(cfg, func(s *engineio.Session) engineio.Handler {
		r := &recorder{Session: s, messages: make(chan engineio.Message, 64), closed: make(chan struct{})}
		if setup != nil {
			setup(r)
		}
		f.mu.Lock()
		f.sessions = append(f.sessions, r)
		f.mu.Unlock()
		f.opened <- r
		return r
	})
	if err != nil {
		t.Fatal(err)
	}
	f.Server = srv
	f.http = &http.Server{Handler: srv}
	over(f)
	f.get = &http.Client{Transport: &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) { return f.dial() },
	}}
	t.Cleanup(f.stop)
	return f
}

// stop ends everything and fails the test if something stays.
func (f *fixture) stop() {
	f.get.CloseIdleConnections()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = f.Shutdown(ctx)
	_ = f.http.Close()
	if n := f.Len(); n != 0 {
		f.t.Errorf("%d sessions left after Shutdown", n)
	}
}

func (f *fixture) session() *recorder {
	f.t.Helper()
	select {
	case r := <-f.opened:
		return r
	case <-time.After(10 * time.Second):
		f.t.Fatal("no session opened")
		return nil
	}
}

// response is an HTTP response that has been read.
type response struct {
	status int
	header http.Header
	body   string
}

func (f *fixture) do(method, query, body string, header ...string) (response, error) {
	return f.doContext(context.Background(), method, query, body, header...)
}

func (f *fixture) doContext(ctx context.Context, method, query, body string, header ...string) (response, error) {
	var in io.Reader
	if body != "" || method == http.MethodPost {
		in = strings.NewReader(body)
	}
	scheme := "http"
	if f.https {
		scheme = "https"
	}
	req, err := http.NewRequestWithContext(ctx, method, scheme+"://example.com/engine.io/?"+query, in)
	if err != nil {
		return response{}, err
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	res, err := f.get.Do(req)
	if err != nil {
		return response{}, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	return response{res.StatusCode, res.Header, string(data)}, err
}

func (f *fixture) must(method, query, body string, header ...string) response {
	f.t.Helper()
	res, err := f.do(method, query, body, header...)
	if err != nil {
		f.t.Fatalf("%s %s: %v", method, query, err)
	}
	return res
}

// poller is a polling client.
type poller struct {
	*fixture
	sid string
	rec *recorder
}

func (f *fixture) openPolling() *poller {
	f.t.Helper()
	res := f.must("GET", "EIO=4&transport=polling", "")
	sid := f.parseOpen(res.body)
	for {
		if rec := f.session(); rec.ID() == sid { // earlier ones may not have been asked for
			return &poller{f, sid, rec}
		}
	}
}

func (f *fixture) parseOpen(packet string) string {
	f.t.Helper()
	var open struct{ SID string }
	first, _, _ := strings.Cut(packet, "\x1e")
	if first == "" || first[0] != '0' || json.Unmarshal([]byte(first[1:]), &open) != nil || open.SID == "" {
		f.t.Fatalf("not an open packet: %q", packet)
	}
	return open.SID
}

func (p *poller) query() string { return "EIO=4&transport=polling&sid=" + p.sid }

func (p *poller) poll() response { p.t.Helper(); return p.must("GET", p.query(), "") }

func (p *poller) expectPoll(want string) {
	p.t.Helper()
	if res := p.poll(); res.status != 200 || res.body != want {
		p.t.Fatalf("poll = %d %.200q, want 200 %.200q", res.status, res.body, want)
	}
}

func (p *poller) post(body string) response { p.t.Helper(); return p.must("POST", p.query(), body) }

func (p *poller) expectPost(body string) {
	p.t.Helper()
	if res := p.post(body); res.status != 200 || res.body != "ok" {
		p.t.Fatalf("post %.80q = %d %q, want 200 ok", body, res.status, res.body)
	}
}

// parked starts a poll and returns once the server has it.
func (p *poller) parked() <-chan response {
	p.t.Helper()
	answer := make(chan response, 1)
	go func() { // ends with the response, at the latest when the fixture stops
		res, err := p.do("GET", p.query(), "")
		if err != nil {
			res.body = err.Error()
		}
		answer <- res
	}()
	p.waitParked()
	return answer
}

// waitParked waits until a poll is parked.
func (p *poller) waitParked() {
	p.t.Helper()
	for range 10_000 {
		if engineio.PollParked(p.rec.Session) {
			return
		}
		time.Sleep(time.Millisecond)
	}
	p.t.Fatal("no poll was parked")
}

// pipeListener is a net.Listener of in-memory connections.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (l *pipeListener) dial() (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func encode64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// eachDriver runs a test over a plain socket and over a connection that can only be written to by waiting.
func eachDriver(t *testing.T, test func(t *testing.T, over option)) {
	t.Run("socket", func(t *testing.T) { test(t, overTCP) })
	t.Run("stream", func(t *testing.T) { test(t, overPipe) })
}
