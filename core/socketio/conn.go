package socketio

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/dunlin-io/dunlin/core/engineio"
	"github.com/dunlin-io/dunlin/core/parser"
)

// conn is one client connection: it decodes packets and routes them to the
// connection's sockets. It implements engineio.Handler.
type conn struct {
	server  *Server
	session *engineio.Session
	inbox   inbox

	// Of the reading goroutine.
	decoder  parser.Decoder
	awaiting bool // due is running

	mu      sync.Mutex  // guards the following
	due     *time.Timer // ends the connection when attachments do not come
	sockets []*Socket   // in a namespace, or about to be
	left    []string    // namespaces the client may not know it has left
	timer   *time.Timer
	closed  bool
}

var errNoNamespace = errors.New("no namespace joined in time")

func newConn(srv *Server, session *engineio.Session) *conn {
	c := &conn{server: srv, session: session, decoder: srv.cfg.Parser.NewDecoder(srv.cfg.Limits.Parser)}
	c.inbox.init(&srv.cfg.Limits)
	c.timer = time.AfterFunc(srv.cfg.ConnectTimeout, func() {
		c.violation(errNoNamespace)
	})
	return c
}

// HandleMessage implements engineio.Handler.
func (c *conn) HandleMessage(m engineio.Message) {
	p, ok, err := c.decoder.Decode(parser.Frame{Binary: m.Binary, Data: m.Data})
	if err != nil {
		c.undecodable(err)
		return
	}
	c.await(!ok)
	if ok {
		c.route(&p)
	}
}

var errNoAttachments = errors.New("attachments did not come in time")

// await starts or stops the time in which a packet's attachments must come.
func (c *conn) await(attachments bool) {
	if !attachments && !c.awaiting {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !attachments:
		c.due.Stop()
		c.due = nil
	case c.due == nil && !c.closed:
		c.due = time.AfterFunc(c.server.cfg.Limits.Attachments, func() { c.undecodable(errNoAttachments) })
	}
	c.awaiting = c.due != nil
}

func (c *conn) route(p *parser.Packet) {
	if p.Type == parser.Connect {
		c.join(p)
		return
	}
	s := c.find(p.Namespace)
	switch {
	case s == nil || s.state.Load() == statePending:
		if s == nil && c.hasLeft(p.Namespace) {
			return // was on its way when the server ended the socket
		}
		c.violation(fmt.Errorf("%s for a namespace that is not joined", p.Type))
	case p.Type == parser.Event:
		c.event(s, p)
	case p.Type == parser.Ack:
		s.acknowledged(p)
	case p.Type == parser.Disconnect:
		c.forget(s)
		s.close(ReasonClientDisconnect, nil)
	default:
		c.violation(fmt.Errorf("%s from a client", p.Type))
	}
}

func (c *conn) event(s *Socket, p *parser.Packet) {
	name, args, err := p.Payload.Event()
	if err != nil {
		c.undecodable(err)
		return
	}
	ev := &Event{Socket: s, Name: name, Args: args, id: p.ID, wants: p.HasID, size: len(p.Payload.JSON)}
	for _, a := range p.Payload.Attachments {
		ev.size += len(a)
	}
	if err := c.inbox.enter(ev.size); err != nil {
		if errors.Is(err, ErrInboxFull) {
			c.session.CloseNow(engineio.ReasonTransportError, err)
		}
		return
	}
	c.server.stats.eventsIn.Add(1)
	s.queue.push(task{event: ev})
}

