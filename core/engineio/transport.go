package engineio

// Names of the transports, as in the query of a request.
const (
	transportPolling   = "polling"
	transportWebSocket = "websocket"
)

// transport carries the packets of a session. Its methods never wait. They may be called with the session's lock held,
// so they never call the session back; only goroutines of the transport do.
type transport interface {
	name() string

	// send hands b over or queues it: nil, ErrClosed, ErrSlowConsumer or the error of the connection.
	send(b *Batch) error
	// trySend hands b over if the transport is writable and nothing is queued.
	trySend(b *Batch) (sent bool, err error)
	// waiting returns how many bytes are queued.
	waiting() int
	// drained returns a channel that is closed once nothing is queued.
	drained() <-chan struct{}

	// excuse reports whether the transport knows why a pong is missing: something longer is still arriving before it.
	excuse() bool
	// shut ends the transport after what is queued, and then finishes the session with ReasonForcedClose.
	shut()
	// abort ends the transport now. It is called without any lock held; only the first call counts.
	abort(reason Reason, err error)
}
