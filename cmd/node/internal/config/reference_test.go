package config_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/dunlin-io/dunlin/cmd/node/internal/config"
)

var update = flag.Bool("update", false, "write the tables of options into docs/node.md")

const page = "../../../../docs/node.md"

// The tables stand between <!-- options of serve --> and <!-- end --> in
// docs/node.md. `go test ./cmd/node/internal/config -update` writes them.
func TestDocumentationListsTheOptions(t *testing.T) {
	tables, err := config.Reference()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	document := string(text)
	if len(tables) != 4 {
		t.Errorf("tables for %d commands, want serve, dev, emit and bench", len(tables))
	}
	for name, table := range tables {
		begin, end := "<!-- options of "+name+" -->\n", "<!-- end -->"
		before, rest, ok := strings.Cut(document, begin)
		if !ok {
			t.Fatalf("docs/node.md has no line %q", begin)
		}
		got, after, _ := strings.Cut(rest, end)
		if *update {
			document = before + begin + table + end + after
		} else if got != table {
			t.Errorf("the options of %s in docs/node.md are not those of the program: run go test ./cmd/node/internal/config -update", name)
		}
	}
	if *update {
		if err := os.WriteFile(page, []byte(document), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
