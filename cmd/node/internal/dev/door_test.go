package dev_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/dunlin-io/dunlin/cmd/node/internal/dev"
)

// node is a server that says its name, and the Host it was asked for.
type node struct {
	name   string
	server *httptest.Server
	status int
}

func newNode(t *testing.T, name string) *node {
	t.Helper()
	n := &node{name: name, status: http.StatusOK}
	n.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			n.upgrade(t, w)
			return
		}
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(n.status)
		fmt.Fprintf(w, "%s %s %s", n.name, r.Host, body)
	}))
	t.Cleanup(n.server.Close)
	return n
}

// upgrade echoes one line, in front of which it says its name.
func (n *node) upgrade(t *testing.T, w http.ResponseWriter) {
	t.Helper()
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	line, _ := rw.ReadString('\n')
	fmt.Fprintf(conn, "%s %s", n.name, line)
}

func (n *node) host() string { return n.server.Listener.Addr().String() }

func newDoor(t *testing.T, nodes ...*node) *httptest.Server {
	t.Helper()
	var hosts [][2]string
	for _, n := range nodes {
		hosts = append(hosts, [2]string{n.name, n.host()})
	}
	server := httptest.NewServer(dev.NewDoor("/socket.io/", hosts))
	t.Cleanup(func() {
		server.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return server
}

func ask(t *testing.T, door *httptest.Server, method, path, body string) (status int, answer string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, door.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "example.com"
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

const handshake = "/socket.io/?EIO=4&transport=polling"

func expect(t *testing.T, door *httptest.Server, method, path, body, want string) {
	t.Helper()
	if status, got := ask(t, door, method, path, body); status != http.StatusOK || got != want {
		t.Errorf("%s %s = %d %q, want %q", method, path, status, got, want)
	}
}

func TestDoorGivesNewSessionsToTheNodesInTurn(t *testing.T) {
	door := newDoor(t, newNode(t, "a"), newNode(t, "b"))
	for _, want := range []string{"a", "b", "a", "b"} {
		expect(t, door, http.MethodGet, "/", "", "a example.com ") // pages do not count
		expect(t, door, http.MethodGet, handshake, "", want+" example.com ")
	}
}

func TestDoorFindsTheNodeOfASession(t *testing.T) {
	door := newDoor(t, newNode(t, "a"), newNode(t, "b"), newNode(t, "ab"))
	for _, name := range []string{"b", "ab", "a", "b"} {
		expect(t, door, http.MethodPost, handshake+"&sid="+name+".xyz", "4hello", name+" example.com 4hello")
		expect(t, door, http.MethodGet, strings.Replace(handshake, "io/", "io", 1)+"&sid="+name+".xyz", "", name+" example.com ")
	}
}

func TestDoorPassesNodesThatAreAwayOrStopping(t *testing.T) {
	a, b, c := newNode(t, "a"), newNode(t, "b"), newNode(t, "c")
	door := newDoor(t, a, b, c)
	a.server.Close()
	b.status = http.StatusServiceUnavailable
	for range 3 {
		expect(t, door, http.MethodGet, handshake, "", "c example.com ")
		expect(t, door, http.MethodGet, "/", "", "c example.com ")
	}
	if status, got := ask(t, door, http.MethodGet, handshake+"&sid=b.x", ""); status != http.StatusServiceUnavailable || got != "b example.com " {
		t.Errorf("a session of a stopping node is answered %d %q, want the node's own answer", status, got)
	}
}

func TestDoorAnswersForSessionsOfNobody(t *testing.T) {
	a, b := newNode(t, "a"), newNode(t, "b")
	door := newDoor(t, a, b)
	a.server.Close()
	for _, sid := range []string{"a.xyz", "c.xyz", "xyz", "%00"} {
		status, got := ask(t, door, http.MethodPost, handshake+"&sid="+sid, "4hello")
		if want := `{"code":1,"message":"Session ID unknown"}`; status != http.StatusBadRequest || got != want {
			t.Errorf("sid %s = %d %s, want 400 %s", sid, status, got, want)
		}
	}
}

func TestDoorSaysWhenNobodyAnswers(t *testing.T) {
	a := newNode(t, "a")
	door := newDoor(t, a)
	a.server.Close()
	for _, path := range []string{"/", handshake} {
		if status, got := ask(t, door, http.MethodGet, path, ""); status != http.StatusServiceUnavailable || !strings.Contains(got, "start one again") {
			t.Errorf("GET %s = %d %q, want 503 that says what to do", path, status, got)
		}
	}
}

func TestDoorLetsWebSocketsThrough(t *testing.T) {
	a, b := newNode(t, "a"), newNode(t, "b")
	door := newDoor(t, a, b)
	a.server.Close()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", door.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("upgrade: %v, %v, want 101", resp, err)
	}
	_ = resp.Body.Close()
	fmt.Fprint(conn, "ping\n")
	if got, err := r.ReadString('\n'); err != nil || got != "b ping\n" {
		t.Errorf("the node answers %q (%v), want its name and what was sent", got, err)
	}
}
