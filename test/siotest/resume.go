package siotest

import (
	"encoding/json"
	"fmt"
	"regexp"

	"github.com/dunlin-io/dunlin/core/parser"
)

// recovery is what a client knows of connection state recovery, and does about
// it, as the JavaScript client.
type recovery struct {
	pid       string
	offset    string
	recovered bool
}

// heard takes the offset of an event, and returns the last argument if it looks
// like one. Any text that stands last counts, as with the JavaScript client: the
// name of an event without arguments, too.
func (r *recovery) heard(name string, args parser.Args) string {
	if r.pid == "" {
		return ""
	}
	n := args.Len()
	if n == 0 {
		r.offset = name
		return ""
	}
	var last any
	targets := make([]any, n) // nil skips an argument
	targets[n-1] = &last
	if err := args.Scan(targets...); err != nil {
		return ""
	}
	text, ok := last.(string)
	if !ok {
		return ""
	}
	r.offset = text
	if !offsetForm.MatchString(text) {
		return ""
	}
	return text
}

// offsetForm is what offsets look like: two words with a dot or dash between
// them.
var offsetForm = regexp.MustCompile(`^[0-9A-Za-z_-]{1,40}[.-][0-9A-Za-z_]{1,40}$`)

// PID is the secret by which the client may continue its session after an
// interruption; empty without connection state recovery.
func (c *Client) PID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.recovery.pid
}

// Offset is how far the client has heard the events of its session, as it tells
// the server when it resumes: the text that was last argument of the last event
// that had one.
func (c *Client) Offset() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.recovery.offset
}

// Recovered reports whether the server has continued the client's earlier
// session at its latest connect.
func (c *Client) Recovered() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.recovery.recovered
}

// Resume brings a client back that is disconnected, over a new connection if
// the old one has ended, together with the other namespaces of that, and waits
// until the server has let it in. It presents PID and Offset, beside the auth
// of the beginning or, from now on, the one given.
func (c *Client) Resume(auth ...any) {
	c.t.Helper()
	c.TryResume(auth...)
	c.ExpectConnect()
}

// TryResume is Resume for a client that may be refused: ExpectConnect or
// ExpectConnectError says what comes of it.
func (c *Client) TryResume(auth ...any) {
	c.t.Helper()
	m := c.manager
	c.mu.Lock()
	if len(auth) > 0 {
		c.auth = one(c.t, auth)
	}
	ended := c.reason != ""
	c.active = true
	c.mu.Unlock()
	switch {
	case m.opts.Reconnect && m.current().Ended() != "":
		c.t.Fatal("resume: the client comes back by itself")
	case !ended && m.client(c.namespace) == c:
		c.t.Fatal("resume: the client is connected")
	case m.client(c.namespace) != c:
		c.t.Fatalf("resume: another client has joined %q instead", c.namespace)
	case m.current().Ended() == "":
		if err := m.enter(c); err != nil {
			c.t.Fatal(err)
		}
		return
	}
	if err := m.open(); err != nil {
		c.t.Fatalf("resume: connect by %s: %v", m.opts.Transport, err)
	}
	if err := m.rejoin(); err != nil {
		c.t.Fatalf("resume: %v", err)
	}
}

// Move makes the client's next connection, by Resume or by itself, go to another
// endpoint, as a load balancer does; cluster.Server(1).Endpoint is one. The
// clients that share its connection move with it.
func (c *Client) Move(to *Endpoint) {
	m := c.manager
	m.mu.Lock()
	defer m.mu.Unlock()
	m.endpoint = to
}

// begin asks for the client's namespace over a connection that has just been
// made, or over which it has left.
func (c *Client) begin() error {
	c.mu.Lock()
	c.attempts++
	auth, attempt, r := c.auth, c.attempts, c.recovery
	c.mu.Unlock()
	if ask, ok := auth.(func(int) any); ok {
		auth = ask(attempt)
	}
	p := parser.Packet{Type: parser.Connect, Namespace: c.namespace}
	auth, err := r.claim(auth)
	if err != nil {
		return err
	}
	if auth != nil {
		raw, err := parser.MakeRaw(auth)
		if err != nil {
			return fmt.Errorf("encode auth: %w", err)
		}
		p.Payload = raw.Payload()
	}
	c.mu.Lock()
	c.active = true
	if c.reason != "" {
		c.reason, c.gone = "", make(chan struct{})
	}
	c.outcome.reopen(true)
	c.events.reopen(false)
	c.mu.Unlock()
	c.manager.send(&p)
	return nil
}

// claim adds what the client remembers to its auth, which is an object then.
func (r *recovery) claim(auth any) (any, error) {
	if r.pid == "" {
		return auth, nil
	}
	all := make(map[string]any)
	if auth != nil {
		text, err := json.Marshal(auth)
		if err == nil {
			err = json.Unmarshal(text, &all)
		}
		if err != nil {
			return nil, fmt.Errorf("add pid to auth: %w", err)
		}
	}
	claimed := map[string]any{"pid": r.pid}
	if r.offset != "" {
		claimed["offset"] = r.offset
	}
	for name, value := range claimed {
		if _, said := all[name]; !said {
			all[name] = value
		}
	}
	return all, nil
}

// welcomed handles a CONNECT, and sends what has waited for it.
func (c *Client) welcomed(p *parser.Packet) {
	var accepted struct {
		SID string `json:"sid"`
		PID string `json:"pid"`
	}
	if err := p.Payload.Scan(&accepted); err != nil {
		c.t.Errorf("CONNECT of the server: %v", err)
	}
	c.mu.Lock()
	c.id = accepted.SID
	c.recovery.recovered = accepted.PID != "" && accepted.PID == c.recovery.pid
	c.recovery.pid = accepted.PID // the offset stays, as it does in the JavaScript client
	for len(c.held) > 0 {
		held := c.held
		c.held = nil
		c.mu.Unlock()
		for _, p := range held {
			c.manager.send(p)
		}
		c.mu.Lock()
	}
	c.connected = true
	c.mu.Unlock()
	c.outcome.put(*p)
}
