package siotest

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/dunlin-io/dunlin/core/parser"
)

// Client is a client in one namespace. After its connection has ended, Resume
// or Options.Reconnect give it another one; what it has received stays.
type Client struct {
	t         testing.TB
	manager   *manager
	namespace string
	outcome   mailbox[parser.Packet] // CONNECT or CONNECT_ERROR, of the latest connection
	events    mailbox[*Event]

	mu        sync.Mutex // guards the following
	auth      any
	attempts  int // to join
	id        string
	recovery  recovery
	connected bool          // between CONNECT and the end
	active    bool          // not refused, and neither side wished it to end
	gone      chan struct{} // closed when the client is disconnected
	reason    string        // why it is; empty while it is not
	ends      []string      // reasons that ExpectDisconnect was not asked for
	acks      uint64
	answers   map[string]func(parser.Args) []any
	pending   map[uint64]*Answer
	held      []*parser.Packet // emitted while the client was away
	log       []string         // of what arrived last
}

func newClient(m *manager, namespace string, auth any) *Client {
	return &Client{
		t: m.t, manager: m, namespace: namespace, auth: auth,
		gone:    make(chan struct{}),
		answers: make(map[string]func(parser.Args) []any),
		pending: make(map[uint64]*Answer),
	}
}

// Event is an event from the server.
type Event struct {
	Name string
	parser.Args
	// Offset is the last argument where connection state recovery has added one,
	// which Expect does not compare; see Client.Offset.
	Offset string

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

// Session is the connection under the client, the latest one.
func (c *Client) Session() *Session { return c.manager.current() }

// Join joins one more namespace over the same connection; auth is as in
// Options.
func (c *Client) Join(namespace string, auth ...any) *Client {
	c.t.Helper()
	joined := c.Try(namespace, auth...)
	joined.ExpectConnect()
	return joined
}

// Try asks for one more namespace over the same connection; ExpectConnect or
// ExpectConnectError says what comes of it.
func (c *Client) Try(namespace string, auth ...any) *Client {
	c.t.Helper()
	return c.manager.join(namespace, one(c.t, auth))
}

// Emit sends an event. A client that is away and comes back by itself sends it
// then; one that does not come back sends nothing.
func (c *Client) Emit(event string, args ...any) {
	c.t.Helper()
	c.send(c.event(event, args))
}

// EmitVolatile sends an event only if the client is connected and nothing waits
// to be sent before it, and reports whether it did.
func (c *Client) EmitVolatile(event string, args ...any) bool {
	c.t.Helper()
	p := c.event(event, args)
	c.mu.Lock()
	connected := c.connected
	c.mu.Unlock()
	if !connected || !c.Session().idle() {
		return false
	}
	c.manager.send(p)
	return true
}

// EmitWithAck sends an event like Emit and returns its answer-to-be.
func (c *Client) EmitWithAck(event string, args ...any) *Answer {
	c.t.Helper()
	p := c.event(event, args)
	c.mu.Lock()
	p.ID, p.HasID = c.acks, true
	c.acks++
	a := &Answer{client: c, event: event}
	c.pending[p.ID] = a
	c.mu.Unlock()
	c.send(p)
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

// send sends a packet now, or when the client is back.
func (c *Client) send(p *parser.Packet) {
	c.mu.Lock()
	hold := c.manager.opts.Reconnect && c.active && !c.connected
	if hold {
		c.held = append(c.held, p)
	}
	c.mu.Unlock()
	if !hold {
		c.manager.send(p)
	}
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

// Disconnect leaves the namespace; the connection stays.
func (c *Client) Disconnect() {
	c.manager.send(&parser.Packet{Type: parser.Disconnect, Namespace: c.namespace})
	c.end("io client disconnect", false)
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
		c.welcomed(p)
	case parser.ConnectError:
		c.giveUp()
		c.outcome.put(*p)
	case parser.Disconnect:
		c.end("io server disconnect", false)
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
	offset := ""
	if !p.HasID {
		offset = c.recovery.heard(name, args)
	}
	c.mu.Unlock()
	if answer != nil && p.HasID {
		c.ack(p.ID, answer(args))
		return
	}
	c.events.put(&Event{Name: name, Args: args, Offset: offset, client: c, id: p.ID, wants: p.HasID})
}

// end says that the client is disconnected, and whether it comes back by
// itself.
func (c *Client) end(reason string, returns bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if strings.HasPrefix(reason, "io ") {
		c.active = false
	}
	if c.reason != "" {
		return
	}
	c.connected, c.reason = false, reason
	c.ends = append(c.ends, reason)
	close(c.gone)
	if !returns {
		c.outcome.close()
		c.events.close()
	}
	for id, a := range c.pending {
		if !slices.ContainsFunc(c.held, func(p *parser.Packet) bool { return p.HasID && p.ID == id }) {
			a.replies.close() // its answer may be on its way, and is ignored
		}
	}
}

// giveUp says that the client does not come back by itself.
func (c *Client) giveUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.active = false
}

func (c *Client) isActive() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.active
}
