package socketio

import (
	"context"
	"fmt"
	"time"

	"github.com/dunlin-io/dunlin/core/parser"
)

// defaultAckTimeout bounds the waiting for an acknowledgement when the caller
// gives no limit.
const defaultAckTimeout = 10 * time.Second

// expect registers what to do with the acknowledgement of a packet. settle is
// called exactly once, from any goroutine, unless unexpect comes before.
func (s *Socket) expect(id uint64, settle func(Args, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.Load() == stateClosed {
		return ErrDisconnected
	}
	if len(s.acks) >= s.conn.server.cfg.Limits.PendingAcks {
		return ErrTooManyAcks
	}
	if s.acks == nil {
		s.acks = make(map[uint64]func(Args, error))
	}
	s.acks[id] = settle
	s.conn.inbox.owe(1)
	return nil
}

// unexpect takes expect back and reports whether it was still pending.
func (s *Socket) unexpect(id uint64) bool {
	return s.settler(id) != nil
}

func (s *Socket) settler(id uint64) func(Args, error) {
	s.mu.Lock()
	settle := s.acks[id]
	delete(s.acks, id)
	s.mu.Unlock()
	if settle != nil {
		s.conn.inbox.owe(-1)
	}
	return settle
}

// acknowledged takes an ACK packet. Ids that are unknown or settled are
// ignored: the answer came too late, or the client makes them up.
func (s *Socket) acknowledged(p *parser.Packet) {
	if !p.HasID {
		return
	}
	if settle := s.settler(p.ID); settle != nil {
		settle(p.Payload.Args(), nil)
	}
}

// ackContext bounds the waiting for acknowledgements: by ctx, by the operator's
// timeout, and when neither sets a limit by a default.
func ackContext(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if timeout <= 0 {
		if _, limited := ctx.Deadline(); limited {
			return context.WithCancel(ctx)
		}
		timeout = defaultAckTimeout
	}
	return context.WithTimeout(ctx, timeout)
}

// emitWithAck sends an event and waits for the client's answer.
func (s *Socket) emitWithAck(ctx context.Context, timeout time.Duration, event string, args []any) (Args, error) {
	payload, err := s.conn.server.encodeEvent(event, args)
	if err != nil {
		return Args{}, err
	}
	ctx, cancel := ackContext(ctx, timeout)
	defer cancel()
	type answer struct {
		args Args
		err  error
	}
	answered := make(chan answer, 1)
	id := s.ns.acks.Add(1) - 1
	if err := s.expect(id, func(a Args, err error) { answered <- answer{a, err} }); err != nil {
		return Args{}, err
	}
	p := &parser.Packet{Type: parser.Event, Namespace: s.namespace, ID: id, HasID: true, Payload: payload}
	if err := s.emit(p, false); err != nil {
		s.unexpect(id)
		return Args{}, err
	}
	s.conn.server.engine.Flush() // a handler that waits ends no burst
	select {
	case a := <-answered:
		return a.args, a.err
	case <-ctx.Done():
		if !s.unexpect(id) { // settled in this very moment
			a := <-answered
			return a.args, a.err
		}
		return Args{}, fmt.Errorf("socketio: event %q not acknowledged: %w", event, context.Cause(ctx))
	}
}
