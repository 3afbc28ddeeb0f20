package siotest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/core/parser"
)

// Session is the Engine.IO half of a client: it sends and receives messages
// and answers pings.
type Session struct {
	t        testing.TB
	endpoint *Endpoint
	opts     Options
	ctx      context.Context // ends with the session
	cancel   context.CancelFunc
	http     *http.Client
	running  sync.WaitGroup // every goroutine of the session
	open     openPacket
	out      mailbox[outgoing]
	unsent   atomic.Int64          // what was put into out and is not written
	in       mailbox[parser.Frame] // of a session without a Socket.IO client
	handle   func(parser.Frame)    // of its messages; set before connect

	mu      sync.Mutex // guards the following
	conns   []wire
	polling *polling // nil when it is not, or not any more, the transport
	stalled bool
	muted   bool
	leaving bool
	reason  string // why it ended
	ended   []func(reason string)
}

// openPacket is what the server says first.
type openPacket struct {
	SID          string   `json:"sid"`
	Upgrades     []string `json:"upgrades"`
	PingInterval int      `json:"pingInterval"`
	PingTimeout  int      `json:"pingTimeout"`
	MaxPayload   int      `json:"maxPayload"`
}

// packet is an Engine.IO packet. A binary message has no kind on the wire.
type packet struct {
	kind   byte
	binary bool
	data   []byte
}

// The packet kinds that a client has to do with.
const (
	kindOpen    = '0'
	kindClose   = '1'
	kindPing    = '2'
	kindPong    = '3'
	kindMessage = '4'
	kindUpgrade = '5'
)

// outgoing is a packet, or where the packets go from here on.
type outgoing struct {
	packet
	to   writer
	sent chan<- struct{} // closed when it is written; may be nil
}

// writer is the sending half of a transport.
type writer interface {
	write([]packet) error
}

// newSession makes a session whose messages wait for Expect. Whoever makes it
// cuts it and waits for what runs.
func newSession(e *Endpoint, o Options) *Session {
	s := &Session{t: e.t, endpoint: e, opts: o}
	s.handle = func(f parser.Frame) { s.in.put(f) }
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.http = &http.Client{Transport: &http.Transport{
		DialContext:     func(ctx context.Context, _, addr string) (net.Conn, error) { return s.dial(ctx, addr) },
		TLSClientConfig: o.TLS,
	}}
	return s
}

// connect returns when the server has opened the session.
func (s *Session) connect() error {
	opening, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	var w writer
	var err error
	if s.opts.Transport == WebSocket {
		w, err = s.openWebSocket(opening)
	} else {
		w, err = s.openPolling(opening)
	}
	if err != nil {
		s.Cut()
		return err
	}
	// write ends with the session.
	s.running.Go(func() { s.write(w) })
	if s.opts.Transport == Upgrade {
		if err := s.upgrade(); err != nil {
			s.Cut()
			return err
		}
	}
	return nil
}

func (s *Session) dial(ctx context.Context, addr string) (net.Conn, error) {
	c, err := s.endpoint.dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reason != "" {
		c.cut()
		return nil, net.ErrClosed
	}
	c.stall(s.stalled)
	s.conns = append(s.conns, c)
	return c, nil
}

// url returns the address of a request over a transport.
func (s *Session) url(transport Transport) string {
	q := url.Values{"EIO": {"4"}, "transport": {string(transport)}}
	if s.open.SID != "" {
		q.Set("sid", s.open.SID)
	}
	maps.Copy(q, s.opts.Query)
	u := s.endpoint.url
	if transport == WebSocket {
		u.Scheme = strings.Replace(u.Scheme, "http", "ws", 1)
	}
	u.Path, u.RawQuery = s.opts.Path, q.Encode()
	return u.String()
}

// opened takes the server's first packet.
func (s *Session) opened(p packet) error {
	if p.kind != kindOpen {
		return fmt.Errorf("the first packet is %q, not an open packet", p)
	}
	return json.Unmarshal(p.data, &s.open)
}

// String shows the packet as it is on the wire.
func (p packet) String() string {
	if p.binary {
		return fmt.Sprintf("binary %x", p.data)
	}
	return string(p.kind) + string(p.data)
}

// write sends what is put into out until the session ends.
func (s *Session) write(w writer) {
	for {
		all := s.out.takeAll()
		if all == nil {
			return
		}
		if err := s.writeAll(&w, all); err != nil {
			// The reading side knows better why, if it knows.
			select {
			case <-s.ctx.Done():
			case <-time.After(time.Second):
				s.end("transport error")
			}
			return
		}
	}
}

func (s *Session) put(o outgoing) {
	s.unsent.Add(1)
	s.out.put(o)
}

