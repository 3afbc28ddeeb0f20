package main_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// build compiles the program once for all tests.
var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "dunlin-test-")
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "dunlin.exe")
	if out, err := exec.CommandContext(context.Background(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return program, nil
})

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if program, err := build(); err == nil {
			_ = os.RemoveAll(filepath.Dir(program))
		}
		os.Exit(code)
	}))
}

// program is a run of dunlin.
type program struct {
	t      *testing.T
	cmd    *exec.Cmd
	done   chan struct{} // closed when it has ended
	stderr lockedBuffer

	mu    sync.Mutex // guards the following
	lines []string
	more  chan struct{} // closed with the next line
}

// start runs dunlin with args. It is killed at the end of the test.
func start(t *testing.T, args ...string) *program {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return run(t, nil, path, args...)
}

func run(t *testing.T, env []string, path string, args ...string) *program {
	t.Helper()
	p := &program{t: t, cmd: exec.CommandContext(context.Background(), path, args...), done: make(chan struct{}), more: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stderr = &p.stderr
	p.cmd.WaitDelay = time.Second // children of its own may hold the pipe
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// It ends with the program, which the cleanup kills and waits for.
	go func() {
		defer close(p.done)
		for s := bufio.NewScanner(stdout); s.Scan(); {
			p.mu.Lock()
			p.lines = append(p.lines, s.Text())
			close(p.more)
			p.more = make(chan struct{})
			p.mu.Unlock()
		}
		_ = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.done
		http.DefaultClient.CloseIdleConnections() // to a server that is gone
		if t.Failed() {
			t.Logf("%s\n%s\n%s", p.cmd, strings.Join(p.lines, "\n"), &p.stderr)
		}
	})
	return p
}

// line returns the n-th line (from 1) of standard output with that beginning.
func (p *program) line(prefix string, n int) string {
	p.t.Helper()
	timeout := time.After(patience)
	for {
		p.mu.Lock()
		lines, more := p.lines, p.more
		p.mu.Unlock()
		seen := 0
		for _, line := range lines {
			if strings.HasPrefix(line, prefix) {
				if seen++; seen == n {
					return line
				}
			}
		}
		select {
		case <-more:
		case <-p.done:
			p.t.Fatalf("dunlin ended (%v) before it printed %q for the %d. time", p.cmd.ProcessState, prefix, n)
		case <-timeout:
			p.t.Fatalf("dunlin did not print %q for the %d. time", prefix, n)
		}
	}
}

// url is the URL in such a line.
func (p *program) url(prefix string) string {
	p.t.Helper()
	return word(p.line(prefix, 1), "://")
}

// word is the word of line that contains part.
func word(line, part string) string {
	for w := range strings.FieldsSeq(line) {
		if strings.Contains(w, part) {
			return w
		}
	}
	return ""
}

func (p *program) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// wait returns how the program ended.
func (p *program) wait() *os.ProcessState {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Fatal("dunlin does not end")
	}
	return p.cmd.ProcessState
}

// until retries f until it returns true.
func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !f(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v for %s", patience, what)
		}
	}
}

// refused reports whether nobody listens at the URL's address any more.
func refused(url string) bool {
	_, host, _ := strings.Cut(url, "://")
	c, err := (&net.Dialer{Timeout: time.Second}).DialContext(context.Background(), "tcp", host)
	if err == nil {
		_ = c.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// lockedBuffer can be read while a process writes.
type lockedBuffer struct {
	mu     sync.Mutex // guards the following
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}
