package integration_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	redisadapter "github.com/dunlin-io/dunlin/adapter/redis"
)

const masterName = "mymaster"

// watched are a master, its replica, and the Sentinels that watch them.
type watched struct {
	servers   [2]*redisServer // the first is the master in the beginning
	sentinels []string
}

// startWatched starts everything on this machine, since containers would tell
// each other addresses that are not reachable from here.
func startWatched(t *testing.T, sentinels int) *watched {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		const message = "no Redis with Sentinels: install redis-server (apt-get install redis-server)"
		if os.Getenv("CI") == "true" {
			t.Fatal(message)
		}
		t.Skip(message)
	}
	w := new(watched)
	w.servers[0] = startProcess(t, path, freeAddr(t))
	w.servers[0].waitReady(t)
	host, port, _ := net.SplitHostPort(w.servers[0].addr)
	w.servers[1] = startProcess(t, path, freeAddr(t), "--replicaof", host+" "+port, "--repl-diskless-sync-delay", "0")
	c := w.servers[1].Client(t)
	eventually(t, "the replica has the master's data", func() error {
		info, err := c.Info(within(t), "replication").Result()
		if err == nil && !strings.Contains(info, "master_link_status:up") {
			err = errors.New(info)
		}
		return err
	})
	for range sentinels {
		w.sentinels = append(w.sentinels, startSentinel(t, path, host, port))
	}
	s := redis.NewSentinelClient(&redis.Options{Addr: w.sentinels[0]})
	t.Cleanup(func() { _ = s.Close() })
	eventually(t, "the Sentinels know everybody", func() error {
		state, err := s.Master(within(t), masterName).Result()
		if err == nil && (state["num-slaves"] != "1" || state["num-other-sentinels"] != fmt.Sprint(sentinels-1)) {
			err = fmt.Errorf("%v", state)
		}
		return err
	})
	return w
}

func startSentinel(t *testing.T, path, host, port string) string {
	t.Helper()
	config := filepath.Join(t.TempDir(), "sentinel.conf") // it writes there what it finds out
	text := fmt.Sprintf("sentinel monitor %[1]s %[2]s %[3]s 1\nsentinel down-after-milliseconds %[1]s 1000\n"+
		"sentinel failover-timeout %[1]s 5000\n", masterName, host, port)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := freeAddr(t)
	_, own, _ := net.SplitHostPort(addr)
	p := &process{path: path, args: []string{config, "--sentinel", "--bind", "127.0.0.1", "--port", own, "--dir", t.TempDir()}}
	if err := p.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.kill() })
	(&redisServer{addr: addr, machine: p}).waitReady(t)
	return addr
}

// master asks a Sentinel.
func (w *watched) master(ctx context.Context) (string, error) {
	s := redis.NewSentinelClient(&redis.Options{Addr: w.sentinels[0]})
	defer func() { _ = s.Close() }()
	addr, err := s.GetMasterAddrByName(ctx, masterName).Result()
	if err != nil {
		return "", err
	}
	return net.JoinHostPort(addr[0], addr[1]), nil
}

// replaced waits until there is another master than before.
func (w *watched) replaced(t *testing.T, before string) {
	t.Helper()
	eventually(t, "there is another master", func() error {
		now, err := w.master(within(t))
		if err == nil && now == before {
			err = fmt.Errorf("it is still %s", now)
		}
		return err
	})
}

func (w *watched) join(t *testing.T, id string, o redisadapter.Options) *node {
	t.Helper()
	a, err := redisadapter.Open(&redis.UniversalOptions{MasterName: masterName, Addrs: w.sentinels}, o)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return join(a, "/", id).ready(t)
}

// subscribed waits until all of the nodes are with this server.
func (r *redisServer) subscribed(t *testing.T, sharded bool, nodes ...*node) {
	t.Helper()
	c := r.Client(t)
	for _, n := range nodes {
		eventually(t, fmt.Sprintf("%s has subscribed", n.id), func() error {
			count := c.PubSubNumSub
			if sharded {
				count = c.PubSubShardNumSub
			}
			counts, err := count(within(t), "socket.io#/#"+string(n.id)+"#", "socket.io-response#/#"+string(n.id)+"#").Result()
			for _, subscribers := range counts {
				if subscribers > 0 {
					return nil
				}
			}
			return errors.Join(errors.New("nobody has"), err)
		})
	}
}

