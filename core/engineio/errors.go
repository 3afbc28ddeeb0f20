package engineio

import (
	"errors"
	"fmt"
	"net/http"
)

// Errors returned by the methods of Session.
var (
	// ErrClosed says that the session is closing or closed.
	ErrClosed = errors.New("engine.io session is closed")

	// ErrSlowConsumer says that the session was closed because more bytes were waiting than Config.MaxPending allows,
	// or because the client took none of them for Config.StallTimeout.
	ErrSlowConsumer = errors.New("engine.io client reads too slowly")
)

// Causes that HandleClose reports beside a reason.
var (
	errPollOverlap    = errors.New("a second poll arrived while one was open")
	errPostOverlap    = errors.New("a second post arrived while one was open")
	errPollAborted    = errors.New("poll connection closed prematurely")
	errPostAborted    = errors.New("post connection closed prematurely")
	errBinaryPost     = errors.New("post body of type application/octet-stream")
	errWrongHeartbeat = errors.New("ping from a client: invalid heartbeat direction")
	errUnknownPacket  = errors.New("unknown packet type")
	errEmptyPacket    = errors.New("empty packet")
	errNotUTF8        = errors.New("text is not valid UTF-8")
	errHandlerNil     = errors.New("accept returned no handler")
	errShutdown       = errors.New("server shut down")
)

// Reason says in the words of the protocol's reference server why a session ended.
type Reason string

// Reasons for the end of a session.
const (
	// ReasonTransportClose: the client said goodbye or its connection ended.
	ReasonTransportClose Reason = "transport close"
	// ReasonTransportError: the client broke the rules of its transport, or writing to it failed.
	ReasonTransportError Reason = "transport error"
	// ReasonPingTimeout: no pong within Config.PingTimeout of a ping.
	ReasonPingTimeout Reason = "ping timeout"
	// ReasonParseError: the client sent a packet that is none.
	ReasonParseError Reason = "parse error"
	// ReasonForcedClose: this side closed the session.
	ReasonForcedClose Reason = "forced close"
)

var reasons = [...]Reason{
	ReasonTransportClose, ReasonTransportError, ReasonPingTimeout, ReasonParseError, ReasonForcedClose,
}

// CloseError is the cause of the context of a session that has ended. It matches ErrClosed.
type CloseError struct {
	Reason Reason
	Err    error // low-level cause, may be nil
}

func (e *CloseError) Error() string {
	if e.Err == nil {
		return "engine.io session closed: " + string(e.Reason)
	}
	return fmt.Sprintf("engine.io session closed: %s: %v", e.Reason, e.Err)
}

// Unwrap returns the low-level cause.
func (e *CloseError) Unwrap() error { return e.Err }

// Is reports whether target is ErrClosed.
func (e *CloseError) Is(target error) bool { return target == ErrClosed }

// Code is the number of a protocol error in the body of a refused request.
type Code int

// Protocol error codes. See engine.io-protocol v4 and the reference server's error table.
const (
	CodeUnknownTransport   Code = 0
	CodeUnknownSession     Code = 1
	CodeBadMethod          Code = 2
	CodeBadRequest         Code = 3
	CodeForbidden          Code = 4
	CodeUnsupportedVersion Code = 5

	codes = 6
)

// Error says why a request was refused. Code and Message are what the client is told.
type Error struct {
	Code    Code
	Status  int // HTTP status
	Message string
	Detail  string // what exactly was wrong, for logs; never sent
	Err     error  // cause, may be nil; never sent
}

func (e *Error) Error() string {
	switch {
	case e.Err != nil:
		return fmt.Sprintf("refuse request: %s: %v", e.Message, e.Err)
	case e.Detail != "":
		return fmt.Sprintf("refuse request: %s: %s", e.Message, e.Detail)
	}
	return "refuse request: " + e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func refuse(code Code, detail string) *Error {
	e := &Error{Code: code, Status: http.StatusBadRequest, Detail: detail}
	switch code {
	case CodeUnknownTransport:
		e.Message = "Transport unknown"
	case CodeUnknownSession:
		e.Message = "Session ID unknown"
	case CodeBadMethod:
		e.Message = "Bad handshake method"
	case CodeForbidden:
		e.Message, e.Status = "Forbidden", http.StatusForbidden
	case CodeUnsupportedVersion:
		e.Message = "Unsupported protocol version"
	default:
		e.Message = "Bad request"
	}
	return e
}

// refuseStatus is a refusal that HTTP has a better word for than the protocol.
func refuseStatus(status int, detail string) *Error {
	return &Error{Code: CodeBadRequest, Status: status, Message: http.StatusText(status), Detail: detail}
}
