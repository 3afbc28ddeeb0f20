package socketio

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"regexp"
	"time"

	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/engineio"
	"github.com/dunlin-io/dunlin/core/parser"
)

// Config configures a Server. The zero value serves one node on the default
// path; zero fields mean their defaults.
type Config struct {
	// Engine configures the connections: path, transports, heartbeat, payload
	// and queue limits, origins, id generator. Its Path defaults to
	// "/socket.io/" and its Logger to Logger.
	Engine engineio.Config
	// Adapter carries broadcasts and requests to the other nodes; nil:
	// cluster.Solo.
	Adapter cluster.Adapter
	// NodeID names this process in the cluster: 1 to 64 letters, digits, '-',
	// '_' and '.'. It must be unique and must not be reused by a later process;
	// empty: random.
	NodeID cluster.NodeID
	// Parser is how packets are written on the connections: parser.JSON(),
	// parser.Msgpack(), or one of your own, for which package parser has the
	// contract; nil: parser.JSON(). Clients must use the same.
	Parser parser.Codec
	// Client serves the official JavaScript client beside the connections, at
	// /socket.io/socket.io.js and so on: os.DirFS of the directory
	// socket.io-client/dist of an npm installation. Nil serves none.
	Client fs.FS
	// Admit is asked once for each new session, before anything is sent. The
	// values of the context it returns appear in Socket.Context. An error
	// refuses the session with status 403 and the error's text. Nil admits
	// everybody.
	Admit func(*http.Request) (context.Context, error)
	// ConnectTimeout is how long a connection may stay without joining a
	// namespace; 0: 45 s.
	ConnectTimeout time.Duration
	// RequestTimeout is how long answers of other nodes are awaited when the
	// caller's context has no earlier deadline; 0: 5 s.
	RequestTimeout time.Duration
	// Recovery lets clients continue after an interruption; zero: off.
	Recovery Recovery
	// Limits bound what one client can make the server hold.
	Limits Limits
	// Hooks are told of what has no caller to return an error to.
	Hooks Hooks
	// Logger receives what goes wrong in the background, such as a panic in a
	// handler; nil: slog.Default(). slog.New(slog.DiscardHandler) silences it.
	Logger *slog.Logger
}

// Limits bound what one client can make the server hold. Zero fields mean the
// default.
type Limits struct {
	Parser       parser.Limits
	Namespaces   int           // namespaces joined or being joined on one connection; 0: 100
	Auth         int           // bytes of a CONNECT payload; 0: 16 KiB
	Rooms        int           // rooms of one socket; 0: 10,000
	PendingAcks  int           // acknowledgements that one socket owes; 0: 10,000
	InboxEvents  int           // events that wait for a connection's handlers; 0: 256
	InboxBytes   int           // their size; 0: 1 MiB
	HeldBytes    int           // emits held back until a socket is connected; 0: 4 MiB
	Attachments  time.Duration // until a packet's attachments must have come; 0: 30 s
	ServerEvents int           // server-side events that wait for a namespace's handlers; 0: 10,000
}

// Hooks are called for what has no caller to return an error to. Each may be
// nil, is called from any goroutine, and must not block for long.
type Hooks struct {
	// OnPanic is told of a panic in a handler, middleware or listener. The
	// event ends; the connection and everybody else live on. Without a socket
	// it was a server-side event, or a parser of your own ("encode", "decode").
	OnPanic func(s *Socket, event string, err *PanicError)
	// OnConnectError is told why a client could not join a namespace.
	OnConnectError func(namespace string, h *Handshake, err error)
	// OnEventError is told of an event that a typed handler or a per-event
	// middleware refused. Without it such errors are logged, except
	// *RemoteErrors; arguments that do not fit at the level of debugging.
	OnEventError func(ev *Event, err error)
	// OnGap is told when messages of other nodes did not reach this one and
	// cannot be had any more: how many, and whose. Missed is 0 where that is not
	// known: after an interruption, with nodes in the cluster that do not number
	// what they say, such as Node.js servers. What can be had again is repeated
	// in order, and is no gap.
	OnGap func(namespace string, g cluster.Gap)
	// OnNamespace is told of namespaces created and, when dynamic, deleted.
	OnNamespace func(name string, created bool)
	// OnRoom is told of a room's first member joining and last one leaving on
	// this node.
	OnRoom func(namespace, room string, created bool)
}

var urlSafe = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

func (c Config) withDefaults() (Config, error) {
	var bad []error
	positive := func(name string, d, def time.Duration) time.Duration {
		if d < 0 {
			bad = append(bad, fmt.Errorf("%s is %v: it must not be negative; leave it 0 for %v", name, d, def))
		}
		if d == 0 {
			return def
		}
		return d
	}
	count := func(name string, n, def int) int {
		if n < 0 {
			bad = append(bad, fmt.Errorf("%s is %d: it must not be negative; leave it 0 for %d", name, n, def))
		}
		if n == 0 {
			return def
		}
		return n
	}
	c.ConnectTimeout = positive("ConnectTimeout", c.ConnectTimeout, 45*time.Second)
	c.RequestTimeout = positive("RequestTimeout", c.RequestTimeout, 5*time.Second)
	if d := c.Recovery.MaxDisconnection; d < 0 {
		bad = append(bad, fmt.Errorf("Recovery.MaxDisconnection is %v: give the longest absence, or 0 to switch recovery off", d))
	}
	c.Limits.Attachments = positive("Limits.Attachments", c.Limits.Attachments, 30*time.Second)
	l := &c.Limits
	l.Namespaces = count("Limits.Namespaces", l.Namespaces, 100)
	l.Auth = count("Limits.Auth", l.Auth, 16<<10)
	l.Rooms = count("Limits.Rooms", l.Rooms, 10_000)
	l.PendingAcks = count("Limits.PendingAcks", l.PendingAcks, 10_000)
	l.InboxEvents = count("Limits.InboxEvents", l.InboxEvents, 256)
	l.InboxBytes = count("Limits.InboxBytes", l.InboxBytes, 1<<20)
	l.HeldBytes = count("Limits.HeldBytes", l.HeldBytes, 4<<20)
	l.ServerEvents = count("Limits.ServerEvents", l.ServerEvents, 10_000)
	r := &c.Recovery
	r.MaxEvents = count("Recovery.MaxEvents", r.MaxEvents, 10_000)
	r.MaxBytes = count("Recovery.MaxBytes", r.MaxBytes, 16<<20)
	r.MaxSessions = count("Recovery.MaxSessions", r.MaxSessions, 100_000)
	if c.Adapter == nil {
		c.Adapter = cluster.Solo{}
	}
	if c.Parser == nil {
		c.Parser = parser.JSON()
	}
	if c.NodeID == "" {
		c.NodeID = cluster.NodeID(newID())
	} else if !urlSafe.MatchString(string(c.NodeID)) {
		bad = append(bad, fmt.Errorf("NodeID is %.100q: use 1 to 64 letters, digits, '-', '_' and '.'", string(c.NodeID)))
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Engine.Path == "" {
		c.Engine.Path = "/socket.io/"
	}
	if c.Engine.Logger == nil {
		c.Engine.Logger = c.Logger
	}
	if c.Admit != nil {
		if c.Engine.Admit != nil {
			bad = append(bad, errors.New("both Admit and Engine.Admit are set: set one"))
		}
		c.Engine.Admit = c.Admit
	}
	if err := errors.Join(bad...); err != nil {
		return c, fmt.Errorf("socketio: config: %w", err)
	}
	return c, nil
}
