package socketio

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Of returns the namespace of that name and makes it when there is none, as a
// member of the first OfPattern family that it matches. It stays, also without
// sockets, until DeleteNamespace. The leading slash may be left out.
func (s *Server) Of(name string) *Namespace {
	name = slashed(name)
	s.lockFree(name)
	if n := s.namespaces[name]; n != nil {
		n.pinned = true
		s.mu.Unlock()
		return n
	}
	n := newNamespace(s, name, s.family(name))
	n.pinned = true
	s.start(n)
	s.mu.Unlock()
	s.toldNamespace(n, true)
	return n
}

func slashed(name string) string {
	if strings.HasPrefix(name, "/") {
		return name
	}
	return "/" + name
}

// lockFree locks mu at a moment when the name's namespace is not on its way
// out: an adapter opens each namespace once at a time.
func (s *Server) lockFree(name string) {
	for {
		s.mu.Lock()
		e := s.ending[name]
		if e == nil {
			return
		}
		s.mu.Unlock()
		<-e.done
	}
}

// start puts a new namespace into the table. The caller holds mu; opening a
// link does no I/O of its own.
func (s *Server) start(n *Namespace) {
	s.namespaces[n.name] = n
	n.open()
	if n.parent != nil {
		n.parent.note(n, true)
	}
	if s.closed {
		_ = n.close() // it exists, and everything on it says ErrClosed
	}
}

// OfPattern returns the family of the namespaces whose whole name, with its
// leading slash, matches. Families are asked in the order of their making.
func (s *Server) OfPattern(pattern *regexp.Regexp) *ParentNamespace {
	whole := regexp.MustCompile(`\A(?:` + pattern.String() + `)\z`) // a group of what has been compiled before
	return s.of(whole, func(_ context.Context, name string, _ *Handshake) (bool, error) {
		return whole.MatchString(name), nil
	})
}

// OfFunc returns the family of the namespaces that match accepts. match may
// wait for something until ctx ends, which it does with the client's
// connection. An error refuses the client without asking further families.
func (s *Server) OfFunc(match func(ctx context.Context, name string, h *Handshake) (bool, error)) *ParentNamespace {
	return s.of(nil, match)
}

func (s *Server) of(pattern *regexp.Regexp, match func(context.Context, string, *Handshake) (bool, error)) *ParentNamespace {
	p := &ParentNamespace{server: s, pattern: pattern, match: match, children: make(map[string]*Namespace)}
	p.shared = shared{registry: &registry{}, log: s.cfg.Logger, noted: func() { p.outgoingAny.Store(true) }}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parents = append(s.parents, p)
	return p
}

// family returns the first family whose pattern matches the name, or nil. The
// caller holds mu.
func (s *Server) family(name string) *ParentNamespace {
	for _, p := range s.parents {
		if p.pattern != nil && p.pattern.MatchString(name) {
			return p
		}
	}
	return nil
}

// errInvalidNamespace has the words of the JavaScript server.
var errInvalidNamespace = &ConnectError{Message: "Invalid namespace"}

// enter finds the namespace that a socket asks for and counts the socket in.
func (s *Server) enter(sock *Socket) (*Namespace, error) {
	s.mu.Lock()
	n := s.namespaces[sock.namespace]
	if n != nil {
		n.sockets++
	}
	parents := s.parents
	s.mu.Unlock()
	if n != nil {
		return n, nil
	}
	for _, p := range parents {
		ok, err := p.accepts(sock)
		if err != nil {
			return nil, err
		}
		if ok {
			return s.child(sock.namespace, p)
		}
	}
	return nil, errInvalidNamespace
}

// accepts asks the family's function; a panic refuses.
func (p *ParentNamespace) accepts(sock *Socket) (ok bool, err error) {
	err = errInternal // what a panic leaves
	_ = sock.guard("namespace", func() { ok, err = p.match(sock.Context(), sock.namespace, sock.Handshake()) })
	return ok, err
}

func (s *Server) child(name string, p *ParentNamespace) (*Namespace, error) {
	s.lockFree(name)
	n := s.namespaces[name]
	created := n == nil
	switch {
	case s.closed:
		s.mu.Unlock()
		return nil, ErrClosed
	case created:
		n = newNamespace(s, name, p)
		s.start(n)
	}
	n.sockets++
	s.mu.Unlock()
	if created {
		s.toldNamespace(n, true)
	}
	return n, nil
}

// leave counts a socket out and ends a dynamic namespace that is empty.
func (s *Server) leave(n *Namespace) {
	s.mu.Lock()
	n.sockets--
	last := n.sockets == 0 && n.parent != nil && !n.pinned && !s.closed && s.namespaces[n.name] == n
	if last {
		s.end(n)
	}
	s.mu.Unlock()
	if last {
		s.toldNamespace(n, false)
	}
}

// DeleteNamespace takes a namespace off this node, one that Of made or a
// dynamic one. Its sockets are disconnected with ReasonServerDisconnect, those
// whose middleware still runs are refused, and it leaves the cluster, which
// DeleteNamespace waits for; handlers that run go on. What was registered on
// it is gone with it, and what is emitted through it afterwards returns
// ErrClosed. Other nodes keep theirs.
//
// The name is free then: clients that ask for it are refused, unless a family
// accepts it or Of makes it anew. Of a name without a namespace nothing is
// deleted, and that is no error; "/" cannot be deleted. An error of ctx ends
// the waiting only. DeleteNamespace must not be called by hooks and outgoing
// listeners, which the other nodes' messages wait for.
func (s *Server) DeleteNamespace(ctx context.Context, name string) error {
	name = slashed(name)
	if name == "/" {
		return errRoot
	}
	s.mu.Lock()
	n := s.namespaces[name]
	e := s.ending[name]
	switch {
	case s.closed:
		s.mu.Unlock()
		return ErrClosed
	case n != nil:
		e = s.end(n)
	}
	s.mu.Unlock()
	if n != nil {
		s.toldNamespace(n, false)
	}
	if e == nil {
		return nil
	}
	select {
	case <-e.done:
		return e.err
	case <-ctx.Done():
		return fmt.Errorf("socketio: delete namespace %q: %w", name, context.Cause(ctx))
	}
}

var errRoot = errors.New(`socketio: the namespace "/" cannot be deleted`)

// ending is a namespace that is on its way out.
type ending struct {
	done chan struct{} // closed when the name is free
	err  error         // of the link; set before done is closed
}

// end takes a namespace out of the table, and then apart on a goroutine of its
// own: leaving the cluster must not hold up a socket's goroutine. The caller
// holds mu.
func (s *Server) end(n *Namespace) *ending {
	e := &ending{done: make(chan struct{})}
	delete(s.namespaces, n.name)
	s.ending[n.name] = e
	if n.parent != nil {
		n.parent.note(n, false)
	}
	// Shutdown waits for tasks.
	s.tasks.Go(func() {
		defer func() { // also when a hook ends the goroutine
			s.mu.Lock()
			delete(s.ending, n.name)
			s.mu.Unlock()
			close(e.done)
		}()
		for _, sock := range n.rooms.close() {
			sock.Disconnect()
		}
		e.err = n.close()
	})
	return e
}

func (s *Server) toldNamespace(n *Namespace, created bool) {
	if hook := s.cfg.Hooks.OnNamespace; hook != nil {
		hook(n.name, created)
	}
}

func (s *Server) all() []*Namespace {
	s.mu.Lock()
	defer s.mu.Unlock()
	ns := make([]*Namespace, 0, len(s.namespaces))
	for _, n := range s.namespaces {
		ns = append(ns, n)
	}
	return ns
}
