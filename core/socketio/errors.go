package socketio

import (
	"errors"
	"fmt"
)

var (
	// ErrClosed is returned by a server that was shut down, a namespace that
	// was deleted, an emitter that was closed, and the zero value of an
	// operator.
	ErrClosed = errors.New("socketio: closed")
	// ErrDisconnected is returned by what needs a socket that has left.
	ErrDisconnected = errors.New("socketio: socket disconnected")
	// ErrReservedEvent is returned for the event names that the protocol keeps
	// for itself: connect, connect_error, disconnect, disconnecting,
	// newListener, removeListener.
	ErrReservedEvent = errors.New("socketio: reserved event name")
	// ErrNotPropagated is wrapped by the error of a broadcast that reached the
	// sockets of this node but could not be sent to the other nodes.
	ErrNotPropagated = errors.New("socketio: not propagated to other nodes")
	// ErrAcked is returned by a second Ack of one event.
	ErrAcked = errors.New("socketio: event already acknowledged")
	// ErrSlowConsumer is returned when a socket was given more than its
	// connection may hold back; the connection is being closed.
	ErrSlowConsumer = errors.New("socketio: slow consumer")
	// ErrTooManyAcks is returned when a socket owes too many acknowledgements
	// (Limits.PendingAcks).
	ErrTooManyAcks = errors.New("socketio: too many pending acknowledgements")
	// ErrInboxFull is why a connection was closed that kept sending events
	// while its handlers waited for acknowledgements.
	ErrInboxFull = errors.New("socketio: too many events while handlers wait")
)

// Reason says why a socket was disconnected. The words are those of the
// JavaScript server.
type Reason string

// Reasons of a disconnection.
const (
	ReasonClientDisconnect Reason = "client namespace disconnect" // the client left the namespace
	ReasonServerDisconnect Reason = "server namespace disconnect" // Disconnect, DisconnectConn, DisconnectSockets
	ReasonServerShutdown   Reason = "server shutting down"        // Server.Shutdown
	ReasonProtocol         Reason = "forced server close"         // the client broke the protocol, or joined no namespace in time
	ReasonForcedClose      Reason = "forced close"                // undecodable packet, CloseTransport
	ReasonPingTimeout      Reason = "ping timeout"                // the client did not answer a ping
	ReasonTransportClose   Reason = "transport close"             // the client closed the connection
	ReasonTransportError   Reason = "transport error"             // the connection broke, or was too slow
	ReasonParse            Reason = "parse error"                 // undecodable Engine.IO packet
)

// DisconnectError is the cause of a cancelled Socket.Context.
type DisconnectError struct {
	Reason Reason
	Err    error // what lies beneath, or nil
}

func (e *DisconnectError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("socketio: disconnected: %s: %v", e.Reason, e.Err)
	}
	return "socketio: disconnected: " + string(e.Reason)
}

// Unwrap returns ErrDisconnected and the underlying error.
func (e *DisconnectError) Unwrap() []error {
	if e.Err == nil {
		return []error{ErrDisconnected}
	}
	return []error{ErrDisconnected, e.Err}
}

// ConnectError refuses a client that wants to join a namespace; return it from
// a Middleware. The client's connect_error event shows Message and Data. Other
// errors reach the client with their text and without data.
type ConnectError struct {
	Message string
	Data    any
}

func (e *ConnectError) Error() string { return e.Message }

// PanicError is what a panic in a handler becomes.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }
