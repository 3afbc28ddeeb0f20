package redisadapter

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/parser"
)

// sessionValue writes what the streams adapter keeps of a socket: MessagePack of
//
//	{sid, pid, rooms, data, x}
//
// in base64. Rooms begin with the socket's id. x is ours and absent without the
// extension: n is the node, s the position at which the socket was connected,
// r the positions at which it joined the rooms, its own left out.
func (f *family) sessionValue(s *cluster.Session) (string, error) {
	rooms := slices.Sorted(maps.Keys(s.Rooms))
	text := appendJSONString([]byte(`{"sid":`), s.Socket)
	text = appendJSONString(append(text, `,"pid":`...), s.PID)
	text = appendJSONTexts(append(text, `,"rooms":`...), append([]string{s.Socket}, rooms...))
	text = appendJSONValue(append(text, `,"data":`...), s.Data)
	if f.extension {
		positions := make([]string, len(rooms))
		for i, room := range rooms {
			positions[i] = string(s.Rooms[room])
		}
		text = appendJSONString(append(text, `,"x":{"n":`...), string(s.Node))
		text = appendJSONString(append(text, `,"s":`...), string(s.Start))
		text = append(appendJSONTexts(append(text, `,"r":`...), positions), '}')
	}
	packed, err := f.pack(nil, parser.Payload{JSON: append(text, '}')})
	if err != nil {
		return "", fmt.Errorf("encode session: %w", err)
	}
	return base64.StdEncoding.EncodeToString(packed), nil
}

// session reads what sessionValue or a JavaScript member wrote. Binary values in
// the data become what JSON.stringify makes of a Buffer.
func (f *family) session(value string) (cluster.Session, error) {
	packed, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		return cluster.Session{}, fmt.Errorf("%w: session: %w", errMalformed, err)
	}
	w := wire{text: string(packed)}
	r := w.reader(w.whole())
	var s cluster.Session
	var rooms, positions []string
	var data span
	for n := r.object(); r.more(n); n-- {
		switch r.key() {
		case "sid":
			s.Socket = r.str()
		case "pid":
			s.PID = r.str()
		case "rooms":
			rooms = r.texts(maxRooms)
		case "data":
			data = spanOf(r)
		case "x":
			positions = readPositions(r, &s)
		default:
			r.skip()
		}
	}
	if r.failed() || r.at() < len(packed) || s.Socket == "" || s.PID == "" {
		return cluster.Session{}, fmt.Errorf("%w: session", errMalformed)
	}
	if s.Data, err = f.sessionData(&w, data); err != nil {
		return cluster.Session{}, fmt.Errorf("%w: data of a session: %w", errMalformed, err)
	}
	if !f.extension {
		s.Node, s.Start, positions = "", "", nil
	}
	rooms = slices.DeleteFunc(rooms, func(room string) bool { return room == s.Socket })
	s.Rooms = make(map[string]cluster.Offset, len(rooms))
	for i, room := range rooms {
		s.Rooms[room] = ""
		if len(positions) == len(rooms) {
			s.Rooms[room] = knownOffset(positions[i])
		}
	}
	return s, nil
}

// readPositions reads what x says about a session and its rooms.
func readPositions(r reader, s *cluster.Session) (positions []string) {
	for n := r.object(); r.more(n); n-- {
		switch r.key() {
		case "n":
			s.Node = cluster.NodeID(r.str())
		case "s":
			s.Start = knownOffset(r.str())
		case "r":
			positions = r.texts(maxRooms)
		default:
			r.skip()
		}
	}
	return positions
}

// knownOffset makes what is no offset one that is not known.
func knownOffset(text string) cluster.Offset {
	if o := cluster.Offset(text); o.Valid() {
		return o
	}
	return ""
}

func (f *family) sessionData(w *wire, data span) (json.RawMessage, error) {
	if data.empty() {
		return nil, nil
	}
	p, err := w.value(data, f.limits)
	if err != nil {
		return nil, err
	}
	return jsonText(p)
}
