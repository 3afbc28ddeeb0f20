package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// result is what became of one test of test/interop.
type result struct {
	File  string // from test/interop
	Line  int    // of the call of test or describe
	Name  string
	Suite bool   // a describe
	Depth int    // of nesting
	State string // pass, fail, skip

	path  []string // names of the suites around it, then its own
	level int      // depth of the outermost of path so far
}

// readInterop reads the results of a whole run against Dunlin. Suites come
// behind what is inside of them.
func readInterop(tree fs.FS) ([]result, error) {
	file, err := tree.Open(interopRan)
	if err != nil {
		return nil, fmt.Errorf("no results of make interop: %w", err)
	}
	defer file.Close()
	var done, open []result
	lines := json.NewDecoder(bufio.NewReader(file))
	var head struct{ Subject string }
	if err := lines.Decode(&head); err != nil {
		return nil, fmt.Errorf("%s: %w", interopRan, err)
	}
	if head.Subject != "dunlin" {
		return nil, fmt.Errorf("%s: results of the subject %q, want dunlin", interopRan, head.Subject)
	}
	for lines.More() {
		var r result
		if err := lines.Decode(&r); err != nil {
			return nil, fmt.Errorf("%s: %w", interopRan, err)
		}
		if r.State == "fail" {
			return nil, fmt.Errorf("%s: %s:%d: %q failed", interopRan, r.File, r.Line, r.Name)
		}
		r.path, r.level = []string{r.Name}, r.Depth
		if !r.Suite {
			open = append(open, r)
		} else {
			for i := range open {
				if open[i].level > r.Depth {
					open[i].path, open[i].level = append([]string{r.Name}, open[i].path...), r.Depth
				}
			}
		}
		if r.Depth == 0 {
			done, open = append(done, open...), nil
		}
	}
	if len(open) > 0 || len(done) == 0 {
		return nil, fmt.Errorf("%s: the run has not ended", interopRan)
	}
	return done, nil
}

// where identifies a test among those that ran.
type where struct {
	place string // package path of a Go test, file of another
	name  string // name of a Go test, line of another
}

// readPassed tells which tests passed, of Go and of test/interop.
func readPassed(tree fs.FS, results []result) (map[where]bool, error) {
	text, err := fs.ReadFile(tree, goRan)
	if err != nil {
		return nil, fmt.Errorf("no results of make race: %w", err)
	}
	passed := make(map[where]bool)
	for line := range strings.Lines(string(text)) {
		place, name, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			return nil, fmt.Errorf("%s: %q is not a package and a test", goRan, line)
		}
		passed[where{place, name}] = true
	}
	for _, r := range results {
		if r.State == "pass" {
			passed[where{path.Join(interopDir, r.File), fmt.Sprint(r.Line)}] = true
		}
	}
	return passed, nil
}

const module = "github.com/dunlin-io/dunlin"

func (t test) where() where {
	if path.Ext(t.file) == ".mjs" {
		return where{t.file, fmt.Sprint(t.line)}
	}
	return where{path.Join(module, path.Dir(t.file)), t.name}
}

// checkRan finds tests with a tag that did not pass. A test of test/interop
// runs for many clients; where all of them skip it, it did not pass.
func checkRan(tests []test, passed map[where]bool) error {
	var errs []error
	for _, t := range tests {
		if !passed[t.where()] {
			errs = append(errs, fmt.Errorf("%s:%d: %q proves %s, and did not pass in the last run",
				t.file, t.line, t.name, strings.Join(t.ids, ", ")))
		}
	}
	return errors.Join(errs...)
}
