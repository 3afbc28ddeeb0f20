package redisadapter

import (
	"encoding/binary"
	"encoding/json"

	"fmt"
	"math"
	"strings"

	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/parser"
)

// wire is a message, or the data of one, that is being read.
type wire struct {
	text string
	json []byte // the same if it is JSON, and then valid; else nil
}

// open looks what a message is written in. JSON is checked as a whole,
// MessagePack while it is read.
func (f *family) open(text string) (wire, error) {
	if len(text) == 0 || text[0] != '{' {
		return wire{text: text}, nil
	}
	w := wire{text, []byte(text)}
	if err := parser.ValidateJSON(w.json, f.limits); err != nil {
		return wire{}, fmt.Errorf("%w: %w", errMalformed, err)
	}
	return w, nil
}

// span is where in a message a value stands. The zero value is none.
type span struct{ start, end int }

// spanOf skips a value.
func spanOf(r reader) span {
	s := span{start: r.at()}
	r.skip()
	s.end = r.at()
	return s
}

func (s span) empty() bool { return s.end == s.start }

// reader reads a value of the message.
func (w *wire) reader(s span) reader {
	if w.json != nil {
		return &jsonCursor{s: w.text[:s.end], i: s.start}
	}
	return &cursor{s: w.text[:s.end], i: s.start}
}

func (w *wire) whole() span { return span{0, len(w.text)} }

// value returns a value as a payload, which shares the bytes of JSON.
func (w *wire) value(s span, l parser.Limits) (parser.Payload, error) {
	if w.json != nil {
		n := len(strings.TrimRight(w.text[s.start:s.end], " \t\r\n"))
		return parser.Payload{JSON: w.json[s.start : s.start+n : s.start+n]}, nil
	}
	p, rest, err := parser.PayloadFromMsgpack([]byte(w.text[s.start:s.end]), l)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%w: %d bytes behind a value", errMalformed, len(rest))
	}
	return p, err
}

// decode reads what appendSharded, appendMsgpack or a JavaScript member wrote.
// Body is nil where the message is of no interest: one of this node's own, or of
// a type that is not known or only for members that count heartbeats.
//
// Arguments are taken as they come. With session recovery on, the sharded
// JavaScript adapter adds a stray null to what it receives, and an empty string
// to what it has sent; the message itself has neither, nor do our clients get
// one. (A packet that it sends a second time has that string, which then is an
// argument like any other.)
func (f *family) decode(payload string) (cluster.Message, error) {
	if f.own(payload) {
		return cluster.Message{From: f.self, Namespace: f.namespace}, nil
	}
	w, err := f.open(payload)
	if err != nil {
		return cluster.Message{}, err
	}
	var h head
	r := w.reader(w.whole())
	for n := r.object(); r.more(&n); {
		switch r.key() {
		case "type":
			h.kind = kindNumber(r.number())
		case "data":
			h.data = spanOf(r)
		case "uid":
			h.uid = r.text()
		case "nsp":
			h.namespace = r.str()
		case "x":
			h.x = readExtension(r)
		default:
			r.skip()
		}
	}
	if r.failed() || r.at() < len(w.text) {
		return cluster.Message{}, fmt.Errorf("%w at byte %d", errMalformed, r.at())
	}
	return f.message(&w, &h)
}

// head is an envelope of which the data is not read yet.
type head struct {
	kind           int
	uid, namespace string
	data           span
	x              *extension // nil: there is none
}

// kindNumber makes what cannot be a type one that is not known.
func kindNumber(n float64) int {
	if n == math.Trunc(n) && n > 0 && n <= familyRoomNames {
		return int(n)
	}
	return 0
}

func (f *family) message(w *wire, h *head) (cluster.Message, error) {
	if h.namespace != f.namespace {
		return cluster.Message{}, fmt.Errorf("%w %.100q", errOtherNamespace, h.namespace)
	}
	m := cluster.Message{From: nodeOf(h.uid), Namespace: f.namespace}
	if f.isSelf(h.uid) {
		return m, nil
	}
	if !f.extension {
		h.x = nil
	}
	body, err := f.body(w, h)
	if err != nil {
		return cluster.Message{}, fmt.Errorf("message of type %d: %w", h.kind, err)
	}
	if m.Body = body; body == nil {
		return m, nil
	}
	if h.x != nil {
		m.Seq = h.x.Seq
	}
	if b, ok := body.(cluster.Broadcast); !ok || b.RequestID != "" {
		m.ReplyTo = f.replyTo(h.uid, h.x)
	}
	return m, nil
}

