package redisadapter

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/parser"
)

// What a request, or an answer that says so, is about.
const (
	typeSockets     = 0 // ids of the sockets in rooms; asked by adapters up to 7
	typeAllRooms    = 1
	typeJoin        = 2
	typeLeave       = 3
	typeDisconnect  = 4
	typeFetch       = 5
	typeEmit        = 6
	typeBroadcast   = 7
	typeClientCount = 8
	typeAck         = 9
	typeLeaving     = 100 // ours: JavaScript members ignore types they do not know
	typeWhere       = 101 // see repair_wire.go
	typeSaid        = 102
	typeAgain       = 103
	typeRepeated    = 104
)

var (
	errOtherNamespace = errors.New("message of another namespace")
	errUnknownType    = errors.New("unknown type")
	errNoForm         = errors.New("redis: the classic adapter has no form for this message")
)

// appendRequest writes a message that goes to the request channel.
func (c *codec) appendRequest(dst []byte, m *cluster.Message) ([]byte, error) {
	if onlyForGo(m.Body) {
		return c.appendNote(dst, m)
	}
	switch b := m.Body.(type) {
	case cluster.Broadcast:
		return c.appendAckRequest(dst, m.Seq, &b)
	case cluster.Rooms:
		dst = c.appendHead(dst, b.RequestID, typeAllRooms)
	case cluster.FetchSockets:
		kind := typeFetch
		if b.IDsOnly {
			kind = typeSockets
		}
		dst = c.appendHead(dst, b.RequestID, kind)
		if b.IDsOnly {
			dst = appendJSONTexts(append(dst, `,"rooms":`...), b.Target.Rooms)
		} else {
			dst = appendJSONOpts(dst, &b.Target)
		}
	case cluster.Join:
		dst = c.appendHead(dst, b.RequestID, typeJoin)
		dst = appendJSONOpts(dst, &b.Target)
		dst = appendJSONTexts(append(dst, `,"rooms":`...), b.Rooms)
	case cluster.Leave:
		dst = c.appendHead(dst, b.RequestID, typeLeave)
		dst = appendJSONOpts(dst, &b.Target)
		dst = appendJSONTexts(append(dst, `,"rooms":`...), b.Rooms)
	case cluster.Disconnect:
		dst = c.appendHead(dst, b.RequestID, typeDisconnect)
		dst = appendJSONOpts(dst, &b.Target)
		dst = strconv.AppendBool(append(dst, `,"close":`...), b.Close)
	case cluster.Emit:
		data, err := jsonText(b.Payload)
		if err != nil {
			return nil, fmt.Errorf("encode server-side event: %w", err)
		}
		dst = c.appendHead(dst, b.RequestID, typeEmit)
		dst = append(append(dst, `,"data":`...), data...)
	case cluster.Leaving, cluster.Where, cluster.Said, cluster.Again, cluster.Repeated:
	case cluster.AckCount, cluster.AckReply, cluster.SocketsReply, cluster.RoomsReply, cluster.EmitReply,
		cluster.Applied:
		return nil, fmt.Errorf("%w: %T is an answer", errNoForm, b)
	}
	if c.extension && !c.emitter {
		dst = appendExtension(dst, &extension{Seq: m.Seq})
	}
	return append(dst, '}'), nil
}

// appendNote writes what only Go nodes say.
func (c *codec) appendNote(dst []byte, m *cluster.Message) ([]byte, error) {
	if !c.extension {
		return nil, errNoForm
	}
	var kind int
	switch m.Body.(type) {
	case cluster.Leaving:
		kind = typeLeaving
	case cluster.Where:
		kind = typeWhere
	case cluster.Said:
		kind = typeSaid
	case cluster.Again:
		kind = typeAgain
	case cluster.Repeated:
		kind = typeRepeated
	case cluster.AckCount, cluster.AckReply, cluster.Applied, cluster.Broadcast, cluster.Disconnect,
		cluster.Emit, cluster.EmitReply, cluster.FetchSockets, cluster.Join, cluster.Leave, cluster.Rooms,
		cluster.RoomsReply, cluster.SocketsReply:
	}
	x := extension{Seq: m.Seq}
	x.notes(m.Body)
	return append(appendExtension(c.appendHead(dst, "", kind), &x), '}'), nil
}

