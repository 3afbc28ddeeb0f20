package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dunlin-io/dunlin/core/parser"
	"github.com/dunlin-io/dunlin/core/socketio"
)

// operation is one server-side operation that a client asks for. It selects
// sockets as the API does: from the namespace, or with Self from the socket.
type operation struct {
	Kind      string   `json:"kind"`
	Nsp       string   `json:"nsp"`
	Rooms     []string `json:"rooms"`
	Except    []string `json:"except"`
	Self      bool     `json:"self"`
	Local     bool     `json:"local"`
	Volatile  bool     `json:"volatile"`
	Compress  *bool    `json:"compress"` // beyond the contract
	TimeoutMS int      `json:"timeoutMs"`
	Event     string   `json:"event"`
	Args      []any    `json:"args"` // binary values stay binary in it
	Close     bool     `json:"close"`
	Targets   []string `json:"targets"`
}

func success(result any) map[string]any { return map[string]any{"ok": true, "result": result} }

func failure(err error, partial any) map[string]any {
	answer := map[string]any{"ok": false, "error": err.Error()}
	if partial != nil {
		answer["partial"] = partial
	}
	return answer
}

// perform runs the operation and returns what the client is told.
func (o *operation) perform(ctx context.Context, e *events, s *socketio.Socket) map[string]any {
	ns := e.namespace(o.Nsp)
	if ns == nil {
		return failure(fmt.Errorf("namespace %q is not one of this server's", o.Nsp), nil)
	}
	result, err := o.run(ctx, ns, o.selection(ns, s))
	if err != nil {
		return failure(err, result)
	}
	return success(result)
}

// namespace finds a namespace. A dynamic one may have its sockets on other
// nodes only.
func (e *events) namespace(name string) *socketio.Namespace {
	switch name {
	case "":
		return e.io.Namespace
	case "/", "/custom", "/playground", "/guarded":
		return e.io.Of(name)
	}
	if !dynamic.MatchString(name) {
		return nil
	}
	return e.io.Of(name)
}

func (o *operation) selection(ns *socketio.Namespace, s *socketio.Socket) socketio.BroadcastOperator {
	to := ns.Except()
	if o.Self {
		to = s.Broadcast()
	}
	if len(o.Rooms) > 0 {
		to = to.To(o.Rooms...)
	}
	to = to.Except(o.Except...)
	if o.Local {
		to = to.Local()
	}
	if o.Volatile {
		to = to.Volatile()
	}
	if o.Compress != nil {
		to = to.Compress(*o.Compress)
	}
	return to
}

// run returns the result, or with an error what came nevertheless.
func (o *operation) run(ctx context.Context, ns *socketio.Namespace, to socketio.BroadcastOperator) (any, error) {
	timeout := time.Second
	if o.TimeoutMS > 0 {
		timeout = time.Duration(o.TimeoutMS) * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	switch o.Kind {
	case "emit":
		return nil, to.Emit(o.Event, o.Args...)
	case "emitWithAck":
		replies, err := to.Timeout(timeout).EmitWithAck(ctx, o.Event, o.Args...)
		return firsts(replies), missing(err)
	case "fetchSockets":
		sockets, err := to.FetchSockets(ctx)
		return describe(sockets), missing(err)
	case "socketsJoin":
		return nil, to.SocketsJoin(o.Targets...)
	case "socketsLeave":
		return nil, to.SocketsLeave(o.Targets...)
	case "disconnectSockets":
		if o.Close {
			return nil, to.DisconnectConns()
		}
		return nil, to.DisconnectSockets()
	case "serverSideEmit":
		return nil, ns.ServerSideEmit(o.Event, o.Args...)
	case "serverSideEmitWithAck":
		replies, err := ns.ServerSideEmitWithAck(ctx, o.Event, o.Args...)
		return firsts(replies), missing(err)
	case "allRooms":
		rooms, err := ns.Rooms(ctx)
		slices.Sort(rooms)
		return rooms, missing(err)
	}
	return nil, fmt.Errorf("unknown operation %q", o.Kind)
}

// missing says how many answers are missing.
func missing(err error) error {
	var partial *socketio.PartialError
	if errors.As(err, &partial) {
		return fmt.Errorf("%d of %d answers are missing: %w", partial.Expected-partial.Received, partial.Expected, err)
	}
	return err
}

// firsts are the first arguments of replies; null where there is none.
func firsts(replies []socketio.Reply) []any {
	values := make([]any, len(replies))
	for i, r := range replies {
		if args := first(r.Args); len(args) > 0 {
			values[i] = args[0]
		}
	}
	return values
}

func describe(sockets []*socketio.RemoteSocket) []map[string]any {
	list := make([]map[string]any, len(sockets))
	for i, s := range sockets {
		var data parser.Raw
		if s.ScanData(&data) != nil || data.Payload().JSON == nil {
			data, _ = parser.MakeRaw(struct{}{}) // an empty object, as in JavaScript
		}
		query := make(map[string]string, len(s.Handshake.Query))
		for name := range s.Handshake.Query {
			query[name] = s.Handshake.Query.Get(name)
		}
		rooms := slices.Sorted(slices.Values(s.Rooms))
		auth := first(s.Handshake.Auth)
		list[i] = map[string]any{
			"id": s.ID, "rooms": rooms, "data": data,
			"handshake": map[string]any{"auth": auth[0], "query": query},
		}
	}
	return list
}
