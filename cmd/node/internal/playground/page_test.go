package playground_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/dunlin-io/dunlin/cmd/node/internal/playground"
)

func get(t *testing.T, path string) (*http.Response, string) {
	t.Helper()
	h, err := playground.Handler(playground.Page{Path: "/a/b/", Official: true})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, http.NoBody))
	body, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Result(), string(body)
}

func TestPageLoadsOnlyItsOwnFiles(t *testing.T) {
	resp, page := get(t, "/")
	if resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		t.Fatalf("GET / = %d %s, want 200 and HTML", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	if !strings.Contains(page, `data-path="/a/b/"`) || !strings.Contains(page, `data-official="true"`) {
		t.Errorf("the page does not know its server: %s", page)
	}
	policy := resp.Header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
		t.Errorf("Content-Security-Policy = %q, want nothing but what is its own", policy)
	}
	refs := regexp.MustCompile(`(?:href|src)="([^"]*)"`).FindAllStringSubmatch(page, -1)
	if len(refs) < 3 {
		t.Errorf("the page refers to %d files, want its style, script and icon", len(refs))
	}
	for _, ref := range append(refs, []string{"", "/playground/client.js"}) {
		if resp, body := get(t, ref[1]); resp.StatusCode != http.StatusOK || body == "" {
			t.Errorf("GET %s = %d, want 200", ref[1], resp.StatusCode)
		}
	}
}

func TestContentTypes(t *testing.T) {
	for path, want := range map[string]string{
		"/playground/client.js": "text/javascript", "/playground/style.css": "text/css", "/playground/icon.svg": "image/svg+xml",
	} {
		if resp, _ := get(t, path); !strings.HasPrefix(resp.Header.Get("Content-Type"), want) {
			t.Errorf("GET %s: Content-Type %q, want %s", path, resp.Header.Get("Content-Type"), want)
		}
	}
}

func TestNothingElseIsServed(t *testing.T) {
	for _, path := range []string{"/playground/", "/playground/index.html", "/playground/page.go", "/other", "/playground/../page.go"} {
		if resp, _ := get(t, path); resp.StatusCode == http.StatusOK {
			t.Errorf("GET %s = 200, want a refusal", path)
		}
	}
}