// idle reports whether the transport would take a packet at once.
func (s *Session) idle() bool { return s.Ended() == "" && s.unsent.Load() == 0 }

func (s *Session) writeAll(w *writer, all []outgoing) error {
	defer s.unsent.Add(-int64(len(all)))
	var ps []packet
	for _, o := range all {
		if o.to == nil {
			ps = append(ps, o.packet)
		}
		if o.to == nil && o.sent == nil {
			continue
		}
		if err := (*w).write(ps); err != nil {
			return err
		}
		ps = nil
		if o.to != nil {
			*w = o.to
			continue
		}
		close(o.sent)
	}
	return (*w).write(ps)
}

// received handles a packet of the server.
func (s *Session) received(p packet) {
	switch {
	case p.binary || p.kind == kindMessage:
		s.handle(parser.Frame{Binary: p.binary, Data: p.data})
	case p.kind == kindPing:
		s.mu.Lock()
		muted := s.muted
		s.mu.Unlock()
		if !muted {
			s.put(outgoing{packet: packet{kind: kindPong, data: p.data}})
		}
	case p.kind == kindClose:
		s.end("transport close")
	}
}

// end is the end of the session, with the word that the JavaScript client has
// for it.
func (s *Session) end(reason string) {
	s.mu.Lock()
	if s.reason != "" {
		s.mu.Unlock()
		return
	}
	if s.leaving {
		reason = forced
	}
	s.reason = reason
	ended, conns := s.ended, s.conns
	s.mu.Unlock()
	for _, f := range ended {
		f(reason)
	}
	s.out.close()
	s.in.close()
	s.cancel()
	for _, c := range conns {
		_ = c.Close()
	}
	s.http.CloseIdleConnections()
}

// onEnd calls f when the session ends, or now.
func (s *Session) onEnd(f func(reason string)) {
	s.mu.Lock()
	if s.reason == "" {
		s.ended = append(s.ended, f)
		s.mu.Unlock()
		return
	}
	reason := s.reason
	s.mu.Unlock()
	f(reason)
}

// ID is the session id.
func (s *Session) ID() string { return s.open.SID }

// Send sends a text message as it is, such as "0" to join "/".
func (s *Session) Send(text string) {
	s.put(outgoing{packet: packet{kind: kindMessage, data: []byte(text)}})
}

// SendBinary sends a binary message.
func (s *Session) SendBinary(data []byte) {
	s.put(outgoing{packet: packet{binary: true, data: slices.Clone(data)}})
}

// SendPacket sends an Engine.IO packet that is not a message, such as "2".
func (s *Session) SendPacket(text string) {
	s.put(outgoing{packet: packet{kind: text[0], data: []byte(text[1:])}})
}

// Flush waits until everything sent so far has been handed to the network.
func (s *Session) Flush() {
	s.t.Helper()
	sent := make(chan struct{})
	s.put(outgoing{packet: packet{kind: '6'}, sent: sent}) // a noop, which servers ignore
	s.wait(sent, "what was sent to be taken")
}

func (s *Session) wait(done <-chan struct{}, what string) {
	s.t.Helper()
	if err := s.await(done, what); err != nil {
		s.t.Fatal(err)
	}
}

func (s *Session) await(done <-chan struct{}, what string) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-done:
	case <-s.ctx.Done():
		select {
		case <-done:
		default:
			return fmt.Errorf("waiting for %s: the session ended: %s", what, s.Ended())
		}
	case <-timer.C:
		return fmt.Errorf("waited %v for %s", patience, what)
	}
	return nil
}

// Ended returns why the session ended, or "".
func (s *Session) Ended() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reason
}

// Close says goodbye, after everything sent so far, and waits for the end.
func (s *Session) Close() {
	s.t.Helper()
	s.mu.Lock()
	s.leaving = true
	s.mu.Unlock()
	s.put(outgoing{packet: packet{kind: kindClose}})
	s.wait(s.ctx.Done(), "the session to end")
}

// Cut breaks the connection; nothing that is on its way arrives.
func (s *Session) Cut() {
	s.mu.Lock()
	conns := s.conns
	s.mu.Unlock()
	for _, c := range conns {
		c.cut()
	}
	s.end("transport error")
}

// Stall says whether the client stops reading, as one does whose machine
// sleeps. The server notices when its buffers are full, or by its heartbeat.
func (s *Session) Stall(on bool) {
	s.mu.Lock()
	s.stalled = on
	conns := s.conns
	s.mu.Unlock()
	for _, c := range conns {
		c.stall(on)
	}
}

// Mute stops answering pings.
func (s *Session) Mute() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.muted = true
}

// forced is the end of a session by Close.
const forced = "forced close"

var errRefused = errors.New("refused by the server")
