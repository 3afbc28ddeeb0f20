package engineio

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// websocket is the transport over one WebSocket connection. Its goroutine, serve, reads until the connection ends.
type websocket struct {
	s      *Session
	conn   conn
	out    outbox
	in     frameReader
	base64 bool // the client asked for binary messages as text

	// The following belong to the reading goroutine.
	current  bool        // the session's transport, no longer a candidate
	deadline *time.Timer // of a candidate's upgrade; nil if opened directly

	closeFrame atomic.Pointer[[]byte] // how to say goodbye; nil: without a status
	hungUp     atomic.Bool            // the client has said goodbye
	shutting   atomic.Bool            // the session ends with the last frame
	aborted    atomic.Bool
	arriving   atomic.Bool // the last bytes read ended inside a message
}

var (
	plainClose = []byte{frameClose, 0}

	// errHungUp ends the reading after a close frame.
	errHungUp = errors.New("websocket closed by the client")
	// errProbe ends a candidate that is not what a session may move to.
	errProbe = errors.New("unexpected packet while probing")
)

func newWebSocket(s *Session, c conn, base64 bool) *websocket {
	cfg := &s.srv.cfg
	t := &websocket{s: s, conn: c, base64: base64}
	t.in.limit, t.in.maxFragments = cfg.MaxPayload, cfg.MaxFragments
	t.out.conn, t.out.owner, t.out.cork = c, t, &s.srv.cork
	t.out.limit, t.out.pongs, t.out.stall = cfg.MaxPending, cfg.MaxPendingPongs, cfg.StallTimeout
	return t
}

func (t *websocket) name() string { return transportWebSocket }

func (t *websocket) send(b *Batch) error { return t.out.send(t.wire(b)) }

func (t *websocket) trySend(b *Batch) (bool, error) { return t.out.trySend(t.wire(b)) }

func (t *websocket) wire(b *Batch) []byte {
	if t.base64 {
		return b.textWire()
	}
	return b.wire
}

func (t *websocket) waiting() int             { return t.out.waiting() }
func (t *websocket) drained() <-chan struct{} { return t.out.drained() }

// excuse is given once for each stretch of a message that arrived since the last time it was asked for.
func (t *websocket) excuse() bool { return t.arriving.Swap(false) }

func (t *websocket) shut() {
	t.shutting.Store(true)
	t.out.finish(plainClose, false)
}

// abort says goodbye and gives the client Config.CloseTimeout to answer, or closes the connection if it does not take
// what is written anyway.
func (t *websocket) abort(_ Reason, err error) {
	if t.aborted.Swap(true) {
		return
	}
	if errors.Is(err, ErrSlowConsumer) || errors.As(err, new(*writeError)) {
		t.out.kill()
		t.conn.close()
		return
	}
	t.s.srv.lingering.add(t, t.s.srv.cfg.CloseTimeout)
	if f := t.closeFrame.Load(); f != nil {
		t.out.finish(*f, false) // the client's doing: what was sent before it still goes out
		return
	}
	t.out.finish(plainClose, !t.hungUp.Load())
}

// writeError marks a failed write: there is nobody to say goodbye to.
type writeError struct{ err error }

func (e *writeError) Error() string { return fmt.Sprintf("write to websocket: %v", e.err) }
func (e *writeError) Unwrap() error { return e.err }

// The following three make websocket an outboxOwner.

func (t *websocket) flusher(run func()) {
	// run ends when everything is written or the connection is closed, which every end of the transport does.
	t.s.srv.running.Go(run)
}

func (t *websocket) writeFailed(err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = ErrSlowConsumer
	} else {
		err = &writeError{err}
	}
	t.s.lost(t, ReasonTransportError, err)
}

func (t *websocket) lastWritten() {
	switch {
	case t.hungUp.Load():
		t.conn.close()
	case t.shutting.Load():
		t.s.finish(ReasonForcedClose, nil)
	}
}

// serve reads until the connection ends. early holds what arrived with the handshake.
func (t *websocket) serve(early []byte) {
	srv := t.s.srv
	defer srv.running.Done()
	defer srv.lingering.remove(t)
	defer t.conn.close()
	if t.deadline != nil {
		defer t.deadline.Stop()
	}

	err := t.readAll(early)
	var violation *frameError
	switch {
	case errors.As(err, &violation):
		frame := appendFrameHeader(nil, frameClose, 2)
		frame = binary.BigEndian.AppendUint16(frame, uint16(violation.code))
		t.closeFrame.CompareAndSwap(nil, &frame)
		t.s.lost(t, ReasonTransportError, err)
	case errors.Is(err, errHungUp):
		t.hungUp.Store(true)
		if t.aborted.Load() {
			return // this was the answer to our goodbye
		}
		t.s.lost(t, ReasonTransportClose, nil)
	case errors.Is(err, ErrSlowConsumer), errors.Is(err, errProbe):
		t.s.lost(t, ReasonTransportError, err)
	default:
		if errors.Is(err, io.EOF) {
			err = nil
		}
		t.s.lost(t, ReasonTransportClose, err)
		return
	}
	// Closing with bytes unread would reset the connection, and our goodbye might be lost with it.
	t.discard()
}

func (t *websocket) readAll(data []byte) error {
	if err := t.feed(data); err != nil {
		return err
	}
	for {
		data, err := t.conn.read()
		if err != nil {
			return err
		}
		err = t.feed(data)
		t.conn.release()
		if err != nil {
			return err
		}
	}
}

func (t *websocket) feed(data []byte) error {
	err := t.in.feed(data, t)
	t.arriving.Store(t.in.midMessage())
	return err
}

// discard reads until the client or the linger timer closes the connection.
func (t *websocket) discard() {
	for {
		if _, err := t.conn.read(); err != nil {
			return
		}
		t.conn.release()
	}
}

// message makes websocket a frameSink.
func (t *websocket) message(isBinary bool, data []byte) error {
	p := packet{kind: packetMessage, binary: true, data: data}
	if !isBinary {
		var err error
		if p, err = decodePacket(data); err != nil {
			t.s.lost(t, ReasonParseError, err)
			return nil // the client's goodbye is still to be read
		}
	}
	if !t.current {
		return t.probe(p)
	}
	t.s.receive(p)
	return nil
}

// control makes websocket a frameSink.
func (t *websocket) control(op ws.OpCode, data []byte) error {
	switch op {
	case ws.OpPing:
		pong := append(appendFrameHeader(make([]byte, 0, 2+len(data)), framePong, len(data)), data...)
		if err := t.out.sendPong(pong); err != nil && !errors.Is(err, ErrClosed) {
			return err
		}
	case ws.OpClose:
		return t.goodbye(data)
	}
	return nil
}

// goodbye checks a close frame and prepares the answer: the same status.
func (t *websocket) goodbye(data []byte) error {
	if len(data) > 0 {
		if len(data) == 1 {
			return &frameError{ws.StatusProtocolError, errors.New("close status of one byte")}
		}
		if !utf8.Valid(data[2:]) {
			return &frameError{ws.StatusInvalidFramePayloadData, errNotUTF8}
		}
		code, reason := ws.ParseCloseFrameData(data)
		if err := ws.CheckCloseFrameData(code, reason); err != nil || code > maxCloseCode {
			return &frameError{ws.StatusProtocolError, fmt.Errorf("close status %d", code)}
		}
		frame := append(appendFrameHeader(nil, frameClose, 2), data[:2]...)
		t.closeFrame.CompareAndSwap(nil, &frame)
	}
	return errHungUp
}

// maxCloseCode ends the range that RFC 6455, section 7.4.2, leaves to applications.
const maxCloseCode = 4999
