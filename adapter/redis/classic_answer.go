package redisadapter

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/parser"
)

// A ReplyTo of this adapter is one of these marks and the uid of the asking
// node, if it gave one.
const (
	askedPlainly      = "-"
	askedWithExtended = "x" // the asking node reads the extension
)

func (c *codec) replyTo(uid string, extended bool) cluster.ReplyTo {
	if extended && c.extension {
		return cluster.ReplyTo(askedWithExtended + uid)
	}
	return cluster.ReplyTo(askedPlainly + uid)
}

// extension is what travels under the key x. In a request it says that the
// asking node understands it in answers, even if it is empty.
type extension struct {
	Node   string `json:"n"` // who answers, or is asked
	Seq    uint64 `json:"s"`
	Socket string `json:"i"` // whose acknowledgement it is
	Gone   bool   `json:"g"` // the socket left without acknowledging

	From uint64 `json:"f"` // see repair_wire.go
	To   uint64 `json:"t"`
	Lost uint64 `json:"l"`
	Age  uint64 `json:"d"` // in milliseconds
	Last uint64 `json:"e"`

	args       []byte // all arguments in MessagePack: the classic format has the first only
	start, end int    // of args in the message it was read from
}

// appendExtension writes ,"x":{...}.
func appendExtension(dst []byte, x *extension) []byte {
	return x.appendJSON(append(dst, `,"x":`...))
}

// appendJSON writes the extension, whose args are JSON text.
func (x *extension) appendJSON(dst []byte) []byte {
	dst = append(dst, '{')
	first := len(dst)
	if x.Node != "" {
		dst = append(appendJSONString(append(dst, `"n":`...), x.Node), ',')
	}
	for _, number := range [...]struct {
		key   string
		value uint64
	}{{`"s":`, x.Seq}, {`"f":`, x.From}, {`"t":`, x.To}, {`"l":`, x.Lost}, {`"d":`, x.Age}, {`"e":`, x.Last}} {
		if number.value != 0 {
			dst = append(strconv.AppendUint(append(dst, number.key...), number.value, 10), ',')
		}
	}
	if x.Socket != "" {
		dst = append(appendJSONString(append(dst, `"i":`...), x.Socket), ',')
	}
	if x.Gone {
		dst = append(dst, `"g":true,`...)
	}
	if x.args != nil {
		dst = append(append(append(dst, `"a":`...), x.args...), ',')
	}
	if len(dst) > first {
		dst = dst[:len(dst)-1]
	}
	return append(dst, '}')
}

func (x *extension) appendMsgpack(dst []byte) []byte {
	head := len(dst)
	dst = append(dst, 0x80)
	if x.Node != "" {
		dst = appendStr(append(dst, "\xa1n"...), x.Node)
		dst[head]++
	}
	if x.Seq != 0 {
		dst = appendUint(append(dst, "\xa1s"...), x.Seq)
		dst[head]++
	}
	if x.Socket != "" {
		dst = appendStr(append(dst, "\xa1i"...), x.Socket)
		dst[head]++
	}
	if x.Gone {
		dst = append(dst, "\xa1g\xc3"...)
		dst[head]++
	}
	if x.args != nil {
		dst = append(append(dst, "\xa1a"...), x.args...)
		dst[head]++
	}
	return dst
}

func readExtension(cur reader) *extension {
	var x extension
	for n := cur.object(); cur.more(n); n-- {
		switch cur.key() {
		case "n":
			x.Node = cur.str()
		case "s":
			x.Seq = toSeq(cur.number())
		case "i":
			x.Socket = cur.str()
		case "g":
			x.Gone, _ = cur.flag()
		case "f":
			x.From = toSeq(cur.number())
		case "t":
			x.To = toSeq(cur.number())
		case "l":
			x.Lost = toSeq(cur.number())
		case "d":
			x.Age = toSeq(cur.number())
		case "e":
			x.Last = toSeq(cur.number())
		case "a":
			x.start = cur.at()
			cur.skip()
			x.end = cur.at()
		default:
			cur.skip()
		}
	}
	return &x
}

