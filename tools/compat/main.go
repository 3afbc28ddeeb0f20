// Command compat keeps docs/compatibility.md and docs/clients.md true. Rows and
// differences are in rows.txt and differences.txt; the tests say by a line in
// their comments which of them they prove:
//
//	// Proves T-55, J-07.          above a Go test
//	// proves: T-55, J-07          above test( in test/interop
//
// It fails when a tag names nothing, when a row with the state "yes" has no
// test, and when the page is not what -write would make of it.
//
//	go -C tools run ./compat ..            check docs/compatibility.md
//	go -C tools run ./compat -write ..     write it
//	go -C tools run ./compat -ran ..       check also that the tests passed
//
// With -ran it reads what `make race` and `make interop` left in bin/, fails
// for a tagged test that did not pass there, and checks, or writes,
// docs/clients.md, which is made of the results of test/interop.
package main

import (
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

//go:embed rows.txt
var rowsText string

//go:embed differences.txt
var differencesText string

// What the command reads and writes, relative to the root of the tree.
const (
	pageFile    = "docs/compatibility.md"
	clientsFile = "docs/clients.md"
	goRan       = "bin/ran-go.txt"
	interopRan  = "bin/ran-interop.jsonl"
)

func main() {
	write := flag.Bool("write", false, "write the pages instead of checking them")
	ran := flag.Bool("ran", false, "check that the tests passed in the last make race and make interop")
	flag.Parse()
	root := "."
	if flag.NArg() > 0 {
		root = flag.Arg(0)
	}
	if err := run(root, *write, *ran); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(root string, write, ran bool) error {
	tree := os.DirFS(root)
	p, err := makePages(tree, rowsText, differencesText, ran)
	if err != nil {
		return err
	}
	var errs []error
	for name, text := range p {
		if write {
			errs = append(errs, os.WriteFile(filepath.Join(root, filepath.FromSlash(name)), []byte(text), 0o644))
			continue
		}
		if old, err := fs.ReadFile(tree, name); err != nil || string(old) != text {
			errs = append(errs, fmt.Errorf("%s is out of date: %s", name, remedy(ran)))
		}
	}
	return errors.Join(errs...)
}

func remedy(ran bool) string {
	if ran {
		return "run make race interop, then go -C tools run ./compat -ran -write .."
	}
	return "run go -C tools run ./compat -write .."
}

// makePages returns the text of each page by its name. Nothing is wrong with
// what they say, or there is an error.
func makePages(tree fs.FS, rowsText, differencesText string, ran bool) (map[string]string, error) {
	rows, errRows := parseRows(rowsText)
	differences, errDifferences := parseDifferences(differencesText)
	tests, errTags := findTests(tree)
	err := errors.Join(errRows, errDifferences, errTags)
	if err == nil {
		err = checkTags(rows, differences, tests)
	}
	if err != nil {
		return nil, err
	}
	pages := map[string]string{pageFile: compatibilityPage(rows, differences, tests)}
	if !ran {
		return pages, nil
	}
	results, err := readInterop(tree)
	if err != nil {
		return nil, err
	}
	passed, err := readPassed(tree, results)
	if err != nil {
		return nil, err
	}
	if err := checkRan(tests, passed); err != nil {
		return nil, err
	}
	pages[clientsFile], err = clientsPage(tree, results)
	return pages, err
}
