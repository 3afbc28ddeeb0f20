package siotest

import (
	"fmt"
	"reflect"
	"time"

	"github.com/dunlin-io/dunlin/core/parser"
)

// ExpectConnect waits until the server has let the client in, once for each
// connection.
func (c *Client) ExpectConnect() {
	c.t.Helper()
	if p := c.result(); p.Type != parser.Connect {
		c.t.Fatalf("namespace %q answered %s %s, want CONNECT", c.namespace, p.Type, p.Payload.JSON)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reason == "" {
		c.ends = nil
	}
}

// ExpectConnectError waits until the server has refused the client, and
// compares message and data.
func (c *Client) ExpectConnectError(message string, data ...any) {
	c.t.Helper()
	p := c.result()
	var refused struct {
		Message string `json:"message"`
		Data    any    `json:"data"`
	}
	if err := p.Payload.Scan(&refused); p.Type != parser.ConnectError || err != nil {
		c.t.Fatalf("namespace %q answered %s %s, want CONNECT_ERROR %q", c.namespace, p.Type, p.Payload.JSON, message)
	}
	var want any
	if len(data) > 0 {
		want = normal(c, data[0])
	}
	if refused.Message != message || !reflect.DeepEqual(refused.Data, want) {
		c.t.Fatalf("refused with %q, data %v; want %q, data %v", refused.Message, refused.Data, message, want)
	}
}

func (c *Client) result() parser.Packet {
	c.t.Helper()
	p, ok := c.outcome.take(patience)
	if !ok {
		c.t.Fatalf("no answer to CONNECT%s", c.story())
	}
	return p
}

// Expect takes the next event and compares it. The offset of connection state
// recovery, one argument more, is left out of that: see Event.Offset.
func (c *Client) Expect(event string, args ...any) *Event {
	c.t.Helper()
	want := display(event, c.args(args))
	ev, ok := c.events.take(patience)
	if !ok {
		c.t.Fatalf("no event, want %s%s", want, c.story())
	}
	if ev.Name != event || !c.equal(ev.Args, args, ev.Offset != "") {
		c.t.Fatalf("event %s, want %s%s", display(ev.Name, ev.Args), want, c.story())
	}
	return ev
}

// Next takes the next event.
func (c *Client) Next() *Event {
	c.t.Helper()
	ev, ok := c.events.take(patience)
	if !ok {
		c.t.Fatalf("no event%s", c.story())
	}
	return ev
}

// Received takes all events that are there.
func (c *Client) Received() []*Event { return c.events.drain() }

// ExpectNothing fails when an event comes within d, or the client is
// disconnected.
func (c *Client) ExpectNothing(d time.Duration) {
	c.t.Helper()
	if ev, ok := c.events.take(d); ok {
		c.t.Fatalf("event %s, want nothing for %v", display(ev.Name, ev.Args), d)
	}
	c.mu.Lock()
	ended := c.reason != ""
	c.mu.Unlock()
	if ended {
		c.t.Fatalf("want nothing for %v%s", d, c.story())
	}
}

// ExpectDisconnect waits until the client is disconnected and compares why, in
// the words of the JavaScript client: "io server disconnect" (the server ended
// it in this namespace), "io client disconnect", "transport close",
// "transport error", "forced close" (after Close), "parse error". A client that
// has come back meanwhile was disconnected, too, unless ExpectConnect has been
// asked since.
func (c *Client) ExpectDisconnect(reason string) {
	c.t.Helper()
	c.mu.Lock()
	gone := c.gone
	ended := c.reason != "" || len(c.ends) > 0
	c.mu.Unlock()
	if !ended {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		select {
		case <-gone:
		case <-timer.C:
			c.t.Fatalf("still connected after %v, want %q%s", patience, reason, c.story())
		}
	}
	c.mu.Lock()
	got := c.reason
	if len(c.ends) > 0 {
		got, c.ends = c.ends[0], c.ends[1:]
	}
	c.mu.Unlock()
	if got != reason {
		c.t.Fatalf("disconnected with %q, want %q%s", got, reason, c.story())
	}
}

// Answer is the server's acknowledgement of an event.
type Answer struct {
	client  *Client
	event   string
	replies mailbox[parser.Args]
}

// Args waits for the acknowledgement and returns its arguments.
func (a *Answer) Args() parser.Args {
	a.client.t.Helper()
	args, ok := a.replies.take(patience)
	if !ok {
		a.client.t.Fatalf("event %q was not acknowledged%s", a.event, a.client.story())
	}
	return args
}

// Expect waits for the acknowledgement and compares its arguments.
func (a *Answer) Expect(args ...any) {
	a.client.t.Helper()
	if got := a.Args(); !a.client.equal(got, args, false) {
		a.client.t.Fatalf("event %q was acknowledged with %s, want %s",
			a.event, display("", got), display("", a.client.args(args)))
	}
}

// ExpectNothing fails when an acknowledgement, or one more, comes within d.
func (a *Answer) ExpectNothing(d time.Duration) {
	a.client.t.Helper()
	if args, ok := a.replies.take(d); ok {
		a.client.t.Fatalf("event %q was acknowledged with %s, want nothing for %v", a.event, display("", args), d)
	}
}

func (c *Client) args(args []any) parser.Args {
	c.t.Helper()
	a, err := parser.MakeArgs(args...)
	if err != nil {
		c.t.Fatalf("encode what is expected: %v", err)
	}
	return a
}

// equal compares values as a JavaScript client would see them. More says that
// the last argument, an offset, may be one more than is wanted.
func (c *Client) equal(got parser.Args, want []any, more bool) bool {
	c.t.Helper()
	if got.Len() != len(want) && (!more || got.Len() != len(want)+1) {
		return false
	}
	return reflect.DeepEqual(plain(c, got)[:len(want)], plain(c, c.args(want)))
}

// plain decodes arguments without knowing their types.
func plain(c *Client, a parser.Args) []any {
	c.t.Helper()
	values := make([]any, a.Len())
	targets := make([]any, a.Len())
	for i := range values {
		targets[i] = &values[i]
	}
	if err := a.Scan(targets...); err != nil {
		c.t.Fatalf("decode arguments: %v", err)
	}
	return values
}

func normal(c *Client, v any) any {
	c.t.Helper()
	return plain(c, c.args([]any{v}))[0]
}

func display(event string, a parser.Args) string {
	text, err := a.MarshalJSON()
	if err != nil {
		return fmt.Sprintf("%q %v", event, err)
	}
	if event == "" {
		return string(text)
	}
	return fmt.Sprintf("%q %s", event, text)
}
