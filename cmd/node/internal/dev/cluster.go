// Package dev runs a whole cluster on one machine: an embedded Redis, nodes and
// a front door. Redis and nodes are processes of their own, so that each can be
// stopped, killed and started like the real ones.
package dev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/dunlin-io/dunlin/cmd/node/internal/config"
)

// cluster is what Run has started.
type cluster struct {
	cfg     *config.Dev
	log     *slog.Logger
	out     *log.Logger
	stderr  io.Writer
	program string
	redis   *child // nil: --redis
	nodes   []*child
}

// Run starts a cluster, prints to out where its parts are, and when all of them
// hear each other "ready URL" of the front door. The children write their logs
// to stderr. When ctx ends it stops the cluster and returns nil.
func Run(ctx context.Context, cfg *config.Dev, logger *slog.Logger, out, stderr io.Writer) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	c := &cluster{cfg: cfg, log: logger, out: log.New(out, "", 0), stderr: stderr, program: program}
	front, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Addr)
	if err != nil {
		return fmt.Errorf("--addr: %w: stop what listens there, or choose another port; port 0 is a free one", err)
	}
	defer c.stop() // what start has begun, also when it fails
	c.out.Printf("dev pid %d", os.Getpid())
	if err := c.start(ctx); err != nil {
		_ = front.Close()
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	return c.serve(ctx, front)
}

// start starts Redis, then the nodes, and waits until all are up.
func (c *cluster) start(ctx context.Context) error {
	redisURL, redisName := c.cfg.Redis, c.cfg.RedisName()
	if redisURL == "" {
		c.redis = c.child("redis", func(p *process) { c.out.Printf("redis %s pid %d", p.announced["ready"], p.pid()) })
		c.redis.args = func(addr string) ([]string, error) { return []string{"dev-redis", "--addr=" + addr}, nil }
		c.redis.run()
		if err := c.redis.wait(ctx); err != nil {
			return err
		}
		redisURL, redisName = c.redis.url, c.redis.url
	}
	for i := range c.cfg.Nodes {
		name := fmt.Sprintf("node-%d", i+1)
		node := c.child(name, func(p *process) {
			c.out.Printf("node %s %s pid %d", name, p.announced["ready"], p.pid())
		})
		node.variable = config.RedisVariable + "=" + redisURL
		node.shown = config.RedisVariable + "=" + redisName
		node.args = func(addr string) ([]string, error) { return c.nodeArgs(name, addr) }
		c.nodes = append(c.nodes, node)
		node.run()
	}
	for _, node := range c.nodes {
		if err := node.wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (c *cluster) child(name string, announce func(*process)) *child {
	return &child{
		name: name, program: c.program, restart: c.cfg.Restart,
		// A node that drains needs this, and a second each for the rest.
		patience: c.cfg.DrainDelay + c.cfg.ShutdownTimeout + 3*time.Second,
		log:      c.log, stderr: c.stderr, announce: announce,
	}
}

func (c *cluster) nodeArgs(name, addr string) ([]string, error) {
	serve := &config.Serve{
		Node: c.cfg.Node, Addr: addr, AdminAddr: "127.0.0.1:0",
		NodeName: name, SessionPrefix: name, Playground: c.cfg.Playground, LogLevel: c.cfg.LogLevel,
	}
	return serve.Args()
}

// serve opens the front door until ctx ends.
func (c *cluster) serve(ctx context.Context, front net.Listener) error {
	var backends []backend
	for _, node := range c.nodes {
		host, err := hostOf(node.url)
		if err != nil {
			return fmt.Errorf("read the address of %s: %w", node.name, err)
		}
		backends = append(backends, backend{node.name, host})
	}
	server := &http.Server{
		Handler:           newDoor(c.cfg.Path, backends, c.log),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       75 * time.Second,
		ErrorLog:          slog.NewLogLogger(c.log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	// It ends when the server is closed below.
	go func() { failed <- server.Serve(front) }()
	if c.meet(ctx) == nil {
		c.out.Printf("ready http://%s", front.Addr())
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
		return fmt.Errorf("serve the front door: %w", err)
	}
	c.stop() // the nodes close the connections that the door holds
	err = server.Close()
	if served := <-failed; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// stop ends all children, the nodes first: they say goodbye to each other
// through Redis. It may be called twice.
func (c *cluster) stop() {
	var nodes sync.WaitGroup
	for _, node := range c.nodes {
		// stop is bounded by the node's patience; Wait waits for it.
		nodes.Go(node.stop)
	}
	nodes.Wait()
	if c.redis != nil {
		c.redis.stop()
	}
}
