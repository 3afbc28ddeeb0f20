// Package app is one production node: a Socket.IO server, its connection to
// Redis, its listeners, and their life from start to drain.
package app

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/dunlin-io/dunlin/cmd/node/internal/admin"
	"github.com/dunlin-io/dunlin/cmd/node/internal/config"
	"github.com/dunlin-io/dunlin/cmd/node/internal/playground"
	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/engineio"
	"github.com/dunlin-io/dunlin/core/socketio"
)

// App is one node.
type App struct {
	cfg    *config.Serve
	log    *slog.Logger
	out    *log.Logger // for people and programs that wait for the node
	bus    *bus
	io     *socketio.Server
	health *admin.Health

	main, admin listener
}

// listener is one address and what serves it.
type listener struct {
	net.Listener
	url    string
	server *http.Server
}

// New returns a node that listens, on addresses that URL and AdminURL tell, and
// waits for Run. Redis need not be there. What becomes known later is printed to
// out: "admin URL", and "ready URL" once clients may come.
func New(cfg *config.Serve, logger *slog.Logger, out io.Writer) (*App, error) {
	a := &App{cfg: cfg, log: logger, out: log.New(out, "", 0), health: admin.NewHealth(cfg.NodeName)}
	var err error
	if a.bus, err = newBus(&cfg.Bus, logger); err != nil {
		return nil, err
	}
	if a.io, err = socketio.New(a.socketConfig()); err != nil {
		return nil, errors.Join(err, a.bus.close())
	}
	a.io.OnServerSide(nameQuestion, func(ev *socketio.ServerEvent) { _ = ev.Ack(cfg.NodeName) })
	if err = a.listen(); err != nil {
		return nil, errors.Join(err, a.io.Shutdown(context.Background()), a.bus.close())
	}
	return a, nil
}

func (a *App) socketConfig() socketio.Config {
	cfg := a.cfg
	c := socketio.Config{
		Engine: engineio.Config{
			Path:           cfg.Path,
			Transports:     cfg.Transports,
			PingInterval:   cfg.PingInterval,
			PingTimeout:    cfg.PingTimeout,
			UpgradeTimeout: cfg.UpgradeTimeout,
			MaxPayload:     cfg.MaxPayload,
			MaxPending:     cfg.MaxPending,
			AllowAnyOrigin: cfg.AllowAnyOrigin,
			OnReject:       (&refusals{log: a.log}).tell,
		},
		Adapter: a.bus.adapter,
		// A later process of the same name is another member of the cluster.
		NodeID:         cluster.NodeID(cfg.NodeName + "-" + randomID()),
		Recovery:       socketio.Recovery{MaxDisconnection: cfg.Recovery},
		ConnectTimeout: cfg.ConnectTimeout,
		RequestTimeout: cfg.RequestTimeout,
		Logger:         a.log,
	}
	switch {
	case cfg.AllowAnyOrigin:
		c.Engine.CORS = &engineio.CORS{Origins: []string{"*"}}
	case len(cfg.Origins) > 0:
		c.Engine.CORS = &engineio.CORS{Origins: cfg.Origins, Credentials: cfg.Credentials}
	}
	if cfg.SessionPrefix != "" {
		c.Engine.NewID = func(*http.Request) (string, error) { return cfg.SessionPrefix + "." + randomID(), nil }
	}
	if cfg.ClientDir != "" {
		c.Client = os.DirFS(cfg.ClientDir)
	}
	return c
}

