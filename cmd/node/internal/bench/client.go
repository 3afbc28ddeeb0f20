package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"syscall"
	"time"
)

// client is a Socket.IO client over WebSocket, in one namespace, with one
// goroutine that reads.
type client struct {
	run   *run
	index int
	node  int // index of the address it is connected to
	conn  *conn

	pingInterval, pingTimeout time.Duration

	// The following are the reader's alone, until it has ended.

	ledgers []ledger // of the streams that it should hear
	wrong   uint64   // what came and should not have, of no ledger
	pinged  time.Time
	late    uint64 // pings that came too late
	pending packet // whose attachments are still to come
	awaited int    // how many of them
	arrived int
}

// packet is what a client looks at of a Socket.IO packet.
type packet struct {
	kind    byte // one of the digits of Socket.IO protocol v5, "Packet types"
	id      uint64
	hasID   bool
	message bool   // it is the event msg
	binary  bool   // body is an attachment
	body    []byte // the JSON, or the only attachment
}

const (
	connect      = '0'
	disconnect   = '1'
	event        = '2'
	ack          = '3'
	connectError = '4'
	binaryEvent  = '5'
	binaryAck    = '6'
)

// open connects a client and lets it join the namespace and, unless it is empty,
// a room.
func (r *run) open(ctx context.Context, index int, room string) (_ *client, err error) {
	c := &client{run: r, index: index, node: index % len(r.targets)}
	target := r.targets[c.node]
	ctx, cancel := context.WithTimeoutCause(ctx, r.cfg.Timeout, fmt.Errorf("it took longer than --timeout %v", r.cfg.Timeout))
	defer cancel()
	raw, err := dialTCP(ctx, target)
	if err != nil {
		return nil, fmt.Errorf("connect client %d: %w%s", index, err, remedy(err))
	}
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	joining := false
	defer func() {
		if !stop() {
			err = context.Cause(ctx)
		}
		if err != nil && joining {
			err = fmt.Errorf("no answer to join: %w: %s", err, needsPlayground)
		}
		if err != nil {
			reset(raw)
			err = fmt.Errorf("connect client %d to %s: %w", index, address(target), err)
		}
	}()
	if c.conn, err = newConn(raw, target, r.secure); err != nil {
		return nil, err
	}
	if err := c.greet(); err != nil {
		return nil, err
	}
	if joining = room != ""; joining {
		err = c.join(room)
	}
	return c, err
}

// remedy says what to do about an error of the network.
func remedy(err error) string {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return ": is the server running? (dunlin serve --playground)"
	case errors.Is(err, syscall.EMFILE):
		return ": allow more open files (ulimit -n) or use fewer --clients"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return ": no local port is free: use fewer --clients, or several addresses of the server"
	}
	return ""
}

func address(u *url.URL) string { return u.Scheme + "://" + u.Host }

// greet reads the open packet of Engine.IO and joins the namespace.
func (c *client) greet() error {
	_, text, err := c.conn.read()
	if err != nil {
		return err
	}
	var open struct {
		PingInterval, PingTimeout int
	}
	if len(text) == 0 || text[0] != '0' || json.Unmarshal(text[1:], &open) != nil || open.PingInterval <= 0 {
		return fmt.Errorf("the server begins with %.100q, not with an open packet of Engine.IO 4", text)
	}
	c.pingInterval = time.Duration(open.PingInterval) * time.Millisecond
	c.pingTimeout = time.Duration(open.PingTimeout) * time.Millisecond
	c.pinged = time.Now() // the first ping may come before the namespace is joined
	hello := "40"
	if c.run.cfg.Namespace != "/" {
		hello += c.run.cfg.Namespace + ","
	}
	if err := c.conn.write(opText, []byte(hello)); err != nil {
		return err
	}
	for {
		p, err := c.next()
		switch {
		case err != nil:
			return err
		case p.kind == connectError:
			return fmt.Errorf("the server refuses namespace %s: %.200s", c.run.cfg.Namespace, p.body)
		case p.kind == connect:
			return nil
		}
	}
}

func (c *client) join(room string) error {
	name, err := json.Marshal(room)
	if err != nil {
		return err
	}
	text := appendPacket(nil, c.run.cfg.Namespace, 0, true, `["join",`, name, false)
	if err := c.conn.write(opText, text); err != nil {
		return err
	}
	for {
		p, err := c.next()
		switch {
		case err != nil:
			return err
		case p.kind == ack && p.id == 0:
			if bytes.Contains(p.body, []byte(`"error"`)) {
				return fmt.Errorf("it is %.200s", p.body)
			}
			return nil
		}
	}
}

const needsPlayground = "does the server have the events of the playground? (dunlin serve --playground)"

