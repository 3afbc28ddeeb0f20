package engineio

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Server accepts and holds Engine.IO sessions. It is an http.Handler.
type Server struct {
	cfg       Config
	newAccept func(*Session) Handler
	heartbeat *heartbeat
	lingering lingering
	cork      cork
	counters  counters
	running   sync.WaitGroup // sessions until HandleClose has returned, and every goroutine of theirs

	mu       sync.RWMutex // guards the following
	sessions map[string]*Session
	refusing bool // no new sessions
	down     bool // Shutdown was called
}

// New returns a server that calls accept once for each new session, before any message of it; accept may call Send. The
// error says what is wrong with cfg and how to mend it.
func New(cfg Config, accept func(*Session) Handler) (*Server, error) {
	if accept == nil {
		return nil, errors.New("new engine.io server: accept is nil")
	}
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("new engine.io server: Config.%w", err)
	}
	return &Server{
		cfg:       cfg,
		newAccept: accept,
		heartbeat: newHeartbeat(cfg.PingInterval, cfg.PingTimeout),
		sessions:  make(map[string]*Session),
	}, nil
}

// ServeHTTP answers a request under Config.Path, and any other with 404.
func (srv *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.TrimSuffix(r.URL.Path, "/") != srv.cfg.Path {
		http.NotFound(w, r)
		return
	}
	if len(r.TransferEncoding) > 0 {
		// A proxy may have gone by a Content-Length that net/http has dropped, and see the next request elsewhere.
		closeAfter(w, r)
	}
	if err := srv.serve(w, r); err != nil && err != errAnswered {
		srv.reject(w, r, err)
	}
}

// serve finds out what a request wants. The order of the checks is the reference server's, because clients see codes.
func (srv *Server) serve(w http.ResponseWriter, r *http.Request) *Error {
	srv.cfg.CORS.decorate(w.Header(), r)
	if err := srv.cfg.admitOrigin(r); err != nil {
		return err
	}
	if r.Method == http.MethodOptions {
		if srv.cfg.CORS == nil {
			return refuse(CodeBadMethod, "OPTIONS without CORS")
		}
		srv.cfg.CORS.preflight(w, r)
		return nil
	}
	q, err := parseQuery(r.URL)
	if err != nil {
		return err
	}
	upgrade := isUpgrade(r)
	if !slices.Contains(srv.cfg.Transports, q.transport) || upgrade && q.transport != transportWebSocket {
		return refuse(CodeUnknownTransport, "transport "+q.transport)
	}
	if upgrade {
		if err := checkUpgrade(w, r); err != nil {
			return err
		}
	}
	if q.sid == "" {
		return srv.serveNew(w, r, q, upgrade)
	}
	return srv.serveKnown(w, r, q, upgrade)
}

// serveNew opens a session.
func (srv *Server) serveNew(w http.ResponseWriter, r *http.Request, q query, upgrade bool) *Error {
	switch {
	case r.Method != http.MethodGet:
		return refuse(CodeBadMethod, r.Method+" without a session")
	case q.transport == transportWebSocket && r.ProtoMajor > 1:
		e := refuse(CodeBadRequest, "upgrade over "+r.Proto)
		e.Message = "WebSocket needs HTTP/1.1; this request came over " + r.Proto
		return e
	case q.transport == transportWebSocket && !upgrade:
		return refuse(CodeBadRequest, "TRANSPORT_HANDSHAKE_ERROR")
	case q.version != "4":
		return refuse(CodeUnsupportedVersion, "EIO="+q.version)
	}
	s, err := srv.admit(r)
	if err != nil {
		return err
	}
	if upgrade {
		return srv.openWebSocket(w, r, q, s)
	}
	return srv.openPolling(w, r, s)
}

func (srv *Server) openPolling(w http.ResponseWriter, r *http.Request, s *Session) *Error {
	p := &polling{s: s}
	srv.start(s, p)
	srv.headers(w.Header(), r, true)
	srv.cfg.Cookie.set(w.Header(), s.id)
	return p.get(w, r)
}

func (srv *Server) openWebSocket(w http.ResponseWriter, r *http.Request, q query, s *Session) *Error {
	opened := false
	defer func() {
		if !opened { // refused, or a hook of the application has panicked
			srv.unregister(s)
		}
	}()
	c, early, err := srv.hijack(w, r, true)
	if err != nil {
		return err
	}
	opened = true
	t := newWebSocket(s, c, q.base64)
	t.current = true
	srv.running.Add(1)
	srv.start(s, t)
	// serve ends with the connection, which ends with the session at the latest; Shutdown waits for it.
	go t.serve(early)
	return nil
}

// start sends the open packet and shows the session to the application.
func (srv *Server) start(s *Session, t transport) {
	s.mu.Lock()
	s.transport = t
	if s.state == stateOpening { // a forced Shutdown may have been quicker
		s.state = stateOpen
	}
	err := t.send(srv.cfg.openPacket(s.id, t.name()))
	s.mu.Unlock()
	if m := srv.cfg.InitialMessage; m != nil && err == nil {
		err = s.Send(NewBatch(Message{m.Binary, slices.Clone(m.Data)}))
	}
	if err != nil {
		_ = s.sendFailed(err) // accept and HandleClose are called all the same
	}
	s.open(srv.newAccept)
	if srv.isDown() { // Shutdown has passed by before the session was open
		s.Close()
	}
}

