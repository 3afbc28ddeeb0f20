package socketio

import (
	"runtime/debug"

	"github.com/dunlin-io/dunlin/core/parser"
)

// own returns the socket's registry, making it when there is none.
func (s *Socket) own() *registry {
	for {
		if r := s.handlers.Load(); r != nil {
			return r
		}
		s.handlers.CompareAndSwap(nil, &registry{})
	}
}

// On registers a handler for the socket's events of that name. Handlers of the
// namespace run first.
func (s *Socket) On(event string, h Handler) (off func()) {
	return s.own().on(s.conn.server.cfg.Logger, event, h, false)
}

// Once is On for one event.
func (s *Socket) Once(event string, h Handler) (off func()) {
	return s.own().on(s.conn.server.cfg.Logger, event, h, true)
}

// OnAnyIncoming registers a listener for every event from the client. It runs
// before event middleware and handlers, and sees events that nobody handles.
func (s *Socket) OnAnyIncoming(h Handler) (off func()) {
	r := s.own()
	return add(r, &r.incoming, &listener[Handler]{f: h}, false)
}

// PrependAnyIncoming is OnAnyIncoming ahead of the listeners so far.
func (s *Socket) PrependAnyIncoming(h Handler) (off func()) {
	r := s.own()
	return add(r, &r.incoming, &listener[Handler]{f: h}, true)
}

// OnAnyOutgoing registers a listener for every event to the client, broadcasts
// included. It runs on the goroutine that emits, before the event is sent, and
// must not block.
func (s *Socket) OnAnyOutgoing(h Handler) (off func()) {
	r := s.own()
	return add(r, &r.outgoing, &listener[Handler]{f: h}, false)
}

// PrependAnyOutgoing is OnAnyOutgoing ahead of the listeners so far.
func (s *Socket) PrependAnyOutgoing(h Handler) (off func()) {
	r := s.own()
	return add(r, &r.outgoing, &listener[Handler]{f: h}, true)
}

// Use adds a middleware for the socket's events. It runs before the handlers;
// an error keeps the event from them and goes to Hooks.OnEventError.
func (s *Socket) Use(m func(*Event) error) (off func()) {
	r := s.own()
	return add(r, &r.uses, &listener[func(*Event) error]{f: m}, false)
}

// OnDisconnecting registers a listener for the moment when the socket leaves;
// Rooms still tells where it was.
func (s *Socket) OnDisconnecting(f func(*Socket, Reason)) (off func()) {
	r := s.own()
	return add(r, &r.disconnecting, &listener[func(*Socket, Reason)]{f: f}, false)
}

// OnDisconnect registers a listener for the socket's end. It runs after the
// handlers of everything the client sent before.
func (s *Socket) OnDisconnect(f func(*Socket, Reason)) (off func()) {
	r := s.own()
	return add(r, &r.disconnect, &listener[func(*Socket, Reason)]{f: f}, false)
}

// dispatch runs everything that is registered for an incoming event.
func (s *Socket) dispatch(ev *Event) {
	registries := s.registries()
	for _, r := range registries {
		for _, l := range read(r, &r.incoming) {
			s.call(l, ev)
		}
	}
	for _, r := range registries {
		for _, l := range read(r, &r.uses) {
			if err := s.filter(l.f, ev); err != nil {
				s.conn.server.eventError(ev, err)
				return
			}
		}
	}
	for _, r := range registries {
		for _, l := range r.handlers(ev.Name) {
			s.call(l, ev)
		}
	}
}

func (s *Socket) call(l *listener[Handler], ev *Event) {
	if !l.take() {
		return
	}
	defer s.catch(ev.Name, nil)
	l.f(ev)
}

func (s *Socket) filter(m func(*Event) error, ev *Event) (err error) {
	var p *PanicError
	defer func() {
		if p != nil {
			err = p
		}
	}()
	defer s.catch(ev.Name, &p)
	return m(ev)
}

// outgoing shows an event to the outgoing listeners.
func (s *Socket) outgoing(p *parser.Packet) {
	if s.handlers.Load() == nil && !s.ns.listensOutgoing() {
		return
	}
	var ev *Event
	for _, r := range s.registries() {
		for _, l := range read(r, &r.outgoing) {
			if ev == nil {
				name, args, err := p.Payload.Event()
				if err != nil {
					return
				}
				ev = &Event{Socket: s, Name: name, Args: args}
			}
			s.call(l, ev)
		}
	}
}

// guard runs user code; a panic ends only it.
func (s *Socket) guard(event string, f func()) (p *PanicError) {
	defer s.catch(event, &p)
	f()
	return nil
}

// catch is deferred around user code.
func (s *Socket) catch(event string, out **PanicError) {
	v := recover()
	if v == nil {
		return
	}
	p := &PanicError{Value: v, Stack: debug.Stack()}
	if out != nil {
		*out = p
	}
	s.conn.server.panicked(s, event, p)
}
