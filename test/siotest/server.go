package siotest

import (
	"context"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/adapter/memory"
	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/parser"
	"github.com/dunlin-io/dunlin/core/socketio"
)

// Server is a socketio.Server that serves on a network in memory. It ends with
// the test.
type Server struct {
	*socketio.Server
	t       testing.TB
	network *Listener
	path    string
	parser  parser.Codec
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
	s := &Server{Server: io, t: tb, network: Listen(), path: cfg.Engine.Path, parser: cfg.Parser}
	if s.path == "" {
		s.path = "/socket.io/"
	}
	serve(tb, s.network, io, io.Shutdown)
	return s
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

// Dial connects a client and joins its namespace.
func (s *Server) Dial(opts ...Options) *Client {
	s.t.Helper()
	c := s.Try(opts...)
	c.ExpectConnect()
	return c
}

// Try connects a client and asks for its namespace; ExpectConnect or
// ExpectConnectError says what comes of it.
func (s *Server) Try(opts ...Options) *Client {
	s.t.Helper()
	o := s.options(opts)
	m := &manager{codec: o.Parser, decoder: o.Parser.NewDecoder(o.Limits)}
	if _, err := newSession(s.t, s.network, s.path, o, m); err != nil {
		s.t.Fatalf("connect by %s: %v", o.Transport, err)
	}
	return m.join(o.Namespace, o.Auth)
}

// Open connects without joining a namespace, for tests that send and expect
// packets as they are on the wire.
func (s *Server) Open(opts ...Options) *Session {
	s.t.Helper()
	o := s.options(opts)
	session, err := newSession(s.t, s.network, s.path, o, nil)
	if err != nil {
		s.t.Fatalf("connect by %s: %v", o.Transport, err)
	}
	return session
}

// Refused connects like Open, and returns the error with which the server
// refuses. It fails when the server does not.
func (s *Server) Refused(opts ...Options) error {
	s.t.Helper()
	session, err := newSession(s.t, s.network, s.path, s.options(opts), nil)
	if err == nil {
		session.Cut()
		s.t.Fatal("the server opened a session")
	}
	return err
}

func (s *Server) options(opts []Options) Options {
	s.t.Helper()
	o := one(s.t, opts)
	if o.Parser == nil {
		o.Parser = s.parser
	}
	return o.withDefaults()
}

// HTTP returns a client for requests of the test's own to the server; any host
// name will do.
func (s *Server) HTTP() *http.Client {
	t := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return s.network.Dial(ctx)
	}}
	s.t.Cleanup(t.CloseIdleConnections)
	return &http.Client{Transport: t}
}

// Cluster is several servers joined by one hub.
type Cluster struct {
	t       testing.TB
	hub     *memory.Hub
	servers []*Server
}

// NewCluster starts n servers, named node-0 and so on, that share what the
// configuration says. It takes at most one; without an Adapter the servers
// share a memory.Hub.
func NewCluster(tb testing.TB, n int, cfg ...socketio.Config) *Cluster {
	tb.Helper()
	c := &Cluster{t: tb, hub: memory.New()}
	for i := range n {
		node := one(tb, cfg)
		node.NodeID = NodeID(i)
		if node.Adapter == nil {
			node.Adapter = c.hub
		}
		c.servers = append(c.servers, start(tb, node))
	}
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	for _, s := range c.servers {
		if err := s.Ready(ctx); err != nil {
			tb.Fatal(err)
		}
	}
	return c
}

// NodeID is the name of a cluster's i-th server.
func NodeID(i int) cluster.NodeID { return cluster.NodeID("node-" + strconv.Itoa(i)) }

// Hub is what joins the servers.
func (c *Cluster) Hub() *memory.Hub { return c.hub }

// Server returns the i-th server.
func (c *Cluster) Server(i int) *Server { return c.servers[i] }

// Servers returns all servers.
func (c *Cluster) Servers() []*Server { return c.servers }

// Dial connects a client to the i-th server.
func (c *Cluster) Dial(i int, opts ...Options) *Client {
	c.t.Helper()
	return c.servers[i].Dial(opts...)
}