// appendHead writes {"uid","requestId","type" without the closing brace.
func (c *codec) appendHead(dst []byte, requestID string, kind int) []byte {
	dst = append(dst, '{')
	if !c.emitter || kind == typeEmit { // an emitter signs only server-side events
		dst = append(appendJSONString(append(dst, `"uid":`...), c.uid()), ',')
	}
	if requestID != "" {
		dst = append(appendJSONString(append(dst, `"requestId":`...), requestID), ',')
	}
	return strconv.AppendInt(append(dst, `"type":`...), int64(kind), 10)
}

func appendJSONOpts(dst []byte, t *cluster.Target) []byte {
	dst = appendJSONTexts(append(dst, `,"opts":{"rooms":`...), t.Rooms)
	dst = appendJSONTexts(append(dst, `,"except":`...), t.Except)
	return append(dst, '}')
}

// appendAckRequest writes {uid, requestId, type, packet, opts} in MessagePack.
func (c *codec) appendAckRequest(dst []byte, seq uint64, b *cluster.Broadcast) ([]byte, error) {
	pairs := byte(5)
	if c.extension {
		pairs = 6
	}
	dst = append(dst, 0x80|pairs)
	dst = appendStr(append(dst, "\xa3uid"...), c.uid())
	dst = appendStr(append(dst, "\xa9requestId"...), b.RequestID)
	dst = append(dst, "\xa4type\x07\xa6packet"...)
	dst, err := c.appendPacket(dst, b.Packet)
	if err != nil {
		return nil, err
	}
	dst = c.appendOpts(append(dst, "\xa4opts"...), &b.Target)
	if c.extension {
		dst = (&extension{Seq: seq}).appendMsgpack(append(dst, "\xa1x"...))
	}
	return dst, nil
}

// request reads a message of the request channel. Of its own requests a node
// reads no more than who sent them.
func (c *codec) request(s string) (cluster.Message, error) {
	if len(s) == 0 || s[0] != '{' {
		return c.ackRequest(s)
	}
	var r jsonRequest
	if err := json.Unmarshal([]byte(s), &r); err != nil {
		return cluster.Message{}, fmt.Errorf("%w: %w", errMalformed, err)
	}
	m := cluster.Message{
		From: nodeOf(string(r.UID)), Namespace: c.namespace,
		ReplyTo: c.replyTo(string(r.UID), r.X != nil),
	}
	if r.X != nil && c.extension {
		m.Seq = r.X.Seq
	}
	if m.From == c.self {
		return m, nil
	}
	body, err := r.body(c)
	if err != nil {
		return cluster.Message{}, fmt.Errorf("request of type %s: %w", r.typeName(), err)
	}
	m.Body = body
	return m, nil
}

// ackRequest reads what appendAckRequest wrote.
func (c *codec) ackRequest(s string) (cluster.Message, error) {
	cur := cursor{s: s}
	var uid, id string
	var packet rawPacket
	var target cluster.Target
	var hasOpts, hasPacket bool
	var x *extension
	kind := float64(-1)
	for range cur.object() {
		switch cur.text() {
		case "uid":
			uid = cur.text()
		case "requestId":
			id = cur.str()
		case "type":
			kind = cur.number()
		case "packet":
			packet, hasPacket = readPacket(&cur), true
		case "opts":
			target, hasOpts = readOpts(&cur), true
		case "x":
			x = readExtension(&cur)
		default:
			cur.skip()
		}
	}
	if cur.bad || cur.left() > 0 {
		return cluster.Message{}, fmt.Errorf("%w at byte %d of a request", errMalformed, cur.i)
	}
	if kind != typeBroadcast {
		return cluster.Message{}, fmt.Errorf("%w %v", errUnknownType, kind)
	}
	if !hasPacket || !hasOpts || id == "" {
		return cluster.Message{}, fmt.Errorf("%w: a request for acknowledgements without packet, opts or requestId", errMalformed)
	}
	m := cluster.Message{From: nodeOf(uid), Namespace: c.namespace, ReplyTo: c.replyTo(uid, x != nil)}
	if x != nil && c.extension {
		m.Seq = x.Seq
	}
	if m.From == c.self {
		return m, nil
	}
	p, err := packet.decode(s, c)
	if err != nil {
		return cluster.Message{}, err
	}
	m.Body = cluster.Broadcast{Target: target, Packet: p, RequestID: id}
	return m, nil
}

