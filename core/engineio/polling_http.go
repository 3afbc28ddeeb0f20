package engineio

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// get serves a GET of a session.
func (p *polling) get(w http.ResponseWriter, r *http.Request) *Error {
	wake, hold, refused, overlap := p.park()
	if refused != nil {
		return refused
	}
	if overlap {
		p.s.finish(ReasonTransportError, errPollOverlap)
		_ = answer(w, p.s.srv.cfg.WriteTimeout, http.StatusBadRequest, "")
		return nil
	}
	if wake != nil {
		// The application's ReadTimeout must not end a parked poll.
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
		if !p.wait(r.Context(), wake, hold) {
			p.s.finish(ReasonTransportError, errPollAborted) // first, so that no other GET takes the place
			p.leave()
			return nil
		}
	}
	if hold > 0 && p.moved() {
		return refuse(CodeBadRequest, "TRANSPORT_MISMATCH")
	}
	out, final := p.take(wake != nil)
	err := answer(w, p.s.srv.cfg.WriteTimeout, http.StatusOK, "text/plain; charset=UTF-8", out...)
	if final {
		p.s.finish(ReasonForcedClose, nil)
	}
	if err != nil {
		p.s.finish(ReasonTransportError, fmt.Errorf("answer poll: %w", err))
	}
	return nil
}

// answer writes a whole response: parts joined by the packet separator. It has its own deadline, since the one of the
// application's WriteTimeout may have passed while the request was parked.
func answer(w http.ResponseWriter, limit time.Duration, status int, contentType string, parts ...[]byte) error {
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Now().Add(limit))
	size := max(0, len(parts)-1)
	for _, p := range parts {
		size += len(p)
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(size))
	if contentType != "" {
		h.Set("Content-Type", contentType)
	}
	w.WriteHeader(status)
	for i, p := range parts {
		if i > 0 {
			if _, err := w.Write([]byte{separator}); err != nil {
				return err
			}
		}
		if _, err := w.Write(p); err != nil {
			return err
		}
	}
	// Without this a failure would go unseen: the server writes short responses after the handler has returned.
	if err := control.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

// closeAfter ends the connection of an HTTP/1 request after its answer.
func closeAfter(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close")
	}
}

// post serves a POST of a session. The packets are handled before the answer.
func (p *polling) post(w http.ResponseWriter, r *http.Request) *Error {
	refused, overlap := p.beginPost()
	if refused != nil {
		return refused
	}
	if overlap {
		p.s.finish(ReasonTransportError, errPostOverlap)
		closeAfter(w, r)
		_ = answer(w, p.s.srv.cfg.WriteTimeout, http.StatusBadRequest, "")
		return nil
	}
	status := p.accept(w, r)
	p.endPost() // before the answer: the client may post again, or upgrade, as soon as it has it
	if status == http.StatusOK {
		if err := answer(w, p.s.srv.cfg.WriteTimeout, status, "text/html", []byte("ok")); err != nil {
			p.s.finish(ReasonTransportError, fmt.Errorf("answer post: %w", err))
		}
		return nil
	}
	closeAfter(w, r) // what is left of the body is not read
	_ = answer(w, p.s.srv.cfg.WriteTimeout, status, "")
	return nil
}

// accept reads the body of a POST and handles its packets. It returns the status to answer with.
func (p *polling) accept(w http.ResponseWriter, r *http.Request) (status int) {
	cfg := &p.s.srv.cfg
	contentType, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	if strings.EqualFold(strings.TrimSpace(contentType), "application/octet-stream") {
		p.s.finish(ReasonTransportError, errBinaryPost)
		return http.StatusBadRequest
	}
	if r.ContentLength > int64(cfg.MaxPayload) {
		return http.StatusRequestEntityTooLarge
	}
	body := bodies.Get().(*bytes.Buffer)
	defer freeBody(body)
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(cfg.BodyTimeout))
	_, err := body.ReadFrom(io.LimitReader(r.Body, int64(cfg.MaxPayload)+1))
	_ = control.SetReadDeadline(time.Time{}) // handling may take longer
	switch {
	case body.Len() > cfg.MaxPayload:
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		p.s.finish(ReasonTransportError, fmt.Errorf("read post: %w", err))
		return http.StatusRequestTimeout
	case err != nil:
		p.s.finish(ReasonTransportError, fmt.Errorf("%w: %w", errPostAborted, err))
		return http.StatusBadRequest
	}
	return p.handle(body.Bytes())
}

// handle gives the packets of a body to the session. A parse error is answered like success, as the reference does: the
// next request finds the session gone.
func (p *polling) handle(body []byte) (status int) {
	p.mu.Lock()
	over := p.phase == pollOver
	p.mu.Unlock()
	if over {
		return http.StatusBadRequest
	}
	for received, err := range packets(body) {
		if err != nil {
			p.s.finish(ReasonParseError, err)
			break
		}
		if received.kind == packetClose {
			p.awaitGet()
		}
		p.s.receive(received)
	}
	return http.StatusOK
}

// bodies holds buffers for posts. Large ones are left to the garbage collector.
var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func freeBody(b *bytes.Buffer) {
	const keep = 64 << 10
	if b.Cap() <= keep {
		b.Reset()
		bodies.Put(b)
	}
}