func (f *family) isSelf(uid string) bool { return uid == string(f.self) && uid != emitterUID }

// own recognises by its end a message that this node has sent, so that nothing
// else of it is read: with one channel for all, each of them comes back. What it
// does not recognise is read, and recognised then.
func (f *family) own(s string) bool {
	end := s[max(0, len(s)-len(f.namespace)-len(f.self)-40):]
	i := strings.LastIndex(end, string(f.self))
	if i < 2 || f.self == "" {
		return false
	}
	before, after := end[:i], end[i+len(f.self):]
	if s[0] == '{' {
		rest, ok := strings.CutPrefix(after, `","nsp":"`+f.namespace+`"`)
		return ok && strings.HasSuffix(before, `,"uid":"`) &&
			(rest == "}" || strings.HasPrefix(rest, `,"x":{`) && strings.IndexByte(rest, '}') == len(rest)-2)
	}
	rest, ok := strings.CutPrefix(after, "\xa3nsp")
	return ok && strings.HasSuffix(before[:i-1], "\xa3uid") && len(rest) > len(f.namespace) &&
		strings.HasPrefix(rest[1:], f.namespace) && before[i-1] == 0xa0|byte(len(f.self)) //nolint:gosec // ids are short
}

// contents is the data of a message, field by field.
type contents struct {
	requestID string
	packet    span
	sockets   span
	opts      *cluster.Target // nil: there are none
	rooms     []string
	hasRooms  bool
	close     bool
	count     float64 // of clients; -1: there is none
}

func readContents(r reader) contents {
	c := contents{count: -1}
	for n := r.object(); r.more(&n); {
		switch r.key() {
		case "requestId":
			if r.atNull() {
				r.skip()
			} else {
				c.requestID = r.text()
			}
		case "packet":
			c.packet = spanOf(r)
		case "sockets":
			c.sockets = spanOf(r)
		case "opts":
			t := readOpts(r)
			c.opts = &t
		case "rooms":
			c.rooms, c.hasRooms = r.texts(maxRooms), true
		case "close":
			c.close, _ = r.flag()
		case "clientCount":
			c.count = r.number()
		default:
			r.skip()
		}
	}
	return c
}

// need says for each type which fields of the data must be there.
type need uint8

const (
	needRequestID need = 1 << iota
	needPacket
	needOpts
	needRooms
	needSockets
	needCount
)

var familyNeeds = map[int]need{
	familyBroadcast:  needPacket | needOpts,
	familyJoin:       needOpts | needRooms,
	familyLeave:      needOpts | needRooms,
	familyDisconnect: needOpts,
	familyFetch:      needOpts | needRequestID,
	familySockets:    needRequestID | needSockets,
	familyEmit:       needPacket,
	familyEmitted:    needRequestID,
	familyAckCount:   needRequestID | needCount,
	familyAck:        needRequestID,
	familyAllRooms:   needRequestID,
	familyRoomNames:  needRequestID | needRooms,
}

func (c *contents) lacks(n need) bool {
	return n&needRequestID != 0 && c.requestID == "" || n&needPacket != 0 && c.packet.empty() ||
		n&needOpts != 0 && c.opts == nil || n&needRooms != 0 && !c.hasRooms ||
		n&needSockets != 0 && c.sockets.empty() || n&needCount != 0 && c.count < 0
}

func (f *family) body(w *wire, h *head) (cluster.Body, error) {
	if h.kind == familyClose {
		return cluster.Leaving{}, nil
	}
	needs, known := familyNeeds[h.kind]
	if !known || h.kind > familyClose && h.x == nil {
		return nil, nil //nolint:nilnil // documented: of no interest
	}
	if h.data.empty() {
		return nil, fmt.Errorf("%w: no data", errMalformed)
	}
	r := w.reader(h.data)
	c := readContents(r)
	switch {
	case r.failed():
		return nil, fmt.Errorf("%w: its data", errMalformed)
	case c.lacks(needs):
		return nil, fmt.Errorf("%w: a field is missing", errMalformed)
	}
	switch h.kind {
	case familyBroadcast:
		p, err := f.packet(w, c.packet)
		return cluster.Broadcast{Target: *c.opts, Packet: p, RequestID: c.requestID}, err
	case familyJoin:
		return cluster.Join{Target: *c.opts, Rooms: c.rooms}, nil
	case familyLeave:
		return cluster.Leave{Target: *c.opts, Rooms: c.rooms}, nil
	case familyDisconnect:
		return cluster.Disconnect{Target: *c.opts, Close: c.close}, nil
	case familyFetch:
		return cluster.FetchSockets{Target: *c.opts, RequestID: c.requestID}, nil
	case familyEmit:
		p, err := w.value(c.packet, f.limits)
		if err == nil {
			_, _, err = p.Event()
		}
		return cluster.Emit{Payload: p, RequestID: c.requestID}, err
	case familyAllRooms:
		return cluster.Rooms{RequestID: c.requestID}, nil
	}
	return f.reply(w, h, &c)
}

