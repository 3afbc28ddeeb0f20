package redisadapter

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/parser"
)

// family is the codec of one namespace for the messages that the sharded and
// the streams adapter share:
//
//	{type, data, uid, nsp, x}
//
// data depends on the type, which may have none; uid is who speaks; x is ours
// and absent without the extension. They are written as JSON or as MessagePack,
// which the first byte tells apart: no MessagePack message begins with {.
//
// It does no I/O and keeps nothing, so it is safe for concurrent use.
type family struct {
	namespace string
	self      cluster.NodeID
	extension bool // say and understand what JavaScript members ignore
	emitter   bool // write as the JavaScript emitter does, which is no member
	limits    parser.Limits
}

// What a message of the family is about, and its data.
const (
	familyBroadcast  = 3   // packet, requestId if it wants acknowledgements, opts
	familyJoin       = 4   // opts, rooms
	familyLeave      = 5   // opts, rooms
	familyDisconnect = 6   // opts, close
	familyFetch      = 7   // opts, requestId
	familySockets    = 8   // requestId, sockets: answers familyFetch
	familyEmit       = 9   // requestId if it wants an answer, packet: the array of the event
	familyEmitted    = 10  // requestId, packet: the value that was answered to familyEmit
	familyAckCount   = 11  // requestId, clientCount: answers familyBroadcast, once per node
	familyAck        = 12  // requestId, packet: answers familyBroadcast, once per socket
	familyClose      = 13  // none: its sender answers nothing any more
	familyAllRooms   = 101 // ours: requestId
	familyRoomNames  = 102 // ours: requestId, rooms: answers familyAllRooms
	familyWhere      = 103 // ours, and without data: see repair_wire.go
	familySaid       = 104
	familyAgain      = 105
	familyRepeated   = 106
	familyLast       = familyRepeated
)

var errNoFamilyForm = errors.New("redis: this mode has no form for the message")

// kindOf returns a message's type and whether it answers another.
func (f *family) kindOf(b cluster.Body) (kind int, answer bool, err error) {
	switch b := b.(type) {
	case cluster.Broadcast:
		kind = familyBroadcast
	case cluster.Join:
		kind = familyJoin
	case cluster.Leave:
		kind = familyLeave
	case cluster.Disconnect:
		kind = familyDisconnect
	case cluster.FetchSockets:
		kind = familyFetch
	case cluster.Emit:
		kind = familyEmit
	case cluster.SocketsReply:
		kind, answer = familySockets, true
	case cluster.EmitReply:
		kind, answer = familyEmitted, true
	case cluster.AckCount:
		kind, answer = familyAckCount, true
	case cluster.AckReply:
		kind, answer = familyAck, true
	case cluster.Leaving:
		kind = familyClose
	case cluster.Rooms:
		kind = familyAllRooms
	case cluster.RoomsReply:
		kind, answer = familyRoomNames, true
	case cluster.Where:
		kind = familyWhere
	case cluster.Said:
		kind = familySaid
	case cluster.Again:
		kind = familyAgain
	case cluster.Repeated:
		kind = familyRepeated
	case cluster.Applied:
		return 0, false, fmt.Errorf("%w: %T", errNoFamilyForm, b)
	}
	if kind >= familyClose && !f.extension { // JavaScript members of today say none of these
		return 0, false, fmt.Errorf("%w: %T", errNoFamilyForm, b)
	}
	return kind, answer, nil
}

// replyTo is the ReplyTo of a request: a mark and the uid of who asks, as in
// the classic codec.
func (f *family) replyTo(uid string, x *extension) cluster.ReplyTo {
	mark := askedPlainly
	if x != nil && f.extension {
		mark = askedWithExtended
	}
	return cluster.ReplyTo(mark + uid)
}

// asker takes a ReplyTo apart: who asked, and whether it reads the extension
// in answers. Messages that had the extension have such a ReplyTo even if they
// want no answer, except broadcasts, which then have a Seq.
func asker(to cluster.ReplyTo) (uid string, extended bool) {
	if to == "" {
		return "", false
	}
	return string(to[1:]), to[:1] == askedWithExtended
}

// appendSharded writes a message as the sharded adapter does: as MessagePack if
// there are binary values in it, else as JSON.
//
// An answer needs the ReplyTo of its request. It is nil without error where the
// asking node has no ear for it.
func (f *family) appendSharded(dst []byte, m *cluster.Message) ([]byte, error) {
	text, attachments, err := f.appendEnvelope(dst, m, false)
	if err != nil || len(attachments) == 0 {
		return text, err
	}
	packed, err := parser.AppendMsgpack(newBuffer(m), parser.Payload{JSON: text[len(dst):], Attachments: attachments})
	if err != nil {
		return nil, fmt.Errorf("encode message: %w", err)
	}
	return append(dst, packed...), nil // over the text
}

