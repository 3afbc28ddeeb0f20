package integration_test

import (
	"fmt"
	"net"
	"os/exec"
	"testing"
)

// process is a redis-server of this machine.
type process struct {
	path string
	args []string
	cmd  *exec.Cmd // nil: not running
}

func startProcess(t testing.TB, path, addr string, args ...string) *redisServer {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{path: path, args: append([]string{
		"--bind", "127.0.0.1", "--port", port, "--dir", t.TempDir(),
		"--save", "", "--appendonly", "no", "--daemonize", "no",
	}, args...)}
	if err := p.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.kill() })
	return &redisServer{addr: addr, machine: p}
}

func (p *process) start() error {
	// Not bound to a context: kill ends it, in the test or in its cleanup.
	cmd := exec.Command(p.path, p.args...)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.path, err)
	}
	p.cmd = cmd
	return nil
}

func (p *process) kill() error {
	if p.cmd == nil {
		return nil
	}
	err := p.cmd.Process.Kill()
	_ = p.cmd.Wait() // it says that the process was killed
	p.cmd = nil
	return err
}

func (p *process) pause() error { return stopProcess(p.cmd.Process) }

func (p *process) resume() error { return continueProcess(p.cmd.Process) }
