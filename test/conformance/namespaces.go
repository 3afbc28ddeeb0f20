package main

import (
	"regexp"

	"github.com/dunlin-io/dunlin/core/parser"
	"github.com/dunlin-io/dunlin/core/socketio"
)

// space is what events are registered on: a namespace, or a family of them.
type space interface {
	socketio.Listener
	OnConnect(f func(*socketio.Socket)) (off func())
	OnServerSide(event string, f func(*socketio.ServerEvent)) (off func())
}

// dynamic matches the names of namespaces that behave like "/".
var dynamic = regexp.MustCompile(`^/dyn-\d+$`)

func serveNamespaces(io *socketio.Server, node string) {
	e := &events{io: io, node: node}
	for _, s := range []space{io, io.OfPattern(dynamic)} {
		greet(s)
		e.playground(s)
		e.conformance(s)
		e.serverSide(s)
	}
	greet(io.Of("/custom"))
	e.playground(io.Of("/playground"))
	io.Of("/guarded").Use(guard)
}

// greet emits the client's auth payload to it.
func greet(s space) {
	s.OnConnect(func(s *socketio.Socket) {
		_ = s.Emit("auth", s.Handshake().Auth.Values()...) // it may have left
	})
}

// guard lets in who knows the word.
func guard(s *socketio.Socket) error {
	var auth struct {
		Token string `json:"token"`
	}
	if err := s.Handshake().Auth.Scan(&auth); err != nil || auth.Token != "let-me-in" {
		return &socketio.ConnectError{Message: "not authorized", Data: map[string]string{"code": "E_AUTH"}}
	}
	return nil
}

// text is a value as JavaScript writes it into a string.
func text(v parser.Raw) string {
	var s string
	if v.Scan(&s) == nil {
		return s
	}
	return string(v.Payload().JSON)
}
