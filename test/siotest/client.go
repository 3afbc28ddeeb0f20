package siotest

import (
	"strings"
	"sync"
	"testing"

	"github.com/dunlin-io/dunlin/core/parser"
)

// Client is a client in one namespace.
type Client struct {
	t         testing.TB
	manager   *manager
	namespace string
	outcome   mailbox[parser.Packet] // CONNECT or CONNECT_ERROR
	events    mailbox[*Event]
	gone      chan struct{} // closed when the client is disconnected

	mu      sync.Mutex // guards the following
	id      string
	pid     string
	reason  string
	acks    uint64
	answers map[string]func(parser.Args) []any
	pending map[uint64]*Answer
	log     []string // of what arrived last
}

// Event is an event from the server.
type Event struct {
	Name string
	parser.Args
	client *Client
	id     uint64
	wants  bool
}

// WantsAck reports whether the server asked for an acknowledgement.
func (ev *Event) WantsAck() bool { return ev.wants }

// Ack answers the server. Nothing keeps a client from doing so twice.
func (ev *Event) Ack(args ...any) {
	ev.client.t.Helper()
	ev.client.ack(ev.id, args)
}

// ID is the socket id that the server gave this client.
func (c *Client) ID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.id
}

// Session is the connection under the client.
func (c *Client) Session() *Session { return c.manager.session }

// Join joins one more namespace over the same connection.
func (c *Client) Join(namespace string, auth ...any) *Client {
	c.t.Helper()
	joined := c.Try(namespace, auth...)
	joined.ExpectConnect()
	return joined
}

// Try asks for one more namespace over the same connection; ExpectConnect or
// ExpectConnectError says what comes of it.
func (c *Client) Try(namespace string, auth ...any) *Client {
	var payload any
	if len(auth) > 0 {
		payload = auth[0]
	}
	return c.manager.join(namespace, payload)
}

// Emit sends an event.
func (c *Client) Emit(event string, args ...any) {
	c.t.Helper()
	c.manager.send(c.event(event, args))
}

// EmitWithAck sends an event and returns its answer-to-be.
func (c *Client) EmitWithAck(event string, args ...any) *Answer {
	c.t.Helper()
	p := c.event(event, args)
	c.mu.Lock()
	p.ID, p.HasID = c.acks, true
	c.acks++
	a := &Answer{client: c, event: event}
	c.pending[p.ID] = a
	c.mu.Unlock()
	c.manager.send(p)
	return a
}

func (c *Client) event(event string, args []any) *parser.Packet {
	c.t.Helper()
	a, err := parser.MakeEvent(event, args...)
	if err != nil {
		c.t.Fatalf("encode event %q: %v", event, err)
	}
	return &parser.Packet{Type: parser.Event, Namespace: c.namespace, Payload: a.EventPayload()}
}

func (c *Client) ack(id uint64, args []any) {
	c.t.Helper()
	a, err := parser.MakeArgs(args...)
	if err != nil {
		c.t.Fatalf("encode acknowledgement: %v", err)
	}
	c.manager.send(&parser.Packet{Type: parser.Ack, Namespace: c.namespace, ID: id, HasID: true, Payload: a.Payload()})
}

// SendAck sends an acknowledgement that belongs to no event.
func (c *Client) SendAck(id uint64, args ...any) {
	c.t.Helper()
	c.ack(id, args)
}

// Answer lets f acknowledge the events of that name, on the goroutine that
// reads; Expect does not see them then.
func (c *Client) Answer(event string, f func(args parser.Args) []any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers[event] = f
}

// PID is the secret by which the client may continue its session after an
// interruption; empty without connection state recovery.
func (c *Client) PID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pid
}

// Disconnect leaves the namespace; the connection stays.
func (c *Client) Disconnect() {
	c.manager.send(&parser.Packet{Type: parser.Disconnect, Namespace: c.namespace})
	c.end("io client disconnect")
}

// Close says goodbye to the server, after everything sent so far.
func (c *Client) Close() {
	c.t.Helper()
	c.Session().Close()
}

// Cut breaks the connection.
func (c *Client) Cut() { c.Session().Cut() }

// receive handles a packet, on the reading goroutine.
func (c *Client) receive(p *parser.Packet) {
	c.note(p)
	switch p.Type {
	case parser.Connect:
		var accepted struct {
			SID string `json:"sid"`
			PID string `json:"pid"`
		}
		if err := p.Payload.Scan(&accepted); err != nil {
			c.t.Errorf("CONNECT of the server: %v", err)
		}
		c.mu.Lock()
		c.id, c.pid = accepted.SID, accepted.PID
		c.mu.Unlock()
		c.outcome.put(*p)
	case parser.ConnectError:
		c.outcome.put(*p)
	case parser.Disconnect:
		c.end("io server disconnect")
	case parser.Event:
		c.happened(p)
	case parser.Ack:
		c.mu.Lock()
		a := c.pending[p.ID]
		c.mu.Unlock()
		if a == nil || !p.HasID {
			c.t.Errorf("the server acknowledged %d, which nobody asked for", p.ID)
			return
		}
		a.replies.put(p.Payload.Args())
	default:
		c.t.Errorf("the server sent a %s", p.Type)
	}
}

func (c *Client) happened(p *parser.Packet) {
	name, args, err := p.Payload.Event()
	if err != nil {
		c.t.Errorf("EVENT of the server: %v", err)
		return
	}
	c.mu.Lock()
	answer := c.answers[name]
	c.mu.Unlock()
	if answer != nil && p.HasID {
		c.ack(p.ID, answer(args))
		return
	}
	c.events.put(&Event{Name: name, Args: args, client: c, id: p.ID, wants: p.HasID})
}

// end says that the client is disconnected.
func (c *Client) end(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reason != "" {
		return
	}
	c.reason = reason
	close(c.gone)
	c.outcome.close()
	c.events.close()
	for _, a := range c.pending {
		a.replies.close()
	}
}

// logged is how many packets a failure shows.
const logged = 20

func (c *Client) note(p *parser.Packet) {
	line := p.Type.String() + " " + string(p.Payload.JSON)
	if len(line) > 200 {
		line = line[:200] + "…"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.log) == logged {
		c.log = c.log[1:]
	}
	c.log = append(c.log, line)
}

// story tells, for failures, what arrived.
func (c *Client) story() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b strings.Builder
	b.WriteString("\nin " + c.namespace + " arrived:")
	if len(c.log) == 0 {
		b.WriteString(" nothing")
	}
	for _, line := range c.log {
		b.WriteString("\n  " + line)
	}
	if c.reason != "" {
		b.WriteString("\nthe client is disconnected: " + c.reason)
	}
	return b.String()
}
