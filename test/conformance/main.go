// Command conformance is the server that tests which nobody here wrote talk
// to: protocol suites, JavaScript and Python clients, load generators. It is
// never shipped.
//
// It echoes Engine.IO messages at /engine.io/ and serves Socket.IO at
// /socket.io/: the namespaces "/", "/custom", "/playground", "/guarded" and
// "/dyn-<digits>", with the events of this folder. The environment configures
// it; see settings.go. It prints "ready http://127.0.0.1:PORT" when it serves
// and hears the other nodes, and exits with status 0 on SIGTERM.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	redisadapter "github.com/dunlin-io/dunlin/adapter/redis"
	"github.com/dunlin-io/dunlin/core/engineio"
	"github.com/dunlin-io/dunlin/core/socketio"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Getenv); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

// shutdownTimeout bounds each step of the end.
const shutdownTimeout = 5 * time.Second

// run serves until ctx ends.
func run(ctx context.Context, getenv func(string) string) (err error) {
	set, err := readSettings(getenv)
	if err != nil {
		return err
	}
	// Not to stderr: a test that provokes a panic or ends Redis is no failure.
	logger := slog.New(slog.NewTextHandler(os.Stdout, nil))
	cfg := set.socketio(logger)
	if set.redis != nil {
		client := redis.NewClient(set.redis)
		defer func() { err = errors.Join(err, client.Close()) }()
		set.adapter.Logger = logger
		adapter, err := redisadapter.New(client, set.adapter)
		if err != nil {
			return err
		}
		defer adapter.Close()
		cfg.Adapter = adapter
	}
	io, err := socketio.New(cfg)
	if err != nil {
		return err
	}
	serveNamespaces(io, set.node)
	engine, err := engineio.New(set.engine(logger), newEcho)
	if err != nil {
		return err
	}

	mux := http.NewServeMux()
	mux.Handle("/socket.io/", io)
	mux.Handle("/engine.io/", engine)
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(set.port))
	return serve(ctx, address, mux, io, engine)
}

// serve runs the HTTP server until ctx ends.
func serve(ctx context.Context, address string, h http.Handler, io *socketio.Server, engine *engineio.Server) error {
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	web := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	// Serve returns when shutDown ends the server; served waits for it.
	go func() { served <- web.Serve(l) }()

	err = io.Ready(ctx)
	if err == nil {
		fmt.Printf("ready http://%s\n", address)
		select {
		case <-ctx.Done():
		case err = <-served:
			served <- nil
		}
	} else if ctx.Err() != nil {
		err = nil // asked to end before the others were heard
	}
	return errors.Join(err, shutDown(web, io, engine, served))
}

// shutDown ends every session and then the HTTP server.
func shutDown(web *http.Server, io *socketio.Server, engine *engineio.Server, served <-chan error) error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	for _, step := range []func(context.Context) error{io.Shutdown, engine.Shutdown} {
		if err := step(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
	if err := web.Shutdown(ctx); err != nil {
		_ = web.Close() // who is still there had its time
	}
	if err := <-served; err != nil && !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
