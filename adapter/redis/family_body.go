package redisadapter

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/parser"
)

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
	for n := r.object(); r.more(n); n-- {
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
	if h.x != nil {
		switch h.kind {
		case familyWhere:
			return cluster.Where{Position: h.x.position()}, nil
		case familySaid:
			return cluster.Said{Position: h.x.position()}, nil
		case familyAgain:
			return h.x.again(), nil
		case familyRepeated:
			return h.x.repeated(), nil
		}
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
	for n := c.array(); c.more(n); n-- {
		at := spanOf(&c)
		one, idOnly, err := info(json.RawMessage(text[at.start:at.end]))
		if err != nil {
			return nil, fmt.Errorf("%w: socket %d: %w", errMalformed, len(infos), err)
		}
		if idOnly || len(infos) == maxRooms {
			return nil, fmt.Errorf("%w: socket %d", errMalformed, len(infos))
		}
		infos = append(infos, one)
	}
	if c.bad {
		return nil, fmt.Errorf("%w: sockets that are no array", errMalformed)
	}
	return infos, nil
}
