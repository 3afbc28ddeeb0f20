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
// extension: the session's Extension, as text.
func (f *family) sessionValue(s *cluster.Session) (string, error) {
	rooms := slices.Sorted(maps.Keys(s.Rooms))
	text := appendJSONString([]byte(`{"sid":`), s.Socket)
	text = appendJSONString(append(text, `,"pid":`...), s.PID)
	text = appendJSONTexts(append(text, `,"rooms":`...), append([]string{s.Socket}, rooms...))
	text = appendJSONValue(append(text, `,"data":`...), s.Data)
	if f.extension {
		x, err := s.Extension()
		if err != nil {
			return "", err
		}
		text = appendJSONString(append(text, `,"x":`...), string(x))
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
	var rooms []string
	var data span
	x := ""
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
			x = r.text()
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
	s.Rooms = make(map[string]cluster.Offset, len(rooms))
	for _, room := range rooms {
		if room != s.Socket {
			s.Rooms[room] = ""
		}
	}
	if x == "" || !f.extension {
		return s, nil
	}
	if err := s.SetExtension([]byte(x)); err != nil {
		return cluster.Session{}, fmt.Errorf("%w: %w", errMalformed, err)
	}
	return s, nil
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
