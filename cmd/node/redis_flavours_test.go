package main_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// startServer starts a redis-server, which ends with the test, and returns a
// client of it and its address.
func startServer(t *testing.T, args ...string) (*redis.Client, string) {
	t.Helper()
	startRedis(t) // skips the test where there is none
	addr := freeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	args = append(args, "--bind", "127.0.0.1", "--port", port, "--dir", t.TempDir())
	cmd := exec.CommandContext(context.Background(), "redis-server", args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	c := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
	t.Cleanup(func() { _ = c.Close() })
	until(t, "redis-server", func() bool {
		err := c.Ping(t.Context()).Err()
		return err == nil || redis.HasErrorPrefix(err, "NOAUTH")
	})
	return c, addr
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// joins checks that nodes with that URL hear each other, and dunlin emit them.
func joins(t *testing.T, url string, more ...string) {
	t.Helper()
	args := append([]string{"--redis", url}, more...)
	for range 2 {
		p := start(t, append([]string{"serve", "--addr=127.0.0.1:0", "--admin-addr=127.0.0.1:0"}, args...)...)
		p.line("ready ", 1)
		if log := p.stderr.String(); strings.Contains(log, "secret") {
			t.Errorf("a password is logged: %s", log)
		}
	}
	out, err := exec.CommandContext(t.Context(), programPath(t), append([]string{"emit", "news", "1"}, args...)...).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("dunlin emit: %v: %s", err, out)
	}
}

func programPath(t *testing.T) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Proves T-93.
func TestServeWithSentinels(t *testing.T) {
	_, master := startServer(t, "--requirepass", "p,@secret")
	host, port, _ := net.SplitHostPort(master)
	config := filepath.Join(t.TempDir(), "sentinel.conf")
	text := fmt.Sprintf("sentinel monitor my-master %s %s 1\nsentinel auth-pass my-master p,@secret\nrequirepass guards-secret\n", host, port)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	sentinel := freeAddr(t)
	_, own, _ := net.SplitHostPort(sentinel)
	cmd := exec.CommandContext(context.Background(), "redis-server", config, "--sentinel", "--bind", "127.0.0.1", "--port", own, "--dir", t.TempDir())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	nobody := freeAddr(t)
	joins(t, "redis+sentinel://:p,%40secret@"+nobody+","+sentinel+"/my-master?sentinel_password=guards-secret")
}

func TestServeWithRedisCluster(t *testing.T) {
	_, bus, _ := net.SplitHostPort(freeAddr(t))
	c, addr := startServer(t, "--cluster-enabled", "yes", "--cluster-port", bus)
	if err := c.Do(t.Context(), "CLUSTER", "ADDSLOTSRANGE", 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	until(t, "the cluster", func() bool {
		info, err := c.ClusterInfo(t.Context()).Result()
		return err == nil && strings.Contains(info, "cluster_state:ok")
	})
	for _, url := range []string{"redis+cluster://" + addr, "redis://" + freeAddr(t) + "," + addr} {
		for _, adapter := range []string{"classic", "streams"} {
			t.Run(url[:strings.Index(url, ":")]+"/"+adapter, func(t *testing.T) { joins(t, url, "--adapter="+adapter) })
		}
	}
}