// next returns the next packet of the namespace and answers pings meanwhile. The
// packet's body is valid until the next call.
func (c *client) next() (packet, error) {
	for {
		op, message, err := c.conn.read()
		if err != nil {
			return packet{}, err
		}
		if op == opBinary {
			if c.awaited == 0 {
				return packet{}, errors.New("the server sends an attachment of nothing")
			}
			if c.awaited--; c.awaited > 0 {
				c.arrived++
				continue
			}
			p := c.pending
			if c.arrived == 0 {
				p.body, p.binary = message, true
			}
			c.arrived = 0
			return p, nil
		}
		if len(message) == 0 {
			return packet{}, errors.New("the server sends an empty message")
		}
		switch message[0] {
		case '1':
			return packet{}, errors.New("the server has ended the session")
		case '2':
			c.ping()
			if err := c.conn.write(opText, append([]byte("3"), message[1:]...)); err != nil {
				return packet{}, err
			}
		case '4':
			p, attachments, err := parsePacket(message[1:], c.run.cfg.Namespace)
			switch {
			case err != nil:
				return packet{}, err
			case attachments > 0:
				c.pending, c.awaited = p, attachments
			case p.kind != 0:
				return p, nil
			}
		}
	}
}

// parsePacket reads a packet; its kind is 0 when it is one of another namespace.
// That of a packet with attachments has no body.
func parsePacket(text []byte, namespace string) (p packet, attachments int, err error) {
	invalid := fmt.Errorf("the server sends %.100q, which is no packet", text)
	if len(text) == 0 || text[0] < connect || text[0] > binaryAck {
		return packet{}, 0, invalid
	}
	p.kind, text = text[0], text[1:]
	if p.kind == binaryEvent || p.kind == binaryAck {
		count, rest, ok := bytes.Cut(text, []byte{'-'})
		if attachments, err = strconv.Atoi(string(count)); !ok || err != nil || attachments < 0 {
			return packet{}, 0, invalid
		}
		text = rest
		p.kind -= binaryEvent - event
	}
	own := namespace == "/"
	if len(text) > 0 && text[0] == '/' {
		name, rest, _ := bytes.Cut(text, []byte{','})
		own, text = string(name) == namespace, rest
	}
	digits := 0
	for digits < len(text) && text[digits] >= '0' && text[digits] <= '9' {
		p.id, p.hasID = p.id*10+uint64(text[digits]-'0'), true
		digits++
	}
	p.body = text[digits:]
	p.message = bytes.HasPrefix(p.body, []byte(`["msg"`))
	if !own {
		p.kind = 0
	}
	if attachments > 0 {
		p.body = nil
	}
	return p, attachments, nil
}

// ping notes when the server has asked for a sign of life.
func (c *client) ping() {
	now := time.Now()
	gap := now.Sub(c.pinged)
	c.pinged = now
	if gap > c.pingInterval+c.pingTimeout {
		c.late++
	}
	if !c.run.idle {
		return
	}
	// The first interval begins with the open packet, which takes a while to
	// arrive: then a ping is early.
	c.run.count(c, now.Sub(c.run.epoch), gap-c.pingInterval, false)
}

// read takes what comes until the connection ends.
func (c *client) read() error {
	for {
		p, err := c.next()
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
			return errors.New("the connection broke")
		case err != nil:
			return err
		case p.kind == disconnect:
			return errors.New("the server has disconnected the client")
		case p.kind == event && p.message, p.kind == ack:
			c.receive(&p)
		}
	}
}

// receive enters a message that comes from one of our streams.
func (c *client) receive(p *packet) {
	at := time.Since(c.run.epoch)
	s, err := c.run.format.parse(p.body, p.binary)
	switch {
	case errors.Is(err, errForeign) && p.kind == event:
		return // somebody else uses the server
	case err != nil:
		c.wrong++
		return
	}
	l := c.ledger(s.stream)
	if l == nil || p.binary != c.run.cfg.Binary || s.seq > l.stream.sent.Load() || l.stream.ack != (p.kind == ack) ||
		p.kind == ack && (!p.hasID || p.id != s.seq) {
		c.wrong++
		return
	}
	if s.seq == 0 {
		if !l.heard {
			l.heard = true
			c.run.heard(l.stream)
		}
		return
	}
	if !l.take(s.seq) {
		return
	}
	l.stream.settle(s.seq)
	c.run.shard(c).arrived.Add(1)
	c.run.count(c, at, at-s.at, l.stream.from.node != c.node)
}

func (c *client) ledger(stream uint32) *ledger {
	for i := range c.ledgers {
		if c.ledgers[i].stream.id == stream {
			return &c.ledgers[i]
		}
	}
	return nil
}

func (c *client) String() string {
	return fmt.Sprintf("client %d at %s", c.index, address(c.run.targets[c.node]))
}
