package socketio_test

import (
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/dunlin-io/dunlin/core/socketio"
)

func newBundleServer(t *testing.T) *socketio.Server {
	t.Helper()
	srv, err := socketio.New(socketio.Config{Client: fstest.MapFS{
		"socket.io.js":             {Data: []byte(strings.Repeat("client();", 100))},
		"socket.io.min.js.map":     {Data: []byte(`{}`)},
		"secret.txt":               {Data: []byte("no")},
		"nested/socket.io.js":      {Data: []byte("no")},
		"socket.io.msgpack.min.js": {Data: []byte("msgpack();")},
	}})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(func() {
		if err := srv.Shutdown(context.Background()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
	return srv
}

func get(srv http.Handler, path string, header ...string) *http.Response {
	r := httptest.NewRequest(http.MethodGet, path, http.NoBody)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	srv.ServeHTTP(w, r)
	return w.Result()
}

// Proves T-67, J-69.
func TestClientBundleIsServedBesideTheConnections(t *testing.T) {
	srv := newBundleServer(t)
	for path, want := range map[string]struct {
		status      int
		contentType string
	}{
		"/socket.io/socket.io.js?v=1":         {http.StatusOK, "application/javascript; charset=utf-8"},
		"/socket.io/socket.io.min.js.map":     {http.StatusOK, "application/json; charset=utf-8"},
		"/socket.io/socket.io.msgpack.min.js": {http.StatusOK, "application/javascript; charset=utf-8"},
		"/socket.io/socket.io.esm.min.js":     {status: http.StatusNotFound},
		"/socket.io/secret.txt":               {status: http.StatusNotFound},
		"/socket.io/nested/socket.io.js":      {status: http.StatusNotFound},
		"/socket.io.js":                       {status: http.StatusNotFound},
	} {
		res := get(srv, path)
		if res.StatusCode != want.status {
			t.Errorf("GET %s = %d, want %d", path, res.StatusCode, want.status)
		}
		if got := res.Header.Get("Content-Type"); want.contentType != "" && got != want.contentType {
			t.Errorf("GET %s: Content-Type = %q, want %q", path, got, want.contentType)
		}
	}
}

// Proves T-67, J-69.
func TestClientBundleIsRevalidated(t *testing.T) {
	srv := newBundleServer(t)
	first := get(srv, "/socket.io/socket.io.js")
	etag := first.Header.Get("Etag")
	if etag == "" || strings.HasPrefix(etag, "W/") || first.Header.Get("Cache-Control") != "public, max-age=0" {
		t.Fatalf("headers = %v, want a strong ETag and max-age=0", first.Header)
	}
	for _, match := range []string{etag, "W/" + etag} {
		if res := get(srv, "/socket.io/socket.io.js", "If-None-Match", match); res.StatusCode != http.StatusNotModified {
			t.Errorf("If-None-Match %s = %d, want 304", match, res.StatusCode)
		}
	}
}

// Proves T-67, J-69.
func TestClientBundleIsCompressedForWhoeverTakesIt(t *testing.T) {
	srv := newBundleServer(t)
	for header, zipped := range map[string]bool{
		"": false, "br": false, "gzip;q=0": false, "*;q=0": false, "identity, gzip ;q=0.0": false,
		"gzip": true, "br, GZIP;q=0.5": true, "*": true,
	} {
		res := get(srv, "/socket.io/socket.io.js", "Accept-Encoding", header)
		if got := res.Header.Get("Content-Encoding") == "gzip"; got != zipped {
			t.Errorf("Accept-Encoding %q: gzip = %v, want %v", header, got, zipped)
			continue
		}
		var body io.Reader = res.Body
		if zipped {
			z, err := gzip.NewReader(res.Body)
			if err != nil {
				t.Fatalf("Accept-Encoding %q: %v", header, err)
			}
			body = z
		}
		if text, err := io.ReadAll(body); err != nil || string(text) != strings.Repeat("client();", 100) {
			t.Errorf("Accept-Encoding %q: %d bytes, %v", header, len(text), err)
		}
	}
}

func TestClientDirectoryWithoutTheClientIsRefused(t *testing.T) {
	_, err := socketio.New(socketio.Config{Client: fstest.MapFS{"index.html": {}}})
	if err == nil || !strings.Contains(err.Error(), "socket.io-client/dist") {
		t.Errorf("New() = %v, want an error that says which directory to give", err)
	}
}
