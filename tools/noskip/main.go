// Command noskip reads `go test -json` and prints what `go test` would have
// printed. It fails when a test failed, and also when one was skipped: where
// everything is installed a skip is a test that silently stopped testing.
//
//	go test -json ./... | noskip
//	go test -json ./... | noskip -passed FILE
//
// The second form writes the names of the tests that passed to FILE, one a
// line as package and test; without subtests.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

func main() {
	name := flag.String("passed", "", "file for the names of the tests that passed")
	flag.Parse()
	if err := record(*name, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "noskip:", err)
		os.Exit(1)
	}
}

// record is run with a file for the tests that passed, unless its name is empty.
func record(name string, r io.Reader, w io.Writer) error {
	if name == "" {
		return run(r, w, io.Discard)
	}
	passed, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("record what passed: %w", err)
	}
	return errors.Join(run(r, w, passed), passed.Close())
}

// event is one line of `go test -json`; see `go doc test2json`.
type event struct {
	Action, Package, Test, Output string
}

// name identifies a test, or a package where Test is empty.
func (e event) name() string { return strings.TrimSpace(e.Package + " " + e.Test) }

func run(r io.Reader, w, names io.Writer) error {
	var failed, skipped []string
	passed := 0
	output := make(map[string][]string) // of tests that still run, by name

	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			// Not every line of the toolchain is JSON; what it says still matters.
			fmt.Fprintln(w, lines.Text())
			continue
		}
		switch e.Action {
		case "build-output":
			fmt.Fprint(w, e.Output)
		case "output":
			if e.Test != "" {
				output[e.name()] = append(output[e.name()], e.Output)
			} else if e.Output != "PASS\n" {
				fmt.Fprint(w, e.Output)
			}
		case "pass", "fail", "skip":
			if e.Action != "pass" {
				flush(w, output, e)
			}
			delete(output, e.name())
			switch {
			case e.Action == "fail":
				failed = append(failed, e.name())
			case e.Action == "skip" && e.Test != "": // a package without tests is skipped, too
				skipped = append(skipped, e.name())
			case e.Action == "pass" && e.Test != "":
				passed++
				if !strings.Contains(e.Test, "/") {
					if _, err := fmt.Fprintln(names, e.name()); err != nil {
						return fmt.Errorf("record what passed: %w", err)
					}
				}
			}
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read test events: %w", err)
	}
	return verdict(w, passed, failed, skipped)
}

// flush prints what the ended test or package left unprinted. A process that
// died leaves tests that never ended: they end with their package.
func flush(w io.Writer, output map[string][]string, ended event) {
	for _, name := range slices.Sorted(maps.Keys(output)) {
		if name == ended.name() || ended.Test == "" && strings.HasPrefix(name, ended.Package+" ") {
			fmt.Fprint(w, strings.Join(output[name], ""))
			delete(output, name)
		}
	}
}

func verdict(w io.Writer, passed int, failed, skipped []string) error {
	fmt.Fprintf(w, "\n%d passed, %d failed, %d skipped\n", passed, len(failed), len(skipped))
	slices.Sort(failed)
	slices.Sort(skipped)
	for _, name := range failed {
		fmt.Fprintln(w, "FAILED ", name)
	}
	for _, name := range skipped {
		fmt.Fprintln(w, "SKIPPED", name)
	}
	switch {
	case len(failed)+len(skipped) > 0:
		return fmt.Errorf("%d failed, %d skipped", len(failed), len(skipped))
	case passed == 0:
		return fmt.Errorf("no test ran")
	}
	return nil
}
