package docs

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// root is the repository, seen from this package.
const root = "../.."

// page is one Markdown file, split into prose and fenced blocks.
type page struct {
	path   string // slash-separated, from the root
	prose  []string
	blocks []block
}

// block is one fenced block.
type block struct {
	page string
	line int    // of its first line of text
	lang string // first word of the info string
	text string
}

func (b block) String() string { return fmt.Sprintf("%s:%d", b.page, b.line) }

// pages reads all documentation.
func pages(t *testing.T) []page {
	t.Helper()
	var found []page
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if entry.IsDir() {
			if name != "." && name != "docs" && !strings.HasPrefix(name, "docs/") {
				return fs.SkipDir
			}
			return nil
		}
		if filepath.Ext(name) != ".md" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		p, err := parsePage(name, string(text))
		found = append(found, p)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Fatal("no documentation found")
	}
	return found
}

// dependOnSources looks at every Go file of the repository, so that the test
// cache, which cannot see what the go command reads, forgets our verdict when one
// of them changes.
func dependOnSources(t *testing.T) {
	t.Helper()
	for _, dir := range []string{"core", "adapter", "cmd", "test/siotest"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, _ fs.DirEntry, err error) error {
			if err == nil && filepath.Ext(path) == ".go" {
				_, err = os.Stat(path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

var fence = regexp.MustCompile("^( *)(`{3,}|~{3,}) *([^` ]*)[^`]*$")

func parsePage(path, text string) (page, error) {
	p := page{path: path}
	var open *block
	var indent, mark string
	for i, line := range strings.Split(text, "\n") {
		m := fence.FindStringSubmatch(line)
		switch {
		case open == nil && m != nil:
			indent, mark = m[1], m[2]
			open = &block{page: path, line: i + 2, lang: m[3]}
		case open == nil:
			p.prose = append(p.prose, line)
		case m != nil && m[3] == "" && strings.HasPrefix(m[2], mark):
			p.blocks = append(p.blocks, *open)
			open = nil
		default:
			open.text += strings.TrimPrefix(line, indent) + "\n"
		}
	}
	if open != nil {
		return p, fmt.Errorf("%v: the fence is never closed", *open)
	}
	return p, nil
}

func TestParsePageSplitsProseAndBlocks(t *testing.T) {
	text := "# A\n\n```go\nx := 1\n```\n\n- item\n\n  ````sh extra\n  make\n  ```\n  ````\nend"
	p, err := parsePage("a.md", text)
	if err != nil {
		t.Fatal(err)
	}
	want := []block{
		{page: "a.md", line: 4, lang: "go", text: "x := 1\n"},
		{page: "a.md", line: 10, lang: "sh", text: "make\n```\n"},
	}
	if len(p.blocks) != 2 || p.blocks[0] != want[0] || p.blocks[1] != want[1] {
		t.Errorf("blocks = %+v, want %+v", p.blocks, want)
	}
	if got, want := strings.Join(p.prose, "|"), "# A|||- item||end"; got != want {
		t.Errorf("prose = %q, want %q", got, want)
	}
	if _, err := parsePage("a.md", "```go\nx"); err == nil {
		t.Error("a fence that is never closed was accepted")
	}
}
