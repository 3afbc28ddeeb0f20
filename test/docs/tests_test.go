package docs

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// promises is the page on which nothing may stand without a test.
const promises = "docs/guarantees.md"

func TestNamedTestsExist(t *testing.T) {
	found := false
	for _, p := range pages(t) {
		if err := checkTests(p); err != nil {
			t.Error(err)
		}
		if p.path == promises {
			found = true
			if err := checkPromises(p); err != nil {
				t.Error(err)
			}
		}
	}
	if !found {
		t.Errorf("there is no %s", promises)
	}
}

var (
	goTest   = regexp.MustCompile(`\[((?:Test|Fuzz)\w*)\]\(([^()\s]+)\)`)
	nodeTest = regexp.MustCompile(`\[([^\[\]]+)\]\(([^()\s]+\.mjs)\)`)
	unlinked = regexp.MustCompile("`((?:Test|Fuzz)\\w+)`")
)

// checkTests wants links from the names of Go tests to lead to their files.
func checkTests(p page) error {
	var errs []error
	for _, m := range goTest.FindAllStringSubmatch(strings.Join(p.prose, "\n"), -1) {
		has := regexp.MustCompile(`(?m)^func ` + m[1] + `\(\w* ?\*testing\.[TF]\)`)
		errs = append(errs, checkTest(p, m[1], m[2], has.MatchString))
	}
	return errors.Join(errs...)
}

func checkTest(p page, name, file string, has func(text string) bool) error {
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(path.Join(path.Dir(p.path), file))))
	if err == nil && !has(string(text)) {
		err = fmt.Errorf("no test %q in %s", name, file)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", p.path, err)
	}
	return nil
}

// checkPromises wants a test in each row of the tables, with a link to where it
// is. A JavaScript test is named by its title.
func checkPromises(p page) error {
	var errs []error
	rows := 0
	for _, line := range p.prose {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| promise") {
			continue
		}
		rows++
		titles := nodeTest.FindAllStringSubmatch(line, -1)
		if len(titles) == 0 && !goTest.MatchString(line) {
			errs = append(errs, fmt.Errorf("%s: no test for %q", p.path, line))
		}
		for _, m := range titles {
			errs = append(errs, checkTest(p, m[1], m[2], func(text string) bool {
				return strings.Contains(text, `"`+m[1]+`"`)
			}))
		}
		for _, m := range unlinked.FindAllStringSubmatch(line, -1) {
			errs = append(errs, fmt.Errorf("%s: %s has no link to its file", p.path, m[1]))
		}
	}
	if rows == 0 {
		errs = append(errs, fmt.Errorf("%s has no rows", p.path))
	}
	return errors.Join(errs...)
}

func TestCheckPromisesFindsWhatNobodyTests(t *testing.T) {
	tests := map[string]string{ // row → part of the error
		"| all is well | [TestNamedTestsExist](../test/docs/tests_test.go) |":                       "",
		"| so it is | [emits to another namespace](../test/interop/cases/emitters.mjs) |":           "",
		"| gone | [TestThatNobodyWrote](../test/docs/tests_test.go) |":                              "no test \"TestThatNobodyWrote\"",
		"| a beginning is no name | [TestNamed](../test/docs/tests_test.go) |":                      "no test \"TestNamed\"",
		"| gone | [TestNamedTestsExist](../test/docs/nowhere_test.go) |":                            "nowhere_test.go",
		"| gone | [whispers into the nowhere](../test/interop/cases/emitters.mjs) |":                "no test \"whispers",
		"| not linked | `TestNamedTestsExist`, [TestNamedTestsExist](../test/docs/tests_test.go) |": "has no link",
		"| hope |  |": "no test for",
	}
	for row, want := range tests {
		p := page{path: promises, prose: []string{"| promise | tests |", "|---|---|", row}}
		if err := errors.Join(checkTests(p), checkPromises(p)); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want an error that contains %q", row, err, want)
		}
	}
	if checkPromises(page{path: promises}) == nil {
		t.Error("a page without rows was accepted")
	}
}
