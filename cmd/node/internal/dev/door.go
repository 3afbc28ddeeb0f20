package dev

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// door is the front door: a load balancer that needs no cookies. The session
// ids of each node begin with its name, so that a request of a session finds
// the node that holds it; new sessions go to the nodes in turn, past those that
// do not answer.
type door struct {
	path      string // of Socket.IO
	backends  []backend
	transport http.RoundTripper
	turn      atomic.Uint64 // of new sessions
}

type backend struct{ name, host string }

// newDoor returns a handler for the backends.
func newDoor(path string, backends []backend, logger *slog.Logger) http.Handler {
	d := &door{path: path, backends: backends, transport: &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
		MaxIdleConnsPerHost: 256,
		IdleConnTimeout:     30 * time.Second,
		DisableCompression:  true, // pass on what the client accepts
	}}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			// RoundTrip finds the host. The nodes compare the Origin of a page
			// with the Host that its browser asked for, so that stays.
			r.Out.URL.Scheme = "http"
			r.Out.URL.Host = backends[0].host
			r.Out.Host = r.In.Host
			r.SetXForwarded()
		},
		Transport:     d,
		FlushInterval: -1, // an answer to a poll is complete when it comes
		ErrorLog:      slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			logger.Debug("front door", "err", err)
			w.Header().Set("Retry-After", "1")
			http.Error(w, "no node answers: start one again, or run dunlin dev with --restart", http.StatusServiceUnavailable)
		},
	}
}

// RoundTrip implements http.RoundTripper.
func (d *door) RoundTrip(r *http.Request) (*http.Response, error) {
	ofSession := strings.TrimSuffix(r.URL.Path, "/") == strings.TrimSuffix(d.path, "/")
	if sid := r.URL.Query().Get("sid"); ofSession && sid != "" {
		return d.toOwner(r, sid)
	}
	first := uint64(0)
	if ofSession {
		first = d.turn.Add(1) - 1
	}
	var resp *http.Response
	var err error
	for i := range uint64(len(d.backends)) {
		if resp != nil {
			_ = resp.Body.Close()
		}
		resp, err = d.send(r, d.backends[(first+i)%uint64(len(d.backends))])
		away := err != nil && notReached(err) || err == nil && resp.StatusCode == http.StatusServiceUnavailable
		if !away || r.Body != nil && r.Body != http.NoBody {
			break // what was read of a body cannot be sent again
		}
	}
	return resp, err
}

// toOwner sends a request to the node whose name its session id begins with.
// When that is gone the answer is that of any node, so that the client starts a
// new session at once.
func (d *door) toOwner(r *http.Request, sid string) (*http.Response, error) {
	name, _, _ := strings.Cut(sid, ".")
	for _, b := range d.backends {
		if b.name != name {
			continue
		}
		resp, err := d.send(r, b)
		if err == nil || !notReached(err) {
			return resp, err
		}
	}
	return unknownSession(r), nil
}

func (d *door) send(r *http.Request, b backend) (*http.Response, error) {
	out := r.Clone(r.Context())
	out.URL.Host = b.host
	return d.transport.RoundTrip(out)
}

// notReached reports whether the request was not even sent.
func notReached(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// unknownSession is what Engine.IO servers answer, code 1.
func unknownSession(r *http.Request) *http.Response {
	const body = `{"code":1,"message":"Session ID unknown"}`
	return &http.Response{
		StatusCode: http.StatusBadRequest, ProtoMajor: 1, ProtoMinor: 1,
		Header:        http.Header{"Content-Type": {"application/json"}},
		ContentLength: int64(len(body)),
		Body:          io.NopCloser(bytes.NewReader([]byte(body))),
		Request:       r,
	}
}

// hostOf returns the host and port of a URL that a child has announced.
func hostOf(rawURL string) (string, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return "", err
	}
	return u.Host, nil
}
