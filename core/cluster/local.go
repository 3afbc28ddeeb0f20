package cluster

import "github.com/dunlin-io/dunlin/core/parser"

// Local is the half of a namespace that lives in this process. Its methods may
// be called concurrently, do not wait for clients and run no user code inline.
type Local interface {
	// Deliver sends a packet to the target's sockets here. The packet is
	// immutable.
	Deliver(t *Target, p *parser.Packet)
	// DeliverWithAck does so and calls settled once for each socket reached,
	// from any goroutine: with its acknowledgement, or with gone when it left
	// without one. It returns how many sockets that are, and a function that
	// stops waiting for them. forget may be called from within settled, and
	// settled once more after it, for a socket that answers at that moment.
	DeliverWithAck(t *Target, p *parser.Packet, settled func(id string, args parser.Args, gone bool)) (n int, forget func())
	// Join, Leave and Disconnect act on the target's sockets and return how
	// many there were.
	Join(t *Target, rooms []string) int
	Leave(t *Target, rooms []string) int
	Disconnect(t *Target, closeConn bool) int
	// Sockets describes the target's sockets.
	Sockets(t *Target, idsOnly bool) []SocketInfo
	// Rooms names every room with a member.
	Rooms() []string
	// HasRoom reports whether the room has a member.
	HasRoom(room string) bool
	// ServerSide hands over a server-side event. With a non-nil reply the
	// first call of it answers.
	ServerSide(from NodeID, p parser.Payload, reply func(parser.Args))
}
