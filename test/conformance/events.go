package main

import (
	"context"
	"time"

	"github.com/dunlin-io/dunlin/core/parser"
	"github.com/dunlin-io/dunlin/core/socketio"
)

// events are the handlers of the test events.
type events struct {
	io   *socketio.Server
	node string
}

// joinTimeout bounds the waiting for the other nodes.
const joinTimeout = 5 * time.Second

// playground registers the events that load generators and demo pages use too.
// Emits are not checked: who has left gets nothing.
func (e *events) playground(on socketio.Listener) {
	on.On("echo", func(ev *socketio.Event) { _ = ev.Ack(ev.Values()...) })
	on.On("bcast", func(ev *socketio.Event) { _ = ev.Socket.Namespace().Emit("msg", first(ev.Args)...) })
	on.On("room", func(ev *socketio.Event) {
		var room string
		var payload parser.Raw
		if ev.Scan(&room, &payload) == nil {
			_ = ev.Socket.Namespace().To(room).Emit("msg", payload)
		}
	})
	on.On("join", func(ev *socketio.Event) {
		var room string
		if ev.Scan(&room) != nil {
			return
		}
		ctx, cancel := context.WithTimeout(ev.Context(), joinTimeout)
		defer cancel()
		if ev.Socket.JoinWait(ctx, room) == nil {
			_ = ev.Ack()
		}
	})
	on.On("leave", func(ev *socketio.Event) {
		var room string
		if ev.Scan(&room) == nil {
			ev.Socket.Leave(room)
			_ = ev.Ack()
		}
	})
	on.On("whoami", func(ev *socketio.Event) {
		_ = ev.Ack(map[string]any{
			"id": ev.Socket.ID(), "node": e.node,
			"rooms": ev.Socket.Rooms(), "recovered": ev.Socket.Recovery().Recovered,
		})
	})
}

// conformance registers the events that only tests use.
func (e *events) conformance(on socketio.Listener) {
	on.On("message", func(ev *socketio.Event) { _ = ev.Socket.Emit("message-back", ev.Values()...) })
	on.On("message-with-ack", func(ev *socketio.Event) { _ = ev.Ack(ev.Values()...) })
	on.On("set-data", func(ev *socketio.Event) {
		var value parser.Raw
		if ev.Scan(&value) == nil && ev.Socket.SetData(value) == nil {
			_ = ev.Ack()
		}
	})
	on.On("slow", func(ev *socketio.Event) {
		var ms int
		if ev.Scan(&ms) != nil {
			return
		}
		select {
		case <-time.After(time.Duration(ms) * time.Millisecond):
			_ = ev.Ack(ms)
		case <-ev.Context().Done():
		}
	})
	on.On("panic", func(*socketio.Event) { panic("asked for by the client") })
	on.On("ask-me", askMe)
	on.On("op", func(ev *socketio.Event) {
		var request operation
		if err := ev.Scan(&request); err != nil {
			_ = ev.Ack(failure(err, nil))
			return
		}
		_ = ev.Ack(request.perform(ev.Context(), e, ev.Socket))
	})
}

// askMe asks the client something, inside the handler, and tells it the answer.
func askMe(ev *socketio.Event) {
	var event string
	if ev.Scan(&event) != nil {
		return
	}
	reply, err := ev.Socket.Timeout(time.Second).EmitWithAck(ev.Context(), event, ev.Values()[1:]...)
	if err != nil {
		_ = ev.Ack(map[string]any{"error": err.Error()})
		return
	}
	answer := map[string]any{}
	if values := first(reply); len(values) > 0 {
		answer["reply"] = values[0]
	}
	_ = ev.Ack(answer)
}

// serverSide answers what other nodes say.
func (e *events) serverSide(on space) {
	on.OnServerSide("ping", func(ev *socketio.ServerEvent) {
		var x parser.Raw
		if ev.Scan(&x) == nil {
			_ = ev.Ack(e.node + ":" + text(x))
		}
	})
	on.OnServerSide("note", func(ev *socketio.ServerEvent) {
		args := append([]any{e.node}, ev.Values()...)
		_ = ev.Namespace.Local().To("notes").Emit("note", args...)
	})
}

// first returns the first argument, if there is one.
func first(a parser.Args) []any { return a.Values()[:min(1, a.Len())] }
