package engineio

import (
	"errors"
	"net/http"
	"slices"

	"github.com/gobwas/ws"
)

// hijack answers a checked upgrade request with 101 and takes over its connection. early is what the client sent along
// with the handshake. The request and its buffers are not kept.
func (srv *Server) hijack(w http.ResponseWriter, r *http.Request, initial bool) (c conn, early []byte, refused *Error) {
	if err := srv.cfg.checkHeaderSize(r); err != nil {
		return nil, nil, err
	}
	// Middlewares before us may have set cookies and the like; they belong into the 101.
	header := w.Header().Clone()
	srv.headers(header, r, initial)
	up := ws.HTTPUpgrader{Header: header, Timeout: srv.cfg.WriteTimeout}

	nc, rw, _, err := up.Upgrade(handshakeOnly(r), w)
	switch {
	case errors.Is(err, ws.ErrNotHijacker):
		srv.cfg.Logger.Error("engine.io: upgrade impossible: a ResponseWriter around ours has neither Hijack nor Unwrap")
		srv.counters.rejected[CodeBadRequest].Add(1)
		return nil, nil, errAnswered
	case err != nil:
		if nc != nil {
			_ = nc.Close()
		}
		return nil, nil, errAnswered
	}
	if n := rw.Reader.Buffered(); n > 0 {
		buffered, _ := rw.Reader.Peek(n)
		early = slices.Clone(buffered)
	}
	return newConn(nc), early, nil
}

// errAnswered says that the request was refused and that somebody has answered it.
var errAnswered = &Error{Code: CodeBadRequest, Message: "upgrade failed"}

// handshakeOnly reduces a checked request to what the handshake needs, in the one form that ws understands.
func handshakeOnly(r *http.Request) *http.Request {
	return &http.Request{
		Method: r.Method, Host: r.Host, Proto: r.Proto, ProtoMajor: r.ProtoMajor, ProtoMinor: r.ProtoMinor,
		Header: http.Header{
			"Connection":            {"Upgrade"},
			"Upgrade":               {"websocket"},
			"Sec-Websocket-Key":     r.Header["Sec-Websocket-Key"],
			"Sec-Websocket-Version": {"13"},
		},
	}
}
