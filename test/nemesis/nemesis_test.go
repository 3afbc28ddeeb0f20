//go:build unix

package nemesis_test

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/test/nemesis"
)

// number reads an environment variable.
func number(t *testing.T, name string, def int) int {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		return def
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// TestNemesis draws faults at random. SEED and ROUNDS choose; a failure prints
// the seed of its round, which draws the same faults again.
func TestNemesis(t *testing.T) {
	if testing.Short() {
		t.Skip("a round takes ten seconds")
	}
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("install redis-server: apt-get install redis-server")
	}
	path, err := nemesis.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	seed, rounds := number(t, "SEED", 1), number(t, "ROUNDS", 1)
	adapter := os.Getenv("ADAPTER")
	if adapter == "" {
		adapter = "classic"
	}
	for i := range rounds {
		t.Run(strconv.Itoa(seed+i), func(t *testing.T) {
			round(t, nemesis.RigConfig{Binary: path, Nodes: 3, Adapter: adapter, Dir: t.TempDir(), Seed: uint64(seed + i)})
		})
	}
}

const (
	roundLength = 6 * time.Second
	settle      = 8 * time.Second // what waits for Redis must have arrived by then
)

func round(t *testing.T, c nemesis.RigConfig) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	rig, err := nemesis.NewRig(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	defer rig.Close()
	ledger := nemesis.NewLedger()
	w, err := nemesis.StartWorkload(ctx, rig, ledger, 2, 3, 10*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	failed := nemesis.NewRound(rig, ledger, c.Seed, t.Logf).Run(ctx, nemesis.AllFaults(), roundLength)
	w.Stop(settle)
	if failed != nil {
		t.Error(failed)
	}
	v := ledger.Check()
	t.Logf("%d sent, %d accepted, %d received, excused %v", v.Sent, v.Accepted, v.Received, v.Excused)
	if v.Accepted < 100 || v.Received < 3*v.Accepted {
		t.Errorf("only %d messages were accepted and %d received: the workload does not run", v.Accepted, v.Received)
	}
	for i, violation := range v.Violations {
		if i == 20 {
			t.Errorf("and %d more", len(v.Violations)-i)
			break
		}
		t.Error(violation)
	}
	for _, n := range rig.Nodes {
		if !n.Running() {
			t.Errorf("%s has died", n.Name)
		}
		if t.Failed() {
			t.Logf("%s:\n%s", n.Name, n.Output())
		}
	}
}
