package redisadapter

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/parser"
)

// codec turns the messages of one namespace into the bytes of the classic
// adapter and back. It does no I/O and keeps nothing, so it is safe for
// concurrent use.
type codec struct {
	namespace string
	self      cluster.NodeID
	extension bool // say and understand what JavaScript members ignore
	emitter   bool // write as the JavaScript emitter does, which is no member
	limits    parser.Limits
}

// maxRooms bounds each list of rooms in a target: its entries take less room in
// a message than in memory.
const maxRooms = 100_000

// emitterUID is how JavaScript emitters sign: they have no name of their own.
const emitterUID = "emitter"

// uid is how this node signs.
func (c *codec) uid() string {
	if c.emitter {
		return emitterUID
	}
	return string(c.self)
}

func nodeOf(uid string) cluster.NodeID {
	if uid == emitterUID {
		return ""
	}
	return cluster.NodeID(uid)
}

// appendBroadcast writes [uid, packet, opts], and the sequence number as a
// fourth element if the message has one.
func (c *codec) appendBroadcast(dst []byte, seq uint64, b *cluster.Broadcast) ([]byte, error) {
	numbered := seq != 0 && c.extension
	n := 3
	if numbered {
		n = 4
	}
	dst = appendArrayLen(dst, n)
	dst = appendStr(dst, c.uid())
	dst, err := c.appendPacket(dst, b.Packet)
	if err != nil {
		return nil, err
	}
	dst = c.appendOpts(dst, &b.Target)
	if numbered {
		dst = appendSeq(dst, seq)
	}
	return dst, nil
}

// appendPacket writes {type, data, id, nsp}; id only if the packet has one.
func (c *codec) appendPacket(dst []byte, p *parser.Packet) ([]byte, error) {
	if p == nil {
		return nil, errors.New("encode packet: there is none")
	}
	pairs := byte(3)
	if p.HasID {
		pairs = 4
	}
	dst = append(dst, 0x80|pairs)
	dst = append(dst, "\xa4type\x02\xa4data"...)
	dst, err := parser.AppendMsgpack(dst, p.Payload)
	if err != nil {
		return nil, fmt.Errorf("encode packet data: %w", err)
	}
	if p.HasID {
		dst = append(dst, "\xa2id"...)
		dst = appendUint(dst, p.ID)
	}
	dst = append(dst, "\xa3nsp"...)
	return appendStr(dst, c.namespace), nil
}

// appendOpts writes {rooms, except, flags}, in the emitter's order for an
// emitter. Receivers do not look at the order.
func (c *codec) appendOpts(dst []byte, t *cluster.Target) []byte {
	dst = append(dst, "\x83\xa5rooms"...)
	dst = appendTexts(dst, t.Rooms)
	if c.emitter {
		dst = appendFlags(append(dst, "\xa5flags"...), t)
		return appendTexts(append(dst, "\xa6except"...), t.Except)
	}
	dst = appendTexts(append(dst, "\xa6except"...), t.Except)
	return appendFlags(append(dst, "\xa5flags"...), t)
}

// appendFlags writes the flags that are set: for the JavaScript server a flag
// that is there and false is not the same as none.
func appendFlags(dst []byte, t *cluster.Target) []byte {
	head := len(dst)
	dst = append(dst, 0x80)
	if t.Single {
		dst = append(dst, "\xb4expectSingleResponse\xc3"...)
		dst[head]++
	}
	if t.Volatile {
		dst = append(dst, "\xa8volatile\xc3"...)
		dst[head]++
	}
	if t.Compress != nil {
		dst = appendBool(append(dst, "\xa8compress"...), *t.Compress)
		dst[head]++
	}
	if ms := t.Timeout.Milliseconds(); ms > 0 {
		dst = appendUint(append(dst, "\xa7timeout"...), uint64(ms))
		dst[head]++
	}
	return dst
}

// sender returns who sent a broadcast, without reading further. It fails for
// what is no broadcast, and for the JSON form, whose sender decoding tells.
func sender(s string) (uid string, ok bool) {
	c := cursor{s: s}
	if c.array() == 0 {
		return "", false
	}
	uid = c.text()
	return uid, !c.bad
}

