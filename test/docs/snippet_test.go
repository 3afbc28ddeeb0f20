package docs

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/dunlin-io/dunlin"

// packages are imported for fragments that name them.
var packages = map[string]string{
	"cluster":      module + "/core/cluster",
	"clustertest":  module + "/core/cluster/clustertest",
	"engineio":     module + "/core/engineio",
	"parser":       module + "/core/parser",
	"socketio":     module + "/core/socketio",
	"memory":       module + "/adapter/memory",
	"redisadapter": module + "/adapter/redis",
	"siotest":      module + "/test/siotest",
	"redis":        "github.com/redis/go-redis/v9",
	"context":      "context",
	"errors":       "errors",
	"fmt":          "fmt",
	"http":         "net/http",
	"json":         "encoding/json",
	"log":          "log",
	"os":           "os",
	"regexp":       "regexp",
	"signal":       "os/signal",
	"slog":         "log/slog",
	"strings":      "strings",
	"sync":         "sync",
	"synctest":     "testing/synctest",
	"syscall":      "syscall",
	"testing":      "testing",
	"time":         "time",
	"url":          "net/url",
}

// names are at hand in fragments that do not declare them.
var names = map[string]struct{ typ, pkg string }{
	"ctx":    {"context.Context", "context"},
	"io":     {"*socketio.Server", "socketio"},
	"nsp":    {"*socketio.Namespace", "socketio"},
	"socket": {"*socketio.Socket", "socketio"},
	"ev":     {"*socketio.Event", "socketio"},
	"client": {"redis.UniversalClient", "redis"},
	"mux":    {"*http.ServeMux", "http"},
	"logger": {"*slog.Logger", "slog"},
	"t":      {"*testing.T", "testing"},
}

func TestSnippetsCompile(t *testing.T) {
	dependOnSources(t)
	var snippets []block
	for _, p := range pages(t) {
		for _, b := range p.blocks {
			switch b.lang {
			case "go":
				snippets = append(snippets, b)
			case "golang", "Go":
				t.Errorf("%v: fenced as %s, which would not be compiled; write go", b, b.lang)
			}
		}
	}
	if len(snippets) == 0 {
		t.Fatal("no snippet found")
	}
	if err := vet(t, snippets); err != nil {
		t.Error(err)
	}
}

func TestBrokenSnippetsAreFound(t *testing.T) {
	good := []string{
		"package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Println(1) }\n",
		"type message struct{ Text string }\n\nfunc (m message) String() string { return fmt.Sprint(m.Text) }\n",
		"n, err := fmt.Println(ctx) // unused in a fragment\nvar late time.Time\n",
		"if err := ctx.Err(); err != nil {\n\treturn err\n}\n",
		"if ctx.Err() != nil {\n\treturn\n}\nt.Log(func() int { return 1 }())\n",
		"import \"math/big\"\n\nvar one = big.NewInt(1)\n",
	}
	bad := map[string]string{ // snippet → what must be said; the fault is on line 2
		"package main\nimport \"fmt\"\nfunc main() {}\n":          "imported and not used",
		"package main\nfunc main() { x := 1 }\n":                  "declared and not used",
		"ctx.Err()\nctx.Cancel()\n":                               "Cancel",
		"s := \"\"\nfmt.Println(s + 1)\n":                         "mismatched types",
		"s := 1\nfmt.Printf(\"%s\", s)\n":                         "wrong type",
		"type a struct{}\nfunc (a) f() { undeclared.Do() }\n":     "undeclared",
		"x := 1\nelse {\n":                                        "expected",
		"import \"fmt\"\nimport \"github.com/dunlin-io/nowhere\"": "nowhere",
	}
	var snippets []block
	for i, text := range good {
		snippets = append(snippets, block{page: fmt.Sprintf("good%d.md", i), line: 1, lang: "go", text: text})
	}
	if err := vet(t, snippets); err != nil {
		t.Errorf("good snippets were refused: %v", err)
	}
	for i, text := range slices.Sorted(maps.Keys(bad)) {
		b := block{page: fmt.Sprintf("bad%d.md", i), line: 101, lang: "go", text: text}
		err := vet(t, []block{b})
		if err == nil || !strings.Contains(err.Error(), bad[text]) || !strings.Contains(err.Error(), b.page+":102") {
			t.Errorf("vet(%q) = %v, want an error at %s:102 that contains %q", text, err, b.page, bad[text])
		}
	}
}

