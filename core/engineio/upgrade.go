package engineio

import (
	"net/http"
	"time"
)

// upgrade lets a WebSocket become a candidate for the transport of s. A session that already has one, or a candidate,
// is not touched: the newcomer is closed without a word, as the reference does.
func (srv *Server) upgrade(w http.ResponseWriter, r *http.Request, q query, s *Session) *Error {
	c, early, refused := srv.hijack(w, r, false)
	if refused != nil {
		return refused
	}
	t := newWebSocket(s, c, q.base64)
	if !s.consider(t) {
		_, _ = c.write(plainClose, srv.cfg.CloseTimeout)
		c.close()
		return nil
	}
	// serve ends with the connection, which ends with the session at the latest; Shutdown waits for it.
	go t.serve(early)
	return nil
}

// consider makes t the candidate and starts the clock of its upgrade.
func (s *Session) consider(t *websocket) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != stateOpen || s.candidate != nil || s.transport.name() != transportPolling {
		return false
	}
	s.candidate = t
	s.srv.running.Add(1) // of serve; the session's own count is held
	t.deadline = time.AfterFunc(s.srv.cfg.UpgradeTimeout, func() {
		if s.dropCandidate(t) {
			t.abort(ReasonTransportError, errProbe)
		}
	})
	return true
}

// dropCandidate reports whether t was the candidate.
func (s *Session) dropCandidate(t *websocket) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.candidate != t {
		return false
	}
	s.candidate = nil
	s.transport.(*polling).probe(false)
	return true
}

// lost reports the end of t: of a candidate it changes nothing for the session, of the current transport it is the end.
func (s *Session) lost(t *websocket, reason Reason, err error) {
	if !s.dropCandidate(t) && s.current() == transport(t) {
		s.finish(reason, err)
	}
	t.abort(reason, err)
}

// probe handles a packet on a candidate:
//
//	client: 2probe   server: 3probe, and noop on the parked poll
//	client: 5        the switch
func (t *websocket) probe(p packet) error {
	switch {
	case p.kind == packetPing && string(p.data) == "probe":
		if err := t.send(probePong); err != nil {
			return err
		}
		t.s.mu.Lock()
		defer t.s.mu.Unlock()
		if poll, ok := t.s.transport.(*polling); ok && t.s.candidate == t {
			poll.probe(true)
		}
		return nil
	case p.kind == packetUpgrade && t.s.switchTo(t):
		t.current = true
		return nil
	}
	return errProbe
}

// switchTo moves the session to t, on t's reading goroutine. Messages of a post that is still being handled come first,
// and so does whatever polling has not sent.
func (s *Session) switchTo(t *websocket) bool {
	s.mu.Lock()
	poll, ok := s.transport.(*polling)
	s.mu.Unlock()
	if !ok || !poll.posted(s.srv.cfg.UpgradeTimeout) {
		return false
	}

	s.mu.Lock()
	if s.candidate != t {
		s.mu.Unlock()
		return false
	}
	s.candidate = nil
	s.transport = t
	closing := s.state == stateClosing
	var err error
	for _, q := range poll.handOver() {
		if err = t.out.send(q.wire(t.base64)); err != nil {
			break
		}
	}
	s.mu.Unlock()

	t.deadline.Stop()
	s.srv.counters.upgrades.Add(1)
	s.srv.heartbeat.restart(s)
	if err != nil {
		_ = s.sendFailed(err)
	}
	if closing {
		t.shut()
	}
	return true
}
