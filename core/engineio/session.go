package engineio

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// Handler receives what happens to one session.
type Handler interface {
	// HandleMessage is called for each message in order, one at a time, on the goroutine that reads. m.Data is only
	// valid until it returns. It may block to apply back-pressure: reading stops, and the ping timeout waits. It must
	// then watch Session.Done.
	HandleMessage(m Message)

	// HandleClose is called exactly once, possibly while a HandleMessage is still running; no delivery begins after it.
	// err is the low-level cause or nil.
	HandleClose(reason Reason, err error)
}

// Session is one client connection, over whichever transport it uses at the moment. Its methods are safe for concurrent
// use and may be called from a Handler.
type Session struct {
	srv    *Server
	id     string
	shake  handshakeRecord
	values context.Context // what Config.Admit returned, without its cancellation; nil if nothing
	beat   beat            // guarded by the server's heartbeat

	delivering atomic.Bool // HandleMessage is running

	mu        sync.Mutex // guards the following; taken before a transport's own lock
	state     sessionState
	handler   Handler // nil until accept has returned
	transport transport
	candidate *websocket  // being probed
	timer     *time.Timer // bounds closing
	ctx       context.Context
	cancel    context.CancelCauseFunc
	reason    Reason
	err       error
}

type sessionState uint8

const (
	stateOpening sessionState = iota // known to the table, not yet to the client
	stateOpen
	stateClosing // flushing; nothing is received any more
	stateClosed
)

// ID returns the session id. It is a secret between this server and the client.
func (s *Session) ID() string { return s.id }

// Handshake decodes the record of the request that opened the session. Each call returns a new copy.
func (s *Session) Handshake() *Handshake { return s.shake.decode() }

// Context carries the values of the context that Config.Admit returned. It is cancelled when the session is closed,
// with a *CloseError as its cause.
func (s *Session) Context() context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx == nil {
		values := s.values
		if values == nil {
			values = context.Background()
		}
		s.ctx, s.cancel = context.WithCancelCause(values)
		if s.state == stateClosed {
			s.cancel(&CloseError{s.reason, s.err})
		}
	}
	return s.ctx
}

// Done returns a channel that is closed when the session is closed.
func (s *Session) Done() <-chan struct{} { return s.Context().Done() }

// Transport returns "polling" or "websocket".
func (s *Session) Transport() string { return s.current().name() }

// Pending returns how many bytes were sent that neither the kernel nor a poll has taken yet.
func (s *Session) Pending() int { return s.current().waiting() }

func (s *Session) current() transport {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.transport
}

// Send hands b to the client or queues it, in the order of the calls. It never blocks. It returns nil, ErrClosed, or
// ErrSlowConsumer, after which the session is closed.
func (s *Session) Send(b *Batch) error {
	s.mu.Lock()
	if s.state != stateOpen {
		s.mu.Unlock()
		return ErrClosed
	}
	err := s.transport.send(b)
	s.mu.Unlock()
	if err != nil {
		return s.sendFailed(err)
	}
	s.srv.counters.sent(b)
	return nil
}

// SendVolatile hands b to the client only if that can be done now: a poll is waiting, or the WebSocket takes it, and
// nothing is pending. Otherwise nothing of b is sent.
func (s *Session) SendVolatile(b *Batch) (sent bool) {
	s.mu.Lock()
	if s.state != stateOpen {
		s.mu.Unlock()
		return false
	}
	sent, err := s.transport.trySend(b)
	s.mu.Unlock()
	if err != nil {
		_ = s.sendFailed(err)
	}
	if sent {
		s.srv.counters.sent(b)
	}
	return sent
}

// uncork writes what bursts have gathered for the session.
func (s *Session) uncork() {
	if t, ok := s.current().(*websocket); ok {
		t.out.uncork()
	}
}

func (s *Session) sendFailed(err error) error {
	if errors.Is(err, ErrClosed) {
		return ErrClosed
	}
	s.finish(ReasonTransportError, err)
	if errors.Is(err, ErrSlowConsumer) {
		return ErrSlowConsumer
	}
	return ErrClosed
}

// Drained waits until everything sent before the call was handed to the kernel or to a poll. It returns ErrClosed if
// the session ends before, or the error of ctx.
func (s *Session) Drained(ctx context.Context) error {
	for {
		t := s.current()
		idle := t.drained()
		select {
		case <-idle:
		default:
			select {
			case <-idle:
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-s.Done():
				return ErrClosed
			}
		}
		if s.current() == t {
			return nil
		}
	}
}

