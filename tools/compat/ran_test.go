package main

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

const (
	rowsOfTest = "= S\nT-01 | yes | one\nT-02 | no | two | planned\n"
	goTest     = "package a\n\n// Proves T-01.\nfunc TestA() {}\n"
	nodeTest   = "// Everything, as the client sees it. And more.\n\nimport x\n// proves: T-01\ntest(\"talks\", () => {});\n"
	packages   = `{"dependencies":{"sio40":"npm:socket.io-client@4.0.2","sio48":"npm:socket.io-client@4.8.4","other":"1.0.0"}}`
	subject    = `{"subject":"dunlin"}` + "\n"
	talks      = `{"file":"a.test.mjs","line":5,"name":"talks","depth":1,"state":"pass"}` + "\n"
	retries    = `{"file":"a.test.mjs","line":9,"name":"retries","depth":1,"state":"skip"}` + "\n"
)

// suite is a describe of the depth 0 around what came before.
func suite(name string) string {
	return `{"file":"a.test.mjs","line":1,"name":"` + name + `","suite":true,"depth":0,"state":"pass"}` + "\n"
}

// allClients is the result of a run in which everybody talks.
func allClients() string {
	var b strings.Builder
	b.WriteString(subject)
	for _, t := range transports {
		b.WriteString(talks + suite("sio48 over "+t) + talks + retries + suite("sio40 over "+t))
	}
	for _, t := range transports {
		inner := strings.Replace(suite(t), `"depth":0`, `"depth":1`, 1)
		b.WriteString(strings.Replace(talks, `"depth":1`, `"depth":2`, 1) + inner)
	}
	b.WriteString(suite("Chromium"))
	for _, t := range transports {
		b.WriteString(strings.Replace(talks, "talks", "visits over "+t, 1))
	}
	return b.String() + suite("python-socketio")
}

func treeOf(change map[string]string) fstest.MapFS {
	files := map[string]string{
		"a/a_test.go": goTest, "test/interop/a.test.mjs": nodeTest, "test/interop/package.json": packages,
		goRan: "github.com/dunlin-io/dunlin/a TestA\n", interopRan: allClients(),
	}
	maps.Copy(files, change)
	tree := fstest.MapFS{}
	for name, text := range files {
		if text != "" {
			tree[name] = &fstest.MapFile{Data: []byte(text)}
		}
	}
	return tree
}

func TestEveryTaggedTestMustHavePassed(t *testing.T) {
	for name, c := range map[string]struct{ file, text, want string }{
		"all passed":              {"", "", ""},
		"Go test did not run":     {goRan, "github.com/dunlin-io/dunlin/a TestB\n", `a/a_test.go:4: "TestA" proves T-01, and did not pass`},
		"same name elsewhere":     {goRan, "github.com/dunlin-io/dunlin/b TestA\n", `"TestA" proves T-01`},
		"no results of Go":        {goRan, "", "no results of make race"},
		"broken results of Go":    {goRan, "nonsense\n", "is not a package and a test"},
		"client test was skipped": {interopRan, strings.ReplaceAll(allClients(), `"state":"pass"`, `"state":"skip"`), `a.test.mjs:5: "talks" proves T-01`},
		"client test elsewhere":   {interopRan, strings.ReplaceAll(allClients(), `"line":5`, `"line":6`), `a.test.mjs:5: "talks" proves T-01`},
		"client test failed":      {interopRan, strings.Replace(allClients(), `"state":"pass"`, `"state":"fail"`, 1), `"talks" failed`},
		"no results of clients":   {interopRan, "", "no results of make interop"},
		"another subject":         {interopRan, strings.Replace(allClients(), "dunlin", "node", 1), `subject "node"`},
		"the run was cut off":     {interopRan, subject + talks, "has not ended"},
		"nothing ran":             {interopRan, subject, "has not ended"},
		"broken results":          {interopRan, subject + "nonsense\n", interopRan},
		"a client is missing":     {interopRan, strings.ReplaceAll(allClients(), "visits over upgrade", "rests"), "no test of python-socketio > visits over upgrade passed"},
		"no releases":             {"test/interop/package.json", "{}", "installs no socket.io-client"},
		"no comment":              {"test/interop/a.test.mjs", "\n\n\n// proves: T-01\ntest(\"talks\")\n", "no comment says"},
	} {
		change := map[string]string{}
		if c.file != "" {
			change[c.file] = c.text
		}
		_, err := makePages(treeOf(change), rowsOfTest, "", true)
		expectError(t, name, err, c.want)
	}
}

func TestPages(t *testing.T) {
	differences := "= Things\nJ-01\njs: a\ndunlin: b\nwhy: c\noption: d\n"
	pages, err := makePages(treeOf(nil), rowsOfTest, differences, true)
	if err != nil {
		t.Fatal(err)
	}
	for page, wants := range map[string][]string{
		pageFile: {
			"Of 2 rows 1 are yes, 0 part, and 1 no.",
			"## S\n",
			"| T-01 | one | **yes** | [TestA](../a/a_test.go), [client talks](../test/interop/a.test.mjs) |\n",
			"| T-02 | two | **no**: planned |  |\n",
			"### Things\n",
			"| J-01 | a | b | c | d |  |\n",
		},
		clientsFile: {
			"| `socket.io-client` 4.8.4 | yes | yes | yes |\n| `socket.io-client` 4.0.2 | yes | yes | yes |\n",
			"`socket.io-client` 4.8.4 in Chromium | yes | yes | yes |\n",
			"python3-socketio` | yes | yes | yes |\n",
			"- [a.test.mjs](../test/interop/a.test.mjs): Everything, as the client sees it\n",
			"- \"retries\": 4.0.2\n",
		},
	} {
		for _, want := range wants {
			if !strings.Contains(pages[page], want) {
				t.Errorf("%s lacks %q:\n%s", page, want, pages[page])
			}
		}
	}
}

func TestPagesOutOfDateAreErrors(t *testing.T) {
	root := t.TempDir()
	if err := os.CopyFS(root, treeOf(map[string]string{"docs/x.md": "x"})); err != nil {
		t.Fatal(err)
	}
	// The rows are those of the repository, so all of them need a test.
	rows, err := parseRows(rowsText)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, s := range rows {
		for _, r := range s.items {
			if r.state != "no" {
				ids = append(ids, r.id)
			}
		}
	}
	file := filepath.Join(root, "a", "a_test.go")
	if err := os.WriteFile(file, []byte(strings.Replace(goTest, "T-01", strings.Join(ids, ", "), 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	expectError(t, "missing page", run(root, false, false), "docs/compatibility.md is out of date")
	expectError(t, "write", run(root, true, false), "")
	expectError(t, "written page", run(root, false, false), "")
	expectError(t, "missing page of clients", run(root, false, true), "docs/clients.md is out of date")
	expectError(t, "write both", run(root, true, true), "")
	expectError(t, "written pages", run(root, false, true), "")
	page := filepath.Join(root, filepath.FromSlash(pageFile))
	if err := os.WriteFile(page, []byte("edited by hand"), 0o600); err != nil {
		t.Fatal(err)
	}
	expectError(t, "edited page", run(root, false, false), "out of date")
}
