package parser

import "strconv"

// Type is what a packet is for.
type Type uint8

// The packet types and their digits on the wire.
//
// BinaryEvent and BinaryAck exist on the wire of the default codec only. A
// [Packet] never carries them: binary is a property of its payload.
const (
	Connect      Type = 0 // join a namespace, or: joined
	Disconnect   Type = 1 // leave a namespace, or: removed from it
	Event        Type = 2 // an event with arguments
	Ack          Type = 3 // the answer to an event that carried an id
	ConnectError Type = 4 // the namespace was refused
	BinaryEvent  Type = 5 // an EVENT with attachments
	BinaryAck    Type = 6 // an ACK with attachments
)

// String returns the type's name in the protocol document.
func (t Type) String() string {
	names := [...]string{"CONNECT", "DISCONNECT", "EVENT", "ACK", "CONNECT_ERROR", "BINARY_EVENT", "BINARY_ACK"}
	if int(t) < len(names) {
		return names[t]
	}
	return "Type(" + strconv.Itoa(int(t)) + ")"
}

// MaxID is the highest acknowledgement id: JavaScript counts exactly up to it.
const MaxID = 1<<53 - 1

// Packet is one Socket.IO packet. It is not changed once it was encoded or
// decoded and can then be read from several goroutines.
type Packet struct {
	Type      Type   // Connect to ConnectError
	Namespace string // with its leading slash
	ID        uint64 // acknowledgement id, at most MaxID; counts only if HasID
	HasID     bool
	Payload   Payload
}

// Payload is the data of a packet, encoded: JSON text in which binary values
// are placeholders {"_placeholder":true,"num":k}, and the binary values. The
// text of a payload without attachments holds no placeholders; what looks like
// one is an ordinary object.
//
// The bytes are shared and must not be changed.
type Payload struct {
	JSON        []byte // nil: the packet has no payload
	Attachments [][]byte
}

// Frame is one Engine.IO message.
type Frame struct {
	Binary bool
	Data   []byte
}

// Codec is a packet encoding that both ends agreed on. Its methods can be
// called from several goroutines.
type Codec interface {
	// Name is a short name for logs and metrics.
	Name() string

	// Encode returns the messages that make up p, which must reach the
	// connection next to each other and in order. Their bytes are never changed
	// or reused, so they can be shared by many connections; attachments are
	// those of p. It fails if p cannot be represented.
	Encode(p *Packet) ([]Frame, error)

	// NewDecoder returns the decoder of one connection.
	NewDecoder(Limits) Decoder
}

// Decoder puts the packets of one connection together. It costs next to no
// memory while it waits for a packet to begin. It is not safe for concurrent
// use.
type Decoder interface {
	// Decode takes the next message. It returns ok false when the packet is not
	// complete, because attachments are due. f.Data is used only during the
	// call: what the packet keeps is copied.
	//
	// After an error the connection must be closed, as the peers do not agree
	// any more on where a packet begins. Errors wrap one of the errors of this
	// package.
	Decode(f Frame) (p Packet, ok bool, err error)

	// Pending reports whether attachments are due. They are bounded in number
	// and size, but how long they may take is for the caller to say.
	Pending() bool
}

// Reserved reports whether event is a name that has a meaning of its own in
// Socket.IO, and can be neither sent nor received.
func Reserved(event string) bool { return reserved(event) }

func reserved[T string | []byte](event T) bool {
	switch string(event) {
	case "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener":
		return true
	}
	return false
}
