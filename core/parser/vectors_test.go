package parser_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"github.com/dunlin-io/dunlin/core/parser"
)

type packetView struct {
	Type      parser.Type     `json:"type"`
	Namespace string          `json:"nsp"`
	ID        json.RawMessage `json:"id"`
	Data      json.RawMessage `json:"data"`
}

// chunk is one Engine.IO message in a golden file: a string or {"$bytes": hex}.
type chunk struct{ json.RawMessage }

func (c chunk) frame(t *testing.T) parser.Frame {
	t.Helper()
	switch v := fromView(t, c.RawMessage).(type) {
	case string:
		return parser.Frame{Data: []byte(v)}
	case []byte:
		return parser.Frame{Binary: true, Data: v}
	default:
		t.Fatalf("chunk %s is neither text nor binary", c)
		return parser.Frame{}
	}
}

type packetVectors struct {
	Meta   json.RawMessage `json:"meta"`
	Encode []struct {
		Name        string       `json:"name"`
		Packet      packetView   `json:"packet"`
		Encoded     []chunk      `json:"encoded"`
		Decoded     []packetView `json:"decoded"`
		DecodeError string       `json:"decode_error"`
		Error       string       `json:"error"`
	} `json:"encode"`
	Decode []struct {
		Name    string       `json:"name"`
		Input   []chunk      `json:"input"`
		Packets []packetView `json:"packets"`
		Pending bool         `json:"pending"`
	} `json:"decode"`
	Reject []struct {
		Name          string       `json:"name"`
		Input         []chunk      `json:"input"`
		PacketsBefore []packetView `json:"packets_before"`
		Error         string       `json:"error"`
		At            int          `json:"at"`
	} `json:"reject"`
	Options []struct {
		Name    string         `json:"name"`
		Options map[string]int `json:"options"`
		Input   []chunk        `json:"input"`
		Packets []packetView   `json:"packets"`
		Pending bool           `json:"pending"`
		Error   string         `json:"error"`
		At      int            `json:"at"`
	} `json:"options"`
}

func loadPackets(t *testing.T) (v packetVectors) {
	t.Helper()
	readVectors(t, "socketio-packets.json", &v)
	if len(v.Encode) != 59 || len(v.Decode) != 54 || len(v.Reject) != 74 || len(v.Options) != 2 {
		t.Fatalf("%d, %d, %d, %d entries, want 59, 54, 74, 2", len(v.Encode), len(v.Decode), len(v.Reject), len(v.Options))
	}
	return v
}

// encoded builds a packet from its view with the functions a user's values go
// through.
func (v packetView) encoded(t *testing.T) (*parser.Packet, error) {
	t.Helper()
	p := &parser.Packet{Type: v.Type, Namespace: v.Namespace}
	if v.ID != nil {
		p.HasID = true
		if err := json.Unmarshal(v.ID, &p.ID); err != nil {
			t.Fatal(err)
		}
	}
	if v.Data == nil {
		return p, nil
	}
	data := fromView(t, v.Data)
	list, isList := data.([]any)
	if !isList {
		raw, err := parser.MakeRaw(data)
		p.Payload = raw.Payload()
		return p, err
	}
	var args parser.Args
	var err error
	if name, ok := firstString(list); ok && v.Type == parser.Event {
		args, err = parser.MakeEvent(name, list[1:]...)
	} else {
		args, err = parser.MakeArgs(list...)
	}
	p.Payload = args.EventPayload()
	return p, err
}

func firstString(list []any) (string, bool) {
	if len(list) == 0 {
		return "", false
	}
	s, ok := list[0].(string)
	return s, ok
}

