package parser_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/dunlin-io/dunlin/core/parser"
)

// msgpackView is a packet of socket.io-msgpack-parser, where every member may be
// undefined.
type msgpackView struct {
	packetView
	Options     json.RawMessage `json:"options"`
	Extra       json.RawMessage `json:"x"`
	Attachments json.RawMessage `json:"attachments"`
}

func (v msgpackView) defined(t *testing.T) packetView {
	t.Helper()
	p := v.packetView
	for _, member := range []*json.RawMessage{&p.ID, &p.Data} {
		if *member != nil {
			if _, ok := plainView(t, *member); !ok {
				*member = nil
			}
		}
	}
	return p
}

type msgpackVectors struct {
	Meta json.RawMessage `json:"meta"`
	Wire []struct {
		Name      string      `json:"name"`
		Direction string      `json:"direction"`
		Packet    msgpackView `json:"packet"`
		Hex       string      `json:"payload_hex"`
		Decoded   msgpackView `json:"decoded"`
	} `json:"wire"`
	Encoder []struct {
		Packet  msgpackView `json:"packet"`
		Hex     string      `json:"payload_hex"`
		Decoded msgpackView `json:"decoded"`
	} `json:"encoder"`
	Decoder []struct {
		Name    string          `json:"name"`
		Hex     string          `json:"payload_hex"`
		Value   json.RawMessage `json:"value"`
		Decoded *msgpackView    `json:"decoded"`
		Error   string          `json:"error"`
	} `json:"decoder"`
}

func loadMsgpack(t *testing.T) (v msgpackVectors) {
	t.Helper()
	readVectors(t, "msgpack-parser.json", &v)
	if len(v.Wire) != 34 || len(v.Encoder) != 11 || len(v.Decoder) != 35 {
		t.Fatalf("%d, %d, %d entries, want 34, 11, 35", len(v.Wire), len(v.Encoder), len(v.Decoder))
	}
	return v
}

func decodeMsgpack(b []byte) (parser.Packet, error) {
	d := parser.Msgpack().NewDecoder(parser.Limits{})
	p, ok, err := d.Decode(parser.Frame{Binary: true, Data: b})
	if ok == (err != nil) || d.Pending() {
		return p, errors.New("a packet is neither complete nor refused")
	}
	return p, err
}

// Proves T-65.
func TestMsgpackDecodesTheWire(t *testing.T) {
	for _, v := range loadMsgpack(t).Wire {
		t.Run(v.Direction+"/"+v.Name, func(t *testing.T) {
			p, err := decodeMsgpack(unhex(t, v.Hex))
			if err != nil {
				t.Fatal(err)
			}
			v.Decoded.defined(t).check(t, p)
		})
	}
}

// otherBytes lists what the JavaScript server writes in another way than we do,
// without a difference to the client.
var otherBytes = map[string]string{
	"connect without auth":                                    "we leave out a pid that is undefined",
	"connect with auth and namespace":                         "we leave out a pid that is undefined",
	"connect to a namespace that does not exist":              "key order",
	"server broadcast with ack":                               "key order",
	"client emitWithAck, server answers Buffer and undefined": "undefined is null in JSON",
	"server emit undefined":                                   "undefined is null in JSON, and dropped from objects",
	"server emit date":                                        "dates are strings in JSON",
}

// Proves T-65, J-29.
func TestMsgpackEncodesAsTheServer(t *testing.T) {
	met := map[string]bool{}
	for _, v := range loadMsgpack(t).Wire {
		if v.Direction == "client->server" {
			continue
		}
		t.Run(v.Name, func(t *testing.T) {
			p, err := v.Packet.defined(t).encoded(t)
			if err != nil {
				t.Fatal(err)
			}
			frames, err := parser.Msgpack().Encode(p)
			if err != nil || len(frames) != 1 || !frames[0].Binary {
				t.Fatalf("%d frames, %v", len(frames), err)
			}
			same := bytes.Equal(frames[0].Data, unhex(t, v.Hex))
			why, differs := otherBytes[v.Name]
			met[v.Name] = true
			if same == differs {
				t.Errorf("got %x\nwant %s (%s)", frames[0].Data, v.Hex, why)
			}
			back, err := decodeMsgpack(frames[0].Data)
			if err != nil {
				t.Fatal(err)
			}
			v.Packet.defined(t).check(t, jsonPacket(t, p, back))
		})
	}
	for name := range otherBytes {
		if !met[name] {
			t.Errorf("no entry %q", name)
		}
	}
}

