package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience bounds every wait for something that is to happen.
const patience = 15 * time.Second

// client is a Socket.IO client over long-polling: what a browser does before it
// upgrades, in a page of code.
type client struct {
	t    *testing.T
	url  string // of the session
	lost chan struct{}
	left chan struct{}          // closed when the server has disconnected the client from "/"
	said chan []json.RawMessage // events: name, then arguments

	mu   sync.Mutex // guards the following
	acks map[int]chan json.RawMessage
	next int
}

// dial connects to the namespace "/" of the server at base. The client ends
// with the test.
func dial(t *testing.T, base string) *client {
	t.Helper()
	c, err := connect(t, base)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func connect(t *testing.T, base string) (*client, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c := &client{
		t: t, url: base + "/socket.io/?EIO=4&transport=polling",
		lost: make(chan struct{}), left: make(chan struct{}), said: make(chan []json.RawMessage, 100), acks: make(map[int]chan json.RawMessage),
	}
	packets, err := c.get(ctx)
	if err != nil {
		cancel()
		return nil, err
	}
	var open struct {
		SID string `json:"sid"`
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(packets[0], "0")), &open); err != nil || open.SID == "" {
		cancel()
		return nil, fmt.Errorf("open packet %q: %w", packets[0], err)
	}
	c.url += "&sid=" + open.SID
	connected := make(chan struct{})
	// It ends with ctx; the cleanup waits for it.
	go c.poll(ctx, connected)
	t.Cleanup(func() {
		cancel()
		<-c.lost
	})
	c.post("40")
	select {
	case <-connected:
		return c, nil
	case <-c.lost:
		return nil, fmt.Errorf("connect to %s: connection lost", base)
	case <-time.After(patience):
		return nil, fmt.Errorf("connect to %s: no answer", base)
	}
}

func (c *client) poll(ctx context.Context, connected chan struct{}) {
	defer close(c.lost)
	for {
		packets, err := c.get(ctx)
		if err != nil {
			return
		}
		for _, p := range packets {
			switch {
			case p == "1":
				return
			case p == "2":
				c.post("3")
			case strings.HasPrefix(p, "40"):
				close(connected)
			case p == "41":
				close(c.left)
			case strings.HasPrefix(p, "42"):
				var event []json.RawMessage
				if err := json.Unmarshal([]byte(p[2:]), &event); err != nil {
					c.t.Errorf("event %q: %v", p, err)
				}
				select {
				case c.said <- event:
				default: // nobody listens
				}
			case strings.HasPrefix(p, "43"):
				c.acknowledged(p[2:])
			}
		}
	}
}

func (c *client) acknowledged(p string) {
	at := strings.Index(p, "[")
	id, err := strconv.Atoi(p[:at])
	if err != nil {
		c.t.Errorf("acknowledgement %q: %v", p, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.acks[id] <- json.RawMessage(p[at:])
}

func (c *client) get(ctx context.Context) ([]string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %s", resp.StatusCode, body)
	}
	return strings.Split(string(body), "\x1e"), err
}

// post may fail: the server may be gone, which the poll finds out.
func (c *client) post(packet string) {
	resp, err := http.Post(c.url, "text/plain;charset=UTF-8", bytes.NewBufferString(packet))
	if err == nil {
		_ = resp.Body.Close()
	}
}

func (c *client) emit(event string, args ...any) {
	c.t.Helper()
	c.post("42" + encode(c.t, event, args))
}

// ask emits and decodes the first argument of the acknowledgement into answer.
func (c *client) ask(answer any, event string, args ...any) {
	c.t.Helper()
	c.mu.Lock()
	c.next++
	id, ack := c.next, make(chan json.RawMessage, 1)
	c.acks[id] = ack
	c.mu.Unlock()
	c.post("42" + strconv.Itoa(id) + encode(c.t, event, args))
	select {
	case raw := <-ack:
		var got []json.RawMessage
		if err := json.Unmarshal(raw, &got); err != nil {
			c.t.Fatal(err)
		}
		if answer == nil {
			return
		}
		if len(got) == 0 {
			c.t.Fatalf("%s is acknowledged without arguments", event)
		}
		if err := json.Unmarshal(got[0], answer); err != nil {
			c.t.Fatalf("acknowledgement %s of %s: %v", raw, event, err)
		}
	case <-c.lost:
		c.t.Fatalf("connection lost before %s was acknowledged", event)
	case <-time.After(patience):
		c.t.Fatalf("%s is not acknowledged", event)
	}
}

func encode(t *testing.T, event string, args []any) string {
	t.Helper()
	text, err := json.Marshal(append([]any{event}, args...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// node is the name of the node that serves the client.
func (c *client) node() string {
	c.t.Helper()
	var who struct {
		Node string `json:"node"`
	}
	c.ask(&who, "whoami")
	return who.Node
}

// hears reports whether an event with that one argument comes within d; others
// are skipped.
func (c *client) hears(event, payload string, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case got := <-c.said:
			if len(got) == 2 && string(got[0]) == strconv.Quote(event) && string(got[1]) == strconv.Quote(payload) {
				return true
			}
		case <-c.lost:
			return false
		case <-timer.C:
			return false
		}
	}
}

// expectMsg takes the next event, which must be a msg; args is JSON without
// brackets.
func (c *client) expectMsg(args string) {
	c.t.Helper()
	select {
	case got := <-c.said:
		if text, _ := json.Marshal(got); string(text) != `["msg",`+args+`]` {
			c.t.Errorf("a client heard %s, want msg %s", text, args)
		}
	case <-time.After(patience):
		c.t.Errorf("a client did not hear msg %s", args)
	}
}