// join begins to put the client into a namespace.
func (c *conn) join(p *parser.Packet) {
	limits := &c.server.cfg.Limits
	if len(p.Payload.JSON) > limits.Auth {
		c.refuse(p.Namespace, fmt.Errorf("auth payload of %d bytes is over the limit of %d", len(p.Payload.JSON), limits.Auth))
		return
	}
	s := &Socket{id: newID(), namespace: p.Namespace, conn: c, auth: p.Payload, early: &early{}}
	s.queue.conn = c
	c.mu.Lock()
	switch {
	case c.closed:
		c.mu.Unlock()
		return
	case slices.ContainsFunc(c.sockets, func(o *Socket) bool { return o.namespace == p.Namespace }):
		c.mu.Unlock()
		c.violation(errors.New("CONNECT for a namespace that is joined already"))
		return
	case len(c.sockets) >= limits.Namespaces:
		c.mu.Unlock()
		c.refuse(p.Namespace, fmt.Errorf("more than %d namespaces on one connection", limits.Namespaces))
		return
	}
	c.sockets = append(c.sockets, s)
	c.mu.Unlock()
	s.queue.push(task{other: s.connect})
}

// refuse answers a CONNECT that does not get as far as a socket.
func (c *conn) refuse(namespace string, err error) {
	c.server.stats.refused.Add(1)
	if hook := c.server.cfg.Hooks.OnConnectError; hook != nil {
		hook(namespace, newHandshake(c.session.Handshake(), parser.Payload{}), err)
	}
	c.send(connectError(namespace, err))
}

// joined says that a socket is connected.
func (c *conn) joined() {
	c.mu.Lock()
	timer := c.timer
	c.timer = nil
	c.mu.Unlock()
	if timer != nil {
		timer.Stop()
	}
}

func (c *conn) find(namespace string) *Socket {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.sockets {
		if s.namespace == namespace {
			return s
		}
	}
	return nil
}

// forget takes a socket off the connection and reports whether it was there.
func (c *conn) forget(s *Socket) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.sockets, s)
	if i < 0 {
		return false
	}
	c.sockets = slices.Delete(c.sockets, i, i+1)
	if !slices.Contains(c.left, s.namespace) {
		if len(c.left) >= c.server.cfg.Limits.Namespaces {
			c.left = slices.Delete(c.left, 0, 1)
		}
		c.left = append(c.left, s.namespace)
	}
	return true
}

func (c *conn) hasLeft(namespace string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Contains(c.left, namespace)
}

// take returns the connection's sockets and leaves it without.
func (c *conn) take() []*Socket {
	c.mu.Lock()
	defer c.mu.Unlock()
	ss := c.sockets
	c.sockets = nil
	return ss
}

func (c *conn) send(p *parser.Packet) {
	b, err := c.server.encode(p)
	if err != nil {
		c.server.cfg.Logger.Error("encode packet", "type", p.Type.String(), "namespace", p.Namespace, "err", err)
		return
	}
	_ = c.session.Send(b) // the session reports its failure by closing
}

// disconnect ends every socket with a DISCONNECT, then the connection.
func (c *conn) disconnect(reason Reason) {
	var last *Namespace
	for _, s := range c.take() {
		if state := s.state.Load(); state == stateGreeted || state == stateConnected {
			last = s.ns
			s.dismiss()
		}
		s.close(reason, nil)
	}
	if last != nil {
		last.inOrder(c.session.Close)
		return
	}
	c.session.Close()
}

// violation closes the connection of a client that broke the protocol.
func (c *conn) violation(err error) {
	c.end(ReasonProtocol, err)
}

// undecodable closes the connection of a client that sent what is no packet.
func (c *conn) undecodable(err error) {
	c.server.stats.undecodable.Add(1)
	c.end(ReasonForcedClose, err)
}

func (c *conn) end(reason Reason, err error) {
	for _, s := range c.take() {
		s.close(reason, err)
	}
	c.session.Close()
}

// HandleClose implements engineio.Handler.
func (c *conn) HandleClose(reason engineio.Reason, err error) {
	c.inbox.close()
	c.mu.Lock()
	c.closed = true
	for _, timer := range []*time.Timer{c.timer, c.due} {
		if timer != nil {
			timer.Stop()
		}
	}
	c.timer = nil
	c.mu.Unlock()
	r := Reason(reason)
	if c.server.closing.Load() && reason == engineio.ReasonForcedClose {
		r = ReasonServerShutdown
	}
	for _, s := range c.take() {
		s.close(r, err)
	}
	c.server.conns.done(c)
}
