package engineio

import (
	"encoding/base64"
	"encoding/binary"
	"iter"
	"sync"
)

// Message is one application message.
type Message struct {
	Binary bool
	Data   []byte // UTF-8 unless Binary; must not contain U+001E if a polling client is to receive it
}

// Batch is one or more messages that travel together, adjacent and in order. It does not change after NewBatch, so any
// number of sessions may share one, from any number of goroutines. The bytes of each wire form are built once.
type Batch struct {
	// wire holds the packets as WebSocket frames. Frames of a server carry no mask, which is what makes them shareable.
	//
	//	[header]['4'][text]  [header][binary]  ...
	wire   []byte
	count  int
	binary bool // holds a binary message

	once sync.Once
	text *textForm // built by textual
}

// textForm is a batch for transports that carry text only.
type textForm struct {
	packets [][]byte
	wire    []byte // as text frames; nil without binary messages
}

// NewBatch encodes msgs. It takes ownership of their Data.
func NewBatch(msgs ...Message) *Batch {
	size := 0
	for _, m := range msgs {
		size += maxFrameHeader + 1 + len(m.Data)
	}
	b := &Batch{wire: make([]byte, 0, size), count: len(msgs)}
	for _, m := range msgs {
		if m.Binary {
			b.binary = true
			b.wire = append(appendFrameHeader(b.wire, frameBinary, len(m.Data)), m.Data...)
			continue
		}
		b.wire = append(appendFrameHeader(b.wire, frameText, 1+len(m.Data)), byte(packetMessage))
		b.wire = append(b.wire, m.Data...)
	}
	return b
}

// newPacket returns a batch of one packet that is no message.
func newPacket(kind packetType, data string) *Batch {
	wire := append(appendFrameHeader(nil, frameText, 1+len(data)), byte(kind))
	return &Batch{wire: append(wire, data...), count: 1}
}

// Len returns the number of bytes the batch takes on a WebSocket.
func (b *Batch) Len() int { return len(b.wire) }

// frames yields the payload of each frame of wire.
func (b *Batch) frames() iter.Seq2[bool, []byte] {
	return func(yield func(binary bool, payload []byte) bool) {
		for rest := b.wire; len(rest) > 0; {
			payload, next := splitFrame(rest)
			if !yield(rest[0] == frameBinary, payload) {
				return
			}
			rest = next
		}
	}
}

// packet returns the text form of packet i. For the common batch, one text packet, that is the part of wire behind the
// header and nothing is built.
func (b *Batch) packet(i int) []byte {
	if b.count == 1 && !b.binary {
		payload, _ := splitFrame(b.wire)
		return payload
	}
	return b.textual().packets[i]
}

// textWire returns the batch as WebSocket frames for a client that asked for base64.
func (b *Batch) textWire() []byte {
	if !b.binary {
		return b.wire
	}
	return b.textual().wire
}

func (b *Batch) textual() *textForm {
	b.once.Do(func() {
		t := &textForm{packets: make([][]byte, 0, b.count)}
		for isBinary, payload := range b.frames() {
			if isBinary {
				p := make([]byte, 1, 1+base64.StdEncoding.EncodedLen(len(payload)))
				p[0] = base64Mark
				payload = base64.StdEncoding.AppendEncode(p, payload)
			}
			t.packets = append(t.packets, payload)
		}
		if b.binary {
			for _, p := range t.packets {
				t.wire = append(appendFrameHeader(t.wire, frameText, len(p)), p...)
			}
		}
		b.text = t
	})
	return b.text
}

// textLen returns the length of a frame's payload in text form.
func textLen(isBinary bool, payload []byte) int {
	if isBinary {
		return 1 + base64.StdEncoding.EncodedLen(len(payload))
	}
	return len(payload)
}

// First bytes of the frames a server sends: FIN and an opcode. See RFC 6455, section 5.2.
const (
	frameText   = 0x81
	frameBinary = 0x82
	frameClose  = 0x88
	framePong   = 0x8a

	maxFrameHeader = 10 // without a mask
)

func appendFrameHeader(dst []byte, first byte, n int) []byte {
	switch {
	case n < 126:
		return append(dst, first, byte(n))
	case n <= 0xffff:
		return binary.BigEndian.AppendUint16(append(dst, first, 126), uint16(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, first, 127), uint64(n))
}

// splitFrame takes the first frame off a wire that appendFrameHeader built.
func splitFrame(wire []byte) (payload, rest []byte) {
	n, at := int(wire[1]), 2
	switch n {
	case 126:
		n, at = int(binary.BigEndian.Uint16(wire[2:])), 4
	case 127:
		n, at = int(binary.BigEndian.Uint64(wire[2:])), 10
	}
	return wire[at : at+n], wire[at+n:]
}

// Packets that carry no data of a session are built once.
var (
	pingPacket  = newPacket(packetPing, "")
	closePacket = newPacket(packetClose, "")
	noopPacket  = newPacket(packetNoop, "")
	probePong   = newPacket(packetPong, "probe")
)