// vet compiles and vets each snippet as a package of its own, all in one run, in
// a temporary module that stands where a user's module stands.
func vet(t *testing.T, snippets []block) error {
	t.Helper()
	dir := userModule(t)
	var errs []error
	for i, b := range snippets {
		source, err := goFile(b)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		name := filepath.Join(dir, fmt.Sprintf("snippet%03d", i), "snippet.go")
		if err := os.Mkdir(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if len(errs) == len(snippets) {
		return errors.Join(errs...)
	}
	// A fragment may go on after its own return.
	vet := exec.CommandContext(t.Context(), "go", "vet", "-unreachable=false", "./...")
	vet.Dir = dir
	vet.Env = append(os.Environ(), "GOWORK=off")
	if output, err := vet.CombinedOutput(); err != nil {
		errs = append(errs, fmt.Errorf("go vet: %w\n%s", err, output))
	}
	return errors.Join(errs...)
}

// userModule makes a module that requires ours at the versions we require.
func userModule(t *testing.T) string {
	t.Helper()
	here, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	text, found := strings.CutPrefix(string(mod), "module "+module+"\n")
	if !found {
		t.Fatal("go.mod does not start with our module path")
	}
	text = fmt.Sprintf("module example.com/snippets\n%s\nrequire %s v0.0.0\n\nreplace %[2]s => %s\n", text, module, strconv.Quote(here))
	sum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"go.mod": []byte(text), "go.sum": sum} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// goFile makes a block a Go file that reports faults at their place in the page.
func goFile(b block) (string, error) {
	page, err := filepath.Abs(filepath.Join(root, filepath.FromSlash(b.page)))
	if err != nil {
		return "", fmt.Errorf("locate page: %w", err)
	}
	place := fmt.Sprintf("//line %s:%d\n", page, b.line)
	fset := token.NewFileSet()
	if _, err := parser.ParseFile(fset, "", b.text, parser.PackageClauseOnly); err == nil {
		return place + b.text, nil
	}
	const head = "package snippet\n"
	if file, err := parser.ParseFile(fset, "", head+place+b.text, 0); err == nil {
		// Declarations: imports must come first, so ours go on the line before.
		return head + place + strings.Join(imports(file), "") + place + b.text + "\n" + variables(file), nil
	}
	const open = "package snippet\nfunc _() {\n"
	file, err := parser.ParseFile(fset, "", open+place+b.text+"}", 0)
	if err != nil {
		return "", fmt.Errorf("neither a file, nor declarations, nor statements: %w", err)
	}
	body := file.Decls[0].(*ast.FuncDecl).Body
	text := useVariables(body, open+place+b.text, fset)[len(open)+len(place):]
	result, end := "", "}\n"
	if returnsValue(body) {
		result, end = " error", "return nil\n}\n"
	}
	return head + place + strings.Join(imports(file), "") + "func _()" + result + " {\n" + place + text + end + variables(file), nil
}

// unresolved are the names that the file does not declare.
func unresolved(file *ast.File) []string {
	seen := make(map[string]bool)
	for _, imported := range file.Imports {
		seen[importedName(imported)] = true // the fragment's own
	}
	var free []string
	for _, id := range file.Unresolved {
		if !seen[id.Name] {
			seen[id.Name] = true
			free = append(free, id.Name)
		}
	}
	slices.Sort(free)
	return free
}

func importedName(spec *ast.ImportSpec) string {
	if spec.Name != nil {
		return spec.Name.Name
	}
	path := strings.Trim(spec.Path.Value, `"`)
	for name, known := range packages {
		if known == path {
			return name
		}
	}
	return path[strings.LastIndex(path, "/")+1:]
}

func imports(file *ast.File) []string {
	wanted := make(map[string]bool)
	for _, name := range unresolved(file) {
		if known, ok := names[name]; ok {
			wanted[known.pkg] = true
		} else if _, ok := packages[name]; ok {
			wanted[name] = true
		}
	}
	for _, own := range file.Imports {
		delete(wanted, importedName(own))
	}
	var specs []string
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		specs = append(specs, fmt.Sprintf("import %s %q\n", name, packages[name]))
	}
	return specs
}

// variables declares the names that the file takes from the table.
func variables(file *ast.File) string {
	var declarations strings.Builder
	for _, name := range unresolved(file) {
		if known, ok := names[name]; ok {
			fmt.Fprintf(&declarations, "var %s %s\n", name, known.typ)
		}
	}
	return declarations.String()
}

// useVariables uses what the statements of body declare, on the same line.
func useVariables(body *ast.BlockStmt, text string, fset *token.FileSet) string {
	for _, statement := range slices.Backward(body.List) {
		var declared []string
		switch s := statement.(type) {
		case *ast.AssignStmt:
			for _, left := range s.Lhs {
				if id, ok := left.(*ast.Ident); ok && s.Tok == token.DEFINE && id.Name != "_" {
					declared = append(declared, id.Name)
				}
			}
		case *ast.DeclStmt:
			for _, spec := range s.Decl.(*ast.GenDecl).Specs {
				if value, ok := spec.(*ast.ValueSpec); ok {
					for _, id := range value.Names {
						declared = append(declared, id.Name)
					}
				}
			}
		}
		end := fset.PositionFor(statement.End(), false).Offset
		for _, name := range declared {
			text = text[:end] + "; _ = " + name + text[end:]
		}
	}
	return text
}

// returnsValue tells whether a statement of body itself returns a value.
func returnsValue(body *ast.BlockStmt) bool {
	found := false
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false
		case *ast.ReturnStmt:
			found = found || len(n.Results) > 0
		}
		return true
	})
	return found
}