// randomID returns 20 URL-safe characters with 120 random bits.
func randomID() string {
	var b [15]byte
	rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func (a *App) listen() error {
	routes, err := a.routes()
	if err != nil {
		return err
	}
	if a.main, err = open("--addr", a.cfg.Addr, routes, a.log); err != nil {
		return err
	}
	if a.cfg.TLSCert != "" {
		a.main.url = "https" + strings.TrimPrefix(a.main.url, "http")
	}
	if a.cfg.AdminAddr == "" {
		return nil
	}
	if a.admin, err = open("--admin-addr", a.cfg.AdminAddr, admin.Handler(a.health, a.Peers), a.log); err != nil {
		return errors.Join(err, a.main.Close())
	}
	return nil
}

func (a *App) routes() (http.Handler, error) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", admin.Live)
	mux.Handle("GET /readyz", a.health)
	mux.Handle(a.cfg.Path, a.io)
	mux.Handle(strings.TrimSuffix(a.cfg.Path, "/"), a.io)
	if !a.cfg.Playground {
		return mux, nil
	}
	playground.Register(a.io, playground.Options{
		Node: a.cfg.NodeName,
		Nodes: func(ctx context.Context) ([]string, error) {
			peers, err := a.Peers(ctx)
			return peers.Nodes, err
		},
	})
	page, err := playground.Handler(playground.Page{Path: a.cfg.Path, Official: a.cfg.ClientDir != ""})
	if err != nil {
		return nil, err
	}
	mux.Handle("/", page)
	return mux, nil
}

// URL is where clients connect to.
func (a *App) URL() string { return a.main.url }

// AdminURL is the address of the private listener; empty: there is none.
func (a *App) AdminURL() string { return a.admin.url }

// Run serves until ctx ends, then drains the node: it refuses new sessions,
// waits for load balancers to notice, closes connections so that their clients
// come back elsewhere, and leaves the cluster. Nothing of the node is left when
// it returns. It must be called once.
func (a *App) Run(ctx context.Context) error {
	var running sync.WaitGroup
	failed := make(chan error, 2)
	for _, l := range []listener{a.main, a.admin} {
		if l.server != nil {
			// serve ends when drain closes the listener; Run waits for it.
			running.Go(func() { failed <- a.serve(l) })
		}
	}
	if a.admin.url != "" {
		a.out.Print("admin ", a.admin.url)
	}
	a.log.Info("serving clients", "url", a.main.url, "path", a.cfg.Path, "redis", a.bus.name)
	watched, stopWatching := context.WithCancel(ctx)
	defer stopWatching()
	// watch ends with its context; Run waits for it.
	running.Go(func() { a.watch(watched) })

	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	stopWatching()
	a.drain()
	running.Wait()
	return err
}

// forceGrace is what is left to close what remains after ShutdownTimeout.
const forceGrace = time.Second

func (a *App) drain() {
	a.health.Stop()
	a.io.Refuse(true)
	if a.cfg.DrainDelay > 0 {
		a.log.Info("stopping: new sessions are refused; a second signal stops at once", "connections_close_in", a.cfg.DrainDelay)
		time.Sleep(a.cfg.DrainDelay)
	}
	a.log.Info("stopping: closing connections", "at_most", a.cfg.ShutdownTimeout)
	ctx, cancel := context.WithTimeout(context.Background(), a.cfg.ShutdownTimeout)
	defer cancel()
	if err := a.io.Shutdown(ctx); err != nil {
		// The clients are gone in any case; this is no failure to the caller.
		a.log.Warn("connections had to be cut: give --shutdown-timeout more time if clients should read what waits for them", "err", err)
	}
	last, cancel := context.WithTimeout(context.Background(), forceGrace)
	defer cancel()
	for _, l := range []listener{a.main, a.admin} {
		if l.server != nil && l.server.Shutdown(last) != nil {
			_ = l.server.Close()
		}
	}
	if err := a.bus.close(); err != nil {
		a.log.Warn("close the connection to Redis", "err", err)
	}
	a.log.Info("stopped")
}

// nameQuestion asks nodes for their names.
const nameQuestion = "dunlin:name"

// Peers asks all nodes for their names. Node.js members of the cluster do not
// know the question; they are missing.
func (a *App) Peers(ctx context.Context) (admin.Peers, error) {
	peers := admin.Peers{Node: a.cfg.NodeName, Nodes: []string{a.cfg.NodeName}}
	replies, err := a.io.ServerSideEmitWithAck(ctx, nameQuestion)
	for _, reply := range replies {
		var name string
		if reply.Scan(&name) == nil {
			peers.Nodes = append(peers.Nodes, name)
		}
	}
	var partial *socketio.PartialError
	if errors.As(err, &partial) {
		peers.Missing = partial.Expected - partial.Received
	}
	if err != nil {
		return peers, fmt.Errorf("ask the other nodes for their names: %w", err)
	}
	return peers, nil
}
