package socketio

// Listeners counts what is registered in one place: on a namespace, a family of
// namespaces or a socket. It is for looking into a program that runs, in logs
// and on debug pages.
type Listeners struct {
	Events     map[string]int // On, Once and the typed ones, by event
	ServerSide map[string]int // OnServerSide, by event; never on a socket

	AnyIncoming     int // OnAnyIncoming, PrependAnyIncoming
	AnyOutgoing     int // OnAnyOutgoing, PrependAnyOutgoing
	Middleware      int // Use of a namespace; never on a socket
	EventMiddleware int // UseEvent, and Use of a socket
	Connect         int // OnConnect; never on a socket
	Disconnecting   int // OnDisconnecting
	Disconnect      int // OnDisconnect
}

// Listeners counts what is registered here. What the namespace's family and
// its sockets have is counted there.
func (h *shared) Listeners() Listeners { return h.registry.count() }

// Listeners counts what is registered on this socket alone.
func (s *Socket) Listeners() Listeners {
	r := s.handlers.Load()
	if r == nil {
		r = &registry{}
	}
	return r.count()
}

func (r *registry) count() Listeners {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return Listeners{
		Events:          lengths(r.named),
		ServerSide:      lengths(r.server),
		AnyIncoming:     len(r.incoming),
		AnyOutgoing:     len(r.outgoing),
		Middleware:      len(r.middleware),
		EventMiddleware: len(r.uses),
		Connect:         len(r.connect),
		Disconnecting:   len(r.disconnecting),
		Disconnect:      len(r.disconnect),
	}
}

func lengths[F any](m map[string]list[F]) map[string]int {
	n := make(map[string]int, len(m))
	for name, l := range m {
		n[name] = len(l)
	}
	return n
}