// flows waits until each of two nodes has heard something new of the other.
func flows(t *testing.T, what string, first int, nodes ...*node) (next int) {
	t.Helper()
	i := first
	eventually(t, what, func() error {
		for _, n := range nodes {
			n.tell(t, i)
		}
		i++
		for _, n := range nodes {
			if is := n.numbers(t); len(is) == 0 || is[len(is)-1] < first {
				return fmt.Errorf("%s has heard %d events, the last before", n.id, len(is))
			}
		}
		return nil
	})
	return i
}

// Proves T-93.
func TestEventsFlowAgainAfterFailover(t *testing.T) {
	for _, mode := range []redisadapter.Mode{redisadapter.Classic, redisadapter.Sharded, redisadapter.Streams} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			w := startWatched(t, 3)
			o := redisadapter.Options{Mode: mode}
			a, b := w.join(t, "a", o), w.join(t, "b", o)
			next := flows(t, "events flow", 0, a, b)

			// On request: the old master goes on for a while, with all connections.
			before := w.servers[0].addr
			s := redis.NewSentinelClient(&redis.Options{Addr: w.sentinels[0]})
			t.Cleanup(func() { _ = s.Close() })
			eventually(t, "the failover begins", func() error { return s.Failover(within(t), masterName).Err() })
			w.replaced(t, before)
			w.servers[1].subscribed(t, mode == redisadapter.Sharded, a, b)
			next = flows(t, "events flow after a failover on request", next, a, b)

			// By death, once the old master has become a replica.
			c := w.servers[0].Client(t)
			eventually(t, "the former master follows the new one", func() error {
				info, err := c.Info(within(t), "replication").Result()
				if err == nil && !strings.Contains(info, "master_link_status:up") {
					err = errors.New(info)
				}
				return err
			})
			next = flows(t, "events flow with a replica", next, a, b)
			w.servers[1].Kill(t)
			flows(t, "events flow after the death of the master", next, a, b)
			if err := a.Ready(within(t)); err != nil {
				t.Errorf("Ready() = %v", err)
			}
		})
	}
}

// A former master that lives on, cut off from those who would tell it, keeps its
// subscribers. They notice by themselves that it is not where others publish.
//
// Proves T-93.
func TestSubscriptionsFollowTheMaster(t *testing.T) {
	for _, mode := range []redisadapter.Mode{redisadapter.Classic, redisadapter.Sharded} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			former, master := startRedis(t), startRedis(t)
			var addr atomic.Pointer[string]
			addr.Store(&former.addr)
			var nodes []*node
			for _, id := range []string{"a", "b"} {
				a, err := redisadapter.Open(&redis.UniversalOptions{
					Addrs: []string{"wherever:1"},
					Dialer: func(ctx context.Context, network, _ string) (net.Conn, error) {
						return new(net.Dialer).DialContext(ctx, network, *addr.Load())
					},
				}, redisadapter.Options{Mode: mode})
				if err != nil {
					t.Fatalf("Open: %v", err)
				}
				t.Cleanup(func() { _ = a.Close() })
				nodes = append(nodes, join(a, "/", id).ready(t))
			}
			next := flows(t, "events flow", 0, nodes...)
			// Nodes notice once they have seen themselves counted.
			c := former.Client(t)
			eventually(t, "nodes are counted", func() error {
				stats, err := c.Info(within(t), "commandstats").Result()
				_, count, _ := strings.Cut(stats, "numsub:calls=")
				if count, _, _ = strings.Cut(count, ","); err == nil && len(count) < 2 { // ten times
					err = fmt.Errorf("%s times", count)
				}
				return err
			})
			addr.Store(&master.addr)
			if err := c.ClientKillByFilter(within(t), "TYPE", "normal", "SKIPME", "yes").Err(); err != nil {
				t.Fatalf("CLIENT KILL: %v", err)
			}
			master.subscribed(t, mode == redisadapter.Sharded, nodes...)
			flows(t, "events flow at the new master", next, nodes...)
		})
	}
}
