package bench

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/adapter/memory"
	"github.com/dunlin-io/dunlin/cmd/node/internal/config"
	"github.com/dunlin-io/dunlin/cmd/node/internal/playground"
	"github.com/dunlin-io/dunlin/core/engineio"
	"github.com/dunlin-io/dunlin/core/socketio"
)

const pingInterval = 50 * time.Millisecond

// serve starts a server with what register adds, and returns its address.
func serve(t *testing.T, hub *memory.Hub, register func(*socketio.Server), start func(*httptest.Server)) string {
	t.Helper()
	cfg := socketio.Config{
		Engine: engineio.Config{PingInterval: pingInterval, PingTimeout: time.Minute},
		Logger: slog.New(slog.DiscardHandler),
	}
	if hub != nil {
		cfg.Adapter = hub
	}
	io, err := socketio.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	register(io)
	srv := httptest.NewUnstartedServer(io)
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	start(srv)
	t.Cleanup(func() {
		_ = io.Shutdown(context.Background())
		srv.Close()
	})
	return srv.URL
}

func withPlayground(io *socketio.Server) { playground.Register(io, playground.Options{Node: "n"}) }

// nodes starts a cluster with the playground.
func nodes(t *testing.T, n int) (urls []string) {
	t.Helper()
	hub := memory.New()
	for range n {
		urls = append(urls, serve(t, hub, withPlayground, (*httptest.Server).Start))
	}
	return urls
}

// settings are those of a short run.
func settings(scenario string, urls ...string) *config.Bench {
	return &config.Bench{
		Scenario: scenario, URLs: urls, Clients: 20, Rooms: 3, Duration: 300 * time.Millisecond, Warmup: 20 * time.Millisecond,
		Timeout: 5 * time.Second, Size: 128, Namespace: "/", Path: "/socket.io/",
	}
}

func mustMeasure(t *testing.T, cfg *config.Bench) *Report {
	t.Helper()
	report, err := measure(t.Context(), cfg, nil)
	if err != nil {
		t.Fatalf("%s: %v", cfg.Scenario, err)
	}
	return report
}
