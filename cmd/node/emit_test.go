package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// emits runs dunlin emit and returns its exit status and standard error.
func emits(t *testing.T, args ...string) (status int, stderr string) {
	t.Helper()
	p := start(t, append([]string{"emit"}, args...)...)
	state := p.wait()
	if len(p.lines) > 0 {
		t.Errorf("dunlin emit %q printed %q", args, p.lines)
	}
	return state.ExitCode(), p.stderr.String()
}

// Proves T-108.
func TestEveryAdapterJoinsNodesAndTakesEmit(t *testing.T) {
	redis := startRedis(t)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("a secret of this test\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []string{"classic", "sharded", "streams", "classic --bus-secret-file=" + secret} {
		t.Run(mode, func(t *testing.T) {
			bus := append([]string{"--redis=" + redis}, strings.Fields("--adapter="+mode)...)
			var clients [2]*client
			for i := range clients {
				node := start(t, append([]string{"serve", "--addr=127.0.0.1:0", "--playground"}, bus...)...)
				clients[i] = dial(t, node.url("ready "))
			}
			a, b := clients[0], clients[1]
			a.ask(nil, "join", "r")
			b.emit("room", "r", "across nodes")
			a.expectMsg(`"across nodes"`)
			a.emit("bcast", "to both")
			a.expectMsg(`"to both"`)
			b.expectMsg(`"to both"`)

			emit := func(args ...string) {
				t.Helper()
				if status, stderr := emits(t, append(bus, args...)...); status != 0 || stderr != "" {
					t.Errorf("dunlin emit %q: exit status %d, %s", args, status, stderr)
				}
			}
			emit("msg", `"to all"`)
			a.expectMsg(`"to all"`)
			b.expectMsg(`"to all"`)
			emit("--room=r", "--string", "msg", "to a room", "1")
			a.expectMsg(`"to a room","1"`)
			emit("--except=r", "msg", `"not to a room"`, `{"second":[1]}`)
			b.expectMsg(`"not to a room",{"second":[1]}`)
			emit("--room=s", "--join=t", "msg", `"nobody is there"`)
			emit("--except=r", "--join=s")
			emit("--room=s", "--room=other", "--leave=s", "msg", `"still there"`)
			b.expectMsg(`"still there"`)
			emit("--room=", "msg", `"nobody"`)
			emit("--servers", "whatever", "1")

			emit("--room=r", "--disconnect", "msg", `"goodbye"`)
			a.expectMsg(`"goodbye"`)
			emit("msg", `"end"`)
			b.expectMsg(`"end"`)
			select {
			case <-a.left:
			case <-time.After(patience):
				t.Error("--disconnect did not disconnect")
			}
		})
	}
}

func TestEmitSaysWhatIsWrong(t *testing.T) {
	redis := miniredis.RunT(t)
	addr := redis.Addr()
	status, stderr := emits(t, "--redis=redis://"+addr, "--namespace=nowhere", "x")
	if status != 0 || !strings.Contains(stderr, "no node hears namespace /nowhere") {
		t.Errorf("without nodes: exit status %d, %s", status, stderr)
	}
	guarded := miniredis.RunT(t)
	guarded.RequireAuth("secret")
	status, stderr = emits(t, "--redis=redis://:wrong@"+guarded.Addr(), "x")
	if status != 1 || !strings.Contains(stderr, "right user and password") || strings.Contains(stderr, "wrong@") {
		t.Errorf("with a wrong password: exit status %d, %s", status, stderr)
	}
	redis.Close()
	status, stderr = emits(t, "--redis=redis://"+addr, "x")
	if status != 1 || !strings.Contains(stderr, "refused: start Redis, or correct --redis\n") {
		t.Errorf("without Redis: exit status %d, %s", status, stderr)
	}
}

func TestEmitWarnsOfVariablesThatNobodyReads(t *testing.T) {
	redis := miniredis.RunT(t)
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	p := run(t, []string{"DUNLIN_REDIS=redis://" + redis.Addr(), "DUNLIN_ADAPTOR=classic"}, path, "emit", "x")
	if state := p.wait(); state.ExitCode() != 0 || !strings.Contains(p.stderr.String(), "did_you_mean=DUNLIN_ADAPTER") {
		t.Errorf("%v, %s", state, &p.stderr)
	}
}