// packet reads the packet of a broadcast. Its namespace, which emitters add, is
// not looked at: that of the envelope counts.
func (f *family) packet(w *wire, s span) (*parser.Packet, error) {
	r := w.reader(s)
	raw := readPacket(r)
	switch {
	case r.failed():
		return nil, fmt.Errorf("%w: its packet", errMalformed)
	case raw.kind != float64(parser.Event):
		return nil, fmt.Errorf("%w: packet of type %v", errMalformed, raw.kind)
	case raw.end == raw.start:
		return nil, fmt.Errorf("%w: packet without data", errMalformed)
	}
	p, err := w.value(span{raw.start, raw.end}, f.limits)
	if err != nil {
		return nil, fmt.Errorf("decode packet data: %w", err)
	}
	return eventPacket(f.namespace, p, raw.id, raw.hasID)
}

func (f *family) reply(w *wire, h *head, c *contents) (cluster.Body, error) {
	x := h.x
	if x == nil {
		x = &extension{}
	}
	switch h.kind {
	case familySockets:
		infos, err := f.sockets(w, c.sockets)
		return cluster.SocketsReply{RequestID: c.requestID, Sockets: infos}, err
	case familyAckCount:
		if c.count > math.MaxInt32 || c.count != math.Trunc(c.count) {
			return nil, fmt.Errorf("%w: %v clients", errMalformed, c.count)
		}
		return cluster.AckCount{RequestID: c.requestID, Count: int(c.count)}, nil
	case familyRoomNames:
		return cluster.RoomsReply{RequestID: c.requestID, Rooms: c.rooms}, nil
	}
	args, err := f.args(w, c.packet, x)
	if err != nil {
		return nil, fmt.Errorf("decode answer: %w", err)
	}
	if h.kind == familyAck {
		return cluster.AckReply{RequestID: c.requestID, SocketID: x.Socket, Args: args, Gone: x.Gone}, nil
	}
	return cluster.EmitReply{RequestID: c.requestID, Args: args}, nil
}

// args returns the arguments of an answer: all of them from the extension, or
// the one that the format has a place for.
func (f *family) args(w *wire, packet span, x *extension) (parser.Args, error) {
	if all := (span{x.start, x.end}); !all.empty() {
		p, err := w.value(all, f.limits)
		if err == nil && (len(p.JSON) == 0 || p.JSON[0] != '[') {
			err = fmt.Errorf("%w: arguments that are no array", errMalformed)
		}
		return p.Args(), err
	}
	if packet.empty() {
		return parser.Args{}, nil
	}
	p, err := w.value(packet, f.limits)
	if err != nil {
		return parser.Args{}, err
	}
	if p.JSON == nil { // undefined as notepack.io 2 writes it
		return parser.Args{}, nil
	}
	return argsOf(p), nil
}

// sockets reads the sockets of an answer. Binary values in their data become
// what JSON.stringify makes of a Buffer.
func (f *family) sockets(w *wire, s span) ([]cluster.SocketInfo, error) {
	p, err := w.value(s, f.limits)
	if err != nil {
		return nil, fmt.Errorf("decode sockets: %w", err)
	}
	text, err := jsonText(p)
	if err != nil {
		return nil, fmt.Errorf("decode sockets: %w", err)
	}
	infos := []cluster.SocketInfo{}
	c := jsonCursor{s: string(text)}
	for n := c.array(); c.more(&n); {
		at := spanOf(&c)
		one, idOnly, err := info(json.RawMessage(text[at.start:at.end]))
		if err != nil {
			return nil, fmt.Errorf("%w: socket %d: %w", errMalformed, n, err)
		}
		if idOnly || n > maxRooms {
			return nil, fmt.Errorf("%w: socket %d", errMalformed, n)
		}
		infos = append(infos, one)
	}
	if c.bad {
		return nil, fmt.Errorf("%w: sockets that are no array", errMalformed)
	}
	return infos, nil
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
