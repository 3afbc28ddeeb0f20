//go:build unix

package main_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// part is a child process of dev, as it is printed.
type part struct {
	name, url string
	pid       int
}

func parsePart(t *testing.T, line string) part {
	t.Helper()
	words := strings.Fields(line)
	pid, err := strconv.Atoi(words[len(words)-1])
	if err != nil {
		t.Fatalf("line %q does not end with a process id: %v", line, err)
	}
	return part{name: words[1], url: word(line, "://"), pid: pid}
}

func (p part) kill(t *testing.T) {
	t.Helper()
	if err := syscall.Kill(p.pid, syscall.SIGKILL); err != nil {
		t.Fatalf("kill %s: %v", p.name, err)
	}
}

// spread connects n clients through the door, which takes the nodes in turn.
func spread(t *testing.T, door string, n int) map[string]*client {
	t.Helper()
	clients := make(map[string]*client)
	for range n {
		c := dial(t, door)
		clients[c.node()] = c
	}
	if len(clients) != n {
		t.Fatalf("%d clients are on %d nodes, want each on another", n, len(clients))
	}
	return clients
}

// allHear broadcasts from each client until all have heard a broadcast of each:
// what is sent while Redis is away may be lost.
func allHear(t *testing.T, clients map[string]*client) {
	t.Helper()
	for from, sender := range clients {
		for to, c := range clients {
			round := 0
			until(t, fmt.Sprintf("a broadcast from %s to %s", from, to), func() bool {
				round++
				text := fmt.Sprintf("from %s to %s, %d", from, to, round)
				sender.emit("bcast", text)
				return c.hears("msg", text, time.Second)
			})
		}
	}
}

// startAgain runs the command that dev has logged for a child that died.
func startAgain(t *testing.T, dev *program, name string) {
	t.Helper()
	var command string
	until(t, "the report of the death of "+name, func() bool {
		for line := range strings.Lines(dev.stderr.String()) {
			if _, rest, ok := strings.Cut(line, `start_again="`); ok && strings.Contains(line, "name="+name+" ") {
				command, _, ok = strings.Cut(rest, `"`)
				return ok
			}
		}
		return false
	})
	words := strings.Fields(command)
	var env []string
	for strings.HasPrefix(words[0], "DUNLIN_") {
		env = append(env, words[0])
		words = words[1:]
	}
	run(t, env, words[0], words[1:]...).line("ready ", 1)
}

func TestDevelopmentCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("starts many processes")
	}
	dev := start(t, "dev", "--addr=127.0.0.1:0")
	door := dev.url("ready ")
	if line := dev.line("dev ", 1); line != fmt.Sprintf("dev pid %d", dev.cmd.Process.Pid) {
		t.Errorf("dev, which has process id %d, printed %q", dev.cmd.Process.Pid, line)
	}
	redisPart := parsePart(t, "redis "+dev.line("redis ", 1))
	parts := make(map[string]part)
	for i := range 3 {
		p := parsePart(t, dev.line("node ", i+1))
		parts[p.name] = p
	}
	clients := spread(t, door, 3)

	t.Run("serves the page", func(t *testing.T) { servesPage(t, door) })
	t.Run("speaks through Redis", func(t *testing.T) { speaksThroughRedis(t, redisPart.url, clients) })
	allHear(t, clients)

	victim := parts["node-2"]
	victim.kill(t)
	<-clients[victim.name].lost
	delete(clients, victim.name)
	allHear(t, clients)
	if c := dial(t, door); c.node() == victim.name {
		t.Errorf("a new client is served by %s, which is dead", victim.name)
	}
	resp, err := http.Get(door + "/socket.io/?EIO=4&transport=polling&sid=node-2.AAAAAAAAAAAAAAAAAAAA")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest || string(body) != `{"code":1,"message":"Session ID unknown"}` {
		t.Errorf("a session of the dead node gets %d %s, want 400 and code 1", resp.StatusCode, body)
	}

	startAgain(t, dev, victim.name)
	until(t, "the front door to find the node that was started again", func() bool {
		c := dial(t, door)
		clients[victim.name] = c
		return c.node() == victim.name
	})
	allHear(t, clients)

	redisPart.kill(t)
	startAgain(t, dev, "redis")
	allHear(t, clients)

	dev.signal(syscall.SIGTERM)
	if state := dev.wait(); state.ExitCode() != 0 {
		t.Errorf("dev ended with %v after SIGTERM, want exit status 0", state)
	}
	for _, url := range []string{door, parts["node-1"].url, parts["node-3"].url} {
		if !refused(url) {
			t.Errorf("somebody still listens at %s", url)
		}
	}
}

