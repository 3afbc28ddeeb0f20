// Command gin serves Socket.IO from a route of github.com/gin-gonic/gin.
package main

import (
	"context"
	"errors"
	"log"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/dunlin-io/dunlin/core/socketio"
)

func main() {
	sockets, err := socketio.New(socketio.Config{})
	if err != nil {
		log.Fatal(err)
	}
	// Not gin's Run: it knows no end.
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
	r := gin.Default() // with its logger and its recovery
	r.Any("/socket.io/*any", gin.WrapH(sockets))
	r.GET("/", func(c *gin.Context) { c.String(http.StatusOK, "hello") })
	return r
}