// appendMsgpack writes a message as the streams adapter does on its channels:
// always as MessagePack. Answers are as in appendSharded.
func (f *family) appendMsgpack(dst []byte, m *cluster.Message) ([]byte, error) {
	text, attachments, err := f.appendEnvelope(newBuffer(m), m, true)
	if err != nil || text == nil {
		return nil, err
	}
	return f.pack(dst, parser.Payload{JSON: text, Attachments: attachments})
}

// appendEnvelope writes a message as JSON text with placeholders for binary
// values. Where JavaScript would say undefined there is nothing, or null if
// nulls is set.
func (f *family) appendEnvelope(dst []byte, m *cluster.Message, nulls bool) (text []byte, attachments [][]byte, err error) {
	kind, answer, err := f.kindOf(m.Body)
	if err != nil {
		return nil, nil, err
	}
	_, extended := asker(m.ReplyTo)
	extended = extended && f.extension
	if a, ok := m.Body.(cluster.AckReply); ok && a.Gone && !extended {
		return nil, nil, nil // no form: the asking node learns it by its timeout
	}
	dst = strconv.AppendInt(append(dst, `{"type":`...), int64(kind), 10)
	x := extension{Seq: m.Seq}
	if x.notes(m.Body); !onlyForGo(m.Body) {
		dst, attachments, err = f.appendData(append(dst, `,"data":`...), m.Body, &x, extended, nulls)
		if err != nil {
			return nil, nil, err
		}
	}
	dst = appendJSONString(append(dst, `,"uid":`...), f.uid())
	dst = appendJSONString(append(dst, `,"nsp":`...), f.namespace)
	if extended && answer || !answer && f.signs(m) {
		dst = x.appendJSON(append(dst, `,"x":`...))
	}
	return append(dst, '}'), attachments, nil
}

func (f *family) uid() string {
	if f.emitter {
		return emitterUID
	}
	return string(f.self)
}

// signs reports whether a message that is no answer has the extension: when
// there is something to say, or an answer to hear.
func (f *family) signs(m *cluster.Message) bool {
	if !f.extension || f.emitter {
		return false
	}
	switch b := m.Body.(type) {
	case cluster.Broadcast:
		return m.Seq != 0 || b.RequestID != ""
	case cluster.Join, cluster.Leave, cluster.Disconnect:
		return m.Seq != 0
	default:
		return true
	}
}

// appendData writes what a message says, and leaves in x what the format has no
// place for.
func (f *family) appendData(
	dst []byte, body cluster.Body, x *extension, extended, nulls bool,
) (text []byte, attachments [][]byte, err error) {
	switch b := body.(type) {
	case cluster.Broadcast:
		if b.Packet == nil {
			return nil, nil, errors.New("encode broadcast: no packet")
		}
		attachments = b.Packet.Payload.Attachments
		dst, err = f.appendBroadcast(dst, &b)
	case cluster.Join:
		dst = appendJSONTexts(append(f.appendOpts(append(dst, '{'), &b.Target), `,"rooms":`...), b.Rooms)
	case cluster.Leave:
		dst = appendJSONTexts(append(f.appendOpts(append(dst, '{'), &b.Target), `,"rooms":`...), b.Rooms)
	case cluster.Disconnect:
		dst = strconv.AppendBool(append(f.appendOpts(append(dst, '{'), &b.Target), `,"close":`...), b.Close)
	case cluster.FetchSockets:
		dst = append(f.appendOpts(append(dst, '{'), &b.Target), ',')
		dst = appendRequestID(dst, b.RequestID)
	case cluster.Emit:
		dst = append(dst, '{')
		if b.RequestID != "" {
			dst = append(appendRequestID(dst, b.RequestID), ',')
		}
		attachments = b.Payload.Attachments
		dst, err = appendText(append(dst, `"packet":`...), b.Payload.JSON)
	case cluster.SocketsReply:
		dst = appendSockets(dst, &b)
	case cluster.AckCount:
		dst = appendRequestID(append(dst, '{'), b.RequestID)
		dst = strconv.AppendInt(append(dst, `,"clientCount":`...), int64(b.Count), 10)
	case cluster.AckReply:
		x.Socket, x.Gone = b.SocketID, b.Gone
		dst, attachments = appendArgs(appendRequestID(append(dst, '{'), b.RequestID), b.Args, x, extended, nulls)
	case cluster.EmitReply:
		dst, attachments = appendArgs(appendRequestID(append(dst, '{'), b.RequestID), b.Args, x, extended, nulls)
	case cluster.Rooms:
		dst = appendRequestID(append(dst, '{'), b.RequestID)
	case cluster.RoomsReply:
		dst = append(appendRequestID(append(dst, '{'), b.RequestID), `,"rooms":`...)
		dst = appendJSONTexts(dst, b.Rooms)
	case cluster.Leaving, cluster.Where, cluster.Said, cluster.Again, cluster.Repeated, cluster.Applied:
	}
	if err != nil {
		return nil, nil, err
	}
	return append(dst, '}'), attachments, nil
}