func servesPage(t *testing.T, door string) {
	t.Helper()
	for path, want := range map[string]string{"/": "<title>Dunlin playground</title>", "/playground/client.js": "WebSocket", "/readyz": `"ready":true`} {
		resp, err := http.Get(door + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
			t.Errorf("GET %s = %d %.80q (%v), want 200 with %q", path, resp.StatusCode, body, err, want)
		}
	}
}

// speaksThroughRedis sees the PUBLISH of a broadcast, in the format of the
// Redis adapter.
func speaksThroughRedis(t *testing.T, url string, clients map[string]*client) {
	t.Helper()
	options, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	rdb := redis.NewClient(options)
	defer rdb.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	sub := rdb.PSubscribe(ctx, "socket.io#/#*")
	defer sub.Close()
	if _, err := sub.Receive(ctx); err != nil {
		t.Fatal(err)
	}
	clients["node-1"].emit("room", "a room", "through Redis")
	for {
		m, err := sub.ReceiveMessage(ctx)
		if err != nil {
			t.Fatalf("no PUBLISH of the message was seen: %v", err)
		}
		if m.Channel == "socket.io#/#a room#" && strings.Contains(m.Payload, "through Redis") {
			return
		}
	}
}

func TestDevelopmentClusterEndsWithItsParent(t *testing.T) {
	if testing.Short() {
		t.Skip("starts many processes")
	}
	dev := start(t, "dev", "--addr=127.0.0.1:0", "--nodes=2")
	dev.line("ready ", 1)
	urls := []string{dev.url("redis "), dev.url("node node-1 "), dev.url("node node-2 ")}
	dev.signal(syscall.SIGKILL)
	dev.wait()
	for _, url := range urls {
		until(t, url+" to be gone", func() bool { return refused(url) })
	}
}

func TestDevelopmentClusterRestartsWhatDies(t *testing.T) {
	if testing.Short() {
		t.Skip("starts many processes")
	}
	dev := start(t, "dev", "--addr=127.0.0.1:0", "--nodes=2", "--restart")
	door := dev.url("ready ")
	redisBefore, nodeBefore := parsePart(t, "redis "+dev.line("redis ", 1)), parsePart(t, dev.line("node node-2 ", 1))
	redisBefore.kill(t)
	nodeBefore.kill(t)
	redisAfter, nodeAfter := parsePart(t, "redis "+dev.line("redis ", 2)), parsePart(t, dev.line("node node-2 ", 2))
	if redisAfter.url != redisBefore.url || nodeAfter.url != nodeBefore.url || nodeAfter.pid == nodeBefore.pid {
		t.Errorf("started again as %v and %v, want the addresses of %v and %v and other processes", redisAfter, nodeAfter, redisBefore, nodeBefore)
	}
	allHear(t, spread(t, door, 2))
}

func TestServeDrains(t *testing.T) {
	node := start(t, "serve", "--addr=127.0.0.1:0", "--drain-delay=1h", "--playground")
	url := node.url("ready ")
	c := dial(t, url)
	node.signal(syscall.SIGTERM)
	until(t, "the node to be unready", func() bool {
		resp, err := http.Get(url + "/readyz")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusServiceUnavailable
	})
	if _, err := connect(t, url); err == nil || !strings.Contains(err.Error(), "status 503") {
		t.Errorf("a new client of a draining node: %v, want status 503", err)
	}
	if c.node() == "" { // its session goes on
		t.Error("the node has no name")
	}
	node.signal(syscall.SIGTERM)
	if state := node.wait(); state.Success() {
		t.Errorf("dunlin ended with %v after a second signal, want death by it", state)
	}
}

func TestServeStops(t *testing.T) {
	node := start(t, "serve", "--addr=127.0.0.1:0")
	c := dial(t, node.url("ready "))
	node.signal(os.Interrupt)
	if state := node.wait(); state.ExitCode() != 0 {
		t.Errorf("dunlin ended with %v after SIGINT, want exit status 0", state)
	}
	<-c.lost
}
