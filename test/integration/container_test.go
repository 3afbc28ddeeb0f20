package integration_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/redis/go-redis/v9"
	"github.com/testcontainers/testcontainers-go"
)

// Containers are the first choice, but never worth waiting long for.
const (
	engineWait = 3 * time.Second
	pullWait   = time.Minute
)

func image() string {
	if name := os.Getenv("REDIS_IMAGE"); name != "" {
		return name
	}
	return "redis:7-alpine"
}

// engine returns why no containers can be had. It asks once.
var engine = sync.OnceValue(func() (err error) {
	defer func() {
		if r := recover(); r != nil { // testcontainers panics where it finds no engine
			err = fmt.Errorf("docker: %v", r)
		}
	}()
	if image() == "none" {
		return errors.New("docker: REDIS_IMAGE is none")
	}
	ctx, cancel := context.WithTimeout(context.Background(), engineWait)
	defer cancel()
	docker, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		return fmt.Errorf("docker: %w", err)
	}
	defer func() { _ = docker.Close() }()
	if _, err := docker.Ping(ctx, client.PingOptions{}); err != nil {
		return fmt.Errorf("docker: %w", err)
	}
	if _, err := docker.ImageInspect(ctx, image()); err == nil {
		return nil
	}
	ctx, cancelPull := context.WithTimeout(context.Background(), pullWait)
	defer cancelPull()
	pull, err := docker.ImagePull(ctx, image(), client.ImagePullOptions{})
	if err == nil {
		err = pull.Wait(ctx)
	}
	if err != nil {
		return fmt.Errorf("docker: pull %s: %w", image(), err)
	}
	return nil
})

// noContainers is set when a container could not be started: others need not
// try.
var noContainers atomic.Bool

// dockerRedis is a Redis in a container.
type dockerRedis struct {
	container testcontainers.Container
	docker    *testcontainers.DockerClient
	paused    bool
}

func startContainer(t testing.TB, addr string) (_ *redisServer, err error) {
	t.Helper()
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("docker: %v", r)
		}
		if err != nil {
			noContainers.Store(true)
		}
	}()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), pullWait)
	defer cancel()
	docker, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		return nil, fmt.Errorf("docker: %w", err)
	}
	c, err := testcontainers.GenericContainer(ctx, testcontainers.GenericContainerRequest{
		ContainerRequest: testcontainers.ContainerRequest{
			Image:        image(),
			Cmd:          []string{"redis-server", "--save", "", "--appendonly", "no", "--protected-mode", "no"},
			ExposedPorts: []string{"6379/tcp"},
			// A port of our choice is still the same after a restart.
			HostConfigModifier: func(h *container.HostConfig) {
				h.PortBindings = network.PortMap{network.MustParsePort("6379/tcp"): []network.PortBinding{{
					HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: port,
				}}}
			},
		},
		Started: true,
		Logger:  quiet{},
	})
	d := &dockerRedis{container: c, docker: docker}
	t.Cleanup(d.remove)
	if err != nil {
		return nil, fmt.Errorf("docker: %w", err)
	}
	host, err := c.Host(ctx)
	if err != nil {
		return nil, fmt.Errorf("docker: %w", err)
	}
	addr, err = reachable(ctx, net.JoinHostPort(host, port), addr)
	if err != nil {
		return nil, fmt.Errorf("docker: %w", err)
	}
	return &redisServer{addr: addr, machine: d}, nil
}

// reachable returns the first address at which Redis answers: where tests run in
// a container themselves, testcontainers guesses which host is theirs.
func reachable(ctx context.Context, addrs ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*engineWait)
	defer cancel()
	for {
		var errs []error
		for _, addr := range addrs {
			err := ping(ctx, addr)
			if err == nil {
				return addr, nil
			}
			errs = append(errs, err)
		}
		select {
		case <-ctx.Done():
			return "", errors.Join(errs...)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func ping(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	c := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true})
	defer func() { _ = c.Close() }()
	return c.Ping(ctx).Err()
}

// quiet keeps testcontainers from telling what it does.
type quiet struct{}

func (quiet) Printf(string, ...any) {}

// remove is idempotent and accepts a container that did not start.
func (d *dockerRedis) remove() {
	if d.paused {
		_ = d.resume()
	}
	_ = testcontainers.TerminateContainer(d.container, testcontainers.StopTimeout(0))
	_ = d.docker.Close()
}

func (d *dockerRedis) do(what string, act func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), pullWait)
	defer cancel()
	if err := act(ctx); err != nil {
		return fmt.Errorf("docker: %s: %w", what, err)
	}
	return nil
}

func (d *dockerRedis) kill() error {
	return d.do("kill", func(ctx context.Context) error {
		id := d.container.GetContainerID()
		if _, err := d.docker.ContainerKill(ctx, id, client.ContainerKillOptions{Signal: "KILL"}); err != nil {
			return err
		}
		wait := d.docker.ContainerWait(ctx, id, client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
		select {
		case <-wait.Result:
			return nil
		case err := <-wait.Error:
			return err
		}
	})
}

func (d *dockerRedis) start() error {
	return d.do("start", func(ctx context.Context) error {
		_, err := d.docker.ContainerStart(ctx, d.container.GetContainerID(), client.ContainerStartOptions{})
		return err
	})
}

func (d *dockerRedis) pause() error {
	d.paused = true
	return d.do("pause", func(ctx context.Context) error {
		_, err := d.docker.ContainerPause(ctx, d.container.GetContainerID(), client.ContainerPauseOptions{})
		return err
	})
}

func (d *dockerRedis) resume() error {
	d.paused = false
	return d.do("resume", func(ctx context.Context) error {
		_, err := d.docker.ContainerUnpause(ctx, d.container.GetContainerID(), client.ContainerUnpauseOptions{})
		return err
	})
}
