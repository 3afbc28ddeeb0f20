// Command echo serves Socket.IO from a route of github.com/labstack/echo.
package main

import (
	"context"
	"errors"
	"log"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"github.com/labstack/echo/v5"
	"github.com/labstack/echo/v5/middleware"

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
	e := echo.New()
	// They wrap the http.ResponseWriter, which is no obstacle.
	e.Use(middleware.RequestLogger(), middleware.Recover(), middleware.Gzip())
	e.Any("/socket.io/*", echo.WrapHandler(sockets))
	e.GET("/", func(c *echo.Context) error { return c.String(http.StatusOK, "hello") })
	return e
}
