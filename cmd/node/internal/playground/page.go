package playground

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"strings"
)

//go:embed page
var files embed.FS

// policy lets the page load nothing but its own files and connect to nothing
// but its own server.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Page are the facts that the demo page is served with.
type Page struct {
	Node     string // that serves the page; its connection may end up on another one
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
	server := http.StripPrefix("/playground/", http.FileServerFS(assets))
	mux.HandleFunc("GET /playground/{file}", func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.PathValue("file"), ".html") { // the unfinished page
			http.NotFound(w, r)
			return
		}
		server.ServeHTTP(w, r)
	})
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
