package cluster

import (
	"encoding/json"
	"time"

	"github.com/dunlin-io/dunlin/core/parser"
)

// NodeID names one server process. It is unique in the cluster, URL-safe and
// never reused: a process that restarts has a new one.
type NodeID string

// ReplyTo is where a request wants its answers. Its form is the business of
// the link that received the request; others only hand it back to Link.Send.
type ReplyTo string

// Offset is a position in the adapter's log, or empty where the adapter keeps
// none.
type Offset string

// Message is what one node says to others about one namespace.
type Message struct {
	From      NodeID // empty when the sender has no name: an emitter, or an answer of a Node.js node
	Seq       uint64 // of this message among its sender's; 0: it has no number
	Offset    Offset
	ReplyTo   ReplyTo
	Namespace string
	Body      Body
}

// Body is one of the sealed set below. Requests carry a RequestID and are
// answered with the reply that stands beside them.
//
//sumtype:decl
type Body interface{ body() }

// Position is how far a node is in numbering what it says to all others.
type Position struct {
	Origin uint64 // the number of its first message, even if there was none yet
	Last   uint64 // the number of its last message
}

// Things said to everybody.
type (
	// Broadcast delivers a packet to the target's sockets. With a RequestID
	// each node answers AckCount once, and then AckReply for every socket that
	// acknowledges.
	Broadcast struct {
		Target    Target
		Packet    *parser.Packet // an EVENT; immutable
		RequestID string
	}
	// Join makes the target's sockets join Rooms. RequestID is set only in
	// requests of old Node.js adapters, which want Applied from the node that
	// owns the socket.
	Join struct {
		Target    Target
		Rooms     []string
		RequestID string
	}
	// Leave is Join's opposite.
	Leave struct {
		Target    Target
		Rooms     []string
		RequestID string
	}
	// Disconnect disconnects the target's sockets; Close also ends the
	// connections under them. RequestID is as in Join.
	Disconnect struct {
		Target    Target
		Close     bool
		RequestID string
	}
	// FetchSockets asks for descriptions of the target's sockets. With IDsOnly
	// (old Node.js adapters) an answer may hold ids alone.
	FetchSockets struct {
		Target    Target
		RequestID string
		IDsOnly   bool
	}
	// Rooms asks for the names of all rooms.
	Rooms struct{ RequestID string }
	// Emit is a server-side event for the other nodes; with a RequestID they
	// answer EmitReply.
	Emit struct {
		Payload   parser.Payload // the array [event, ...args]
		RequestID string
	}
	// Leaving says that its sender answers nothing any more.
	Leaving struct{}
	// Where asks every node that numbers its messages for Said, and tells the
	// same of its sender.
	Where struct{ Position }
	// Said tells how far its sender is: who has not got that far misses
	// something. It is published, and answers Where. With a number of its own
	// (Message.Seq) it stands for the message with that number, which is not
	// repeated: a request that nobody waits for any more.
	Said struct{ Position }
	// Again asks Node to repeat, to the sender alone, what it published with the
	// numbers From to To. Node sends the same messages once more, not always
	// all, and then Repeated. From is 0 when the sender has not heard of Node
	// before: then it wants what is younger than Age, for that long it has
	// listened, and nothing of what was said before.
	Again struct {
		Node     NodeID
		From, To uint64
		Age      time.Duration
	}
)

// Answers to one node.
type (
	// AckCount says how many sockets of the sender a Broadcast reached.
	AckCount struct {
		RequestID string
		Count     int
	}
	// AckReply is the acknowledgement of one socket. Gone means the socket
	// left without acknowledging.
	AckReply struct {
		RequestID string
		SocketID  string // empty when the sender does not say
		Args      parser.Args
		Gone      bool
	}
	// SocketsReply answers FetchSockets.
	SocketsReply struct {
		RequestID string
		Sockets   []SocketInfo
		IDsOnly   bool
	}
	// RoomsReply answers Rooms.
	RoomsReply struct {
		RequestID string
		Rooms     []string
	}
	// EmitReply answers Emit.
	EmitReply struct {
		RequestID string
		Args      parser.Args
	}
	// Applied answers a Join, Leave or Disconnect that carries a RequestID.
	Applied struct{ RequestID string }
	// Repeated ends the answer to Again, and tells how far its sender is. Of what
	// was asked for nothing is kept up to the number To, and Lost of these
	// numbers were messages; zero when all was kept.
	Repeated struct {
		Position
		To, Lost uint64
	}
)

func (Broadcast) body()    {}
func (Join) body()         {}
func (Leave) body()        {}
func (Disconnect) body()   {}
func (FetchSockets) body() {}
func (Rooms) body()        {}
func (Emit) body()         {}
func (Leaving) body()      {}
func (Where) body()        {}
func (Said) body()         {}
func (Again) body()        {}
func (AckCount) body()     {}
func (AckReply) body()     {}
func (SocketsReply) body() {}
func (RoomsReply) body()   {}
func (EmitReply) body()    {}
func (Applied) body()      {}
func (Repeated) body()     {}

// SocketInfo describes a socket of another node at the time of the answer.
type SocketInfo struct {
	ID        string
	Handshake HandshakeInfo
	Rooms     []string
	Data      json.RawMessage // the application's data as JSON; nil when it has none
}

// HandshakeInfo is the handshake of a socket as it travels between nodes; the
// field names are those of the JavaScript server's handshake object.
type HandshakeInfo struct {
	Headers   map[string]string // lower-case names; several values joined by ", "
	Time      string            // as JavaScript's Date prints it
	Address   string
	CrossSite bool // the request carried an Origin header ("xdomain")
	Secure    bool
	Issued    int64 // Unix time in milliseconds
	URL       string
	Query     map[string]string
	Auth      json.RawMessage // the CONNECT payload, {} when there was none
}