// jsonRequest is a request as it stands on the wire. Pointers and raw values
// tell what is absent from what is null or zero.
type jsonRequest struct {
	UID       looseText       `json:"uid"`
	RequestID string          `json:"requestId"`
	Type      *int            `json:"type"`
	Opts      *jsonOpts       `json:"opts"`
	Rooms     *[]looseText    `json:"rooms"`
	SID       looseText       `json:"sid"`
	Room      *looseText      `json:"room"`
	Close     bool            `json:"close"`
	Data      json.RawMessage `json:"data"`
	Packet    *jsonPacket     `json:"packet"`
	X         *extension      `json:"x"`
}

func (r *jsonRequest) typeName() string {
	if r.Type == nil {
		return "none"
	}
	return strconv.Itoa(*r.Type)
}

func (r *jsonRequest) body(c *codec) (cluster.Body, error) {
	if r.Type == nil {
		return nil, fmt.Errorf("%w: no type", errMalformed)
	}
	switch *r.Type {
	case typeSockets:
		if r.RequestID == "" || r.Rooms == nil {
			return nil, r.missing()
		}
		return cluster.FetchSockets{Target: cluster.Target{Rooms: plain(*r.Rooms)}, RequestID: r.RequestID, IDsOnly: true}, nil
	case typeAllRooms:
		if r.RequestID == "" {
			return nil, r.missing()
		}
		return cluster.Rooms{RequestID: r.RequestID}, nil
	case typeJoin, typeLeave, typeDisconnect:
		return r.management()
	case typeFetch:
		if r.RequestID == "" || r.Opts == nil {
			return nil, r.missing()
		}
		t, err := r.Opts.target()
		return cluster.FetchSockets{Target: t, RequestID: r.RequestID}, err
	case typeEmit:
		p, err := eventPayload(r.Data, c.limits)
		return cluster.Emit{Payload: p, RequestID: r.RequestID}, err
	case typeBroadcast:
		if r.RequestID == "" || r.Opts == nil || r.Packet == nil {
			return nil, r.missing()
		}
		t, err := r.Opts.target()
		if err != nil {
			return nil, err
		}
		p, err := r.Packet.decode(c)
		return cluster.Broadcast{Target: t, Packet: p, RequestID: r.RequestID}, err
	}
	return r.note(c)
}

// note reads what only Go nodes say.
func (r *jsonRequest) note(c *codec) (cluster.Body, error) {
	known := *r.Type >= typeLeaving && *r.Type <= typeRepeated
	switch {
	case !known || r.X == nil:
		return nil, errUnknownType
	case c.extension:
		switch *r.Type {
		case typeLeaving:
			return cluster.Leaving{}, nil
		case typeWhere:
			return cluster.Where{Position: r.X.position()}, nil
		case typeSaid:
			return cluster.Said{Position: r.X.position()}, nil
		case typeAgain:
			return r.X.again(), nil
		case typeRepeated:
			return r.X.repeated(), nil
		}
	}
	return nil, nil // of no interest
}

// management reads what changes sockets. Adapters up to 7 named one socket and
// wanted an answer from its node.
func (r *jsonRequest) management() (cluster.Body, error) {
	var t cluster.Target
	var rooms []string
	var id string
	switch {
	case r.Opts != nil:
		var err error
		if t, err = r.Opts.target(); err != nil {
			return nil, err
		}
		if *r.Type != typeDisconnect && r.Rooms == nil {
			return nil, r.missing()
		}
		if r.Rooms != nil {
			rooms = plain(*r.Rooms)
		}
	case r.SID != "":
		if *r.Type != typeDisconnect && r.Room == nil {
			return nil, r.missing()
		}
		if r.Room != nil {
			rooms = []string{string(*r.Room)}
		}
		t = cluster.Target{Rooms: []string{string(r.SID)}}
		id = r.RequestID
	default:
		return nil, r.missing()
	}
	switch *r.Type {
	case typeJoin:
		return cluster.Join{Target: t, Rooms: rooms, RequestID: id}, nil
	case typeLeave:
		return cluster.Leave{Target: t, Rooms: rooms, RequestID: id}, nil
	default:
		return cluster.Disconnect{Target: t, Close: r.Close, RequestID: id}, nil
	}
}

func (r *jsonRequest) missing() error {
	return fmt.Errorf("%w: a field is missing", errMalformed)
}

// eventPayload checks the data of a server-side event.
func eventPayload(data json.RawMessage, l parser.Limits) (parser.Payload, error) {
	if data == nil {
		return parser.Payload{}, fmt.Errorf("%w: no data", errMalformed)
	}
	if err := parser.ValidateJSON(data, l); err != nil {
		return parser.Payload{}, err
	}
	p := parser.Payload{JSON: data}
	_, _, err := p.Event()
	return p, err
}
