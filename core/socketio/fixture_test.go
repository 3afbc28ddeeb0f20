package socketio_test

import (
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/core/parser"
	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

// socketOf returns the server's half of a client.
func socketOf(t *testing.T, srv *siotest.Server, c *siotest.Client) *socketio.Socket {
	t.Helper()
	s, ok := srv.Socket(c.ID())
	if !ok {
		t.Fatalf("the server has no socket %q", c.ID())
	}
	return s
}

// journal notes what happened, in order, from any goroutine.
type journal struct {
	mu    sync.Mutex // guards the following
	lines []string
}

func (j *journal) note(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
}

// expect compares what happened once everything has come to rest, and forgets
// it.
func (j *journal) expect(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	j.mu.Lock()
	defer j.mu.Unlock()
	if !slices.Equal(j.lines, want) {
		t.Errorf("happened:\n  %q\nwant:\n  %q", j.lines, want)
	}
	j.lines = nil
}

// emit fails the test when an Emit of the server fails.
func emit(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("emit: %v", err)
	}
}

// answer lets a client acknowledge an event with a value.
func answer(c *siotest.Client, event string, value any) {
	c.Answer(event, func(parser.Args) []any { return []any{value} })
}

// scan decodes arguments that must fit.
func scan[T any](t *testing.T, args interface{ Scan(...any) error }) (v T) {
	t.Helper()
	if err := args.Scan(&v); err != nil {
		t.Errorf("scan: %v", err)
	}
	return v
}

// quiet is the logger of a server whose trouble is on purpose.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// pass lets fake time pass, and everything come to rest; what others have
// written by then may be read.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
