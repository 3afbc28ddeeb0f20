package integration_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	redisadapter "github.com/dunlin-io/dunlin/adapter/redis"
	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/cluster/clustertest"
)

const slots = 16384

// startRedisCluster starts a Redis Cluster of three masters on this machine and
// returns their addresses. It needs redis-server 7 on the PATH: containers would
// tell each other addresses that are not reachable from here.
func startRedisCluster(t *testing.T) []string {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		const message = "no Redis Cluster: install redis-server (apt-get install redis-server)"
		if os.Getenv("CI") == "true" {
			t.Fatal(message)
		}
		t.Skip(message)
	}
	addrs := make([]string, 3)
	for i := range addrs {
		addrs[i] = freeAddr(t)
		_, bus, err := net.SplitHostPort(freeAddr(t))
		if err != nil {
			t.Fatal(err)
		}
		startProcess(t, path, addrs[i], "--cluster-enabled", "yes", "--cluster-port", bus, "--cluster-node-timeout", "2000").waitReady(t)
		c := (&redisServer{addr: addrs[i]}).Client(t)
		first, last := i*slots/3, (i+1)*slots/3-1
		if err := c.Do(within(t), "CLUSTER", "ADDSLOTSRANGE", first, last).Err(); err != nil {
			t.Fatalf("CLUSTER ADDSLOTSRANGE: %v", err)
		}
		if err := c.Do(within(t), "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err(); err != nil {
			t.Fatalf("CLUSTER SET-CONFIG-EPOCH: %v", err)
		}
		if i == 0 {
			continue
		}
		host, port, _ := net.SplitHostPort(addrs[0])
		if err := c.Do(within(t), "CLUSTER", "MEET", host, port, clusterPort(t, addrs[0])).Err(); err != nil {
			t.Fatalf("CLUSTER MEET: %v", err)
		}
	}
	for _, addr := range addrs {
		c := (&redisServer{addr: addr}).Client(t)
		eventually(t, "the cluster is whole", func() error {
			info, err := c.ClusterInfo(within(t)).Result()
			if err == nil && !(strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_known_nodes:3")) {
				err = errors.New(info)
			}
			return err
		})
	}
	return addrs
}

// clusterPort asks a node for the port of its cluster bus.
func clusterPort(t *testing.T, addr string) int {
	t.Helper()
	c := (&redisServer{addr: addr}).Client(t)
	config, err := c.ConfigGet(within(t), "cluster-port").Result()
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(config["cluster-port"])
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// Proves T-94.
func TestClassicConformanceOnRedisCluster(t *testing.T) {
	t.Parallel()
	addrs := startRedisCluster(t)
	bus := 0
	for _, routing := range []redisadapter.Routing{redisadapter.Static, redisadapter.Dynamic} {
		t.Run(routing.String(), func(t *testing.T) {
			conformsOnRedisCluster(t, addrs, redisadapter.Options{Routing: routing}, &bus)
		})
	}
}

func conformsOnRedisCluster(t *testing.T, addrs []string, o redisadapter.Options, buses *int) {
	t.Helper()
	clustertest.Run(t, func(t *testing.T) clustertest.Bus {
		*buses++
		o.Prefix, o.Streams.Name = fmt.Sprintf("bus%d", *buses), fmt.Sprintf("stream%d", *buses)
		next := 0
		return func() cluster.Adapter {
			next++
			a, err := redisadapter.Open(&redis.UniversalOptions{
				// Nodes come in by different doors, as they do in production.
				Addrs: []string{addrs[next%3], addrs[(next+1)%3]},
			}, o)
			if err != nil {
				t.Fatalf("Open: %v", err)
			}
			t.Cleanup(func() { _ = a.Close() })
			return a
		}
	})
}