// check compares a decoded packet with its view.
func (v packetView) check(t *testing.T, p parser.Packet) {
	t.Helper()
	if p.Type != v.Type || p.Namespace != v.Namespace || p.HasID != (v.ID != nil) {
		t.Errorf("got %v %q id %v, want %v %q id %s", p.Type, p.Namespace, p.HasID, v.Type, v.Namespace, v.ID)
	}
	if p.HasID {
		var id uint64
		if err := json.Unmarshal(v.ID, &id); err != nil || id != p.ID {
			t.Errorf("id = %d, want %s", p.ID, v.ID)
		}
	}
	if (p.Payload.JSON != nil) != (v.Data != nil) {
		t.Errorf("payload = %q, want %s", p.Payload.JSON, v.Data)
		return
	}
	if v.Data == nil {
		return
	}
	want, _ := plainView(t, v.Data)
	var got any
	if err := p.Payload.Scan(&got); err != nil {
		t.Fatalf("Scan(%s): %v", p.Payload.JSON, err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("payload %s = %#v, want %#v", p.Payload.JSON, got, want)
	}
}

// decodeAll decodes messages up to the first error, and returns where it was.
func decodeAll(t *testing.T, d parser.Decoder, input []chunk) (packets []parser.Packet, at int, err error) {
	t.Helper()
	for i, c := range input {
		p, ok, err := d.Decode(c.frame(t))
		if err != nil {
			if ok || d.Pending() {
				t.Error("the decoder goes on after an error")
			}
			return packets, i, err
		}
		if ok {
			packets = append(packets, p)
		}
	}
	return packets, -1, nil
}

// encodeDifferences lists packets that our encoder treats otherwise.
var encodeDifferences = map[string]struct {
	err error
	why string
}{
	"connect-buffer-in-auth":             {parser.ErrPayload, "only events and acknowledgements carry binary; JavaScript sends an array of numbers nobody reads"},
	"event-nsp-comma":                    {parser.ErrNamespace, "nobody can decode it"},
	"event-nsp-no-slash":                 {parser.ErrNamespace, "nobody can decode it"},
	"event-nsp-empty":                    {parser.ErrNamespace, `the root is "/"`},
	"binary-event-placeholder-lookalike": {parser.ErrAmbiguous, "the peer would take it for an attachment, or close the connection"},
}

// notInGo lists packets whose JavaScript values have no counterpart in the view;
// the text that stands for them in the recording is sent as it is.
var notInGo = map[string]bool{
	"event-tojson":                       true,
	"binary-event-tojson-with-buffer":    true,
	"binary-event-tojson-next-to-buffer": true,
	"event-lone-surrogate":               true, // a Go string cannot hold one
}

// Proves J-22, J-23, J-24.
func TestEncodeGolden(t *testing.T) {
	codec := parser.JSON()
	for _, v := range loadPackets(t).Encode {
		t.Run(v.Name, func(t *testing.T) {
			if v.Error != "" {
				if v.Name != "event-bigint" { // which is an integer like any other in Go
					t.Errorf("unknown error %s", v.Error)
				}
				return
			}
			var p *parser.Packet
			var err error
			if notInGo[v.Name] {
				packets, _, err := decodeAll(t, codec.NewDecoder(parser.Limits{}), v.Encoded)
				if len(packets) != 1 {
					t.Fatalf("%d packets, %v", len(packets), err)
				}
				p = &packets[0]
			} else {
				p, err = v.Packet.encoded(t)
			}
			var frames []parser.Frame
			if err == nil {
				frames, err = codec.Encode(p)
			}
			if want, ok := encodeDifferences[v.Name]; ok {
				if !errors.Is(err, want.err) {
					t.Errorf("error = %v, want %v (%s)", err, want.err, want.why)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			checkFrames(t, frames, v.Encoded)
		})
	}
}

func checkFrames(t *testing.T, frames []parser.Frame, want []chunk) {
	t.Helper()
	if len(frames) != len(want) {
		t.Fatalf("%d frames, want %d", len(frames), len(want))
	}
	for i, c := range want {
		if w := c.frame(t); frames[i].Binary != w.Binary || !bytes.Equal(frames[i].Data, w.Data) {
			t.Errorf("frame %d\n got %q\nwant %q", i, frames[i].Data, w.Data)
		}
	}
}

// TestDecodeGolden decodes what the JavaScript encoder wrote, and encodes the
// result again.
func TestDecodeGolden(t *testing.T) {
	codec := parser.JSON()
	for _, v := range loadPackets(t).Encode {
		if v.Error != "" {
			continue
		}
		t.Run(v.Name, func(t *testing.T) {
			packets, at, err := decodeAll(t, codec.NewDecoder(parser.Limits{}), v.Encoded)
			if v.DecodeError != "" {
				checkError(t, err, v.DecodeError)
				return
			}
			if err != nil || len(packets) != len(v.Decoded) || len(packets) != 1 {
				t.Fatalf("%d packets, error %v at %d", len(packets), err, at)
			}
			v.Decoded[0].check(t, packets[0])
			frames, err := codec.Encode(&packets[0])
			if err != nil {
				t.Fatal(err)
			}
			checkFrames(t, frames, v.Encoded)
		})
	}
}

// decodeDifferences lists inputs that JavaScript accepts and we reject, or that
// we accept otherwise.
var decodeDifferences = map[string]struct {
	err error // nil: accepted
	why string
}{
	"empty-string-is-connect":                     {parser.ErrType, "nothing is not a packet"},
	"space-is-connect":                            {parser.ErrType, "nor is a space"},
	"event-without-data":                          {parser.ErrPayload, "an event has a name"},
	"event-nsp-without-data":                      {parser.ErrPayload, "an event has a name"},
	"event-id-without-data":                       {parser.ErrPayload, "an event has a name"},
	"event-id-space-is-0":                         {parser.ErrPayload, "an id is made of digits"},
	"event-id-space-digits":                       {parser.ErrPayload, "an id is made of digits"},
	"event-id-huge":                               {parser.ErrID, "JavaScript cannot count that far: the answer would have another id"},
	"binary-without-data":                         {parser.ErrPayload, "an event has a name"},
	"binary-count-scientific":                     {parser.ErrAttachments, "a count is made of digits"},
	"binary-count-hex":                            {parser.ErrAttachments, "a count is made of digits"},
	"binary-count-space":                          {parser.ErrAttachments, "a count is made of digits"},
	"binary-count-plus":                           {parser.ErrAttachments, "a count is made of digits"},
	"binary-placeholder-fraction-gives-undefined": {parser.ErrAttachments, "it refers to nothing"},
	"event-big-int-literal":                       {nil, "text is passed on as it is; reading 1e400 is an error"},
	"event-proto-key":                             {nil, "a key like any other"},
}

// Proves J-16, J-17, J-18, J-19, J-20, J-21.
func TestDecodeOddities(t *testing.T) {
	known := 0
	for _, v := range loadPackets(t).Decode {
		t.Run(v.Name, func(t *testing.T) {
			d := parser.JSON().NewDecoder(parser.Limits{})
			packets, at, err := decodeAll(t, d, v.Input)
			difference, differs := decodeDifferences[v.Name]
			switch {
			case differs && difference.err != nil:
				known++
				if !errors.Is(err, difference.err) {
					t.Errorf("error = %v, want %v (%s)", err, difference.err, difference.why)
				}
				return
			case err != nil || len(packets) != len(v.Packets) || d.Pending() != v.Pending:
				t.Fatalf("%d packets, pending %v, error %v at %d; want %d, %v", len(packets), d.Pending(), err, at, len(v.Packets), v.Pending)
			case differs:
				known++
				if text := v.Input[0].frame(t).Data[1:]; !bytes.Equal(packets[0].Payload.JSON, text) {
					t.Errorf("payload = %s, want %s (%s)", packets[0].Payload.JSON, text, difference.why)
				}
				return
			}
			for i, want := range v.Packets {
				want.check(t, packets[i])
			}
		})
	}
	if known != len(decodeDifferences) {
		t.Errorf("%d of %d differences met", known, len(decodeDifferences))
	}
}

// jsErrors maps the messages of socket.io-parser to our errors.
var jsErrors = map[string][]error{
	"unknown packet type 7":                            {parser.ErrType},
	"unknown packet type 8":                            {parser.ErrType},
	"unknown packet type NaN":                          {parser.ErrType},
	"invalid payload":                                  {parser.ErrPayload},
	"Illegal attachments":                              {parser.ErrAttachments},
	"illegal attachments":                              {parser.ErrAttachments},
	"too many attachments":                             {parser.ErrTooMany},
	"got plaintext data when reconstructing a packet":  {parser.ErrUnexpected},
	"got binary data when not reconstructing a packet": {parser.ErrUnexpected},
}

func checkError(t *testing.T, err error, js string) {
	t.Helper()
	want, ok := jsErrors[js]
	if !ok {
		t.Fatalf("unknown error %q", js)
	}
	if !errors.Is(err, want[0]) {
		t.Errorf("error = %v, want %v as for %q", err, want[0], js)
	}
}

func TestDecodeRejects(t *testing.T) {
	for _, v := range loadPackets(t).Reject {
		t.Run(v.Name, func(t *testing.T) {
			packets, at, err := decodeAll(t, parser.JSON().NewDecoder(parser.Limits{}), v.Input)
			checkError(t, err, v.Error)
			// We look at placeholders when the text arrives, JavaScript when the
			// last attachment does.
			if early := v.Error == "illegal attachments"; at != v.At && !(early && at == 0) {
				t.Errorf("rejected at %d, want %d", at, v.At)
			}
			if len(packets) != len(v.PacketsBefore) {
				t.Fatalf("%d packets before, want %d", len(packets), len(v.PacketsBefore))
			}
			for i, want := range v.PacketsBefore {
				want.check(t, packets[i])
			}
		})
	}
}

func TestDecodeOptions(t *testing.T) {
	for _, v := range loadPackets(t).Options {
		t.Run(v.Name, func(t *testing.T) {
			limit, ok := v.Options["maxAttachments"]
			if !ok || len(v.Options) != 1 {
				t.Fatalf("unknown options %v", v.Options)
			}
			if limit == 0 { // means the default in Go; there is no need to forbid attachments
				limit = parser.Limits{}.MaxAttachments
				v.Pending, v.Error = true, ""
			}
			d := parser.JSON().NewDecoder(parser.Limits{MaxAttachments: limit})
			packets, at, err := decodeAll(t, d, v.Input)
			if v.Error != "" {
				checkError(t, err, v.Error)
			} else if err != nil {
				t.Errorf("error %v at %d", err, at)
			}
			if len(packets) != len(v.Packets) || d.Pending() != v.Pending {
				t.Errorf("%d packets, pending %v, want %d, %v", len(packets), d.Pending(), len(v.Packets), v.Pending)
			}
		})
	}
}
