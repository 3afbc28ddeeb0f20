package docs

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestLinksLeadSomewhere(t *testing.T) {
	all := pages(t)
	for _, p := range all {
		if err := checkLinks(p, all); err != nil {
			t.Error(err)
		}
	}
}

var (
	link       = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	inlineCode = regexp.MustCompile("`[^`]*`")
)

// checkLinks looks at the links of p that stay in the repository.
func checkLinks(p page, all []page) error {
	var errs []error
	for _, m := range link.FindAllStringSubmatch(inlineCode.ReplaceAllString(strings.Join(p.prose, "\n"), ""), -1) {
		if strings.Contains(m[1], ":") {
			continue // another site
		}
		file, anchor, _ := strings.Cut(m[1], "#")
		target := p.path
		if file != "" {
			target = path.Join(path.Dir(p.path), file)
		}
		if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(target))); err != nil {
			errs = append(errs, fmt.Errorf("%s: link to %s, which does not exist", p.path, m[1]))
			continue
		}
		i := slices.IndexFunc(all, func(p page) bool { return p.path == target })
		if anchor != "" && i >= 0 && !slices.Contains(headings(all[i]), anchor) {
			errs = append(errs, fmt.Errorf("%s: link to %s: no such heading", p.path, m[1]))
		}
	}
	return errors.Join(errs...)
}

var unslugged = regexp.MustCompile(`[^\p{L}\p{N} _-]`)

// headings are the anchors GitHub makes of a page's headings.
func headings(p page) []string {
	var anchors []string
	for _, line := range p.prose {
		if title := strings.TrimLeft(line, "#"); title != line && strings.HasPrefix(title, " ") {
			slug := unslugged.ReplaceAllString(strings.ToLower(strings.TrimSpace(title)), "")
			anchors = append(anchors, strings.ReplaceAll(slug, " ", "-"))
		}
	}
	return anchors
}

func TestCheckLinksFindsBrokenOnes(t *testing.T) {
	tests := map[string]string{ // prose → part of the error
		"[a](README.md)":              "",
		"[a](https://example.com/x)":  "",
		"[a](#two-words-too)":         "",
		"`[a](nowhere.md)`":           "",
		"[a](nowhere.md)":             "nowhere.md, which does not exist",
		"[a](README.md#no-heading-x)": "no such heading",
		"[a](#three-words)":           "no such heading",
	}
	all := pages(t)
	for prose, want := range tests {
		p := page{path: "README2.md", prose: []string{"## Two words, too!", prose}}
		if strings.Contains(prose, "(#") {
			p.path = "README.md"
		}
		err := checkLinks(p, append([]page{p}, all...))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("checkLinks(%q) = %v, want an error that contains %q", prose, err, want)
		}
	}
}
