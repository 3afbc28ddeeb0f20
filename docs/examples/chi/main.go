// Command chi serves Socket.IO from a route of github.com/go-chi/chi.
package main

import (
	"context"
	"errors"
	"log"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/dunlin-io/dunlin/core/socketio"
)

func main() {
	sockets, err := socketio.New(socketio.Config{})
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Addr: "127.0.0.1:3000", Handler: routes(sockets), ReadHeaderTimeout: 10 * time.Second}

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		<-ctx.Done()
		end, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		// The sockets first: their polls are requests that the server waits for.
		if err := errors.Join(sockets.Shutdown(end), server.Shutdown(end)); err != nil {
			log.Print(err)
		}
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
	<-ended
}

func routes(sockets *socketio.Server) http.Handler {
	sockets.On("hello", func(ev *socketio.Event) {
		_ = ev.Socket.Emit("hello", ev.Values()...)
	})
	r := chi.NewRouter()
	// They wrap the http.ResponseWriter, which is no obstacle.
	r.Use(middleware.RequestID, middleware.Logger, middleware.Recoverer, middleware.Compress(5))
	r.Handle("/socket.io/*", sockets)
	// What ends slow requests must not see those of sockets, which are slow on
	// purpose: give it to the other routes.
	r.With(middleware.Timeout(10*time.Second)).Get("/", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("hello"))
	})
	return r
}
