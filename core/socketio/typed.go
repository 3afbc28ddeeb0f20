package socketio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// Listener is what typed handlers are registered on: *Server, *Namespace,
// *ParentNamespace or *Socket.
type Listener interface {
	On(event string, h Handler) (off func())
}

// Caller is whom Call asks: *Socket, SocketOperator or *RemoteSocket.
type Caller interface {
	EmitWithAck(ctx context.Context, event string, args ...any) (Args, error)
}

// RemoteError is an error that travels in an acknowledgement, as
// {"error":{"code":...,"message":...}}. Return one from a typed handler to tell
// the client what went wrong; Call returns one when the client answers so.
type RemoteError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (e *RemoteError) Error() string { return e.Code + ": " + e.Message }

// On registers a typed handler for events with one argument. An argument that
// does not fit T, and an error of fn, go to Hooks.OnEventError and, when the
// client wants an acknowledgement, to the client: a *RemoteError as it is, a
// bad argument with code "bad_payload", anything else as "internal" without
// its text. Without an error the acknowledgement is empty.
func On[T any](l Listener, event string, fn func(ctx context.Context, s *Socket, v T) error) (off func()) {
	return handle(l, event, func(ev *Event) ([]any, error) {
		var v T
		if err := scan(ev, &v); err != nil {
			return nil, err
		}
		return nil, fn(ev.Context(), ev.Socket, v)
	})
}

// On2 is On for events with two arguments.
func On2[A, B any](l Listener, event string, fn func(ctx context.Context, s *Socket, a A, b B) error) (off func()) {
	return handle(l, event, func(ev *Event) ([]any, error) {
		var a A
		var b B
		if err := scan(ev, &a, &b); err != nil {
			return nil, err
		}
		return nil, fn(ev.Context(), ev.Socket, a, b)
	})
}

// On3 is On for events with three arguments.
func On3[A, B, C any](l Listener, event string, fn func(ctx context.Context, s *Socket, a A, b B, c C) error) (off func()) {
	return handle(l, event, func(ev *Event) ([]any, error) {
		var a A
		var b B
		var c C
		if err := scan(ev, &a, &b, &c); err != nil {
			return nil, err
		}
		return nil, fn(ev.Context(), ev.Socket, a, b, c)
	})
}

// Handle registers a typed handler whose result is the acknowledgement. Errors
// are treated as by On.
func Handle[In, Out any](l Listener, event string, fn func(ctx context.Context, s *Socket, in In) (Out, error)) (off func()) {
	return handle(l, event, func(ev *Event) ([]any, error) {
		var in In
		if err := scan(ev, &in); err != nil {
			return nil, err
		}
		out, err := fn(ev.Context(), ev.Socket, in)
		return []any{out}, err
	})
}

// Handle2 is Handle for events with two arguments.
func Handle2[A, B, Out any](l Listener, event string, fn func(ctx context.Context, s *Socket, a A, b B) (Out, error)) (off func()) {
	return handle(l, event, func(ev *Event) ([]any, error) {
		var a A
		var b B
		if err := scan(ev, &a, &b); err != nil {
			return nil, err
		}
		out, err := fn(ev.Context(), ev.Socket, a, b)
		return []any{out}, err
	})
}

// Handle3 is Handle for events with three arguments.
func Handle3[A, B, C, Out any](l Listener, event string,
	fn func(ctx context.Context, s *Socket, a A, b B, c C) (Out, error),
) (off func()) {
	return handle(l, event, func(ev *Event) ([]any, error) {
		var a A
		var b B
		var c C
		if err := scan(ev, &a, &b, &c); err != nil {
			return nil, err
		}
		out, err := fn(ev.Context(), ev.Socket, a, b, c)
		return []any{out}, err
	})
}

// handle registers what every typed handler comes down to: a function that
// makes an event into an acknowledgement or an error.
func handle(l Listener, event string, fn func(*Event) (result []any, err error)) (off func()) {
	return l.On(event, func(ev *Event) {
		result, err := fn(ev)
		ev.settle(err, result...)
	})
}

// Call emits an event, waits for the acknowledgement and decodes its first
// argument. The error is a *RemoteError when the client answered with one.
func Call[Out any](ctx context.Context, to Caller, event string, args ...any) (Out, error) {
	var out Out
	reply, err := to.EmitWithAck(ctx, event, args...)
	if err != nil {
		return out, err
	}
	if err := remoteError(reply); err != nil {
		return out, err
	}
	if err := reply.Scan(&out); err != nil {
		return out, fmt.Errorf("socketio: answer to %q: %w", event, err)
	}
	return out, nil
}

// remoteError recognises an answer that is a RemoteError and nothing else.
func remoteError(reply Args) error {
	if reply.Len() == 0 {
		return nil
	}
	var object map[string]json.RawMessage
	var e RemoteError
	if err := reply.Scan(&object); err == nil && len(object) == 1 {
		if err := json.Unmarshal(object["error"], &e); err == nil && e.Code != "" {
			return &e
		}
	}
	return nil // an answer like any other
}

// payloadError is an argument that does not fit a typed handler.
type payloadError struct{ error }

func scan(ev *Event, dst ...any) error {
	if err := ev.Scan(dst...); err != nil {
		return payloadError{err}
	}
	return nil
}

// settle acknowledges what a typed handler made of the event.
func (ev *Event) settle(err error, result ...any) {
	if err == nil {
		if err = ev.Ack(result...); err == nil || errors.Is(err, ErrAcked) || errors.Is(err, ErrDisconnected) {
			return
		}
	}
	ev.Socket.conn.server.eventError(ev, err)
	var remote *RemoteError
	var payload payloadError
	switch {
	case errors.As(err, &remote):
	case errors.As(err, &payload):
		remote = &RemoteError{Code: "bad_payload", Message: payload.Error()}
	default:
		remote = &RemoteError{Code: "internal", Message: "internal error"}
	}
	_ = ev.Ack(map[string]any{"error": remote}) // the client may have left
}
