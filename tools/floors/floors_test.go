// Package floors tests the import floors in .golangci.yml: a rule whose pattern
// matches no file would refuse nothing, and nobody would notice.
package floors

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

const ours = "github.com/dunlin-io/dunlin/"

// What each folder may not import, and what it may though a rule comes close.
var floors = []struct {
	file    string
	refused []string
	allowed []string
}{
	{
		file: "core/parser/x.go",
		refused: []string{
			ours + "core/engineio", ours + "core/cluster", ours + "test/siotest",
			"github.com/redis/go-redis/v9", "github.com/gobwas/ws", "github.com/alecthomas/kong",
		},
		allowed: []string{ours + "core/parser", "github.com/vmihailenco/msgpack/v5", "math/rand/v2"},
	},
	{
		file:    "core/engineio/x.go",
		refused: []string{ours + "core/parser", ours + "core/socketio", ours + "test/siotest", "math/rand", "math/rand/v2", "github.com/vmihailenco/msgpack/v5"},
		allowed: []string{ours + "core/engineio", "github.com/gobwas/ws", "crypto/rand"},
	},
	{
		file:    "core/engineio/x_test.go",
		refused: []string{ours + "core/parser", ours + "core/socketio", "github.com/testcontainers/testcontainers-go"},
		allowed: []string{ours + "core/engineio", ours + "test/siotest", "github.com/gobwas/ws", "math/rand/v2"},
	},
	{
		file:    "core/cluster/x.go",
		refused: []string{ours + "core/engineio", ours + "core/socketio", ours + "adapter/memory", "github.com/redis/go-redis/v9"},
		allowed: []string{ours + "core/parser", ours + "core/cluster/clustertest", "github.com/vmihailenco/msgpack/v5"},
	},
	{
		file:    "core/socketio/x.go",
		refused: []string{ours + "adapter/memory", ours + "adapter/redis", ours + "test/siotest", "math/rand", "github.com/gobwas/ws"},
		allowed: []string{ours + "core/parser", ours + "core/engineio", ours + "core/cluster"},
	},
	{
		file:    "core/socketio/x_test.go",
		refused: []string{ours + "adapter/redis", "github.com/redis/go-redis/v9", "github.com/stretchr/testify/require"},
		allowed: []string{ours + "adapter/memory", ours + "test/siotest", ours + "core/socketio", "github.com/alicebob/miniredis/v2"},
	},
	{
		file:    "adapter/memory/x.go",
		refused: []string{ours + "core/socketio", ours + "core/engineio", ours + "adapter/redis", "github.com/redis/go-redis/v9"},
		allowed: []string{ours + "core/cluster", ours + "core/parser"},
	},
	{
		file:    "adapter/redis/x.go",
		refused: []string{ours + "core/socketio", ours + "core/engineio", ours + "adapter/memory", "github.com/gobwas/ws", "github.com/alicebob/miniredis/v2"},
		allowed: []string{ours + "core/cluster", ours + "core/parser", "github.com/redis/go-redis/v9", "github.com/vmihailenco/msgpack/v5"},
	},
	{
		file:    "cmd/node/internal/app/x.go",
		refused: []string{"github.com/gobwas/ws", "github.com/vmihailenco/msgpack/v5", "github.com/testcontainers/testcontainers-go"},
		allowed: []string{ours + "core/socketio", ours + "adapter/redis", "github.com/redis/go-redis/v9", "github.com/alecthomas/kong", "github.com/alicebob/miniredis/v2"},
	},
	{
		file:    "test/siotest/x.go",
		refused: []string{"github.com/testcontainers/testcontainers-go"},
		allowed: []string{ours + "core/socketio", ours + "adapter/memory", "github.com/gobwas/ws"},
	},
	{
		file:    "test/integration/x_test.go",
		refused: []string{"github.com/gobwas/ws", "io/ioutil"},
		allowed: []string{"github.com/testcontainers/testcontainers-go", "github.com/redis/go-redis/v9"},
	},
}

func TestFloorsRefuseWhatCrossesThem(t *testing.T) {
	module := t.TempDir()
	write := func(name, text string) {
		name = filepath.Join(module, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{".golangci.yml", "go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join("..", "..", name))
		if err != nil {
			t.Fatal(err)
		}
		write(name, string(text))
	}
	// Every import gets a package of its own below its folder, so that nothing
	// here is a cycle, and every package of ours that is imported exists.
	want := make(map[string]bool) // file → refused
	for _, floor := range floors {
		for i, imported := range append(floor.refused, floor.allowed...) {
			name := fmt.Sprintf("%s/p%d/%s", path.Dir(floor.file), i, path.Base(floor.file))
			write(name, fmt.Sprintf("package p\n\nimport _ %q\n", imported))
			want[name] = i < len(floor.refused)
			if dir, ok := strings.CutPrefix(imported, ours); ok {
				write(dir+"/doc.go", "package "+path.Base(dir)+"\n")
			}
		}
	}

	got := refusals(t, module)
	for name, refused := range want {
		if (got[name] != "") != refused {
			text, _ := os.ReadFile(filepath.Join(module, filepath.FromSlash(name)))
			t.Errorf("%s: %s refused = %v (%s), want %v", name, strings.Fields(string(text))[4], !refused, got[name], refused)
		}
	}
}

// refusals runs the pinned linter over module and returns what it says by file.
func refusals(t *testing.T, module string) map[string]string {
	t.Helper()
	linter, err := exec.CommandContext(t.Context(), "go", "tool", "-n", "golangci-lint").Output()
	if err != nil {
		t.Fatalf("build the linter: %v", err)
	}
	run := exec.CommandContext(t.Context(), strings.TrimSpace(string(linter)), "run", "--enable-only=depguard",
		"--issues-exit-code=0", "--output.json.path=stdout", "--show-stats=false", "./...")
	run.Dir = module
	var stderr strings.Builder
	run.Stderr = &stderr
	output, err := run.Output()
	if err != nil {
		t.Fatalf("run the linter: %v\n%s%s", err, output, stderr.String())
	}
	var report struct {
		Issues []struct {
			FromLinter, Text string
			Pos              struct{ Filename string }
		}
	}
	if err := json.Unmarshal(output, &report); err != nil {
		t.Fatalf("read the linter's report: %v\n%s", err, output)
	}
	said := make(map[string]string)
	for _, issue := range report.Issues {
		if issue.FromLinter != "depguard" {
			t.Fatalf("%s: %s", issue.Pos.Filename, issue.Text)
		}
		said[filepath.ToSlash(issue.Pos.Filename)] = issue.Text
	}
	return said
}
