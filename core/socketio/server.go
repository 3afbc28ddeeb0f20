package socketio

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/engineio"
	"github.com/dunlin-io/dunlin/core/parser"
)

// Server is one node. It has the methods of its namespace "/". Its methods may
// be called from any goroutine.
type Server struct {
	*Namespace
	cfg     Config
	engine  *engineio.Server
	client  *clientBundle // nil: none
	stats   counters
	tasks   goroutines // everything that runs user code
	conns   connections
	closing atomic.Bool

	gathering atomic.Bool // see gather
	toldScope atomic.Bool // see tellScope

	maxAttachments int // of an event that is emitted

	mu         sync.Mutex // guards the following
	namespaces map[string]*Namespace
	ending     map[string]*ending // namespaces whose link is being closed
	parents    []*ParentNamespace
	closed     bool
}

// New returns a server that is ready to be mounted on an http.Server, beside
// other handlers or alone. Shutdown ends it.
func New(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, namespaces: make(map[string]*Namespace), ending: make(map[string]*ending)}
	s.maxAttachments = maxAttachments(&cfg)
	s.cfg.Parser = s.codec(cfg.Parser)
	s.engine, err = engineio.New(cfg.Engine, func(session *engineio.Session) engineio.Handler {
		c := newConn(s, session)
		s.conns.add(c)
		return c
	})
	if err != nil {
		return nil, fmt.Errorf("socketio: %w", err)
	}
	if cfg.Client != nil {
		if s.client, err = newClientBundle(cfg.Client, cfg.Engine.Path); err != nil {
			return nil, fmt.Errorf("socketio: config: %w", err)
		}
	}
	s.Namespace = s.Of("/")
	return s, nil
}

// ServeHTTP serves the requests under the path of Config.Engine.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.client.serve(w, r) {
		s.engine.ServeHTTP(w, r)
	}
}

// NodeID is this process's name in the cluster.
func (s *Server) NodeID() cluster.NodeID { return s.cfg.NodeID }

// Ready returns once every namespace hears the other nodes, or with ctx's
// error.
func (s *Server) Ready(ctx context.Context) error {
	for _, n := range s.all() {
		if err := n.member.Ready(ctx); err != nil {
			return fmt.Errorf("socketio: namespace %q: %w", n.name, err)
		}
	}
	return nil
}

// Refuse says whether new connections are turned away, with status 503. Those
// that exist go on.
func (s *Server) Refuse(on bool) { s.engine.Refuse(on) }

// Shutdown turns new connections away, closes the transports of all sockets
// with the reason "server shutting down", so that clients come back and find
// another node, waits for the handlers that run, and leaves the cluster. When
// ctx ends first it stops waiting and returns ctx's error. What the
// application opened, such as a Redis client, stays open.
func (s *Server) Shutdown(ctx context.Context) error {
	s.closing.Store(true)
	s.engine.Refuse(true)
	s.passed(ctx)
	for _, c := range s.conns.all() {
		c.end(ReasonServerShutdown, nil)
	}
	err := s.engine.Shutdown(ctx)
	err = errors.Join(err, s.tasks.Wait(ctx))
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	s.mu.Unlock()
	if !first {
		return err
	}
	err = errors.Join(err, s.closeNamespaces())
	// Closing namespaces may have ended what still waited for other nodes.
	return errors.Join(err, s.tasks.Wait(ctx))
}

// passed waits until what was emitted before has been handed to the connections,
// which takes a moment where it goes through an adapter's log.
func (s *Server) passed(ctx context.Context) {
	for _, n := range s.all() {
		if n.recovery == nil {
			continue
		}
		passed := make(chan struct{})
		n.inOrder(func() { close(passed) })
		select {
		case <-passed:
		case <-ctx.Done():
			return
		}
	}
}

// closeNamespaces closes all at once: each may have sessions to save.
func (s *Server) closeNamespaces() error {
	all := s.all()
	errs := make([]error, len(all))
	var closing sync.WaitGroup
	for i, n := range all {
		closing.Go(func() { errs[i] = n.close() })
	}
	closing.Wait()
	return errors.Join(errs...)
}

// maxAttachments is how many binary values an event may hold: clients with the
// default parser close the connection when there are more, msgpack has no
// limit.
func maxAttachments(cfg *Config) int {
	switch limit := cfg.Limits.Parser.MaxAttachments; {
	case limit < 0 || cfg.Parser.Name() != parser.JSON().Name():
		return math.MaxInt
	case limit == 0:
		return parser.DefaultMaxAttachments
	default:
		return limit
	}
}

// encode makes the packet's frames, once for any number of connections.
func (s *Server) encode(p *parser.Packet) (*engineio.Batch, error) {
	frames, err := s.cfg.Parser.Encode(p)
	if err != nil {
		return nil, fmt.Errorf("socketio: %w", err)
	}
	if len(frames) == 1 {
		return engineio.NewBatch(engineio.Message(frames[0])), nil
	}
	messages := make([]engineio.Message, len(frames))
	for i, f := range frames {
		messages[i] = engineio.Message(f)
	}
	return engineio.NewBatch(messages...), nil
}

// eventError reports an event that was refused. A *RemoteError is for the
// client, and a hook is told of everything; otherwise the log is, where clients
// must not be able to cry wolf.
func (s *Server) eventError(ev *Event, err error) {
	if hook := s.cfg.Hooks.OnEventError; hook != nil {
		hook(ev, err)
		return
	}
	level := slog.LevelWarn
	if _, clients := errors.AsType[payloadError](err); clients {
		level = slog.LevelDebug
	}
	if _, meant := errors.AsType[*RemoteError](err); !meant {
		s.cfg.Logger.Log(context.Background(), level, "event refused", "event", ev.Name, "socket", ev.Socket.id, "err", err)
	}
}

func (s *Server) panicked(sock *Socket, event string, p *PanicError) {
	s.stats.panics.Add(1)
	id := ""
	if sock != nil {
		id = sock.id
	}
	s.cfg.Logger.Error("panic in a handler", "event", event, "socket", id, "panic", p.Value, "stack", string(p.Stack))
	if hook := s.cfg.Hooks.OnPanic; hook != nil {
		hook(sock, event, p)
	}
}

// connections is the set of client connections.
type connections struct {
	mu  sync.Mutex // guards the following
	set map[*conn]struct{}
}

func (cs *connections) add(c *conn) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.set == nil {
		cs.set = make(map[*conn]struct{})
	}
	cs.set[c] = struct{}{}
}

func (cs *connections) done(c *conn) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	delete(cs.set, c)
}

func (cs *connections) all() []*conn {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	all := make([]*conn, 0, len(cs.set))
	for c := range cs.set {
		all = append(all, c)
	}
	return all
}