// appendBroadcast writes {packet, requestId, opts} without the closing brace.
func (f *family) appendBroadcast(dst []byte, b *cluster.Broadcast) ([]byte, error) {
	dst, err := appendText(append(dst, `{"packet":{"type":2,"data":`...), b.Packet.Payload.JSON)
	if err != nil {
		return nil, err
	}
	if b.Packet.HasID {
		dst = strconv.AppendUint(append(dst, `,"id":`...), b.Packet.ID, 10)
	}
	if f.emitter {
		dst = appendJSONString(append(dst, `,"nsp":`...), f.namespace)
	}
	dst = append(dst, '}', ',')
	if b.RequestID != "" {
		dst = append(appendRequestID(dst, b.RequestID), ',')
	}
	if f.emitter { // in its order
		dst = appendJSONTexts(append(dst, `"opts":{"rooms":`...), b.Target.Rooms)
		dst = appendJSONFlags(append(dst, `,"flags":`...), &b.Target)
		return append(appendJSONTexts(append(dst, `,"except":`...), b.Target.Except), '}'), nil
	}
	return f.appendOpts(dst, &b.Target), nil
}

// appendOpts writes "opts":{rooms, except, flags}.
func (f *family) appendOpts(dst []byte, t *cluster.Target) []byte {
	dst = appendJSONTexts(append(dst, `"opts":{"rooms":`...), t.Rooms)
	dst = appendJSONTexts(append(dst, `,"except":`...), t.Except)
	return append(appendJSONFlags(append(dst, `,"flags":`...), t), '}')
}

// appendJSONFlags is appendFlags for JSON.
func appendJSONFlags(dst []byte, t *cluster.Target) []byte {
	dst = append(dst, '{')
	first := len(dst)
	if t.Single {
		dst = append(dst, `"expectSingleResponse":true,`...)
	}
	if t.Volatile {
		dst = append(dst, `"volatile":true,`...)
	}
	if t.Compress != nil {
		dst = append(strconv.AppendBool(append(dst, `"compress":`...), *t.Compress), ',')
	}
	if ms := t.Timeout.Milliseconds(); ms > 0 {
		dst = append(strconv.AppendInt(append(dst, `"timeout":`...), ms, 10), ',')
	}
	if len(dst) > first {
		dst = dst[:len(dst)-1]
	}
	return append(dst, '}')
}

func appendRequestID(dst []byte, id string) []byte {
	return appendJSONString(append(dst, `"requestId":`...), id)
}

func appendText(dst, text []byte) ([]byte, error) {
	if len(text) == 0 {
		return nil, errors.New("encode message: no payload")
	}
	return append(dst, text...), nil
}

// appendArgs writes ,"packet": and the first argument, all that the format has a
// place for. The others go into x. Without arguments there is no packet, or null
// if nulls is set: that is JavaScript's undefined.
func appendArgs(dst []byte, args parser.Args, x *extension, extended, nulls bool) (text []byte, attachments [][]byte) {
	first, ok := firstArg(args)
	if extended && args.Len() != 1 {
		// Both refer to the same attachments.
		all := args.Payload()
		x.args = all.JSON
		first = parser.Payload{JSON: firstItem(all.JSON), Attachments: all.Attachments}
	}
	if !ok && nulls {
		first.JSON = []byte("null")
	}
	if len(first.JSON) > 0 {
		dst = append(append(dst, `,"packet":`...), first.JSON...)
	}
	return dst, first.Attachments
}

// pack appends a payload as @msgpack/msgpack writes it. That differs from
// notepack.io in integers beyond 2^53, which it writes as float64. JavaScript
// reads both alike; so they stay exact unless its very bytes are asked for.
func (f *family) pack(dst []byte, p parser.Payload) ([]byte, error) {
	start := len(dst)
	dst, err := parser.AppendMsgpack(dst, p)
	if err != nil {
		return nil, fmt.Errorf("encode message: %w", err)
	}
	if f.extension {
		return dst, nil
	}
	packed := dst[start:]
	for c := (cursor{s: string(packed)}); c.left() > 0 && !c.bad; {
		at, head := c.i, c.peek()
		if head != 0xcf && head != 0xd3 { // 64 bits
			c.skipHead()
			continue
		}
		if n := c.number(); math.Abs(n) > parser.MaxID {
			packed[at] = 0xcb // of the same length
			binary.BigEndian.PutUint64(packed[at+1:], math.Float64bits(n))
		}
	}
	return dst, nil
}
