package app_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/cmd/node/internal/admin"
	"github.com/dunlin-io/dunlin/cmd/node/internal/app"
	"github.com/dunlin-io/dunlin/cmd/node/internal/config"
)

// patience bounds every wait for something that is to happen.
const patience = 15 * time.Second

// node is a running App.
type node struct {
	*app.App
	t     *testing.T
	lines chan string // of its standard output
	stop  context.CancelFunc
	done  chan struct{} // closed when Run has returned; err is set then
	err   error
	http  *http.Client
}

// run starts a node on free ports. It is stopped at the end of the test, and
// does not wait long for sessions to fetch their goodbye.
func run(t *testing.T, args ...string) *node {
	t.Helper()
	command, err := config.Parse(append([]string{"serve", "--addr=127.0.0.1:0", "--admin-addr=127.0.0.1:0", "--node-name=n", "--shutdown-timeout=100ms"}, args...), io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	out, in := io.Pipe()
	a, err := app.New(command.(*config.Serve), slog.New(slog.NewTextHandler(t.Output(), nil)), in)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n := &node{App: a, t: t, lines: make(chan string, 10), stop: cancel, done: make(chan struct{}), http: &http.Client{Timeout: patience}}
	// Both end with the node, which the cleanup waits for.
	go func() {
		defer close(n.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			n.lines <- s.Text()
		}
	}()
	go func() {
		n.err = a.Run(ctx)
		_ = in.Close()
		close(n.done)
	}()
	t.Cleanup(func() {
		if err := n.end(); err != nil {
			t.Errorf("Run: %v", err)
		}
		for range n.lines { // until it is closed
		}
		n.http.CloseIdleConnections()
	})
	return n
}

// end stops the node and returns what Run did.
func (n *node) end() error {
	n.t.Helper()
	n.stop()
	select {
	case <-n.done:
	case <-time.After(patience):
		n.t.Fatal("Run does not return")
	}
	return n.err
}

// printed waits for the next line, which must begin with prefix.
func (n *node) printed(prefix string) string {
	n.t.Helper()
	select {
	case line := <-n.lines:
		if !strings.HasPrefix(line, prefix) {
			n.t.Fatalf("the node printed %q, want %q", line, prefix)
		}
		return line
	case <-time.After(patience):
		n.t.Fatalf("the node did not print %q", prefix)
		return ""
	}
}

// get returns status, header and body of an answer of the main listener.
func (n *node) get(path string, header ...string) (*http.Response, string) {
	n.t.Helper()
	return n.fetch(n.URL()+path, header...)
}

func (n *node) fetch(url string, header ...string) (*http.Response, string) {
	n.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, http.NoBody)
	if err != nil {
		n.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := n.http.Do(req)
	if err != nil {
		n.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	return resp, string(body)
}

// readiness is what both listeners say.
func (n *node) readiness() (status int, report admin.Report) {
	n.t.Helper()
	resp, body := n.get("/readyz")
	if err := json.Unmarshal([]byte(body), &report); err != nil {
		n.t.Fatalf("/readyz answers %s: %v", body, err)
	}
	return resp.StatusCode, report
}

// becomes waits until /readyz has that state.
func (n *node) becomes(state admin.State) admin.Report {
	n.t.Helper()
	for end := time.Now().Add(patience); ; {
		_, report := n.readiness()
		if report.State == state {
			return report
		}
		if time.Now().After(end) {
			n.t.Fatalf("/readyz says %+v after %v, want state %s", report, patience, state)
		}
		select {
		case <-n.done:
			n.t.Fatalf("the node ended: %v", n.err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}