// broadcast reads what appendBroadcast, a JavaScript member or an emitter
// wrote. The JSON form is that of JavaScript members with the option "parser"
// set to JSON; it begins with [, which no MessagePack broadcast does.
func (c *codec) broadcast(s string) (cluster.Message, error) {
	if len(s) > 0 && s[0] == '[' {
		return c.jsonBroadcast(s)
	}
	cur := cursor{s: s}
	n := cur.array()
	if n < 3 {
		return cluster.Message{}, fmt.Errorf("%w: a broadcast is an array of three", errMalformed)
	}
	uid := cur.text()
	packet := readPacket(&cur)
	target := readOpts(&cur)
	var seq uint64
	for i := 3; i < n; i++ {
		if i == 3 && c.extension && cur.atNumber() {
			seq = toSeq(cur.number())
			continue
		}
		cur.skip()
	}
	if cur.bad || cur.left() > 0 {
		return cluster.Message{}, fmt.Errorf("%w at byte %d of a broadcast", errMalformed, cur.i)
	}
	p, err := packet.decode(s, c)
	if err != nil {
		return cluster.Message{}, err
	}
	return cluster.Message{
		From: nodeOf(uid), Seq: seq, Namespace: c.namespace,
		Body: cluster.Broadcast{Target: target, Packet: p},
	}, nil
}

// rawPacket is a packet of which only the outline is read.
type rawPacket struct {
	kind       float64
	namespace  string
	id         float64
	hasID      bool
	start, end int // of the data
}

func readPacket(cur reader) rawPacket {
	p := rawPacket{kind: -1, namespace: "/"} // no namespace means the root
	for n := cur.object(); cur.more(n); n-- {
		switch cur.key() {
		case "type":
			p.kind = cur.number()
		case "nsp":
			p.namespace = cur.str()
		case "id":
			p.id, p.hasID = cur.number(), true
		case "data":
			p.start = cur.at()
			cur.skip()
			p.end = cur.at()
		default:
			cur.skip()
		}
	}
	return p
}

// decode checks the outline and decodes the data, which lies in s.
func (r *rawPacket) decode(s string, c *codec) (*parser.Packet, error) {
	if r.namespace != c.namespace {
		return nil, fmt.Errorf("%w %q", errOtherNamespace, r.namespace)
	}
	if r.kind != float64(parser.Event) {
		return nil, fmt.Errorf("%w: packet of type %v", errMalformed, r.kind)
	}
	if r.end == r.start {
		return nil, fmt.Errorf("%w: packet without data", errMalformed)
	}
	payload, rest, err := parser.PayloadFromMsgpack([]byte(s[r.start:r.end]), c.limits)
	if err != nil {
		return nil, fmt.Errorf("decode packet data: %w", err)
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("%w: %d bytes behind the packet's data", errMalformed, len(rest))
	}
	return eventPacket(c.namespace, payload, r.id, r.hasID)
}

// eventPacket checks that the payload is that of an event.
func eventPacket(namespace string, payload parser.Payload, id float64, hasID bool) (*parser.Packet, error) {
	if _, _, err := payload.Event(); err != nil {
		return nil, fmt.Errorf("decode packet data: %w", err)
	}
	p := &parser.Packet{Type: parser.Event, Namespace: namespace, Payload: payload, HasID: hasID}
	if hasID {
		if id < 0 || id > parser.MaxID || id != math.Trunc(id) {
			return nil, fmt.Errorf("decode packet: %w: %v", parser.ErrID, id)
		}
		p.ID = uint64(id)
	}
	return p, nil
}

func readOpts(cur reader) cluster.Target {
	var t cluster.Target
	var rooms, except bool
	for n := cur.object(); cur.more(n); n-- {
		switch cur.key() {
		case "rooms":
			t.Rooms, rooms = cur.texts(maxRooms), true
		case "except":
			t.Except, except = cur.texts(maxRooms), true
		case "flags":
			readFlags(cur, &t)
		default:
			cur.skip()
		}
	}
	// Without rooms a message that was meant for a few would reach everybody.
	if !rooms || !except {
		cur.fail()
	}
	return t
}

func readFlags(cur reader, t *cluster.Target) {
	for n := cur.object(); cur.more(n); n-- {
		switch cur.key() {
		case "volatile":
			t.Volatile, _ = cur.flag()
		case "compress":
			if v, ok := cur.flag(); ok {
				t.Compress = &v
			}
		case "timeout":
			if cur.atNumber() {
				t.Timeout = milliseconds(cur.number())
			} else {
				cur.skip()
			}
		case "expectSingleResponse":
			t.Single, _ = cur.flag()
		default:
			cur.skip()
		}
	}
}

// milliseconds converts a timeout. What is no time is none.
func milliseconds(ms float64) time.Duration {
	const most = float64(math.MaxInt64 / int64(time.Millisecond))
	if !(ms > 0) { // NaN as well
		return 0
	}
	return time.Duration(min(ms, most)) * time.Millisecond
}

func toSeq(f float64) uint64 {
	if !(f > 0 && f <= parser.MaxID) {
		return 0
	}
	return uint64(f)
}
