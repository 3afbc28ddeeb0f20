package parser

import (
	"fmt"
	"math"
)

// Msgpack returns the codec of socket.io-msgpack-parser 3: each packet is one
// binary message. It takes fewer bytes than JSON where numbers and binary
// prevail; all clients of a server must use it.
func Msgpack() Codec { return msgpackCodec{} }

type msgpackCodec struct{}

func (msgpackCodec) Name() string { return "msgpack" }

func (msgpackCodec) NewDecoder(l Limits) Decoder { return &msgpackDecoder{limits: l.withDefaults()} }

// Encode writes the keys in the order of the JavaScript server.
func (msgpackCodec) Encode(p *Packet) ([]Frame, error) {
	if err := checkPacket(p); err != nil {
		return nil, err
	}
	payload := p.Payload
	if payload.JSON == nil {
		switch p.Type {
		case Ack:
			payload.JSON = []byte("[]")
		case ConnectError:
			return nil, fmt.Errorf("encode %s: %w: nothing", p.Type, ErrPayload)
		}
	}
	size, keys := len(`....type.data.nsp...id.........`)+len(p.Namespace)+len(payload.JSON), 2
	for _, a := range payload.Attachments {
		size += len(a)
	}
	if payload.JSON != nil {
		keys++
	}
	if p.HasID {
		keys++
	}
	b := append(make([]byte, 0, size), mpFixMap|byte(keys))
	if p.HasID && p.Type == Ack {
		b = appendID(b, p.ID)
	}
	b = append(appendMsgpackString(b, "type"), byte(p.Type))
	if payload.JSON != nil {
		var err error
		if b, err = AppendMsgpack(appendMsgpackString(b, "data"), payload); err != nil {
			return nil, fmt.Errorf("encode %s: %w", p.Type, err)
		}
	}
	if p.HasID && p.Type != Ack {
		b = appendID(b, p.ID)
	}
	b = appendMsgpackString(appendMsgpackString(b, "nsp"), p.Namespace)
	return []Frame{{Binary: true, Data: b}}, nil
}

func appendID(dst []byte, id uint64) []byte {
	return appendMsgpackInt(appendMsgpackString(dst, "id"), id, false)
}

type msgpackDecoder struct {
	limits    Limits
	namespace namespaceCache
}

// Pending reports false: every message is a whole packet.
func (d *msgpackDecoder) Pending() bool { return false }

func (d *msgpackDecoder) Decode(f Frame) (Packet, bool, error) {
	switch {
	case !f.Binary:
		return Packet{}, false, fmt.Errorf("%w: text", ErrUnexpected)
	case len(f.Data) > d.limits.MaxPacketBytes:
		return Packet{}, false, fmt.Errorf("%w: %d bytes", ErrTooLarge, len(f.Data))
	}
	m, err := readMembers(f.Data, d.limits.MaxDepth)
	if err != nil {
		return Packet{}, false, fmt.Errorf("packet: %w", err)
	}
	p, err := d.packet(m)
	if err != nil {
		return Packet{}, false, err
	}
	return p, true, nil
}

// mpMembers are the members of a packet that matter, still encoded; nil if they
// are missing.
type mpMembers struct {
	typ, nsp, id, data []byte
}

func readMembers(b []byte, maxDepth int) (m mpMembers, err error) {
	c := mpCursor{b}
	var head mpToken
	if err := c.next(&head); err != nil {
		return m, err
	}
	if head.kind != mpKindMap {
		return m, fmt.Errorf("%w: not a map", ErrType)
	}
	for range head.bits {
		key, err := c.value(maxDepth)
		if err != nil {
			return m, err
		}
		value, err := c.value(maxDepth)
		if err != nil {
			return m, err
		}
		name := firstToken(key)
		if name.kind != mpKindStr {
			continue
		}
		switch string(name.data) {
		case "type":
			m.typ = value
		case "nsp":
			m.nsp = value
		case "id":
			m.id = value
		case "data":
			m.data = value
		}
	}
	if len(c.b) > 0 {
		return m, fmt.Errorf("%w: %d bytes behind the packet", ErrSyntax, len(c.b))
	}
	return m, nil
}

// firstToken returns the token that b, which is valid, begins with; of nothing
// it is nil.
func firstToken(b []byte) (t mpToken) {
	if (&mpCursor{b}).next(&t) != nil {
		return mpToken{}
	}
	return t
}

// value reads one value and returns its bytes.
func (c *mpCursor) value(maxDepth int) ([]byte, error) {
	start := c.b
	err := c.skip(maxDepth)
	return start[:len(start)-len(c.b)], err
}

func (d *msgpackDecoder) packet(m mpMembers) (p Packet, err error) {
	typ, ok := mpInteger(m.typ)
	if !ok || typ > uint64(ConnectError) {
		return p, fmt.Errorf("%w: %x", ErrType, m.typ[:min(len(m.typ), 9)])
	}
	p.Type = Type(typ)
	name := firstToken(m.nsp)
	if name.kind != mpKindStr {
		return p, fmt.Errorf("%w: not a string", ErrNamespace)
	}
	if p.Namespace, err = d.namespace.intern(name.data, d.limits.MaxNamespace); err != nil {
		return p, err
	}
	if !isUndefined(m.id) {
		if p.ID, p.HasID = mpInteger(m.id); !p.HasID || p.ID > MaxID {
			return p, fmt.Errorf("%w: %x", ErrID, m.id[:min(len(m.id), 9)])
		}
	}
	if err := checkMsgpackData(p.Type, m.data); err != nil {
		return p, err
	}
	if !isUndefined(m.data) {
		if p.Payload, _, err = PayloadFromMsgpack(m.data, d.limits); err != nil {
			return p, fmt.Errorf("%s: %w", p.Type, err)
		}
	}
	if p.Type == Event {
		return p, checkEvent(p.Payload.JSON)
	}
	return p, nil
}

// isUndefined reports whether a member is missing, or is the undefined of
// notepack.io 2, which writes it for members that JSON would leave out.
func isUndefined(b []byte) bool {
	return b == nil || len(b) == 3 && b[0] == mpFixExt1 && b[1] == 0
}

// mpInteger reads a number that is a whole number in JavaScript and not
// negative.
func mpInteger(b []byte) (n uint64, ok bool) {
	switch t := firstToken(b); t.kind {
	case mpKindUint:
		return t.bits, true
	case mpKindFloat:
		f := math.Float64frombits(t.bits)
		if f == math.Trunc(f) && f >= 0 && f <= MaxID {
			return uint64(f), true
		}
	}
	return 0, false
}

// checkMsgpackData checks that data is of a kind that a packet of type t may
// carry.
func checkMsgpackData(t Type, data []byte) error {
	ok := false
	first := firstToken(data)
	switch missing := isUndefined(data); t {
	case Connect:
		ok = missing || first.kind == mpKindMap
	case Disconnect:
		ok = missing
	case Event, Ack:
		ok = first.kind == mpKindArray
	case ConnectError:
		ok = first.kind == mpKindMap || first.kind == mpKindStr
	}
	if !ok {
		return fmt.Errorf("%s: %w: begins with %x", t, ErrPayload, data[:min(len(data), 1)])
	}
	return nil
}
