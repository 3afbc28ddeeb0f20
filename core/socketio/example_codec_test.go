package socketio_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"log"

	"github.com/dunlin-io/dunlin/core/parser"
	"github.com/dunlin-io/dunlin/core/socketio"
)

// envelope is a codec that puts a packet into one binary message:
//
//	type | id+1, or 0 | namespace | payload | attachments...
//
// The type is a byte, the id a varint. The others begin with their length.
type envelope struct{}

func (envelope) Name() string { return "envelope" }

func (envelope) Encode(p *parser.Packet) ([]parser.Frame, error) {
	b := []byte{byte(p.Type)}
	if p.HasID {
		b = binary.AppendUvarint(b, p.ID+1)
	} else {
		b = append(b, 0)
	}
	b = appendField(b, []byte(p.Namespace))
	b = appendField(b, p.Payload.JSON)
	for _, a := range p.Payload.Attachments {
		b = appendField(b, a)
	}
	return []parser.Frame{{Binary: true, Data: b}}, nil
}

func appendField(b, field []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(field))), field...)
}

func (envelope) NewDecoder(l parser.Limits) parser.Decoder { return envelopeDecoder{l} }

type envelopeDecoder struct{ limits parser.Limits }

// Pending reports false: a message is a packet.
func (envelopeDecoder) Pending() bool { return false }

func (d envelopeDecoder) Decode(f parser.Frame) (p parser.Packet, ok bool, err error) {
	if !f.Binary || len(f.Data) == 0 {
		return p, false, fmt.Errorf("%w: text, or nothing", parser.ErrUnexpected)
	}
	p.Type = parser.Type(f.Data[0])
	rest := bytes.Clone(f.Data[1:]) // what the packet keeps is its own
	id, n := binary.Uvarint(rest)
	if n <= 0 {
		return p, false, parser.ErrID
	}
	if id > 0 {
		p.ID, p.HasID = id-1, true
	}
	var fields [][]byte
	for rest = rest[n:]; len(rest) > 0; {
		size, n := binary.Uvarint(rest)
		if n <= 0 || size > uint64(len(rest)-n) {
			return p, false, fmt.Errorf("%w: a field is cut off", parser.ErrSyntax)
		}
		fields = append(fields, rest[n:n+int(size)])
		rest = rest[n+int(size):]
	}
	if len(fields) < 2 {
		return p, false, fmt.Errorf("%w: fields are missing", parser.ErrSyntax)
	}
	p.Namespace = string(fields[0])
	if len(fields[1]) > 0 {
		p.Payload = parser.Payload{JSON: fields[1], Attachments: fields[2:]}
	}
	return p, true, p.Check(d.limits)
}

// A parser of your own, which the clients must have, too.
func Example_codec() {
	if _, err := socketio.New(socketio.Config{Parser: envelope{}}); err != nil {
		log.Fatal(err)
	}
	args, err := parser.MakeEvent("file", "a.bin", []byte("abc"))
	if err != nil {
		log.Fatal(err)
	}
	frames, err := envelope{}.Encode(&parser.Packet{Type: parser.Event, Namespace: "/", Payload: args.EventPayload()})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%q\n", frames[0].Data)
	p, _, err := envelope{}.NewDecoder(parser.Limits{}).Decode(frames[0])
	fmt.Println(p.Type, string(p.Payload.JSON), len(p.Payload.Attachments), err)
	// Output:
	// "\x02\x00\x01/.[\"file\",\"a.bin\",{\"_placeholder\":true,\"num\":0}]\x03abc"
	// EVENT ["file","a.bin",{"_placeholder":true,"num":0}] 1 <nil>
}
