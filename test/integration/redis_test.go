package integration_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// patience bounds each wait for something that must happen.
const patience = 20 * time.Second

// redisServer is a Redis of one test's own, which the test may kill and start.
// Its address stays the same.
type redisServer struct {
	addr string
	machine
}

// machine is what runs a Redis server.
type machine interface {
	kill() error // at once, as a crash does
	start() error
	pause() error // it stops answering, connections stay
	resume() error
}

// startRedis starts a Redis that ends with the test.
func startRedis(t testing.TB) *redisServer {
	t.Helper()
	r := newRedis(t)
	t.Logf("redis is %T at %s", r.machine, r.addr)
	r.waitReady(t)
	return r
}

// absentRedis returns a Redis that Start starts: nothing listens at its address
// yet.
func absentRedis(t testing.TB) *redisServer {
	t.Helper()
	r := startRedis(t)
	r.Kill(t)
	return r
}

func newRedis(t testing.TB) *redisServer {
	t.Helper()
	addr := freeAddr(t)
	path, err := exec.LookPath("redis-server")
	why := engine()
	if why == nil && !noContainers.Load() && (err != nil || worthAContainer(t)) {
		r, err := startContainer(t, addr)
		if err == nil {
			return r
		}
		t.Logf("no container: %v", err)
		why = err
	}
	if err == nil {
		return startProcess(t, path, addr)
	}
	message := fmt.Sprintf("no Redis: start a Docker engine, or install redis-server (apt-get install redis-server): %v",
		errors.Join(why, err))
	if os.Getenv("CI") == "true" {
		t.Fatal(message)
	}
	t.Skip(message)
	return nil
}

// worthAContainer reports whether a test runs in a container although there is a
// redis-server here: the conformance of each mode, and clusters of servers. The
// others need many servers, and a container takes seconds.
func worthAContainer(t testing.TB) bool {
	return strings.HasPrefix(t.Name(), "TestCluster") || strings.Contains(t.Name(), "Conformance")
}

// freeAddr returns a loopback address on which nothing listens.
func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// Kill ends Redis as a crash does.
func (r *redisServer) Kill(t testing.TB) {
	t.Helper()
	if err := r.kill(); err != nil {
		t.Fatalf("kill redis: %v", err)
	}
}

// Start starts a killed Redis and returns when it answers.
func (r *redisServer) Start(t testing.TB) {
	t.Helper()
	if err := r.start(); err != nil {
		t.Fatalf("start redis: %v", err)
	}
	r.waitReady(t)
}

// Restart kills Redis and starts it again at the same address.
func (r *redisServer) Restart(t testing.TB) {
	t.Helper()
	r.Kill(t)
	r.Start(t)
}

// Pause stops Redis without closing its connections; Resume lets it go on.
func (r *redisServer) Pause(t testing.TB) {
	t.Helper()
	if err := r.pause(); err != nil {
		t.Fatalf("pause redis: %v", err)
	}
}

// Resume ends Pause.
func (r *redisServer) Resume(t testing.TB) {
	t.Helper()
	if err := r.resume(); err != nil {
		t.Fatalf("resume redis: %v", err)
	}
}

// Client returns a client that is closed with the test.
func (r *redisServer) Client(t testing.TB) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: r.addr, MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func (r *redisServer) waitReady(t testing.TB) {
	t.Helper()
	eventually(t, "redis answers", func() error { return ping(context.Background(), r.addr) })
}

// eventually waits until a check passes, or fails the test with the check's last
// error.
func eventually(t testing.TB, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v: %v", what, patience, err)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// within returns a context that ends after patience.
func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}
