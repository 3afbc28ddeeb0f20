package siotest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/core/parser"
)

// manager is what the clients of one connection share, and of those that follow
// it: it decodes packets and hands them to the namespaces they are for.
type manager struct {
	t       testing.TB
	opts    Options
	ctx     context.Context // ends with the test
	running sync.WaitGroup  // sessions and what reconnects

	mu       sync.Mutex // guards the following
	endpoint *Endpoint  // of the next session
	session  *Session   // the latest
	clients  []*Client  // those that were replaced in their namespace, too
	chance   *rand.Rand // of the delays before reconnecting
}

func newManager(e *Endpoint, o Options) *manager {
	m := &manager{t: e.t, endpoint: e, opts: o, chance: rand.New(rand.NewPCG(1, e.clients.Add(1)))}
	ctx, cancel := context.WithCancel(context.Background())
	m.ctx = ctx
	e.t.Cleanup(func() {
		cancel()
		m.current().Cut()
		m.running.Wait()
	})
	return m
}

// open opens a session for the clients.
func (m *manager) open() error {
	m.mu.Lock()
	s := newSession(m.endpoint, m.opts)
	m.mu.Unlock()
	decoder := m.opts.Parser.NewDecoder(m.opts.Limits) // used by the reading goroutine only
	s.handle = func(f parser.Frame) { m.receive(s, decoder, f) }
	m.mu.Lock()
	m.session = s
	m.mu.Unlock()
	err := s.connect()
	// Waits for the session's goroutines, which end with it; the test's cleanup
	// ends the session and waits for this.
	m.running.Go(func() { <-s.ctx.Done(); s.running.Wait() })
	if err != nil {
		return err
	}
	s.onEnd(func(reason string) { m.lost(s, reason) })
	if m.ctx.Err() != nil {
		s.Cut()
	}
	return nil
}

func (m *manager) current() *Session {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.session
}

func (m *manager) receive(s *Session, decoder parser.Decoder, f parser.Frame) {
	p, ok, err := decoder.Decode(f)
	if err != nil {
		m.t.Errorf("the server sent %s: %v", show(f), err)
		s.end("parse error")
		return
	}
	if !ok || m.current() != s { // a late word of an earlier connection
		return
	}
	c := m.client(p.Namespace)
	if c == nil {
		m.t.Errorf("the server sent %s for %q, where no client is", p.Type, p.Namespace)
		return
	}
	c.receive(&p)
}

// client returns the one that has joined the namespace last, or nil.
func (m *manager) client(namespace string) *Client {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range slices.Backward(m.clients) {
		if c.namespace == namespace {
			return c
		}
	}
	return nil
}

func (m *manager) all() []*Client {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.clients)
}

// active returns the clients that are in their namespaces, or would be.
func (m *manager) active() []*Client {
	return slices.DeleteFunc(m.all(), func(c *Client) bool { return !c.isActive() })
}

// join makes the client of one more namespace and asks for it.
func (m *manager) join(namespace string, auth any) *Client {
	m.t.Helper()
	c := newClient(m, namespace, auth)
	if earlier := m.client(namespace); earlier != nil {
		earlier.giveUp()
	}
	m.mu.Lock()
	m.clients = append(m.clients, c)
	m.mu.Unlock()
	if err := m.enter(c); err != nil {
		m.t.Fatal(err)
	}
	return c
}

// enter asks for the namespace of a client.
func (m *manager) enter(c *Client) error {
	s := m.current()
	if err := c.begin(); err != nil {
		return err
	}
	if reason := s.Ended(); reason != "" { // lost may have been told before there was a client
		c.end(reason, m.returns(reason))
	}
	return nil
}

// returns reports whether clients come back by themselves from such an end.
func (m *manager) returns(reason string) bool { return m.opts.Reconnect && reason != forced }

// lost is told that a session has ended.
func (m *manager) lost(s *Session, reason string) {
	if m.current() != s {
		return
	}
	for _, c := range m.all() {
		c.end(reason, m.returns(reason) && c.isActive())
	}
	if len(m.active()) == 0 || !m.returns(reason) || m.ctx.Err() != nil {
		return
	}
	// reconnect ends when it has succeeded, or with the test, whose cleanup
	// waits for it.
	m.running.Go(m.reconnect)
}

func (m *manager) reconnect() {
	for attempt := 0; ; attempt++ {
		timer := time.NewTimer(m.delay(attempt))
		select {
		case <-timer.C:
		case <-m.ctx.Done():
			timer.Stop()
			return
		}
		if len(m.active()) == 0 { // they were told to leave meanwhile
			return
		}
		if m.open() == nil {
			if err := m.rejoin(); err != nil {
				m.t.Error(err)
			}
			return
		}
	}
}

// delay is how long the JavaScript client waits before an attempt.
func (m *manager) delay(attempt int) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, most := m.opts.ReconnectDelay, m.opts.ReconnectDelayMax
	for range attempt {
		if d < 2*most { // more makes no difference
			d *= 2
		}
	}
	chance := m.chance.Float64()
	deviation := time.Duration(chance * float64(d) / 2)
	if int(chance*10)%2 == 0 {
		deviation = -deviation
	}
	return min(d+deviation, most)
}

// rejoin brings the clients into their namespaces again.
func (m *manager) rejoin() error {
	var errs []error
	for _, c := range m.active() {
		errs = append(errs, m.enter(c))
	}
	return errors.Join(errs...)
}

func (m *manager) send(p *parser.Packet) {
	frames, err := m.opts.Parser.Encode(p)
	if err != nil {
		panic(fmt.Sprintf("encode packet: %v", err)) // the test's own
	}
	s := m.current()
	for _, f := range frames {
		if f.Binary {
			s.SendBinary(f.Data)
		} else {
			s.Send(string(f.Data))
		}
	}
}
