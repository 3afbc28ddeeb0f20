//go:build unix

package nemesis

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Rig is a cluster of real processes: one Redis and several nodes, each of which
// reaches Redis through a proxy of its own. One goroutine uses it.
type Rig struct {
	Redis   *Process
	Nodes   []*Node
	adapter string
}

// RigConfig says what a rig is made of.
type RigConfig struct {
	Binary  string // the built cmd/node
	Nodes   int
	Adapter string // classic, sharded, streams
	Dir     string // for Redis' files
	Seed    uint64 // of the proxies
	// Flags are added to those of each node.
	Flags []string
}

// Node is one node and its proxy.
type Node struct {
	*Process
	Name  string
	Addr  string // where clients connect
	Proxy *Proxy
}

// Process is a program of a rig, with the output that it has written last. Its
// address stays the same when it is started again.
type Process struct {
	path string
	args []string
	addr string
	out  *tail
	cmd  *exec.Cmd
}

// NewRig starts Redis and the nodes and waits until they are ready. Close ends
// all.
func NewRig(ctx context.Context, c RigConfig) (_ *Rig, err error) {
	redis, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, fmt.Errorf("install redis-server (apt-get install redis-server): %w", err)
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	r := &Rig{adapter: c.Adapter}
	defer func() {
		if err != nil {
			r.Close()
		}
	}()
	_, port, _ := net.SplitHostPort(addr)
	r.Redis = &Process{path: redis, addr: addr, out: &tail{}, args: []string{
		"--bind", "127.0.0.1", "--port", port, "--dir", c.Dir, "--save", "",
	}}
	if c.Adapter == "streams" { // which loses nothing as long as Redis keeps its data
		r.Redis.args = append(r.Redis.args, "--appendonly", "yes", "--appendfsync", "always")
	}
	if err := r.Redis.Start(ctx); err != nil {
		return nil, err
	}
	for i := range c.Nodes {
		n := &Node{Name: fmt.Sprintf("n%d", i)}
		if n.Proxy, err = NewProxy(addr, c.Seed+uint64(i)); err != nil {
			return nil, err
		}
		r.Nodes = append(r.Nodes, n)
		if n.Addr, err = freeAddr(); err != nil {
			return nil, err
		}
		n.Process = &Process{path: c.Binary, addr: n.Addr, out: &tail{}, args: append([]string{
			"serve", "--playground", "--addr", n.Addr, "--redis", "redis://" + n.Proxy.Addr(), "--adapter", c.Adapter,
		}, c.Flags...)}
		if err := n.Start(ctx); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Close ends all processes and proxies.
func (r *Rig) Close() {
	for _, n := range r.Nodes {
		if n.Process != nil {
			n.Kill()
		}
		_ = n.Proxy.Close()
	}
	if r.Redis != nil {
		r.Redis.Kill()
	}
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// Start starts the process and waits until it takes connections.
func (p *Process) Start(ctx context.Context) error {
	cmd := exec.Command(p.path, p.args...) // not bound to ctx: Kill ends it
	cmd.Stdout, cmd.Stderr = p.out, p.out
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.path, err)
	}
	p.cmd = cmd
	for {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", p.addr)
		if err == nil {
			_ = c.Close()
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not listen at %s: %w\n%s", filepath.Base(p.path), p.addr, ctx.Err(), p.Output())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Kill ends the process at once, as a crash does.
func (p *Process) Kill() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait() // it says that the process was killed
	p.cmd = nil
}

// Stop lets the process stand still; its connections stay.
func (p *Process) Stop() error { return p.signal(syscall.SIGSTOP) }

// Continue ends Stop.
func (p *Process) Continue() error { return p.signal(syscall.SIGCONT) }

func (p *Process) signal(s syscall.Signal) error {
	if p.cmd == nil {
		return errors.New("not running")
	}
	return p.cmd.Process.Signal(s)
}

// Running reports whether the process is alive.
func (p *Process) Running() bool { return p.cmd != nil && p.signal(0) == nil }

// Output is what the process has written last.
func (p *Process) Output() string { return p.out.String() }

// command sends Redis one command, on a connection of its own, and returns the
// first line of its reply.
func (r *Rig) command(ctx context.Context, args ...string) (string, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", r.Redis.addr)
	if err != nil {
		return "", err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(dialTimeout))
	if _, err := io.WriteString(c, strings.Join(args, " ")+"\r\n"); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	return strings.TrimSpace(line), err
}

// tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex // guards the following
	buf []byte
}

const tailSize = 32 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, b...)
	if extra := len(t.buf) - tailSize; extra > 0 {
		t.buf = append(t.buf[:0], t.buf[extra:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.ToValidUTF8(t.buf, []byte("?")))
}

// Build builds cmd/node into dir.
func Build(ctx context.Context, dir string) (string, error) {
	binary := filepath.Join(dir, "dunlin")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, "github.com/dunlin-io/dunlin/cmd/node")
	cmd.Env = os.Environ()
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build cmd/node: %w\n%s", err, out)
	}
	return binary, nil
}