// appendAnswer writes an answer to a request that came with to.
func (c *codec) appendAnswer(dst []byte, to cluster.ReplyTo, m *cluster.Message) ([]byte, error) {
	extended := c.extension && len(to) > 0 && to[:1] == askedWithExtended
	switch b := m.Body.(type) {
	case cluster.AckReply:
		if b.Gone && !extended {
			return nil, nil // no form: the asking node learns it by its timeout
		}
		x := extension{Node: string(c.self), Seq: m.Seq, Socket: b.SocketID, Gone: b.Gone}
		return c.appendArgsAnswer(dst, typeAck, b.RequestID, "packet", b.Args, extended, x)
	case cluster.EmitReply:
		if extended {
			x := extension{Node: string(c.self), Seq: m.Seq}
			return c.appendArgsAnswer(dst, typeEmit, b.RequestID, "data", b.Args, true, x)
		}
		dst = appendJSONString(append(dst, `{"type":6,"requestId":`...), b.RequestID)
		if first, ok := firstArg(b.Args); ok {
			text, err := jsonText(first)
			if err != nil {
				return nil, fmt.Errorf("encode answer: %w", err)
			}
			dst = append(append(dst, `,"data":`...), text...)
		}
	case cluster.AckCount:
		dst = appendJSONString(append(dst, `{"type":8,"requestId":`...), b.RequestID)
		dst = strconv.AppendInt(append(dst, `,"clientCount":`...), int64(b.Count), 10)
	case cluster.SocketsReply:
		dst = appendSockets(dst, &b)
	case cluster.RoomsReply:
		dst = appendJSONString(append(dst, `{"requestId":`...), b.RequestID)
		dst = appendJSONTexts(append(dst, `,"rooms":`...), b.Rooms)
	case cluster.Applied:
		dst = appendJSONString(append(dst, `{"requestId":`...), b.RequestID)
	case cluster.Broadcast, cluster.Join, cluster.Leave, cluster.Disconnect, cluster.FetchSockets,
		cluster.Rooms, cluster.Emit, cluster.Leaving, cluster.Where, cluster.Said, cluster.Again, cluster.Repeated:
		return nil, fmt.Errorf("%w: %T is no answer", errNoForm, b)
	}
	if extended {
		dst = appendExtension(dst, &extension{Node: string(c.self), Seq: m.Seq})
	}
	return append(dst, '}'), nil
}

func appendSockets(dst []byte, b *cluster.SocketsReply) []byte {
	dst = appendJSONString(append(dst, `{"requestId":`...), b.RequestID)
	dst = append(dst, `,"sockets":[`...)
	for i := range b.Sockets {
		if i > 0 {
			dst = append(dst, ',')
		}
		if b.IDsOnly {
			dst = appendJSONString(dst, b.Sockets[i].ID)
		} else {
			dst = appendInfo(dst, &b.Sockets[i])
		}
	}
	return append(dst, ']')
}

// appendArgsAnswer writes {type, requestId, <key>: first argument, x} in
// MessagePack. Without arguments the key is left out: that is JavaScript's
// undefined.
func (c *codec) appendArgsAnswer(
	dst []byte, kind byte, requestID, key string, args parser.Args, extended bool, x extension,
) ([]byte, error) {
	head := len(dst)
	dst = append(dst, 0x82)
	dst = append(dst, "\xa4type"...)
	dst = append(dst, kind)
	dst = appendStr(append(dst, "\xa9requestId"...), requestID)
	if first, ok := firstArg(args); ok {
		var err error
		dst, err = parser.AppendMsgpack(appendStr(dst, key), first)
		if err != nil {
			return nil, fmt.Errorf("encode answer: %w", err)
		}
		dst[head]++
	}
	if !extended {
		return dst, nil
	}
	if args.Len() > 1 {
		var err error
		if x.args, err = parser.AppendMsgpack(nil, args.Payload()); err != nil {
			return nil, fmt.Errorf("encode answer: %w", err)
		}
	}
	dst[head]++
	return x.appendMsgpack(append(dst, "\xa1x"...)), nil
}

func firstArg(args parser.Args) (parser.Payload, bool) {
	var first parser.Raw
	if err := args.Scan(&first); err != nil {
		return parser.Payload{}, false
	}
	return first.Payload(), true
}

// argsOf makes one value a list of arguments.
func argsOf(p parser.Payload) parser.Args {
	text := make([]byte, 0, len(p.JSON)+2)
	text = append(append(append(text, '['), p.JSON...), ']')
	return parser.Payload{JSON: text, Attachments: p.Attachments}.Args()
}

// answer reads a message of a response channel.
func (c *codec) answer(s string) (cluster.Message, error) {
	if len(s) == 0 || s[0] != '{' {
		return c.argsAnswer(s)
	}
	var a jsonAnswer
	if err := json.Unmarshal([]byte(s), &a); err != nil {
		return cluster.Message{}, fmt.Errorf("%w: %w", errMalformed, err)
	}
	m := cluster.Message{Namespace: c.namespace}
	if c.extension && a.X != nil {
		m.From, m.Seq = cluster.NodeID(a.X.Node), a.X.Seq
	}
	body, err := a.body(c)
	m.Body = body
	return m, err
}