// Close sends what is pending, for at most Config.CloseTimeout, and then closes the session with ReasonForcedClose.
// Messages that arrive meanwhile are dropped. It returns at once and may be called again.
func (s *Session) Close() {
	s.mu.Lock()
	if s.state != stateOpen {
		s.mu.Unlock()
		return
	}
	s.state = stateClosing
	s.timer = time.AfterFunc(s.srv.cfg.CloseTimeout, func() { s.finish(ReasonForcedClose, nil) })
	t := s.transport
	s.mu.Unlock()
	s.srv.heartbeat.remove(s)
	t.shut()
}

// CloseNow closes the session without sending what is pending. It returns at once; only the first call counts.
func (s *Session) CloseNow(reason Reason, err error) { s.finish(reason, err) }

// finish ends the session. Everything that ends one comes here.
func (s *Session) finish(reason Reason, err error) {
	s.mu.Lock()
	if s.state == stateClosed {
		s.mu.Unlock()
		return
	}
	s.state, s.reason, s.err = stateClosed, reason, err
	handler, t, candidate, cancel := s.handler, s.transport, s.candidate, s.cancel
	s.candidate = nil
	if s.timer != nil {
		s.timer.Stop()
	}
	s.mu.Unlock()

	s.srv.forget(s, reason, err)
	if candidate != nil {
		candidate.abort(reason, err)
	}
	if t != nil {
		t.abort(reason, err)
	}
	if cancel != nil {
		cancel(&CloseError{reason, err})
	}
	if handler != nil {
		s.notifyClose(handler)
	}
}

// notifyClose runs HandleClose on its own goroutine: finish may have been called with the application's locks held. It
// ends when HandleClose returns; Shutdown waits for it.
func (s *Session) notifyClose(h Handler) {
	go func() {
		defer s.srv.running.Done() // taken when the session was registered
		defer s.recoverPanic()
		h.HandleClose(s.reason, s.err)
	}()
}

// open makes the session known to the application and the client. The transport is ready to send.
func (s *Session) open(accept func(*Session) Handler) {
	s.srv.heartbeat.add(s)
	s.srv.counters.opened.Add(1)
	handler := s.accept(accept)

	s.mu.Lock()
	s.handler = handler
	closed, t := s.state == stateClosed, s.transport
	s.mu.Unlock()
	if closed {
		t.abort(s.reason, s.err) // in case the session was closed before it had a transport
		s.notifyClose(handler)
	}
}

// accept returns a handler that can be called in any case.
func (s *Session) accept(accept func(*Session) Handler) (h Handler) {
	defer func() {
		if h == nil {
			h = noHandler{}
		}
	}()
	defer s.recoverPanic()
	if h = accept(s); h == nil {
		s.finish(ReasonForcedClose, errHandlerNil)
	}
	return h
}

type noHandler struct{}

func (noHandler) HandleMessage(Message)     {}
func (noHandler) HandleClose(Reason, error) {}

// recoverPanic is deferred around user code: a panic ends this session and nothing else.
func (s *Session) recoverPanic() {
	v := recover()
	if v == nil {
		return
	}
	s.delivering.Store(false)
	s.srv.panicked(s, v, debug.Stack())
	s.finish(ReasonForcedClose, fmt.Errorf("panic in engine.io callback: %v", v))
}

// accepted reports whether accept has returned.
func (s *Session) accepted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.handler != nil
}

// receive handles a packet that arrived on the current transport. Only one goroutine calls it at a time.
func (s *Session) receive(p packet) {
	switch p.kind {
	case packetMessage:
		s.deliver(Message{Binary: p.binary, Data: p.data})
	case packetPong:
		s.srv.heartbeat.pong(s)
	case packetClose:
		s.finish(ReasonTransportClose, nil)
	case packetPing:
		s.finish(ReasonTransportError, errWrongHeartbeat)
	case packetOpen, packetUpgrade, packetNoop: // of no meaning here, ignored by the reference too
	}
}

func (s *Session) deliver(m Message) {
	s.mu.Lock()
	h := s.handler
	if s.state != stateOpen {
		s.mu.Unlock()
		return
	}
	s.delivering.Store(true)
	s.mu.Unlock()
	s.srv.counters.received(m)
	defer s.recoverPanic()
	h.HandleMessage(m)
	s.delivering.Store(false)
}

// ping is called by the heartbeat.
func (s *Session) ping() { _ = s.Send(pingPacket) }

// excused is called by the heartbeat when the pong is late. It reports whether the client is given more time: reading
// stands still because the application holds it up, or a pong cannot overtake what is still arriving.
func (s *Session) excused() bool {
	return s.delivering.Load() || s.current().excuse()
}
