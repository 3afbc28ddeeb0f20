package integration_test

import (
	"bufio"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// monitor sees every command that Redis carries out.
type monitor struct {
	conn net.Conn
	done chan struct{}

	mu   sync.Mutex // guards the following
	seen [][]string
}

// startMonitor starts MONITOR; it ends with the test or with Redis.
func startMonitor(t testing.TB, r *redisServer) *monitor {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(within(t), "tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	m := &monitor{conn: conn, done: make(chan struct{})}
	lines := bufio.NewReader(conn)
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write([]byte("MONITOR\r\n")); err != nil {
		t.Fatal(err)
	}
	if line, err := lines.ReadString('\n'); err != nil || line != "+OK\r\n" {
		t.Fatalf("MONITOR: %q, %v", line, err)
	}
	_ = conn.SetDeadline(time.Time{})
	// read ends when the connection is closed; the cleanup waits for it.
	go m.read(lines)
	t.Cleanup(func() {
		_ = conn.Close()
		<-m.done
	})
	return m
}

func (m *monitor) read(lines *bufio.Reader) {
	defer close(m.done)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		if args := commandOf(line); args != nil {
			m.mu.Lock()
			m.seen = append(m.seen, args)
			m.mu.Unlock()
		}
	}
}

// commandOf reads a line such as
//
//	+1767225600.123456 [0 127.0.0.1:50000] "publish" "socket.io#/#" "\x93..."
//
// and returns the command, in capitals, and its arguments.
func commandOf(line string) []string {
	_, rest, ok := strings.Cut(line, "] ")
	if !ok {
		return nil
	}
	var args []string
	for rest = strings.TrimSpace(rest); rest != ""; rest = strings.TrimPrefix(rest, " ") {
		quoted, err := strconv.QuotedPrefix(rest)
		if err != nil {
			return nil
		}
		arg, err := strconv.Unquote(quoted)
		if err != nil {
			return nil
		}
		args = append(args, arg)
		rest = rest[len(quoted):]
	}
	if len(args) > 0 {
		args[0] = strings.ToUpper(args[0])
	}
	return args
}

// commands returns the commands so far that have the given name and first
// arguments.
func (m *monitor) commands(prefix ...string) [][]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found [][]string
	for _, args := range m.seen {
		if len(args) >= len(prefix) && slices.Equal(args[:len(prefix)], prefix) {
			found = append(found, args)
		}
	}
	return found
}
