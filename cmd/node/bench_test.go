package main_test

import (
	"strings"
	"testing"
)

func TestBenchExitsWithWhatItFinds(t *testing.T) {
	server := start(t, "serve", "--addr=127.0.0.1:0", "--playground").url("ready ")
	args := []string{"bench", "broadcast", "--clients=10", "--duration=100ms", "--warmup=0s", "--timeout=1s"}
	p := start(t, append(args, server)...)
	if state := p.wait(); state.ExitCode() != 0 || p.stderr.String() != "" {
		t.Errorf("bench: %v, %s", state, &p.stderr)
	}
	p.line("checked ", 1)
	bare := start(t, "serve", "--addr=127.0.0.1:0").url("ready ")
	p = start(t, append(args, bare)...)
	if state := p.wait(); state.ExitCode() != 1 || !strings.Contains(p.stderr.String(), "serve --playground") {
		t.Errorf("bench of a server without the playground: %v, %s", state, &p.stderr)
	}
}
