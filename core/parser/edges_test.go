package parser_test

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/dunlin-io/dunlin/core/parser"
)

// Proves T-64, J-19.
func TestAcknowledgementIDs(t *testing.T) {
	if p := accepts(t, `39007199254740991[]`); p.ID != parser.MaxID || !p.HasID {
		t.Errorf("id = %d", p.ID)
	}
	if p := accepts(t, `3[]`); p.HasID {
		t.Errorf("id = %d", p.ID)
	}
	rejects(t, parser.ErrID, `39007199254740992[]`)
	rejects(t, parser.ErrID, `318446744073709551616[]`)
}

func TestDecoderKeepsNothingOfAMessage(t *testing.T) {
	text, data := []byte(`51-/a,["event",`+hole("0")+`]`), []byte("data")
	d := parser.JSON().NewDecoder(parser.Limits{})
	if _, _, err := d.Decode(parser.Frame{Data: text}); err != nil {
		t.Fatal(err)
	}
	clear(text)
	p, ok, err := d.Decode(parser.Frame{Binary: true, Data: data})
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	clear(data)
	var s string
	var b []byte
	if err := p.Payload.Args().Scan(&s, &b); err != nil || s != "event" || string(b) != "data" || p.Namespace != "/a" {
		t.Errorf("%q, %q, %q, %v", p.Namespace, s, b, err)
	}

	packed := []byte("\x92\xa1e\xc4\x01b")
	payload, _, err := parser.PayloadFromMsgpack(packed, parser.Limits{})
	clear(packed)
	if err != nil || string(payload.JSON) != `["e",`+hole("0")+`]` || string(payload.Attachments[0]) != "b" {
		t.Errorf("%s, %q, %v", payload.JSON, payload.Attachments, err)
	}
}

func TestNamespacesAlternate(t *testing.T) {
	d := parser.JSON().NewDecoder(parser.Limits{})
	for _, want := range []string{"/a", "/b", "/", "/b", "/a"} {
		p, _, err := d.Decode(parser.Frame{Data: []byte("0" + want + ",")})
		if p.Namespace != want || err != nil {
			t.Errorf("namespace %q, %v, want %q", p.Namespace, err, want)
		}
	}
}

// TestEveryByteInAString tries every byte at every place of a string, which is
// scanned eight bytes at a time.
func TestEveryByteInAString(t *testing.T) {
	for c := range 256 {
		for i := range 20 {
			text := []byte(`"` + strings.Repeat("a", 20) + `"`)
			text[1+i] = byte(c)
			want := json.Valid(text) && c < 0x80
			if err := parser.ValidateJSON(text, parser.Limits{}); (err == nil) != want {
				t.Errorf("%q: %v", text, err)
			}
			raw, err := parser.MakeRaw(string(text))
			var s string
			if err == nil {
				err = raw.Scan(&s)
			}
			if want := string([]rune(string(text))); s != want || err != nil {
				t.Errorf("%q came back as %q, %v", want, s, err)
			}
		}
	}
}

type (
	base  struct{ A, B int }
	left  struct{ base }
	right struct{ base }
	three struct {
		base
		A string
		Q []int          `json:",string"` //nolint:staticcheck // without effect
		R map[string]int `json:",string"` //nolint:staticcheck // without effect
		S *int           `json:",string"`
		N any
	}
	twice struct {
		left
		right
		N any
	}
	selfEmbedding struct {
		*selfEmbedding //nolint:unused // must not send structFields in circles
		N              any
	}
)

func TestFieldsHideEachOther(t *testing.T) {
	for _, v := range []any{
		three{A: "shallow", Q: []int{1}, R: map[string]int{"k": 1}, S: new(3)},
		twice{left: left{base{1, 2}}, N: 1},
		selfEmbedding{N: 1},
	} {
		want := stdEncode(t, v)
		raw, err := parser.MakeRaw(v)
		if string(raw.Payload().JSON) != want || err != nil {
			t.Errorf("%s, %v, want %s", raw.Payload().JSON, err, want)
		}
	}
}