// jsonPacket checks that the packet that came back is the one that was sent.
func jsonPacket(t *testing.T, sent *parser.Packet, back parser.Packet) parser.Packet {
	t.Helper()
	if sent.Payload.JSON != nil && !bytes.Equal(sent.Payload.JSON, back.Payload.JSON) {
		t.Errorf("sent %s, back came %s", sent.Payload.JSON, back.Payload.JSON)
	}
	return back
}

func TestMsgpackEncoderGolden(t *testing.T) {
	for _, v := range loadMsgpack(t).Encoder {
		want := v.Packet.defined(t)
		p, err := want.encoded(t)
		if err != nil {
			t.Fatal(err)
		}
		frames, err := parser.Msgpack().Encode(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range [][]byte{frames[0].Data, unhex(t, v.Hex)} { // key order is free, so both are read
			got, err := decodeMsgpack(b)
			if err != nil {
				t.Fatalf("%s: %v", v.Hex, err)
			}
			want.check(t, got)
		}
		if p.HasID || want.Data != nil {
			continue
		}
		if defined := v.Packet.Data == nil; bytes.Equal(frames[0].Data, unhex(t, v.Hex)) != defined {
			t.Errorf("got %x, want %s", frames[0].Data, v.Hex)
		}
	}
}

var msgpackErrors = map[string]error{
	"invalid payload":     parser.ErrPayload,
	"invalid packet id":   parser.ErrID,
	"invalid namespace":   parser.ErrNamespace,
	"invalid packet type": parser.ErrType,
	"1 trailing bytes":    parser.ErrSyntax,
	"Could not parse":     parser.ErrSyntax,
	"Cannot read properties of null (reading 'type')": parser.ErrType,
}

// msgpackDifferences lists frames that JavaScript accepts and we reject, or that
// we read otherwise.
var msgpackDifferences = map[string]struct {
	err  error
	data string
	why  string
}{
	"event, reserved name is accepted here":                                  {parser.ErrPayload, "", "a client must not fake what the server says about it; the default parser rejects it too"},
	"event, empty data is accepted here":                                     {parser.ErrPayload, "", "an event has a name"},
	"event, id negative is accepted":                                         {parser.ErrID, "", "no client counts below 0"},
	"timestamp ext -1 (not understood by notepack 2.2: becomes [-1, bytes])": {nil, `["d","2023-11-14T22:13:20.123Z"]`, "we understand it"},
}

// Proves J-28.
func TestMsgpackDecoderGolden(t *testing.T) {
	met := 0
	for _, v := range loadMsgpack(t).Decoder {
		t.Run(v.Name, func(t *testing.T) {
			p, err := decodeMsgpack(unhex(t, v.Hex))
			difference, differs := msgpackDifferences[v.Name]
			switch {
			case differs:
				met++
				if !errors.Is(err, difference.err) || string(p.Payload.JSON) != difference.data {
					t.Errorf("got %s, %v, want %s, %v (%s)", p.Payload.JSON, err, difference.data, difference.err, difference.why)
				}
			case v.Error != "":
				want, ok := msgpackErrors[v.Error]
				if !ok || !errors.Is(err, want) {
					t.Errorf("error = %v, want %v as for %q", err, want, v.Error)
				}
			case err != nil:
				t.Error(err)
			default:
				v.Decoded.defined(t).check(t, p)
			}
		})
	}
	if met != len(msgpackDifferences) {
		t.Errorf("%d of %d differences met", met, len(msgpackDifferences))
	}
}

func TestMsgpackRejects(t *testing.T) {
	d := parser.Msgpack().NewDecoder(parser.Limits{MaxPacketBytes: 40, MaxDepth: 2, MaxNamespace: 5})
	event := func(nsp, data string) string { return "\x83\xa4type\x02\xa3nsp" + nsp + "\xa4data" + data }
	for name, tt := range map[string]struct {
		data string
		want error
	}{
		"fine":             {event("\xa5/four", "\x91\xa1e"), nil},
		"two levels":       {event("\xa1/", "\x92\xa1e\x90"), nil},
		"three levels":     {event("\xa1/", "\x92\xa1e\x91\x90"), parser.ErrTooDeep},
		"long namespace":   {event("\xa6/fours", "\x91\xa1e"), parser.ErrNamespace},
		"no slash":         {event("\xa4four", "\x91\xa1e"), parser.ErrNamespace},
		"empty namespace":  {event("\xa0", "\x91\xa1e"), parser.ErrNamespace},
		"binary namespace": {event("\xc4\x01/", "\x91\xa1e"), parser.ErrNamespace},
		"not UTF-8":        {event("\xa2/\xff", "\x91\xa1e"), parser.ErrNamespace},
		"too large":        {event("\xa1/", "\x92\xa1e\xb4aaaaaaaaaaaaaaaaaaaa"), parser.ErrTooLarge},
		"date for object":  {"\x83\xa4type\x00\xa3nsp\xa1/\xa4data\xd6\xff\x00\x00\x00\x00", parser.ErrPayload},
		"bytes for object": {"\x83\xa4type\x00\xa3nsp\xa1/\xa4data\xc4\x00", parser.ErrPayload},
		"name is a map":    {event("\xa1/", "\x91\x80"), parser.ErrPayload},
		"id over 2^53":     {"\x84\xa4type\x03\xa3nsp\xa1/\xa4data\x90\xa2id\xcf\x00\x20\x00\x00\x00\x00\x00\x00", parser.ErrID},
	} {
		p, ok, err := d.Decode(parser.Frame{Binary: true, Data: []byte(tt.data)})
		if !errors.Is(err, tt.want) || ok != (tt.want == nil) {
			t.Errorf("%s: %v %s, %v, want %v", name, p.Type, p.Payload.JSON, err, tt.want)
		}
	}
	lookalike := event("\xa1/", "\x93\x01\x81\xac_placeholder\xc3\xc4\x00")
	if _, err := decodeMsgpack([]byte(lookalike)); !errors.Is(err, parser.ErrAmbiguous) {
		t.Errorf("lookalike: %v", err)
	}
	if _, _, err := d.Decode(parser.Frame{Data: []byte("0")}); !errors.Is(err, parser.ErrUnexpected) {
		t.Errorf("text: %v", err)
	}
}

func TestEncodeRejects(t *testing.T) {
	event := parser.Payload{JSON: []byte(`["e"]`)}
	for name, p := range map[string]parser.Packet{
		"wire type":     {Type: parser.BinaryEvent, Namespace: "/", Payload: event},
		"namespace":     {Type: parser.Event, Namespace: "chat", Payload: event},
		"no namespace":  {Type: parser.Event, Payload: event},
		"id":            {Type: parser.Event, Namespace: "/", HasID: true, ID: parser.MaxID + 1, Payload: event},
		"no payload":    {Type: parser.Event, Namespace: "/"},
		"no text":       {Type: parser.Ack, Namespace: "/", Payload: parser.Payload{Attachments: [][]byte{{1}}}},
		"65,536 binary": {Type: parser.Event, Namespace: "/", Payload: parser.Payload{JSON: event.JSON, Attachments: make([][]byte, 1<<16)}},
	} {
		for _, c := range []parser.Codec{parser.JSON(), parser.Msgpack()} {
			if frames, err := c.Encode(&p); err == nil {
				t.Errorf("%s, %s: %q", c.Name(), name, frames[0].Data)
			}
		}
	}
	for _, text := range []string{`["e"`, `["e"] x`, "[\"\xff\"]", ``} {
		if b, err := parser.AppendMsgpack([]byte("x"), parser.Payload{JSON: []byte(text)}); err == nil || string(b) != "x" {
			t.Errorf("AppendMsgpack(%q) = %q, %v", text, b, err)
		}
	}
}
