package siotest

import (
	"strconv"
	"strings"

	"github.com/dunlin-io/dunlin/core/parser"
)

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

// story tells, for failures, what arrived, and in other namespaces of the
// connection.
func (c *Client) story() string {
	var b strings.Builder
	c.tell(&b)
	for _, o := range c.manager.all() {
		if o.namespace != c.namespace {
			o.tell(&b)
		}
	}
	return b.String()
}

func (c *Client) tell(b *strings.Builder) {
	waiting := c.events.len()
	c.mu.Lock()
	defer c.mu.Unlock()
	b.WriteString("\nin " + c.namespace + " arrived:")
	if len(c.log) == 0 {
		b.WriteString(" nothing")
	}
	for _, line := range c.log {
		b.WriteString("\n  " + line)
	}
	if waiting > 0 {
		b.WriteString("\n(" + strconv.Itoa(waiting) + " of these events not expected yet)")
	}
	if c.reason != "" {
		b.WriteString("\nthe client is disconnected: " + c.reason)
	}
}
