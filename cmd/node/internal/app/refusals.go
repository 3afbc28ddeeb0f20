package app

import (
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/dunlin-io/dunlin/core/engineio"
)

// refusalSilence is how long refused origins are not logged after one was: any
// page in the world can send requests.
const refusalSilence = 10 * time.Second

// refusals logs the origins whose pages were turned away, which is what a new
// application runs into first.
type refusals struct {
	log *slog.Logger

	mu     sync.Mutex // guards the following
	last   time.Time
	silent int // refusals since then
}

func (f *refusals) tell(r *http.Request, e *engineio.Error) {
	origin := r.Header.Get("Origin")
	if e.Code != engineio.CodeForbidden || origin == "" {
		return
	}
	now := time.Now()
	f.mu.Lock()
	if !f.last.IsZero() && now.Sub(f.last) < refusalSilence {
		f.silent++
		f.mu.Unlock()
		return
	}
	silent := f.silent
	f.last, f.silent = now, 0
	f.mu.Unlock()
	const most = 200
	f.log.Warn("clients of another origin are refused: if the page is yours, add it to --origins",
		"origin", origin[:min(len(origin), most)], "remote", r.RemoteAddr, "unlogged", silent)
}
