package engineio

// PollParked reports whether s has a GET that waits for something to send.
func PollParked(s *Session) bool {
	p, ok := s.current().(*polling)
	if !ok {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.wake != nil
}

// PostOpen reports whether a POST of s is being served.
func PostOpen(s *Session) bool {
	p, ok := s.current().(*polling)
	return ok && p.excuse()
}

// NewID makes a session id as the default of Config.NewID does.
func NewID() string { return newID() }

// StopTimer keeps the heartbeat of srv from beating, as a process under load may.
func StopTimer(srv *Server) {
	srv.heartbeat.mu.Lock()
	defer srv.heartbeat.mu.Unlock()
	srv.heartbeat.timer.Stop()
}
