package main_test

import (
	"strings"
	"testing"
)

func TestWrongOptionsExitWithStatus2(t *testing.T) {
	for args, want := range map[string]string{
		"serve --ping-interval=25":      "--ping-interval",
		"serve --unknown":               "--unknown",
		"":                              "serve",
		"dev --adapter=streams":         "--adapter",
		"serve --addr=127.0.0.1:999999": "--addr",
	} {
		p := start(t, strings.Fields(args)...)
		state := p.wait()
		wantCode := 2
		if strings.Contains(args, "999999") { // found out when it listens
			wantCode = 1
		}
		if state.ExitCode() != wantCode || !strings.Contains(p.stderr.String(), want) {
			t.Errorf("dunlin %s: %v, %q, want exit status %d and %q", args, state, &p.stderr, wantCode, want)
		}
	}
}

func TestVersion(t *testing.T) {
	if line := start(t, "version").line("dunlin ", 1); !strings.Contains(line, "go1.") {
		t.Errorf("version prints %q, want the version of Go in it", line)
	}
}
