package socketio

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dunlin-io/dunlin/core/engineio"
	"github.com/dunlin-io/dunlin/core/parser"
)

// Emit sends an event to the client. Arguments are encoded as by
// encoding/json, []byte values as binary. It never waits: a nil error means
// that the event is on its way, not that it has arrived. Errors are
// ErrDisconnected, ErrSlowConsumer, ErrReservedEvent and those of encoding.
func (s *Socket) Emit(event string, args ...any) error {
	return SocketOperator{socket: s}.Emit(event, args...)
}

// Send emits "message".
func (s *Socket) Send(args ...any) error { return s.Emit("message", args...) }

// EmitWithAck sends an event and waits for the client's acknowledgement, until
// the earlier of ctx's end and the operator's Timeout; with neither, 10 s. When
// the socket is disconnected first, the error is a *DisconnectError.
func (s *Socket) EmitWithAck(ctx context.Context, event string, args ...any) (Args, error) {
	return s.emitWithAck(ctx, 0, event, args)
}

// Volatile returns an operator whose events are dropped when the connection
// cannot take them at once.
func (s *Socket) Volatile() SocketOperator { return SocketOperator{socket: s}.Volatile() }

// Compress returns an operator that says whether its events may be compressed.
func (s *Socket) Compress(on bool) SocketOperator { return SocketOperator{socket: s}.Compress(on) }

// Timeout returns an operator that bounds the waiting for acknowledgements.
func (s *Socket) Timeout(d time.Duration) SocketOperator { return SocketOperator{socket: s}.Timeout(d) }

// To returns an operator for the members of any of the rooms, without this
// socket. Without rooms it reaches nobody.
func (s *Socket) To(rooms ...string) BroadcastOperator { return s.Broadcast().To(rooms...) }

// In is To.
func (s *Socket) In(rooms ...string) BroadcastOperator { return s.Broadcast().To(rooms...) }

// Except returns an operator for everybody but this socket and the members of
// the rooms.
func (s *Socket) Except(rooms ...string) BroadcastOperator { return s.Broadcast().Except(rooms...) }

// Local returns an operator for everybody on this node but this socket.
func (s *Socket) Local() BroadcastOperator { return s.Broadcast().Local() }

// Broadcast returns an operator for everybody but this socket.
func (s *Socket) Broadcast() BroadcastOperator { return SocketOperator{socket: s}.Broadcast() }

// SocketOperator emits to one socket with modifiers. It is an immutable value:
// each modifier returns another one.
type SocketOperator struct {
	socket   *Socket
	volatile bool
	compress *bool
	timeout  time.Duration
}

// Volatile drops events when the connection cannot take them at once.
func (o SocketOperator) Volatile() SocketOperator { o.volatile = true; return o }

// Compress says whether events may be compressed.
func (o SocketOperator) Compress(on bool) SocketOperator { o.compress = &on; return o }

// Timeout bounds the waiting for acknowledgements.
func (o SocketOperator) Timeout(d time.Duration) SocketOperator { o.timeout = d; return o }

// Emit is Socket.Emit with the operator's modifiers.
func (o SocketOperator) Emit(event string, args ...any) error {
	payload, err := o.socket.conn.server.encodeEvent(event, args)
	if err != nil {
		return err
	}
	return o.socket.emit(&parser.Packet{Type: parser.Event, Namespace: o.socket.namespace, Payload: payload}, o.volatile)
}

// Send emits "message".
func (o SocketOperator) Send(args ...any) error { return o.Emit("message", args...) }

// EmitWithAck is Socket.EmitWithAck with the operator's modifiers.
func (o SocketOperator) EmitWithAck(ctx context.Context, event string, args ...any) (Args, error) {
	return o.socket.emitWithAck(ctx, o.timeout, event, args)
}

// Broadcast returns an operator with the same modifiers for everybody but the
// socket.
func (o SocketOperator) Broadcast() BroadcastOperator {
	b := o.socket.ns.operator.Except(o.socket.id)
	b.target.Volatile, b.target.Compress, b.timeout = o.volatile, o.compress, o.timeout
	return b
}

// To returns Broadcast for the members of any of the rooms.
func (o SocketOperator) To(rooms ...string) BroadcastOperator { return o.Broadcast().To(rooms...) }

// In is To.
func (o SocketOperator) In(rooms ...string) BroadcastOperator { return o.Broadcast().To(rooms...) }

