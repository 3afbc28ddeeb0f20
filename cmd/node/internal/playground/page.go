package playground

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
)

//go:embed page
var files embed.FS

// contentTypes are those of the files that are served as they are: what the
// system says about names may be wrong.
var contentTypes = map[string]string{
	"client.js": "text/javascript; charset=utf-8",
	"page.js":   "text/javascript; charset=utf-8",
	"style.css": "text/css; charset=utf-8",
	"icon.svg":  "image/svg+xml",
}

// policy lets the page load nothing but its own files and connect to nothing
// but its own server.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Page are the facts that the demo page is served with.
type Page struct {
	Path     string // of Socket.IO
	Official bool   // whether the official client can be loaded from Path
}

// Handler serves the demo page at / and its files under /playground/.
func Handler(p Page) (http.Handler, error) {
	page, err := template.ParseFS(files, "page/index.html")
	if err != nil {
		return nil, fmt.Errorf("parse the demo page: %w", err)
	}
	var index bytes.Buffer
	if err := page.Execute(&index, p); err != nil {
		return nil, fmt.Errorf("write the demo page: %w", err)
	}
	assets, err := fs.Sub(files, "page")
	if err != nil {
		return nil, fmt.Errorf("open the files of the demo page: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(index.Bytes())
	})
	for name, contentType := range contentTypes {
		mux.HandleFunc("GET /playground/"+name, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", contentType)
			http.ServeFileFS(w, r, assets, name)
		})
	}
	return secure(mux), nil
}

func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-cache")
		h.Set("Content-Security-Policy", policy)
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}
