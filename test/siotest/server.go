package siotest

import (
	"context"
	"errors"
	"io"
	"log"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/core/socketio"
)

// Server is a socketio.Server that serves on a network in memory. It ends with
// the test.
type Server struct {
	*socketio.Server
	*Endpoint
}

// NewServer starts a server. It takes at most one configuration; without a
// Logger the server logs to the test.
func NewServer(tb testing.TB, cfg ...socketio.Config) *Server {
	tb.Helper()
	return start(tb, one(tb, cfg))
}

func start(tb testing.TB, cfg socketio.Config) *Server {
	tb.Helper()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(tb.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	io, err := socketio.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	e := newEndpoint(tb, Listen())
	e.defaults = Options{Path: cfg.Engine.Path, Parser: cfg.Parser}
	serve(tb, e.network, io, io.Shutdown)
	return &Server{Server: io, Endpoint: e}
}

// serve runs an HTTP server until the test ends. It is shut down after what it
// serves.
func serve(tb testing.TB, l *Listener, h http.Handler, shutdown func(context.Context) error) {
	tb.Helper()
	web := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: time.Minute}
	var running sync.WaitGroup
	// Serve returns when the cleanup below shuts the server down, which then
	// waits for it.
	running.Go(func() {
		if err := web.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			tb.Errorf("serve: %v", err)
		}
	})
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := shutdown(ctx); err != nil {
			tb.Errorf("the server did not end: %v", err)
		}
		if err := web.Shutdown(ctx); err != nil {
			tb.Errorf("the HTTP server did not end: %v", err)
		}
		running.Wait()
	})
}

func one[T any](tb testing.TB, opts []T) (v T) {
	tb.Helper()
	switch len(opts) {
	case 0:
	case 1:
		v = opts[0]
	default:
		tb.Fatalf("%d values given, at most one is used", len(opts))
	}
	return v
}