// Except returns Broadcast without the members of the rooms.
func (o SocketOperator) Except(rooms ...string) BroadcastOperator {
	return o.Broadcast().Except(rooms...)
}

// Local returns Broadcast on this node.
func (o SocketOperator) Local() BroadcastOperator { return o.Broadcast().Local() }

// encodeEvent encodes an event that the application emits.
func (s *Server) encodeEvent(event string, args []any) (parser.Payload, error) {
	p, err := encodeEvent(event, args)
	if err != nil {
		return parser.Payload{}, err
	}
	if n := len(p.Attachments); n > s.maxAttachments {
		return parser.Payload{}, fmt.Errorf("socketio: event %q holds %d binary values and clients close the connection at more than %d: "+
			"send fewer, or raise Limits.Parser.MaxAttachments if your clients take more: %w", event, n, s.maxAttachments, parser.ErrTooMany)
	}
	return p, nil
}

func encodeEvent(event string, args []any) (parser.Payload, error) {
	if parser.Reserved(event) {
		return parser.Payload{}, fmt.Errorf("%w: %q", ErrReservedEvent, event)
	}
	a, err := parser.MakeEvent(event, args...)
	if err != nil {
		return parser.Payload{}, fmt.Errorf("socketio: %w", err)
	}
	return a.EventPayload(), nil
}

// emit sends an EVENT to this socket and shows it to the outgoing listeners.
func (s *Socket) emit(p *parser.Packet, volatile bool) error {
	state := s.state.Load()
	if r := s.ns.recovery; r != nil && (state == stateGreeted || state == stateConnected) {
		return r.emit(s, p, volatile) // behind the broadcasts so far, and behind establish
	}
	switch state {
	case stateClosed:
		return ErrDisconnected
	case statePending, stateGreeted:
		if volatile {
			s.conn.server.stats.volatileDropped.Add(1)
			return nil
		}
		kept, err := s.hold(held{event: p})
		if kept {
			s.outgoing(p)
		}
		return err
	}
	b, err := s.conn.server.encode(p)
	if err != nil {
		return err
	}
	return s.deliver(p, b, volatile)
}

// deliver sends an encoded EVENT.
func (s *Socket) deliver(p *parser.Packet, b *engineio.Batch, volatile bool) error {
	s.outgoing(p)
	if !volatile {
		return s.send(b)
	}
	if s.state.Load() == stateConnected && s.conn.session.SendVolatile(b) {
		return nil
	}
	s.conn.server.stats.volatileDropped.Add(1)
	return nil
}

// sendPacket sends what is no event.
func (s *Socket) sendPacket(p *parser.Packet) error {
	b, err := s.conn.server.encode(p)
	if err != nil {
		return err
	}
	if r := s.ns.recovery; r != nil {
		if s.state.Load() == stateClosed {
			return ErrDisconnected
		}
		return r.try(func() { _ = s.send(b) })
	}
	return s.send(b)
}

func (s *Socket) send(b *engineio.Batch) error {
	switch s.state.Load() {
	case stateConnected:
		return sendError(s.conn.session.Send(b))
	case statePending, stateGreeted:
		_, err := s.hold(held{batch: b})
		return err
	}
	if s.dismissed.Load() {
		return sendError(s.conn.session.Send(b))
	}
	return ErrDisconnected
}

// hold keeps what is emitted before the socket is connected, or sends it when
// that has happened meanwhile.
func (s *Socket) hold(h held) (kept bool, err error) {
	var n int
	if h.batch != nil {
		n = h.batch.Len()
	} else {
		n = size(h.event)
	}
	s.mu.Lock()
	switch state := s.state.Load(); {
	case state == stateClosed:
		s.mu.Unlock()
		return false, ErrDisconnected
	case h.event != nil && s.ns.recovery != nil && state != statePending:
		s.mu.Unlock()
		return false, s.ns.recovery.emit(s, h.event, false) // broadcasts wait there, ahead of it
	case state == stateConnected:
		s.mu.Unlock()
		if h.event != nil {
			return false, s.emit(h.event, false)
		}
		return false, s.send(h.batch)
	}
	defer s.mu.Unlock()
	if s.early.bytes+n > s.conn.server.cfg.Limits.HeldBytes {
		return false, ErrSlowConsumer
	}
	s.early.held = append(s.early.held, h)
	s.early.bytes += n
	return true, nil
}

func sendError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, engineio.ErrSlowConsumer):
		return ErrSlowConsumer
	case errors.Is(err, engineio.ErrClosed):
		return ErrDisconnected
	}
	return err
}
