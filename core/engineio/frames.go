package engineio

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// frameError is a violation of RFC 6455. The connection is failed with code.
type frameError struct {
	code ws.StatusCode
	err  error
}

func (e *frameError) Error() string { return fmt.Sprintf("read websocket frame: %v", e.err) }
func (e *frameError) Unwrap() error { return e.err }

var (
	errMessageTooBig    = errors.New("message exceeds the payload limit")
	errTooManyFragments = errors.New("message has too many fragments")
)

// frameSink takes what a frameReader finds. Data is only valid until the method returns; an error ends the reading.
type frameSink interface {
	message(binary bool, data []byte) error
	control(op ws.OpCode, data []byte) error
}

// frameReader cuts a stream of bytes into WebSocket messages and control frames. It is fed whatever arrived and owns
// memory only for what is incomplete: a message that lies whole in the input is handed on where it lies.
type frameReader struct {
	limit        int // bytes of a message, over all its fragments
	maxFragments int // frames of a message, empty ones too

	stash   [ws.MaxHeaderSize]byte // an incomplete header
	stashed int
	scratch [ws.MaxHeaderSize]byte
	source  bytes.Reader

	header  ws.Header // of the frame being received
	inFrame bool
	got     int // bytes of its payload received

	op        ws.OpCode // of the fragmented message being received; OpContinuation if none
	fragments int
	payload   []byte // what arrived of an incomplete message
	checked   int    // how much of a text payload is known to be UTF-8
	partial   []byte // what arrived of an incomplete control frame
}

// midMessage reports whether the input ended inside a frame or a fragmented message.
func (f *frameReader) midMessage() bool {
	return f.inFrame || f.stashed > 0 || f.op != ws.OpContinuation
}

// feed consumes data, unmasking it in place.
func (f *frameReader) feed(data []byte, sink frameSink) error {
	for len(data) > 0 {
		if !f.inFrame {
			rest, err := f.readHeader(data)
			if err != nil {
				return err
			}
			if !f.inFrame {
				return nil
			}
			data = rest
		}
		chunk := data[:min(len(data), int(f.header.Length)-f.got)]
		data = data[len(chunk):]
		ws.Cipher(chunk, f.header.Mask, f.got)
		f.got += len(chunk)
		done := f.got == int(f.header.Length)

		receive := f.receiveData
		if f.header.OpCode.IsControl() {
			receive = f.receiveControl
		}
		f.inFrame = !done
		if err := receive(chunk, done, sink); err != nil {
			return err
		}
	}
	return nil
}

// readHeader reads a header from what is stashed and data. If they do not hold a whole one, all of it is stashed and
// inFrame stays false.
func (f *frameReader) readHeader(data []byte) (rest []byte, err error) {
	head := data
	if f.stashed > 0 {
		head = f.stash[:f.stashed+copy(f.stash[f.stashed:], data)]
	}
	f.source.Reset(head)
	h, err := ws.ReadHeaderBuffer(&f.source, f.scratch[:])
	used := len(head) - f.source.Len()
	f.source.Reset(nil) // do not hold on to a pooled buffer
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		f.stashed = copy(f.stash[:], head)
		return nil, nil
	case err != nil:
		return nil, &frameError{ws.StatusProtocolError, err}
	}
	rest = data[used-f.stashed:]
	f.stashed = 0
	if err := f.check(h); err != nil {
		return nil, err
	}
	f.header, f.got, f.inFrame = h, 0, true
	return rest, nil
}

// check refuses a header before anything is allocated because of it.
func (f *frameReader) check(h ws.Header) error {
	state := ws.StateServerSide
	if f.op != ws.OpContinuation {
		state = state.Set(ws.StateFragmented)
	}
	if err := ws.CheckHeader(h, state); err != nil {
		return &frameError{ws.StatusProtocolError, err}
	}
	if h.OpCode.IsControl() {
		return nil
	}
	if h.Length > int64(f.limit-len(f.payload)) {
		return &frameError{ws.StatusMessageTooBig, errMessageTooBig}
	}
	if h.OpCode != ws.OpContinuation && h.Fin {
		return nil
	}
	if f.fragments++; f.fragments > f.maxFragments {
		return &frameError{ws.StatusPolicyViolation, errTooManyFragments}
	}
	return nil
}

func (f *frameReader) receiveControl(chunk []byte, done bool, sink frameSink) error {
	if done && f.partial == nil {
		return sink.control(f.header.OpCode, chunk)
	}
	f.partial = append(f.partial, chunk...)
	if !done {
		return nil
	}
	data := f.partial
	f.partial = nil
	return sink.control(f.header.OpCode, data)
}

func (f *frameReader) receiveData(chunk []byte, done bool, sink frameSink) error {
	op := f.header.OpCode
	if op == ws.OpContinuation {
		op = f.op
	}
	text := op == ws.OpText
	if done && f.header.Fin && len(f.payload) == 0 {
		f.reset()
		if text && !utf8.Valid(chunk) {
			return &frameError{ws.StatusInvalidFramePayloadData, errNotUTF8}
		}
		return sink.message(!text, chunk)
	}
	f.collect(chunk)
	last := done && f.header.Fin
	if text && !f.checkUTF8(last) {
		return &frameError{ws.StatusInvalidFramePayloadData, errNotUTF8}
	}
	if last {
		data := f.payload
		f.reset()
		return sink.message(!text, data)
	}
	if done {
		f.op = op
	}
	return nil
}

func (f *frameReader) reset() {
	f.op, f.fragments, f.payload, f.checked = ws.OpContinuation, 0, nil, 0
}

// collect appends chunk to the payload. The first allocation believes no more of the announced length than twice what
// has arrived.
func (f *frameReader) collect(chunk []byte) {
	if f.payload == nil && len(chunk) > 0 {
		f.payload = make([]byte, 0, min(int(f.header.Length), max(512, 2*len(chunk))))
	}
	f.payload = append(f.payload, chunk...)
}

// checkUTF8 looks at what arrived since the last check, so that a bad byte fails the connection at once.
func (f *frameReader) checkUTF8(last bool) bool {
	fresh := f.payload[f.checked:]
	whole := len(fresh)
	for i := len(fresh) - 1; i >= max(0, len(fresh)-utf8.UTFMax+1); i-- {
		if utf8.RuneStart(fresh[i]) {
			if !utf8.FullRune(fresh[i:]) {
				whole = i
			}
			break
		}
	}
	f.checked += whole
	return utf8.Valid(fresh[:whole]) && (!last || whole == len(fresh))
}
