package socketio

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/parser"
)

// Recovery configures connection state recovery: a client that comes back
// after an interruption gets its socket id, rooms, data and the events it
// missed. Events that wait for an acknowledgement and volatile ones are not
// kept.
//
// Where the adapter keeps a log (cluster.SessionStore: Redis streams,
// memory.NewLog), a client is recovered by whichever node it comes back to,
// also after the death of the one that it was on. An event then goes to the
// clients of the node that emits it when the log has it, in one order for all
// nodes, and not before; what is emitted with Local is not kept. When the log
// does not take an event within two seconds, the event is delivered without it,
// and who comes back from before that point is not recovered. With other
// adapters recovery works on the node that held the session.
//
// An interruption is a disconnection all the same: OnDisconnecting and
// OnDisconnect run, and OnConnect runs again, where Socket.Recovery tells the
// difference. Each event to a client has one more argument, its offset, which
// the client sends back and hands to its listeners too.
type Recovery struct {
	// MaxDisconnection is how long a client may have been away; 0 switches
	// recovery off.
	MaxDisconnection time.Duration
	// SkipMiddleware lets a client whose session is found join without asking
	// the middleware. (The JavaScript server skips it by default, so that who
	// was banned meanwhile gets back in.)
	SkipMiddleware bool
	// MaxEvents and MaxBytes bound what one namespace remembers; 0: 10,000
	// events, 16 MiB. A client that missed more is not recovered. Where the
	// adapter keeps a log, they bound what one client is given.
	MaxEvents, MaxBytes int
	// MaxSessions bounds the clients of one namespace that are away; the
	// oldest give way; 0: 100,000. Where the adapter keeps the sessions, it
	// bounds those that still have to be saved.
	MaxSessions int
}

func (r Recovery) on() bool { return r.MaxDisconnection > 0 }

// RecoveryState says whether a socket continues an earlier one.
type RecoveryState struct {
	Recovered bool
	Reason    RecoveryReason
}

// RecoveryReason is why a socket was recovered or not.
type RecoveryReason string

// Reasons of a RecoveryState.
const (
	RecoveryNotAsked RecoveryReason = ""                  // the client is new, or recovery is off
	RecoveryDone     RecoveryReason = "recovered"         // id, rooms, data and every missed event were restored
	RecoveryUnknown  RecoveryReason = "unknown session"   // of another node, expired, used already, ended by a server, or made up
	RecoveryOffset   RecoveryReason = "invalid offset"    // the client's last event is not one of the session's
	RecoveryTrimmed  RecoveryReason = "history trimmed"   // it missed more than is remembered
	RecoveryLost     RecoveryReason = "history lost"      // it may have missed, or got already, what the log does not have where it belongs
	RecoveryStore    RecoveryReason = "store unavailable" // the adapter's sessions or log could not be read in time
)

// recovery is connection state recovery of one namespace. It gives everything
// that the namespace sends one order; what is said below to run in the order
// runs alone, and must not wait.
type recovery interface {
	// inOrder runs f in the order, behind what was sent before.
	inOrder(f func())
	// try is inOrder, unless too much waits already.
	try(f func()) error
	// broadcast sends an event of this node to the target's sockets everywhere.
	broadcast(t *cluster.Target, p *parser.Packet) error
	// deliver sends an event of another node to the target's sockets here.
	deliver(t *cluster.Target, p *parser.Packet) error
	// emit sends an event to one socket here.
	emit(s *Socket, p *parser.Packet, volatile bool) error
	// next runs f, which it is called for in the order, unless something that was
	// emitted before is still on its way to the log: then behind that.
	next(f func())
	// held sends an event that was emitted before the socket was connected. It
	// runs in the order.
	held(s *Socket, p *parser.Packet)

	// resume takes the session that a client claims, once, and ends the socket
	// that still has it: its client is here. It may wait for a few seconds.
	resume(c *claim) (*earlier, RecoveryReason)
	// missed completes what resume has begun, and returns what the client has
	// not got, or why that is not known. It runs in the order.
	missed(e *earlier) ([]*parser.Packet, RecoveryReason)
	// release ends what resume has begun, however it went on.
	release(e *earlier)
	// giveBack undoes resume for a client that went away again before it was
	// connected.
	giveBack(e *earlier)

	// admit puts a socket into the index by insert, which does not wait. It runs
	// in the order.
	admit(s *Socket, e *earlier, insert func() error) error
	// begin keeps a socket that has just been connected. It runs in the order.
	begin(s *Socket, e *earlier)
	// changed says that the socket's rooms or data have changed.
	changed(s *Socket)
	// leaving returns what end needs, and is called before the socket has left.
	leaving(s *Socket) farewell
	// end keeps what is needed of a socket that has left, or forgets it.
	end(s *Socket, f farewell)
	close()
}

