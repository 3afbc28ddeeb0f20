package main_test

import (
	"strings"
	"testing"
)

func TestWrongOptionsExitWithStatus2(t *testing.T) {
	for args, want := range map[string]string{
		"serve --ping-interval=25":        "--ping-interval",
		"serve --unknown":                 "--unknown",
		"":                                "serve",
		"dev --adapter=fast":              "--adapter",
		"serve --addr=127.0.0.1:999999":   "--addr",
		"serve --port=3000":               "--addr",
		"emit x":                          "--redis",
		"bench fast":                      "echo",
		"emit --redis=redis://h:1 x text": "--string",
	} {
		p := start(t, strings.Fields(args)...)
		if state := p.wait(); state.ExitCode() != 2 || !strings.Contains(p.stderr.String(), want) {
			t.Errorf("dunlin %s: %v, %q, want exit status 2 and %q", args, state, &p.stderr, want)
		}
	}
}

func TestVersion(t *testing.T) {
	for _, arg := range []string{"version", "--version"} {
		if line := start(t, arg).line("dunlin ", 1); !strings.Contains(line, "go1.") {
			t.Errorf("%s prints %q, want the version of Go in it", arg, line)
		}
	}
}
