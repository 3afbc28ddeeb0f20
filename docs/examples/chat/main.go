// Command chat is a chat with accounts and rooms.
//
//	const socket = io("http://127.0.0.1:3000", { auth: { token: "ada-secret" } });
//	const { members } = await socket.emitWithAck("join", "lobby");
//	socket.on("said", ({ room, from, text }) => console.log(room, from, text));
//	await socket.emitWithAck("say", { room: "lobby", text: "hello" });
package main

import (
	"context"
	"log"
	"net/http"
	"slices"
	"strings"

	"github.com/dunlin-io/dunlin/core/socketio"
)

// accounts are the users by their tokens. Yours are in a database.
var accounts = map[string]string{"ada-secret": "ada", "bob-secret": "bob"}

// user is what all nodes know of a socket.
type user struct {
	Name string `json:"name"`
}

type roster struct {
	Members []string `json:"members"`
}

type message struct {
	Room string `json:"room"`
	From string `json:"from"`
	Text string `json:"text"`
}

// room is the name of a chat's room. The prefix keeps clients out of the rooms
// that are named after sockets.
func room(name string) string { return "chat:" + name }

func main() {
	chat, err := newChat(socketio.Config{})
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:3000", chat))
}

func newChat(cfg socketio.Config) (*socketio.Server, error) {
	io, err := socketio.New(cfg)
	if err != nil {
		return nil, err
	}
	io.Use(func(s *socketio.Socket) error {
		var auth struct{ Token string }
		_ = s.Handshake().Auth.Scan(&auth) // what is no token is refused with the others
		name, ok := accounts[auth.Token]
		if !ok {
			return &socketio.ConnectError{Message: "not authorized", Data: map[string]string{"code": "E_TOKEN"}}
		}
		return s.SetData(user{name})
	})
	socketio.Handle(io, "join", func(ctx context.Context, s *socketio.Socket, name string) (roster, error) {
		if err := s.JoinWait(ctx, room(name)); err != nil {
			return roster{}, err
		}
		_ = s.To(room(name)).Emit("joined", name, nameOf(s))
		return members(ctx, io, name)
	})
	socketio.On(io, "say", func(_ context.Context, s *socketio.Socket, m message) error {
		if !s.InRoom(room(m.Room)) {
			return &socketio.RemoteError{Code: "not_in_room", Message: "join " + m.Room + " first"}
		}
		m.From = nameOf(s) // and not what the client says
		return io.To(room(m.Room)).Emit("said", m)
	})
	io.OnDisconnecting(func(s *socketio.Socket, _ socketio.Reason) {
		for _, r := range s.Rooms() {
			if name, ok := strings.CutPrefix(r, room("")); ok {
				_ = s.To(r).Emit("left", name, nameOf(s))
			}
		}
	})
	return io, nil
}

func nameOf(s *socketio.Socket) string {
	var u user
	_ = s.ScanData(&u) // set by the middleware
	return u.Name
}

// members names who is in a room, on any node.
func members(ctx context.Context, io *socketio.Server, name string) (roster, error) {
	sockets, err := io.In(room(name)).FetchSockets(ctx)
	all := []string{}
	for _, s := range sockets {
		var u user
		if s.ScanData(&u) == nil {
			all = append(all, u.Name)
		}
	}
	slices.Sort(all)
	return roster{slices.Compact(all)}, err
}
