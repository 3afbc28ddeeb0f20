package socketio_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"

	"github.com/dunlin-io/dunlin/adapter/memory"
	"github.com/dunlin-io/dunlin/core/engineio"
	"github.com/dunlin-io/dunlin/core/socketio"
)

// srv is the server of the examples below.
var srv, _ = socketio.New(socketio.Config{})

// A chat: everybody hears what anybody says.
func Example() {
	io, err := socketio.New(socketio.Config{})
	if err != nil {
		log.Fatal(err)
	}
	io.On("chat", func(ev *socketio.Event) {
		var text string
		if err := ev.Scan(&text); err != nil {
			return
		}
		_ = io.Emit("chat", ev.Socket.ID(), text)
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:3000", io))
}

// A server beside other handlers, with TLS and an orderly end.
func Example_shutdown() {
	io, err := socketio.New(socketio.Config{
		Engine: engineio.Config{CORS: &engineio.CORS{Origins: []string{"https://app.example"}}},
		Logger: slog.Default(),
	})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", io)
	server := &http.Server{Addr: "127.0.0.1:8443", Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { // ends by Shutdown, or with the program
		if err := server.ListenAndServeTLS("cert.pem", "key.pem"); !errors.Is(err, http.ErrServerClosed) {
			log.Fatal(err)
		}
	}()

	stop, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	<-stop.Done()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_ = io.Shutdown(ctx) // first: the transports that it closes are requests of the server
	_ = server.Shutdown(ctx)
}

// Two servers that form a cluster inside one process.
func Example_cluster() {
	hub := memory.New()
	a, err := socketio.New(socketio.Config{Adapter: hub, NodeID: "a"})
	if err != nil {
		log.Fatal(err)
	}
	b, err := socketio.New(socketio.Config{Adapter: hub, NodeID: "b"})
	if err != nil {
		log.Fatal(err)
	}
	_ = a.To("room1").Emit("news", "for the members on both")
	_ = b.Shutdown(context.Background())
	_ = a.Shutdown(context.Background())
	fmt.Println(a.NodeID(), b.NodeID())
	// Output: a b
}

// Rooms: joining, leaving, and whom an event reaches.
func ExampleSocket_Join() {
	srv.On("join", func(ev *socketio.Event) {
		var room string
		if err := ev.Scan(&room); err != nil {
			return
		}
		if err := ev.Socket.JoinWait(ev.Context(), room); err != nil {
			return
		}
		_ = ev.Socket.To(room).Emit("joined", ev.Socket.ID()) // everybody there but itself
		_ = ev.Ack()
	})
	srv.OnDisconnecting(func(s *socketio.Socket, reason socketio.Reason) {
		_ = s.To(s.Rooms()...).Emit("left", s.ID(), reason)
	})
}

// An operator is a value: it can be kept, extended and shared.
func ExampleBroadcastOperator() {
	lobby := srv.To("lobby")
	_ = lobby.Emit("hello")
	_ = lobby.Except("muted").Volatile().Emit("position", 1, 2)
	_ = lobby.Local().Emit("this node restarts soon")
}

// Asking a client, with a time limit.
func ExampleSocket_EmitWithAck() {
	srv.OnConnect(func(s *socketio.Socket) {
		ctx, cancel := context.WithTimeout(s.Context(), 3*time.Second)
		defer cancel()
		reply, err := s.EmitWithAck(ctx, "who are you?")
		if err != nil {
			s.Disconnect()
			return
		}
		var name string
		_ = reply.Scan(&name)
	})
}

// Asking everybody in a room, on all nodes.
func ExampleBroadcastOperator_EmitWithAck() {
	replies, err := srv.To("voters").Timeout(5*time.Second).EmitWithAck(context.Background(), "vote", "blue or red?")
	var partial *socketio.PartialError
	if errors.As(err, &partial) {
		fmt.Println(partial.Received, "of", partial.Expected, "voted")
	}
	for _, r := range replies {
		var vote string
		if r.Scan(&vote) == nil {
			fmt.Println(r.SocketID, vote)
		}
	}
}

// Binary values: []byte anywhere in the arguments, both ways.
func ExampleEvent_Scan_binary() {
	type file struct {
		Name    string `json:"name"`
		Content []byte `json:"content"`
	}
	srv.On("upload", func(ev *socketio.Event) {
		var f file
		if err := ev.Scan(&f); err != nil {
			_ = ev.Ack("not a file: " + err.Error())
			return
		}
		_ = ev.Socket.Broadcast().Emit("uploaded", f)
		_ = ev.Ack(len(f.Content))
	})
}

// Authorization: refuse with data that the client sees in connect_error.
func ExampleNamespace_Use() {
	type user struct{ Name string }
	users := socketio.NewKey[user]()
	lookUp := func(context.Context, string) (user, error) { return user{}, errors.New("no such token") }

	srv.Of("/admin").Use(func(s *socketio.Socket) error {
		var auth struct{ Token string }
		if err := s.Handshake().Auth.Scan(&auth); err != nil {
			return &socketio.ConnectError{Message: "token missing", Data: map[string]string{"code": "E_TOKEN"}}
		}
		u, err := lookUp(s.Context(), auth.Token)
		if err != nil {
			return &socketio.ConnectError{Message: "not authorized", Data: map[string]string{"code": "E_AUTH"}}
		}
		users.Set(s, u)
		s.Join("user:" + u.Name)
		return nil
	})
}

// Namespaces that come into being when clients ask for them.
func ExampleServer_OfPattern() {
	games := srv.OfPattern(regexp.MustCompile(`/game-\d+`))
	games.On("move", func(ev *socketio.Event) {
		_ = ev.Socket.Broadcast().Emit("moved", ev.Values()...)
	})
	_ = games.Emit("maintenance at noon") // everybody in every game
}

// A game that is over: its players are disconnected, and its name is free.
func ExampleServer_DeleteNamespace() {
	srv.Of("/game-7").On("resign", func(ev *socketio.Event) {
		_ = ev.Socket.Namespace().Emit("over", ev.Socket.ID())
		// Not ev.Context(): it ends with the socket, and so with the namespace.
		if err := srv.DeleteNamespace(context.Background(), "/game-7"); err != nil {
			slog.Warn("the game is over here, but the other nodes may not know", "err", err)
		}
	})
}

// Catch-all listeners: a log of everything.
func ExampleNamespace_OnAnyIncoming() {
	srv.OnAnyIncoming(func(ev *socketio.Event) {
		slog.Info("in", "socket", ev.Socket.ID(), "event", ev.Name, "args", ev.Len())
	})
	srv.OnAnyOutgoing(func(ev *socketio.Event) {
		slog.Info("out", "socket", ev.Socket.ID(), "event", ev.Name, "args", ev.Len())
	})
}

// Typed handlers: the argument is decoded, the result is the acknowledgement.
func ExampleHandle() {
	type order struct {
		Item   string `json:"item"`
		Amount int    `json:"amount"`
	}
	type receipt struct {
		Number int `json:"number"`
	}
	socketio.Handle(srv, "order", func(_ context.Context, _ *socketio.Socket, o order) (receipt, error) {
		if o.Amount < 1 {
			return receipt{}, &socketio.RemoteError{Code: "amount", Message: "order at least one"}
		}
		return receipt{Number: 1}, nil
	})
}

// Asking a client, typed: the answer is decoded.
func ExampleCall() {
	type position struct{ X, Y int }
	srv.OnConnect(func(s *socketio.Socket) {
		p, err := socketio.Call[position](s.Context(), s, "where are you?")
		var refused *socketio.RemoteError
		switch {
		case errors.As(err, &refused):
			slog.Info("the client does not say", "code", refused.Code)
		case err == nil:
			_ = s.Broadcast().Emit("moved", s.ID(), p)
		}
	})
}

// Recovery: a client that was away for a moment goes on where it was.
func ExampleRecovery() {
	io, err := socketio.New(socketio.Config{Recovery: socketio.Recovery{MaxDisconnection: 2 * time.Minute}})
	if err != nil {
		log.Fatal(err)
	}
	io.OnConnect(func(s *socketio.Socket) {
		if r := s.Recovery(); r.Recovered {
			return // same id, rooms and data; what it missed is on its way
		}
		s.Join("news")
	})
}

// Emitting from outside of any handler.
func ExampleServer_emitFromAnywhere() {
	for range time.Tick(time.Minute) {
		if err := srv.To("news").Emit("time", time.Now()); errors.Is(err, socketio.ErrNotPropagated) {
			slog.Warn("only this node's clients got the time", "err", err)
		}
	}
}

// Servers among themselves.
func ExampleNamespace_ServerSideEmitWithAck() {
	srv.OnServerSide("load?", func(ev *socketio.ServerEvent) { _ = ev.Ack(srv.Len()) })
	replies, err := srv.ServerSideEmitWithAck(context.Background(), "load?")
	for _, r := range replies {
		var sockets int
		if r.Scan(&sockets) == nil {
			fmt.Println(r.Node, sockets)
		}
	}
	if err != nil {
		fmt.Println("some node did not answer:", err)
	}
}
