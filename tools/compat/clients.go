package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

const clientsHead = `<!-- Made by tools/compat from the results of test/interop. Do not edit. -->

# Clients

Which clients were tried against Dunlin, in CI, by the tests of [test/interop](../test/interop/README.md). "Upgrade" begins with long-polling and moves to WebSocket, as clients do by default. A "yes" means that every test passed which was made for that client and transport.

`

const clientsFoot = `
Not yet: ` + "`socket.io-client` 2 and 1, which need Engine.IO v3." + `
`

// transports are the columns of the table, as the tests name them.
var transports = []string{"polling", "websocket", "upgrade"}

// client is one line of the table.
type client struct {
	title string
	suite string // the pattern of the names of its tests; %s is the transport
}

// clientsPage writes docs/clients.md.
func clientsPage(tree fs.FS, results []result) (string, error) {
	releases, err := readReleases(tree)
	if err != nil {
		return "", err
	}
	var list []client
	for _, r := range releases {
		list = append(list, client{title: "`socket.io-client` " + r.version, suite: r.name + " over %s"})
	}
	list = append(list,
		client{title: "the browser build of `socket.io-client` " + releases[0].version + " in Chromium", suite: "Chromium > %s"},
		client{title: "Debian's `python3-socketio`", suite: "python-socketio > visits over %s"},
	)
	var b strings.Builder
	b.WriteString(clientsHead)
	fmt.Fprintf(&b, "| client | %s |\n|---|---|---|---|\n", strings.Join(transports, " | "))
	var errs []error
	for _, c := range list {
		fmt.Fprintf(&b, "| %s |", c.title)
		for _, t := range transports {
			if !slices.ContainsFunc(results, func(r result) bool { return r.State == "pass" && r.under(fmt.Sprintf(c.suite, t)) }) {
				errs = append(errs, fmt.Errorf("no test of %s passed", fmt.Sprintf(c.suite, t)))
			}
			b.WriteString(" yes |")
		}
		b.WriteString("\n")
	}
	b.WriteString(clientsFoot)
	areas, err := areasOf(tree, results, releases)
	b.WriteString(areas)
	b.WriteString(exceptions(results, releases))
	return b.String(), errors.Join(append(errs, err)...)
}

// under reports whether a test is the one, or in the suite, of that name.
func (r result) under(name string) bool {
	full := strings.Join(r.path, " > ")
	return full == name || strings.HasPrefix(full, name+" > ")
}

// release is a package of the JavaScript client.
type release struct{ name, version string }

var clientPackage = regexp.MustCompile(`^npm:socket\.io-client@(\d+\.\d+\.\d+)$`)

// readReleases returns the releases that package.json installs, latest first.
func readReleases(tree fs.FS) ([]release, error) {
	text, err := fs.ReadFile(tree, interopDir+"/package.json")
	if err != nil {
		return nil, fmt.Errorf("read releases of the client: %w", err)
	}
	var pkg struct{ Dependencies map[string]string }
	if err := json.Unmarshal(text, &pkg); err != nil {
		return nil, fmt.Errorf("read releases of the client: %w", err)
	}
	var list []release
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(pkg.Dependencies))) {
		if m := clientPackage.FindStringSubmatch(pkg.Dependencies[name]); m != nil {
			list = append(list, release{name, m[1]})
		}
	}
	if len(list) == 0 {
		return nil, errors.New("package.json of test/interop installs no socket.io-client")
	}
	return list, nil
}

// areasOf lists what is tried with the JavaScript client: each file says it in
// the first sentence of its comment.
func areasOf(tree fs.FS, results []result, releases []release) (string, error) {
	files := make(map[string]bool)
	for _, r := range results {
		for _, rel := range releases {
			if strings.HasPrefix(r.path[0], rel.name+" over ") {
				files[r.File] = true
			}
		}
	}
	var b strings.Builder
	b.WriteString("\n## What is tried with the JavaScript client\n\n")
	for _, file := range slices.Sorted(maps.Keys(files)) {
		name := path.Join(interopDir, file)
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return "", fmt.Errorf("read what a test file is about: %w", err)
		}
		about := firstSentence(string(text))
		if about == "" {
			return "", fmt.Errorf("%s: no comment says what it is about", name)
		}
		fmt.Fprintf(&b, "- [%s](../%s): %s\n", file, name, about)
	}
	return b.String(), nil
}

// firstSentence is that of the comment at the beginning of a file.
func firstSentence(text string) string {
	var words []string
	for line := range strings.Lines(text) {
		comment, ok := strings.CutPrefix(line, "//")
		if !ok {
			break
		}
		words = append(words, strings.Fields(comment)...)
	}
	sentence, _, _ := strings.Cut(strings.Join(words, " ")+" ", ". ")
	return strings.TrimSuffix(strings.TrimSpace(sentence), ".")
}

// exceptions lists the tests that some releases are not asked to pass.
func exceptions(results []result, releases []release) string {
	skipped := make(map[string][]string) // versions by test
	for _, rel := range releases {
		for _, r := range results {
			name := r.path[len(r.path)-1]
			if r.State == "skip" && strings.HasPrefix(r.path[0], rel.name+" over ") && !slices.Contains(skipped[name], rel.version) {
				skipped[name] = append(skipped[name], rel.version)
			}
		}
	}
	if len(skipped) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("\nNot asked of older releases, which do not have it:\n\n")
	for _, name := range slices.Sorted(maps.Keys(skipped)) {
		fmt.Fprintf(&b, "- \"%s\": %s\n", name, strings.Join(skipped[name], ", "))
	}
	return b.String()
}
