// Package playground is what `dunlin dev` shows: a demo page, and the events
// that it and test programs use, in the namespaces / and /playground.
package playground

import (
	"context"
	"time"

	"github.com/dunlin-io/dunlin/core/parser"
	"github.com/dunlin-io/dunlin/core/socketio"
)

// Options say what the playground tells about its node.
type Options struct {
	Node  string                                  // its name
	Nodes func(context.Context) ([]string, error) // names of the nodes that answer; what came, also with an error
}

// joinTimeout bounds how long a join waits for Redis to confirm it.
const joinTimeout = 5 * time.Second

// Register adds the playground's events to the namespaces / and /playground of
// io. Programs use
//
//	echo (…args, ack)         acks the same arguments
//	bcast (payload)           emits msg (payload) to everybody
//	join (room, ack)          acks once nothing sent to the room can be missed
//	leave (room, ack)
//	room (room, payload)      emits msg (payload) to the room
//	whoami (ack)              acks {id, node, rooms, recovered}
//
// and the page, beside them,
//
//	nodes (ack)               acks the names of the nodes that answer
//	name (name, ack)          acks the name that others will see
//	say (message, ack)        emits said to those whom the message selects, acks who got it
func Register(io *socketio.Server, o Options) {
	for _, ns := range []*socketio.Namespace{io.Of("/"), io.Of("/playground")} {
		ns.On("echo", func(ev *socketio.Event) { _ = ev.Ack(ev.Values()...) })
		socketio.On(ns, "bcast", func(_ context.Context, _ *socketio.Socket, payload parser.Raw) error {
			return ns.Emit("msg", payload)
		})
		socketio.On(ns, "join", func(ctx context.Context, s *socketio.Socket, room string) error {
			ctx, cancel := context.WithTimeout(ctx, joinTimeout)
			defer cancel()
			return s.JoinWait(ctx, room)
		})
		socketio.On(ns, "leave", func(_ context.Context, s *socketio.Socket, room string) error {
			s.Leave(room)
			return nil
		})
		socketio.On2(ns, "room", func(_ context.Context, _ *socketio.Socket, room string, payload parser.Raw) error {
			return ns.To(room).Emit("msg", payload)
		})
		ns.On("whoami", func(ev *socketio.Event) { _ = ev.Ack(whoami(ev.Socket, o.Node)) })
		ns.On("nodes", func(ev *socketio.Event) {
			names, _ := o.Nodes(ev.Context()) // those that are missing may be just starting
			_ = ev.Ack(names)
		})
		registerChat(ns, o.Node)
	}
}

type identity struct {
	ID        string   `json:"id"`
	Node      string   `json:"node"`
	Rooms     []string `json:"rooms"`
	Recovered bool     `json:"recovered"`
}

func whoami(s *socketio.Socket, node string) identity {
	return identity{ID: s.ID(), Node: node, Rooms: s.Rooms(), Recovered: s.Recovery().Recovered}
}
