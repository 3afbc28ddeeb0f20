package socketio

import (
	"errors"
	"runtime/debug"

	"github.com/dunlin-io/dunlin/core/parser"
)

// errCodecPanic is what a panic in a codec of the application's becomes.
var errCodecPanic = errors.New("socketio: panic in the parser")

// foreign is a codec of the application's own making. It meets the bytes of
// anybody who connects, on goroutines where a panic would end the process and
// in a server that relies on what it returns.
type foreign struct {
	parser.Codec
	server *Server
}

// codec returns the configured codec, guarded unless it is one of ours.
func (s *Server) codec(c parser.Codec) parser.Codec {
	if c == parser.JSON() || c == parser.Msgpack() {
		return c
	}
	return foreign{c, s}
}

func (f foreign) Encode(p *parser.Packet) (frames []parser.Frame, err error) {
	defer f.guard("encode", &err)
	return f.Codec.Encode(p)
}

func (f foreign) NewDecoder(l parser.Limits) parser.Decoder {
	return &foreignDecoder{Decoder: f.Codec.NewDecoder(l), limits: l, codec: f}
}

func (f foreign) guard(what string, err *error) {
	if v := recover(); v != nil {
		f.server.panicked(nil, what, &PanicError{Value: v, Stack: debug.Stack()})
		*err = errCodecPanic
	}
}

type foreignDecoder struct {
	parser.Decoder
	limits parser.Limits
	codec  foreign
}

func (d *foreignDecoder) Decode(f parser.Frame) (p parser.Packet, ok bool, err error) {
	defer d.codec.guard("decode", &err)
	if p, ok, err = d.Decoder.Decode(f); ok && err == nil {
		err = p.Check(d.limits)
	}
	return p, ok, err
}
