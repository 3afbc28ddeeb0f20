package docs

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestCommandsExist(t *testing.T) {
	dependOnSources(t)
	help := dunlinHelp(t)
	checked := 0
	for _, p := range pages(t) {
		for _, b := range p.blocks {
			for _, command := range commands(b) {
				known, err := checkCommand(command, help)
				if err != nil {
					t.Errorf("%v: %q: %v", b, strings.Join(command, " "), err)
				}
				if known {
					checked++
				}
			}
		}
	}
	if checked == 0 {
		t.Error("no command was checked")
	}
}

var (
	comment   = regexp.MustCompile(`(^|\s)#.*$`)
	separator = regexp.MustCompile(`\s*(?:&&|\|\||[|;])\s*|\s+&$`)
)

// commands splits a shell block into commands of one word or more.
func commands(b block) [][]string {
	if b.lang != "sh" && b.lang != "bash" && b.lang != "console" {
		return nil
	}
	var found [][]string
	for line := range strings.SplitSeq(strings.ReplaceAll(b.text, "\\\n", " "), "\n") {
		if b.lang == "console" {
			typed, ok := strings.CutPrefix(line, "$ ")
			if !ok {
				continue
			}
			line = typed
		}
		for _, command := range separator.Split(comment.ReplaceAllString(line, ""), -1) {
			if words := strings.Fields(command); len(words) > 0 {
				found = append(found, words)
			}
		}
	}
	return found
}

var (
	assignment = regexp.MustCompile(`^([A-Z_][A-Z0-9_]*)=`)
	flag       = regexp.MustCompile(`^--([a-z0-9-]+)`)
	target     = regexp.MustCompile(`(?m)^([a-z]+):`)
)

// checkCommand tells whether it knows the program, and what is wrong with the
// command. help prints the help of a dunlin subcommand.
func checkCommand(words []string, help func(subcommand string) (string, error)) (known bool, err error) {
	var environment []string
	for len(words) > 0 {
		m := assignment.FindStringSubmatch(words[0])
		if m == nil {
			break
		}
		environment = append(environment, m[1])
		words = words[1:]
	}
	if len(words) == 0 {
		return false, nil
	}
	switch program := words[0]; {
	case program == "make":
		return true, checkTargets(words[1:])
	case program == "go":
		return true, checkGo(words[1:], environment, help)
	case program == "dunlin" || program == "./dunlin" || program == "bin/dunlin":
		return true, checkDunlin(words[1:], environment, help)
	case strings.Contains(program, "/") && !strings.HasPrefix(program, "/"):
		_, err := os.Stat(filepath.Join(root, filepath.FromSlash(program)))
		return true, err
	}
	return false, nil
}

func checkTargets(args []string) error {
	text, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		return err
	}
	var targets []string
	for _, m := range target.FindAllStringSubmatch(string(text), -1) {
		targets = append(targets, m[1])
	}
	for _, arg := range args {
		if !strings.ContainsAny(arg, "=-") && !slices.Contains(targets, arg) {
			return fmt.Errorf("no make target %s", arg)
		}
	}
	return nil
}

// checkGo wants the packages it is given to exist; what follows cmd/node are
// arguments of dunlin.
func checkGo(args, environment []string, help func(string) (string, error)) error {
	for i, arg := range args {
		if !strings.HasPrefix(arg, "./") {
			continue
		}
		dir := strings.TrimSuffix(arg, "/...")
		if info, err := os.Stat(filepath.Join(root, filepath.FromSlash(dir))); err != nil || !info.IsDir() {
			return fmt.Errorf("no package %s", arg)
		}
		if args[0] == "run" {
			if dir == "./cmd/node" {
				return checkDunlin(args[i+1:], environment, help)
			}
			return nil
		}
	}
	return nil
}

func checkDunlin(args, environment []string, help func(string) (string, error)) error {
	subcommand := ""
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		subcommand = args[0]
	}
	text, err := help(subcommand)
	if err != nil {
		return err
	}
	var errs []error
	for _, arg := range args {
		if m := flag.FindStringSubmatch(arg); m != nil && !regexp.MustCompile(`--(\[no-\])?`+strings.TrimPrefix(m[1], "no-")+`\b`).MatchString(text) {
			errs = append(errs, fmt.Errorf("dunlin %s has no flag --%s", subcommand, m[1]))
		}
	}
	for _, name := range environment {
		if strings.HasPrefix(name, "DUNLIN_") && !regexp.MustCompile(`\b`+name+`\b`).MatchString(text) {
			errs = append(errs, fmt.Errorf("dunlin %s does not read %s", subcommand, name))
		}
	}
	return errors.Join(errs...)
}

// dunlinHelp builds dunlin when it is first asked for, and remembers answers.
func dunlinHelp(t *testing.T) func(string) (string, error) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "dunlin.exe")
	build := sync.OnceValue(func() error {
		cmd := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./cmd/node")
		cmd.Dir = root
		if output, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build dunlin: %w\n%s", err, output)
		}
		return nil
	})
	return func(subcommand string) (string, error) {
		if err := build(); err != nil {
			return "", err
		}
		args := []string{"--help"}
		if subcommand != "" {
			args = []string{subcommand, "--help"}
		}
		output, err := exec.CommandContext(t.Context(), binary, args...).CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("dunlin has no subcommand %s: %w\n%s", subcommand, err, output)
		}
		return string(output), nil
	}
}

func TestCheckCommandFindsWhatDoesNotExist(t *testing.T) {
	help := func(subcommand string) (string, error) {
		if subcommand != "serve" && subcommand != "" {
			return "", errors.New("no subcommand " + subcommand)
		}
		return "--addr=ADDR ($DUNLIN_ADDR)\n--[no-]playground\n", nil
	}
	tests := map[string]string{ // line → part of the error
		"make lint test":            "",
		"make FUZZTIME=1m fuzz":     "",
		"go test ./...":             "",
		"go test -race ./test/docs": "",
		"DUNLIN_ADDR=:1 dunlin serve --addr :3 --no-playground": "",
		"dunlin | less && true # make nothing":                  "",
		"make lnt":                                              "no make target lnt",
		"go test ./nowhere/...":                                 "no package ./nowhere/...",
		"dunlin swerve":                                         "no subcommand swerve",
		"dunlin serve \\\n --adr=x":                             "no flag --adr",
		"dunlin serve --add x":                                  "no flag --add",
		"DUNLIN_ADD=x dunlin serve":                             "does not read DUNLIN_ADD",
		"test/docs/nowhere.sh":                                  "no such file",
		"true; make nothing":                                    "no make target nothing",
	}
	for line, want := range tests {
		var errs []error
		for _, command := range commands(block{lang: "sh", text: line}) {
			_, err := checkCommand(command, help)
			errs = append(errs, err)
		}
		err := errors.Join(errs...)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want an error that contains %q", line, err, want)
		}
	}
	if got := commands(block{lang: "console", text: "$ make a\noutput; make b\n"}); len(got) != 1 || strings.Join(got[0], " ") != "make a" {
		t.Errorf("commands of a console block = %q, want the typed line only", got)
	}
	if got := commands(block{lang: "text", text: "make a\n"}); got != nil {
		t.Errorf("commands of a text block = %q, want none", got)
	}
}