// serveKnown serves a request of an existing session.
func (srv *Server) serveKnown(w http.ResponseWriter, r *http.Request, q query, upgrade bool) *Error {
	s, ok := srv.Session(q.sid)
	if !ok {
		if srv.cfg.UnknownSession != nil && srv.cfg.UnknownSession(w, r, q.sid) {
			return nil
		}
		return refuse(CodeUnknownSession, "")
	}
	if srv.heartbeat.late(s) && !s.excused() {
		s.finish(ReasonPingTimeout, nil)
		return refuse(CodeUnknownSession, "ping timeout")
	}
	if q.version != "" && q.version != "4" {
		return refuse(CodeBadRequest, "EIO="+q.version+" for a session of version 4")
	}
	if upgrade {
		if srv.cfg.DisableUpgrades {
			return refuse(CodeBadRequest, "upgrades are disabled")
		}
		return srv.upgrade(w, r, q, s)
	}
	p, ok := s.current().(*polling)
	if !ok || q.transport != transportPolling {
		return refuse(CodeBadRequest, "TRANSPORT_MISMATCH")
	}
	srv.headers(w.Header(), r, false)
	switch r.Method {
	case http.MethodGet:
		return p.get(w, r)
	case http.MethodPost:
		return p.post(w, r)
	}
	w.Header().Set("Allow", "GET, POST")
	return refuseStatus(http.StatusMethodNotAllowed, r.Method+" for a session")
}

// headers runs the hooks that may add to a response.
func (srv *Server) headers(h http.Header, r *http.Request, initial bool) {
	if initial && srv.cfg.InitialHeaders != nil {
		srv.cfg.InitialHeaders(h, r)
	}
	if srv.cfg.Headers != nil {
		srv.cfg.Headers(h, r)
	}
}

// reject answers a refused request: JSON, or for an upgrade, whose client shows it to nobody, bare text.
func (srv *Server) reject(w http.ResponseWriter, r *http.Request, e *Error) {
	srv.counters.rejected[e.Code].Add(1)
	if srv.cfg.OnReject != nil {
		srv.cfg.OnReject(r, e)
	}
	srv.cfg.Logger.Debug("engine.io request refused", "error", e, "remote", r.RemoteAddr)
	h := w.Header()
	if e.Status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	h.Set("X-Content-Type-Options", "nosniff")
	body, contentType := []byte(e.Message), "text/plain; charset=utf-8"
	if isUpgrade(r) {
		h.Set("Connection", "close")
	} else {
		contentType = "application/json"
		body, _ = json.Marshal(struct { // of a number and a string: cannot fail
			Code    Code   `json:"code"`
			Message string `json:"message"`
		}{e.Code, e.Message})
	}
	if r.ContentLength != 0 {
		closeAfter(w, r) // the body is not read
	}
	_ = answer(w, srv.cfg.WriteTimeout, e.Status, contentType, body)
}

// register gives s its id and a place in the table.
func (srv *Server) register(s *Session, id string) *Error {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	switch {
	case srv.refusing:
		return refuseStatus(http.StatusServiceUnavailable, "no new sessions: shutting down or draining")
	case srv.cfg.MaxSessions > 0 && len(srv.sessions) >= srv.cfg.MaxSessions:
		return refuseStatus(http.StatusServiceUnavailable, "MaxSessions reached")
	}
	if _, used := srv.sessions[id]; used {
		return refuse(CodeBadRequest, "ID_GENERATION_ERROR: NewID returned an id in use")
	}
	s.id = id
	srv.sessions[id] = s
	srv.running.Add(1) // until HandleClose has returned
	return nil
}

// unregister takes back a session that was never opened.
func (srv *Server) unregister(s *Session) {
	srv.mu.Lock()
	delete(srv.sessions, s.id)
	srv.mu.Unlock()
	srv.running.Done()
}

// forget removes a session that has ended.
func (srv *Server) forget(s *Session, reason Reason, err error) {
	srv.heartbeat.remove(s)
	srv.counters.ended(reason, err)
	srv.mu.Lock()
	delete(srv.sessions, s.id)
	srv.mu.Unlock()
}

func (srv *Server) panicked(s *Session, value any, stack []byte) {
	srv.counters.panics.Add(1)
	srv.cfg.Logger.Error("panic in engine.io callback", "panic", value, "stack", string(stack))
	if srv.cfg.OnPanic == nil {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			srv.cfg.Logger.Error("panic in engine.io OnPanic", "panic", v)
		}
	}()
	srv.cfg.OnPanic(s, value, stack)
}

// Len returns the number of sessions.
func (srv *Server) Len() int {
	srv.mu.RLock()
	defer srv.mu.RUnlock()
	return len(srv.sessions)
}

// Session returns the session with this id, once accept has returned for it.
func (srv *Server) Session(id string) (*Session, bool) {
	srv.mu.RLock()
	s, ok := srv.sessions[id]
	srv.mu.RUnlock()
	return s, ok && s.accepted()
}

// Sessions yields the sessions of one moment, in no order. No lock is held meanwhile.
func (srv *Server) Sessions() iter.Seq[*Session] {
	return func(yield func(*Session) bool) {
		for _, s := range srv.snapshot() {
			if s.accepted() && !yield(s) {
				return
			}
		}
	}
}

func (srv *Server) snapshot() []*Session {
	srv.mu.RLock()
	defer srv.mu.RUnlock()
	all := make([]*Session, 0, len(srv.sessions))
	for _, s := range srv.sessions {
		all = append(all, s)
	}
	return all
}
