// Command shape checks what the linter cannot see file by file: that most Go
// files of a tree are short, and that file names say a concept.
//
//	go -C tools run ./shape ..
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

const (
	maxLines = 500 // no file is longer
	p90Lines = 350 // nine of ten files are not longer
)

// nameless are the file names that say nothing about what is inside.
var nameless = []string{"base", "common", "helper", "helpers", "misc", "shared", "type", "types", "util", "utils"}

func main() {
	root := "."
	if len(os.Args) > 1 {
		root = os.Args[1]
	}
	files, err := measure(os.DirFS(root))
	if err == nil {
		sortByLength(files)
		if len(files) > 0 {
			fmt.Printf("%d Go files, median %d lines, 90th percentile %d, longest %d\n",
				len(files), percentile(files, 50), percentile(files, 90), percentile(files, 100))
		}
		err = check(files)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type file struct {
	path  string
	lines int
}

// measure counts the lines of every Go file under tree that we wrote.
func measure(tree fs.FS) ([]file, error) {
	var files []file
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := path.Base(name)
		if entry.IsDir() {
			if base == "node_modules" || base == "testdata" || (strings.HasPrefix(base, ".") && base != ".") {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(base) != ".go" {
			return nil
		}
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return fmt.Errorf("count lines: %w", err)
		}
		files = append(files, file{path: name, lines: bytes.Count(text, []byte("\n"))})
		return nil
	})
	return files, err
}

func sortByLength(files []file) {
	slices.SortFunc(files, func(a, b file) int { return a.lines - b.lines })
}

// check wants files sorted by length.
func check(files []file) error {
	if len(files) == 0 {
		return errors.New("no Go files found: is this the root of the tree?")
	}
	var errs []error
	for _, f := range files {
		if f.lines > maxLines {
			errs = append(errs, fmt.Errorf("%s: %d lines, more than %d: look for the second concept", f.path, f.lines, maxLines))
		}
		concept := strings.TrimSuffix(strings.TrimSuffix(path.Base(f.path), ".go"), "_test")
		if slices.Contains(nameless, concept) {
			errs = append(errs, fmt.Errorf("%s: the name says no concept", f.path))
		}
	}
	if p90 := percentile(files, 90); p90 > p90Lines {
		errs = append(errs, fmt.Errorf("one file in ten is longer than %d lines; %d are allowed", p90, p90Lines))
	}
	return errors.Join(errs...)
}

// percentile is the length that p percent of the sorted files do not exceed.
func percentile(files []file, p int) int {
	return files[(len(files)*p+99)/100-1].lines
}
