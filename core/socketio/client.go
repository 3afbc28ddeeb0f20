package socketio

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"
)

// clientFiles are the names under which browsers expect the official client;
// each has a source map beside it.
var clientFiles = []string{"socket.io.js", "socket.io.min.js", "socket.io.esm.min.js", "socket.io.msgpack.min.js"}

// clientBundle serves the official JavaScript client under the server's path,
// from files that the user gives. They are read once, at the start.
type clientBundle struct {
	base  string // path prefix, with its trailing slash
	files map[string]*clientFile
}

type clientFile struct {
	name, contentType, etag string
	plain                   []byte

	once   sync.Once
	zipped []byte // made at the first request that takes it
}

// newClientBundle reads the client's files from fsys. Those that are missing
// are not served; when all are, the directory is the wrong one.
func newClientBundle(fsys fs.FS, base string) (*clientBundle, error) {
	b := &clientBundle{base: strings.TrimSuffix(base, "/") + "/", files: make(map[string]*clientFile)}
	for _, name := range clientFiles {
		for _, f := range []struct{ name, contentType string }{
			{name, "application/javascript; charset=utf-8"},
			{name + ".map", "application/json; charset=utf-8"},
		} {
			data, err := fs.ReadFile(fsys, f.name)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("read the client bundle: %w", err)
			}
			sum := sha256.Sum256(data)
			b.files[f.name] = &clientFile{
				name: f.name, contentType: f.contentType, plain: data,
				etag: base64.RawURLEncoding.EncodeToString(sum[:12]),
			}
		}
	}
	if len(b.files) == 0 {
		return nil, errors.New("Client holds no socket.io.js: give the directory socket.io-client/dist of an npm installation")
	}
	return b, nil
}

// serve answers a request for one of the client's files and reports whether it
// was one.
func (b *clientBundle) serve(w http.ResponseWriter, r *http.Request) bool {
	if b == nil {
		return false
	}
	dir, name := path.Split(r.URL.Path)
	f := b.files[name]
	if f == nil || dir != b.base {
		return false
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return true
	}
	h := w.Header()
	h.Set("Content-Type", f.contentType)
	h.Set("Cache-Control", "public, max-age=0")
	h.Set("Vary", "Accept-Encoding")
	h.Set("X-Content-Type-Options", "nosniff")
	data, etag := f.plain, f.etag
	if acceptsGzip(r.Header.Get("Accept-Encoding")) {
		data, etag = f.gzipped(), f.etag+"-gzip"
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Etag", `"`+etag+`"`)
	http.ServeContent(w, r, f.name, time.Time{}, bytes.NewReader(data))
	return true
}

func (f *clientFile) gzipped() []byte {
	f.once.Do(func() {
		var out bytes.Buffer
		z := gzip.NewWriter(&out)
		_, _ = z.Write(f.plain) // a bytes.Buffer does not fail
		_ = z.Close()
		f.zipped = out.Bytes()
	})
	return f.zipped
}

// acceptsGzip reads an Accept-Encoding header as far as gzip goes: it is taken
// when it, or *, is named without q=0.
func acceptsGzip(header string) bool {
	accepted := false
	for part := range strings.SplitSeq(header, ",") {
		coding, params, _ := strings.Cut(part, ";")
		coding = strings.ToLower(strings.TrimSpace(coding))
		if coding != "gzip" && coding != "*" {
			continue
		}
		q := strings.ReplaceAll(strings.ToLower(params), " ", "")
		refused := q == "q=0" || q == "q=0.0" || q == "q=0.00" || q == "q=0.000"
		if coding == "gzip" {
			return !refused
		}
		accepted = !refused
	}
	return accepted
}