// claim is what a client says of its earlier socket.
type claim struct {
	PID    string `json:"pid"`
	Offset string `json:"offset"`
}

// claimed reads the claim in a CONNECT payload; nil is none.
func claimed(auth parser.Payload) *claim {
	var c claim
	if auth.JSON == nil || json.Unmarshal(auth.JSON, &c) != nil || c.PID == "" {
		return nil
	}
	return &c
}

// earlier is a session that was resumed.
type earlier struct {
	presence
	pid   string
	data  json.RawMessage
	start position // of the latest event before the socket was connected for the first time
	from  position // of the latest event that the client has

	process *session
	log     *resumed
}

// farewell is what is known of a socket that leaves.
type farewell struct {
	reason  Reason
	at      time.Time
	where   presence
	data    json.RawMessage
	through position // everything up to here has been handed to its connection
}

// errReplaced is why a connection ends whose client has already come back.
var errReplaced = errors.New("replaced by a newer connection of the same client")

// replacing bounds the waiting for the end of such a connection's socket, which
// takes no longer than telling its listeners that are called inline.
const replacing = time.Second

// recoverable reports whether a client that left for that reason may come back
// as if nothing had happened.
func recoverable(reason Reason) bool {
	switch reason {
	case ReasonTransportClose, ReasonTransportError, ReasonPingTimeout, ReasonForcedClose, ReasonServerShutdown, ReasonProtocol:
		return true
	case ReasonClientDisconnect, ReasonServerDisconnect, ReasonParse:
		return false
	}
	return false
}

// repeatable reports whether an event is given to clients that have missed it.
func repeatable(t *cluster.Target, p *parser.Packet) bool {
	return !t.Volatile && !p.HasID && p.Type == parser.Event
}

// open chooses how the namespace recovers clients. It is called once, before
// anything is sent.
func (n *Namespace) openRecovery(m *cluster.Member) {
	if !n.server.cfg.Recovery.on() {
		return
	}
	if store := m.Sessions(); store != nil {
		l := newLogged(n, m, store)
		n.recovery, n.rooms.position = l, l.latest
		return
	}
	p := newInProcess(n)
	n.recovery, n.rooms.position = p, p.latest
	n.server.tellScope()
}

// tellScope says once, where there are other nodes, how far recovery reaches.
func (s *Server) tellScope() {
	if _, alone := s.cfg.Adapter.(cluster.Solo); alone || s.toldScope.Swap(true) {
		return
	}
	s.cfg.Logger.Info("clients are recovered by the node that held their session; " +
		"with the Redis streams adapter, or another one that keeps a log, by every node")
}

// withOffset returns an event as the clients get it, with its offset as an
// additional last argument, which needs no escaping.
func withOffset(p *parser.Packet, o cluster.Offset) *parser.Packet {
	text := make([]byte, 0, len(p.Payload.JSON)+len(o)+3)
	text = append(text, p.Payload.JSON[:len(p.Payload.JSON)-1]...) // it ends with its bracket
	text = append(text, ',', '"')
	text = append(text, o...)
	stamped := *p
	stamped.Payload = parser.Payload{JSON: append(text, '"', ']'), Attachments: p.Payload.Attachments}
	return &stamped
}

func size(p *parser.Packet) int {
	n := len(p.Payload.JSON)
	for _, a := range p.Payload.Attachments {
		n += len(a)
	}
	return n
}
