package main_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// A node that may not publish is not ready, and says what to allow.
func TestReadyzNamesWhatRedisForbids(t *testing.T) {
	c, addr := startServer(t)
	if err := c.Do(t.Context(), "ACL", "SETUSER", "node", "on", ">secret", "+@all", "-publish", "allkeys", "allchannels").Err(); err != nil {
		t.Fatal(err)
	}
	p := start(t, "serve", "--addr=127.0.0.1:0", "--admin-addr=127.0.0.1:0", "--redis=redis://node:secret@"+addr)
	admin := strings.TrimPrefix(p.line("admin ", 1), "admin ")
	until(t, "/readyz names the command", func() bool {
		response, err := http.Get(admin + "/readyz")
		if err != nil {
			return false
		}
		defer func() { _ = response.Body.Close() }()
		body, err := io.ReadAll(response.Body)
		return err == nil && response.StatusCode == http.StatusServiceUnavailable &&
			strings.Contains(string(body), "'publish'") && strings.Contains(string(body), "docs/adapters.md")
	})
	if err := c.Do(t.Context(), "ACL", "SETUSER", "node", "+publish").Err(); err != nil {
		t.Fatal(err)
	}
	p.line("ready ", 1)
}
