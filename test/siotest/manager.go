package siotest

import (
	"fmt"
	"slices"
	"sync"

	"github.com/dunlin-io/dunlin/core/parser"
)

// manager is what the clients of one connection share: it decodes packets and
// hands them to the namespaces they are for.
type manager struct {
	session *Session
	codec   parser.Codec
	decoder parser.Decoder // used by the reading goroutine only

	mu      sync.Mutex // guards the following
	clients []*Client
}

func (m *manager) receive(f parser.Frame) {
	p, ok, err := m.decoder.Decode(f)
	if err != nil {
		m.session.t.Errorf("the server sent %s: %v", show(f), err)
		m.session.end("parse error")
		return
	}
	if !ok {
		return
	}
	m.mu.Lock()
	i := slices.IndexFunc(m.clients, func(c *Client) bool { return c.namespace == p.Namespace })
	var c *Client
	if i >= 0 {
		c = m.clients[i]
	}
	m.mu.Unlock()
	if c == nil {
		m.session.t.Errorf("the server sent %s for %q, where no client is", p.Type, p.Namespace)
		return
	}
	c.receive(&p)
}

// join makes the client of one more namespace and asks for it.
func (m *manager) join(namespace string, auth any) *Client {
	c := &Client{
		t: m.session.t, manager: m, namespace: namespace,
		gone:    make(chan struct{}),
		answers: make(map[string]func(parser.Args) []any),
		pending: make(map[uint64]*Answer),
	}
	p := parser.Packet{Type: parser.Connect, Namespace: namespace}
	if auth != nil {
		raw, err := parser.MakeRaw(auth)
		if err != nil {
			m.session.t.Fatalf("encode auth: %v", err)
		}
		p.Payload = raw.Payload()
	}
	m.mu.Lock()
	// A client that has left its namespace makes way for its successor.
	m.clients = slices.DeleteFunc(m.clients, func(o *Client) bool { return o.namespace == namespace })
	m.clients = append(m.clients, c)
	m.mu.Unlock()
	m.session.onEnd(c.end)
	m.send(&p)
	return c
}

func (m *manager) send(p *parser.Packet) {
	frames, err := m.codec.Encode(p)
	if err != nil {
		panic(fmt.Sprintf("encode packet: %v", err)) // the test's own
	}
	for _, f := range frames {
		if f.Binary {
			m.session.SendBinary(f.Data)
		} else {
			m.session.Send(string(f.Data))
		}
	}
}
