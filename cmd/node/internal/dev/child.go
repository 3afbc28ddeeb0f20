package dev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"
)

// restartDelay keeps a child that cannot run from being started all the time.
const restartDelay = 500 * time.Millisecond

// child is a process that should run as long as the cluster does.
type child struct {
	name     string
	program  string
	args     func(addr string) ([]string, error)
	variable string // of its environment
	shown    string // the same without secrets
	restart  bool
	patience time.Duration // for it to stop
	log      *slog.Logger
	stderr   io.Writer
	announce func(p *process) // prints it

	cancel context.CancelFunc
	up     chan struct{} // closed once it has been up; url and first are set then
	url    string
	first  *process      // announced by who waits for it, so that children come in order
	gone   chan struct{} // closed once it is no longer looked after; err is set then
	err    error         // of its last run

	mu    sync.Mutex // guards the following
	admin string     // URL of its private listener
}

// run starts the child on a free port and looks after it until stop.
func (c *child) run() {
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	c.up, c.gone = make(chan struct{}), make(chan struct{})
	// supervise ends after cancel; stop waits for it.
	go c.supervise(ctx)
}

// stop ends the child and waits until it has.
func (c *child) stop() {
	c.cancel()
	<-c.gone
}

// wait returns when the child is up, and announces it.
func (c *child) wait(ctx context.Context) error {
	select {
	case <-c.up:
		c.announce(c.first)
		return nil
	case <-c.gone:
		return fmt.Errorf("%s ended before it was ready (%w): the lines above say why", c.name, c.err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *child) supervise(ctx context.Context) {
	defer close(c.gone)
	for {
		c.err = c.live(ctx)
		if ctx.Err() != nil || !c.restart || c.url == "" {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(restartDelay):
		}
	}
}

var errEnded = errors.New("exit status 0")

// live is one run of the child. It returns why that ended.
func (c *child) live(ctx context.Context) error {
	args, err := c.args(c.address())
	if err != nil {
		return err
	}
	p, err := start(ctx, c.program, args, c.variable, c.patience, c.stderr)
	if err != nil {
		c.log.Error("a process of the cluster does not start", "name", c.name, "err", err)
		return err
	}
	select {
	case <-p.ready:
		c.rise(p)
	case <-p.done:
	}
	<-p.done
	if err = p.err; err == nil {
		err = errEnded
	}
	if ctx.Err() == nil {
		c.report(p, err)
	}
	return err
}

// rise notes that the child is up.
func (c *child) rise(p *process) {
	c.mu.Lock()
	c.admin = p.announced["admin"]
	c.mu.Unlock()
	if c.first != nil {
		c.announce(p)
		return
	}
	c.url, c.first = p.announced["ready"], p
	close(c.up)
}

// address is a free one at first, and from then on the one that it was.
func (c *child) address() string {
	if u, err := url.Parse(c.url); err == nil && u.Host != "" {
		return u.Host
	}
	return "127.0.0.1:0"
}

func (c *child) adminURL() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.admin
}

// report says that the child has died, and how to start it again by hand.
func (c *child) report(p *process, err error) {
	attrs := []any{"name", c.name, "pid", p.pid(), "status", err}
	if args, err := c.args(c.address()); err == nil && !c.restart {
		attrs = append(attrs, "start_again", strings.TrimSpace(c.shown+" "+c.program+" "+strings.Join(args, " ")))
	}
	c.log.Warn("a process of the cluster has died", attrs...)
}