// jsonAnswer is an answer as it stands on the wire. Most say by their fields
// what they answer.
type jsonAnswer struct {
	Type        *int              `json:"type"`
	RequestID   string            `json:"requestId"`
	Sockets     []json.RawMessage `json:"sockets"`
	Rooms       []looseText       `json:"rooms"`
	Data        json.RawMessage   `json:"data"`
	Packet      json.RawMessage   `json:"packet"`
	ClientCount *int              `json:"clientCount"`
	X           *extension        `json:"x"`
}

func (a *jsonAnswer) body(c *codec) (cluster.Body, error) {
	if a.RequestID == "" {
		return nil, fmt.Errorf("%w: answer without requestId", errMalformed)
	}
	switch {
	case a.Type == nil:
		return a.untyped()
	case *a.Type == typeEmit:
		args, err := argsOfJSON(a.Data, c.limits)
		return cluster.EmitReply{RequestID: a.RequestID, Args: args}, err
	case *a.Type == typeAck:
		args, err := argsOfJSON(a.Packet, c.limits)
		return cluster.AckReply{RequestID: a.RequestID, Args: args}, err
	case *a.Type == typeClientCount && a.ClientCount != nil && *a.ClientCount >= 0:
		return cluster.AckCount{RequestID: a.RequestID, Count: *a.ClientCount}, nil
	}
	return nil, fmt.Errorf("%w %d of an answer", errUnknownType, *a.Type)
}

func (a *jsonAnswer) untyped() (cluster.Body, error) {
	switch {
	case a.Sockets != nil:
		if n := len(a.Sockets); n > maxRooms { // each takes far less room in a message than in memory
			return nil, fmt.Errorf("%w: %d sockets", errMalformed, n)
		}
		r := cluster.SocketsReply{RequestID: a.RequestID, Sockets: make([]cluster.SocketInfo, len(a.Sockets))}
		for i, text := range a.Sockets {
			s, idOnly, err := info(text)
			if err != nil {
				return nil, fmt.Errorf("%w: socket %d: %w", errMalformed, i, err)
			}
			r.Sockets[i] = s
			r.IDsOnly = r.IDsOnly || idOnly
		}
		return r, nil
	case a.Rooms != nil:
		return cluster.RoomsReply{RequestID: a.RequestID, Rooms: plain(a.Rooms)}, nil
	}
	return cluster.Applied{RequestID: a.RequestID}, nil
}

// argsOfJSON makes a value a list of arguments; no value is none.
func argsOfJSON(text json.RawMessage, l parser.Limits) (parser.Args, error) {
	if text == nil {
		return parser.Args{}, nil
	}
	if err := parser.ValidateJSON(text, l); err != nil {
		return parser.Args{}, err
	}
	return argsOf(parser.Payload{JSON: text}), nil
}

// argsAnswer reads what appendArgsAnswer wrote.
func (c *codec) argsAnswer(s string) (cluster.Message, error) {
	cur := cursor{s: s}
	var id string
	var start, end int
	kind := float64(-1)
	x := &extension{}
	for range cur.object() {
		switch cur.text() {
		case "type":
			kind = cur.number()
		case "requestId":
			id = cur.str()
		case "packet", "data":
			start = cur.i
			cur.skip()
			end = cur.i
		case "x":
			x = readExtension(&cur)
		default:
			cur.skip()
		}
	}
	if cur.bad || cur.left() > 0 || id == "" {
		return cluster.Message{}, fmt.Errorf("%w at byte %d of an answer", errMalformed, cur.i)
	}
	m := cluster.Message{Namespace: c.namespace}
	if !c.extension {
		x = &extension{}
	}
	m.From, m.Seq = cluster.NodeID(x.Node), x.Seq
	args, err := c.answerArgs(s, start, end, x)
	if err != nil {
		return cluster.Message{}, fmt.Errorf("decode answer: %w", err)
	}
	switch kind {
	case typeAck:
		m.Body = cluster.AckReply{RequestID: id, SocketID: x.Socket, Args: args, Gone: x.Gone}
	case typeEmit:
		m.Body = cluster.EmitReply{RequestID: id, Args: args}
	default:
		return cluster.Message{}, fmt.Errorf("%w %v of an answer", errUnknownType, kind)
	}
	return m, nil
}

func (c *codec) answerArgs(s string, start, end int, x *extension) (parser.Args, error) {
	if x.end > x.start {
		p, _, err := parser.PayloadFromMsgpack([]byte(s[x.start:x.end]), c.limits)
		return p.Args(), err
	}
	if end == start {
		return parser.Args{}, nil
	}
	p, _, err := parser.PayloadFromMsgpack([]byte(s[start:end]), c.limits)
	return argsOf(p), err
}
