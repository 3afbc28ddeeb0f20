package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// test is a test with a tag.
type test struct {
	file string // slash-separated, from the root
	line int    // where the test begins
	name string
	ids  []string // what it proves
}

var (
	goTag   = regexp.MustCompile(`^// Proves [TJ]-\d`)
	goIDs   = regexp.MustCompile(`^// Proves ([TJ]-\d{2,3}(?:, [TJ]-\d{2,3})*)\.$`)
	nodeTag = regexp.MustCompile(`^\s*//\s*[Pp]roves:`)
	nodeIDs = regexp.MustCompile(`^\s*// proves: ([TJ]-\d{2,3}(?:, [TJ]-\d{2,3})*)$`)
	runs    = regexp.MustCompile(`^(Test|Example|Fuzz)(\P{Ll}|$)`)
)

// interopDir holds the tests in JavaScript.
const interopDir = "test/interop"

// findTests returns the tests of the tree that have a tag.
func findTests(tree fs.FS) ([]test, error) {
	var tests []test
	var errs []error
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := path.Base(name)
		if entry.IsDir() {
			// tools is a module of its own, whose tests are about the tree.
			if base == "node_modules" || base == "testdata" || name == "tools" || strings.HasPrefix(base, ".") && name != "." {
				return fs.SkipDir
			}
			return nil
		}
		find := goTests
		switch {
		case strings.HasSuffix(base, "_test.go"):
		case path.Ext(base) == ".mjs" && strings.HasPrefix(name, interopDir+"/"):
			find = nodeTests
		default:
			return nil
		}
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return fmt.Errorf("find tests: %w", err)
		}
		found, err := find(name, string(text))
		errs = append(errs, err)
		tests = append(tests, found...)
		return nil
	})
	return tests, errors.Join(append(errs, err)...)
}

// goTests finds tags in the comments of test functions. A tag anywhere else is
// an error.
func goTests(name, text string) (tests []test, err error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("find tests: %w", err)
	}
	var errs []error
	owner := make(map[*ast.CommentGroup]*ast.FuncDecl)
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Doc != nil && f.Recv == nil && runs.MatchString(f.Name.Name) {
			owner[f.Doc] = f
		}
	}
	for _, group := range file.Comments {
		for _, comment := range group.List {
			if !goTag.MatchString(comment.Text) {
				continue
			}
			f, ids := owner[group], goIDs.FindStringSubmatch(comment.Text)
			if f == nil || ids == nil {
				errs = append(errs, fmt.Errorf("%s: want \"// Proves T-55, J-07.\" in the comment of a test", files.Position(comment.Pos())))
				continue
			}
			tests = append(tests, test{
				file: name, line: files.Position(f.Pos()).Line, name: f.Name.Name, ids: strings.Split(ids[1], ", "),
			})
		}
	}
	return tests, errors.Join(errs...)
}

// title is the first string after "test(".
var title = regexp.MustCompile("^[ \t]*test\\(\\s*(?:\"((?:[^\"\\\\]|\\\\.)*)\"|`([^`]*)`)")

// placeholder is a part of a title that differs from test to test.
var placeholder = regexp.MustCompile(`\$\{[^}]*\}`)

// nodeTests finds tags in the line above a call of test.
func nodeTests(name, text string) (tests []test, err error) {
	var errs []error
	all := strings.Split(text, "\n")
	for i, line := range all {
		if !nodeTag.MatchString(line) {
			continue
		}
		ids, call := nodeIDs.FindStringSubmatch(line), title.FindStringSubmatch(strings.Join(all[i+1:], "\n"))
		if ids == nil || call == nil {
			errs = append(errs, fmt.Errorf("%s:%d: want \"// proves: T-55, J-07\" right above test(\"...\"", name, i+1))
			continue
		}
		tests = append(tests, test{
			file: name, line: i + 2, name: placeholder.ReplaceAllString(strings.Join(call[1:], ""), "…"), ids: strings.Split(ids[1], ", "),
		})
	}
	return tests, errors.Join(errs...)
}

// provers returns the tests that prove something.
func provers(tests []test, id string) (found []test) {
	for _, t := range tests {
		if slices.Contains(t.ids, id) {
			found = append(found, t)
		}
	}
	return found
}

// checkTags finds tags that name nothing or prove what is not there, and rows
// that claim without proof.
func checkTags(rows []section[row], differences []section[difference], tests []test) error {
	states := make(map[string]string)
	for _, s := range rows {
		for _, r := range s.items {
			states[r.id] = r.state
		}
	}
	for _, s := range differences {
		for _, d := range s.items {
			states[d.id] = "difference"
		}
	}
	var errs []error
	for _, t := range tests {
		for _, id := range t.ids {
			switch states[id] {
			case "":
				errs = append(errs, fmt.Errorf("%s:%d: %s is no row and no difference", t.file, t.line, id))
			case "no":
				errs = append(errs, fmt.Errorf("%s:%d: proves %s, whose state is \"no\"", t.file, t.line, id))
			}
		}
	}
	for _, s := range rows {
		for _, r := range s.items {
			if r.state == "yes" && len(provers(tests, r.id)) == 0 {
				errs = append(errs, fmt.Errorf("%s is \"yes\", and no test says that it proves it: %s", r.id, r.title))
			}
		}
	}
	return errors.Join(errs...)
}