func TestScanClearsTheRestOfAnArray(t *testing.T) {
	got := [3][]byte{{7}, {8}, {9}}
	if err := argsOf(`[[`+hole("0")+`]]`, []byte{1}).Scan(&got); err != nil {
		t.Fatal(err)
	}
	if want := [3][]byte{{1}}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestMsgpackNumbersBeyondJavaScript(t *testing.T) {
	for text, want := range map[string]string{
		"9007199254740993":     "cf0020000000000001", // no JavaScript number: kept exactly
		"1152921504606847000":  "cf1000000000000000", // as JavaScript prints 2^60
		"1152921504606846999":  "cf1000000000000017",
		"4611686018427388000":  "cf4000000000000000",
		"4611686018427387905":  "cf4000000000000001",
		"9223372036854775807":  "cf7fffffffffffffff",
		"-9223372036854775808": "d38000000000000000",
		"-9223372036854775809": "d38000000000000000", // which rounds to it
		"-9223372036854778000": "cbc3e0000000000001",
		"18446744073709551615": "cfffffffffffffffff",
		"18446744073709551616": "cb43f0000000000000",
		"1e999":                "cb7ff0000000000000",
		"-1e999":               "cbfff0000000000000",
		"1.0":                  "01",
		"1E3":                  "cd03e8",
		"-0":                   "00",
		"-0.0":                 "00",
		"0.5e1":                "05",
	} {
		b, err := parser.AppendMsgpack(nil, parser.Payload{JSON: []byte(text)})
		if got := hex.EncodeToString(b); got != want || err != nil {
			t.Errorf("%s: %s, %v, want %s", text, got, err, want)
		}
	}
}

func TestMsgpackLengths(t *testing.T) {
	header := map[string]map[int]string{
		"str":   {31: "bf", 32: "d920", 255: "d9ff", 256: "da0100", 65535: "daffff", 65536: "db00010000"},
		"array": {15: "9f", 16: "dc0010", 65535: "dcffff", 65536: "dd00010000"},
		"map":   {15: "8f", 16: "de0010", 65535: "deffff", 65536: "df00010000"},
		"bin":   {31: "c41f", 255: "c4ff", 256: "c50100", 65535: "c5ffff", 65536: "c600010000"},
	}
	for kind, lengths := range header {
		for n, want := range lengths {
			var p parser.Payload
			switch kind {
			case "str":
				p.JSON = []byte(`"` + strings.Repeat("s", n) + `"`)
			case "array":
				p.JSON = []byte("[" + strings.Repeat("0,", n-1) + "0]")
			case "map":
				p.JSON = []byte("{" + strings.Repeat(`"":0,`, n-1) + `"":0}`)
			case "bin":
				p = parser.Payload{JSON: []byte(hole("0")), Attachments: [][]byte{make([]byte, n)}}
			}
			b, err := parser.AppendMsgpack(nil, p)
			if got := hex.EncodeToString(b[:len(want)/2]); got != want || err != nil {
				t.Errorf("%s of %d: %s, %v, want %s", kind, n, got, err, want)
			}
			back, rest, err := parser.PayloadFromMsgpack(b, parser.Limits{})
			if !reflect.DeepEqual(back, p) || len(rest) > 0 || err != nil {
				t.Errorf("%s of %d came back as %.50s, %v", kind, n, back.JSON, err)
			}
		}
	}
	for text, want := range map[string]string{`[ ]`: "90", "{\n}": "80", ` [ { } , [ ] ] `: "928090"} {
		b, err := parser.AppendMsgpack(nil, parser.Payload{JSON: []byte(text)})
		if got := hex.EncodeToString(b); got != want || err != nil {
			t.Errorf("%q: %s, %v, want %s", text, got, err, want)
		}
	}
}

func TestMsgpackLimits(t *testing.T) {
	for depth, want := range map[int]error{3: nil, 4: parser.ErrTooDeep} {
		b := append([]byte(strings.Repeat("\x91", depth-1)), 0x90)
		if _, _, err := parser.PayloadFromMsgpack(b, parser.Limits{MaxDepth: 3}); !errors.Is(err, want) {
			t.Errorf("%d levels: %v", depth, err)
		}
		if _, err := parser.ValidateMsgpack(b, parser.Limits{MaxDepth: 3}); !errors.Is(err, want) {
			t.Errorf("%d levels: %v", depth, err)
		}
	}
	room := 100 - len(hole("0"))
	for n, want := range map[int]error{room: nil, room + 1: parser.ErrTooLarge} {
		b := append([]byte{0xc4, byte(n)}, make([]byte, n)...)
		if _, _, err := parser.PayloadFromMsgpack(b, parser.Limits{MaxPacketBytes: 100}); !errors.Is(err, want) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if _, err := parser.ValidateMsgpack([]byte("\xa3abc"), parser.Limits{MaxPacketBytes: 3}); !errors.Is(err, parser.ErrTooLarge) {
		t.Errorf("4 bytes of 3: %v", err)
	}
	// Control characters grow when they are escaped.
	if _, _, err := parser.PayloadFromMsgpack([]byte("\xb4"+strings.Repeat("\x01", 20)), parser.Limits{MaxPacketBytes: 100}); !errors.Is(err, parser.ErrTooLarge) {
		t.Errorf("escapes: %v", err)
	}
}

func TestMsgpackTimes(t *testing.T) {
	millis := func(n int64) string { // as notepack.io 2 writes them
		return "\xd7\x00" + string(binary.BigEndian.AppendUint64(nil, uint64(n)))
	}
	seconds := func(nanos uint32, n int64) string {
		b := binary.BigEndian.AppendUint32(nil, nanos)
		return "\xc7\x0c\xff" + string(binary.BigEndian.AppendUint64(b, uint64(n)))
	}
	for b, want := range map[string]string{
		millis(-62167219200000):                    `"0000-01-01T00:00:00.000Z"`,
		millis(-62167219200001):                    `"-000001-12-31T23:59:59.999Z"`,
		millis(253402300799999):                    `"9999-12-31T23:59:59.999Z"`,
		millis(253402300800000):                    `"+010000-01-01T00:00:00.000Z"`,
		millis(8640000000000000):                   `"+275760-09-13T00:00:00.000Z"`,
		millis(8640000000000001):                   `null`,
		millis(-8640000000000001):                  `null`,
		seconds(0, 1<<62):                          `null`,
		seconds(999_999_999, 1):                    `"1970-01-01T00:00:01.999Z"`,
		seconds(999_900_000, -1):                   `"1970-01-01T00:00:00.000Z"`, // -0.1 ms, cut to 0 as JavaScript does
		"\xd7\xff\x00\x00\x00\x02\x00\x00\x00\x01": `"2242-03-16T12:56:33.000Z"`, // 34 bits of seconds
		"\xd5\x00\x01\x02":                         `[0,` + hole("0") + `]`,
		"\xc7\x03\xff\x01\x02\x03":                 `[-1,` + hole("0") + `]`,
		"\x81\xd4\x00\x00\x01":                     ``, // undefined as a key
	} {
		p, _, err := parser.PayloadFromMsgpack([]byte(b), parser.Limits{})
		if string(p.JSON) != want || (err != nil) != (want == "") {
			t.Errorf("%x: %s, %v, want %s", b, p.JSON, err, want)
		}
	}
}

func TestMsgpackKeys(t *testing.T) {
	for b, want := range map[string]string{
		"\x85\x01\x01\xff\x02\xc3\x03\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00\x04\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00\x05": `{"1":1,"-1":2,"true":3,"1.5":4,"Infinity":5}`,
		"\x82\xcb\x7f\xf8\x00\x00\x00\x00\x00\x01\x01\xc0\x02":                                                         `{"NaN":1,"null":2}`,
		"\x83\xa1a\x01\xa1b\xd4\x00\x00\xa1c\x03":                                                                      `{"a":1,"c":3}`,
		"\x82\xa1a\xd4\x00\x00\xa1b\x01":                                                                               `{"b":1}`,
		"\x81\xa1a\xd4\x00\x00":                                                                                        `{}`,
	} {
		p, _, err := parser.PayloadFromMsgpack([]byte(b), parser.Limits{})
		if string(p.JSON) != want || err != nil {
			t.Errorf("%x: %s, %v, want %s", b, p.JSON, err, want)
		}
	}
}

func TestMsgpackConnectErrorKinds(t *testing.T) {
	for data, want := range map[string]error{
		"\x80": nil, "\xa0": nil, "\x90": parser.ErrPayload, "\x01": parser.ErrPayload, "\xc0": parser.ErrPayload, "\xc4\x00": parser.ErrPayload,
	} {
		_, err := decodeMsgpack([]byte("\x83\xa4type\x04\xa3nsp\xa1/\xa4data" + data))
		if !errors.Is(err, want) {
			t.Errorf("%x: %v, want %v", data, err, want)
		}
	}
}
