package main

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// expectError wants an error that contains want, or none where want is empty.
func expectError(t *testing.T, what string, err error, want string) {
	t.Helper()
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("%s: %v, want an error that contains %q", what, err, want)
	}
}

func TestTagsAreFoundAboveTests(t *testing.T) {
	tree := fstest.MapFS{
		"core/a/a_test.go": {Data: []byte(`package a

// TestOne has a comment.
//
// Proves T-01, J-02.
func TestOne(t *testing.T) {}

// Proves what it does: no tag.
func TestTwo(t *testing.T) {}

// Proves T-110.
func ExampleThree() {}
`)},
		"test/interop/a.test.mjs": {Data: []byte("  // proves: T-01\n  test(\"says \\\"hi\", () => {});\n" +
			"// proves: T-02, T-03\ntest(\n  `a ${b} c`,\n")},
		"core/a/a.go":                       {Data: []byte("package a\n\n// Proves nothing: T-01.\nfunc f() {}\n")},
		"tools/x/x_test.go":                 {Data: []byte("no Go")},
		"core/a/testdata/x_test.go":         {Data: []byte("no Go")},
		"test/interop/node_modules/b/c.mjs": {Data: []byte("// proves: junk\n")},
		"test/other/c.mjs":                  {Data: []byte("// proves: junk\n")},
	}
	tests, err := findTests(tree)
	if err != nil {
		t.Fatal(err)
	}
	want := []test{
		{"core/a/a_test.go", 6, "TestOne", []string{"T-01", "J-02"}},
		{"core/a/a_test.go", 12, "ExampleThree", []string{"T-110"}},
		{"test/interop/a.test.mjs", 2, `says \"hi`, []string{"T-01"}},
		{"test/interop/a.test.mjs", 4, "a … c", []string{"T-02", "T-03"}},
	}
	same := func(a, b test) bool {
		return a.file == b.file && a.line == b.line && a.name == b.name && slices.Equal(a.ids, b.ids)
	}
	if !slices.EqualFunc(tests, want, same) {
		t.Errorf("found %+v, want %+v", tests, want)
	}
}

func TestBrokenTagsAreErrors(t *testing.T) {
	for name, c := range map[string]struct{ file, text, want string }{
		"no full stop":       {"a_test.go", "package a\n\n// Proves T-01\nfunc TestA() {}\n", "a_test.go:3"},
		"other separator":    {"a_test.go", "package a\n\n// Proves T-01 and T-02.\nfunc TestA() {}\n", "a_test.go:3"},
		"one digit":          {"a_test.go", "package a\n\n// Proves T-1.\nfunc TestA() {}\n", "a_test.go:3"},
		"no test":            {"a_test.go", "package a\n\n// Proves T-01.\nfunc fixture() {}\n", "a_test.go:3"},
		"no test's name":     {"a_test.go", "package a\n\n// Proves T-01.\nfunc Testing() {}\n", "a_test.go:3"},
		"a method":           {"a_test.go", "package a\n\ntype s int\n\n// Proves T-01.\nfunc (s) TestA() {}\n", "a_test.go:5"},
		"inside":             {"a_test.go", "package a\n\nfunc TestA() {\n\t// Proves T-01.\n}\n", "a_test.go:4"},
		"a benchmark":        {"a_test.go", "package a\n\n// Proves T-01.\nfunc BenchmarkA() {}\n", "a_test.go:3"},
		"apart":              {"a_test.go", "package a\n\n// Proves T-01.\n\nfunc TestA() {}\n", "a_test.go:3"},
		"no Go":              {"a_test.go", "nonsense", "a_test.go:1"},
		"not above a test":   {"test/interop/a.mjs", "// proves: T-01\n\ntest(\"x\")\n", "a.mjs:1"},
		"above something":    {"test/interop/a.mjs", "// proves: T-01\ndescribe(\"x\")\n", "a.mjs:1"},
		"no ids":             {"test/interop/a.mjs", "// proves: everything\ntest(\"x\")\n", "a.mjs:1"},
		"capital letter":     {"test/interop/a.mjs", "// Proves: T-01\ntest(\"x\")\n", "a.mjs:1"},
		"a title in between": {"test/interop/a.mjs", "// proves: T-01\ntest(title)\n", "a.mjs:1"},
	} {
		_, err := findTests(fstest.MapFS{c.file: {Data: []byte(c.text)}})
		expectError(t, name, err, c.want)
	}
}

func TestTagsAndRowsMustAgree(t *testing.T) {
	rows := []section[row]{{"S", []row{
		{id: "T-01", state: "yes", title: "one"}, {id: "T-02", state: "no", note: "x"}, {id: "T-03", state: "part", note: "x"},
	}}}
	differences := []section[difference]{{"D", []difference{{id: "J-01"}}}}
	one := test{file: "a_test.go", line: 1, name: "TestA", ids: []string{"T-01"}}
	for name, c := range map[string]struct {
		ids  []string
		want string
	}{
		"agree":            {[]string{"T-03", "J-01"}, ""},
		"unknown row":      {[]string{"T-04"}, "b_test.go:7: T-04 is no row"},
		"unknown J":        {[]string{"J-02"}, "b_test.go:7: J-02 is no row"},
		"proves a \"no\"":  {[]string{"T-02"}, `proves T-02, whose state is "no"`},
		"one right, wrong": {[]string{"T-03", "T-99"}, "T-99"},
	} {
		err := checkTags(rows, differences, []test{one, {file: "b_test.go", line: 7, name: "TestB", ids: c.ids}})
		expectError(t, name, err, c.want)
	}
	expectError(t, "yes without a test", checkTags(rows, differences, nil), `T-01 is "yes"`)
}
