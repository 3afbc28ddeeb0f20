package playground

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"

	"github.com/dunlin-io/dunlin/core/socketio"
)

// Bounds of what one visitor can show to the others.
const (
	maxName      = 24  // characters
	maxText      = 500 // characters
	maxRooms     = 8
	maxReceivers = 50 // named in an answer
	ackTimeout   = 2 * time.Second
)

// message is what a visitor says, and to whom. Each field is a modifier of the
// broadcast that carries it.
type message struct {
	Text   string   `json:"text"`
	Others bool     `json:"others"` // everybody but the visitor
	Rooms  []string `json:"rooms"`
	Except []string `json:"except"` // rooms
	Local  bool     `json:"local"`  // this node only
}

// said is what those selected by a message see of it. They acknowledge it with
// a receiver.
type said struct {
	message
	ID   string `json:"id"`
	From string `json:"from"`
	Node string `json:"node"`
}

// receiver is who got a message.
type receiver struct {
	Name string `json:"name"`
	Node string `json:"node"`
}

// outcome acknowledges a message.
type outcome struct {
	Reached int        `json:"reached"`
	Names   []receiver `json:"names"`
	Missing int        `json:"missing"` // did not acknowledge in time
}

// names holds what visitors call themselves.
var names = socketio.NewKey[string]()

func registerChat(ns *socketio.Namespace, node string) {
	socketio.Handle(ns, "name", func(_ context.Context, s *socketio.Socket, name string) (string, error) {
		name = plain(name, maxName)
		if name == "" {
			name = "guest"
		}
		names.Set(s, name)
		return name, nil
	})
	socketio.Handle(ns, "say", func(ctx context.Context, s *socketio.Socket, m message) (outcome, error) {
		return say(ctx, ns, s, m, node)
	})
}

func say(ctx context.Context, ns *socketio.Namespace, s *socketio.Socket, m message, node string) (outcome, error) {
	m.Text = plain(m.Text, maxText)
	if m.Text == "" || len(m.Rooms) > maxRooms || len(m.Except) > maxRooms {
		return outcome{}, &socketio.RemoteError{Code: "bad_message", Message: "say something, and name at most 8 rooms"}
	}
	to := ns.Except(m.Except...)
	if m.Others {
		to = to.Except(s.ID())
	}
	if len(m.Rooms) > 0 {
		to = to.To(m.Rooms...)
	}
	if m.Local {
		to = to.Local()
	}
	name, _ := names.Get(s)
	replies, err := to.Timeout(ackTimeout).EmitWithAck(ctx, "said", said{message: m, ID: s.ID(), From: name, Node: node})
	out := outcome{Reached: len(replies), Names: []receiver{}}
	var partial *socketio.PartialError
	switch {
	case errors.As(err, &partial):
		out.Missing = partial.Expected - partial.Received
	case err != nil:
		return outcome{}, &socketio.RemoteError{Code: "not_sent", Message: err.Error()}
	}
	for _, reply := range replies[:min(len(replies), maxReceivers)] {
		var r receiver
		if reply.Scan(&r) == nil {
			out.Names = append(out.Names, receiver{plain(r.Name, maxName), plain(r.Node, 64)})
		}
	}
	return out, nil
}

// plain returns at most limit printable characters of text, without space
// around them.
func plain(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsPrint(r), r == '\u200d': // joins emoji
			return r
		case unicode.IsSpace(r):
			return ' '
		}
		return -1
	}, text)
	runes := []rune(strings.TrimSpace(text))
	return strings.TrimSpace(string(runes[:min(len(runes), limit)]))
}
