package parser_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/dunlin-io/dunlin/core/parser"
)

type encodedView struct {
	Hex     string          `json:"hex"`
	Decoded json.RawMessage `json:"decoded"`
	Error   string          `json:"error"`
}

type valueVectors struct {
	Meta   map[string]string `json:"meta"`
	Values []struct {
		Name      string          `json:"name"`
		Value     json.RawMessage `json:"value"`
		JSON      *string         `json:"json"`
		Notepack3 encodedView     `json:"notepack3"`
		Notepack2 encodedView     `json:"notepack2"`
		Msgpack28 encodedView     `json:"msgpack2_8"`
	} `json:"values"`
	Foreign []struct {
		Name      string          `json:"name"`
		Hex       string          `json:"hex"`
		Notepack3 json.RawMessage `json:"notepack3"`
		Notepack2 json.RawMessage `json:"notepack2"`
		Msgpack28 json.RawMessage `json:"msgpack2_8"`
	} `json:"foreign"`
}

func loadValues(t *testing.T) (v valueVectors) {
	t.Helper()
	readVectors(t, "msgpack-values.json", &v)
	if len(v.Values) != 114 || len(v.Foreign) != 29 {
		t.Fatalf("%d values and %d foreign, want 114 and 29", len(v.Values), len(v.Foreign))
	}
	return v
}

// notAsNotepack holds the values that AppendMsgpack writes otherwise than
// notepack.io 3, and what it writes.
var notAsNotepack = map[string]string{
	// notepack.io keeps the low 64 bits of larger integers.
	"number 18446744073709552000":   "cb43f0000000000000",
	"number 100000000000000000000":  "cb4415af1d78b58c40",
	"number 1e+300":                 "cb7e37e43c8800759c",
	"number -18446744073709552000":  "cbc3f0000000000000",
	"number -100000000000000000000": "cbc415af1d78b58c40",
	// Payloads are JSON, which has neither of these.
	"NaN":       "c0",
	"Infinity":  "c0",
	"-Infinity": "c0",
	// Dates are strings in JSON.
	"Date 0":            "b8" + hex.EncodeToString([]byte("1970-01-01T00:00:00.000Z")),
	"Date whole second": "b8" + hex.EncodeToString([]byte("2023-11-14T22:13:20.000Z")),
	"Date ms":           "b8" + hex.EncodeToString([]byte("2023-11-14T22:13:20.123Z")),
	"Date 999ms":        "b8" + hex.EncodeToString([]byte("2023-11-14T22:13:20.999Z")),
	"Date 2^32 s":       "b8" + hex.EncodeToString([]byte("2106-02-07T06:28:16.000Z")),
	"Date 2^34 s":       "b8" + hex.EncodeToString([]byte("2514-05-30T01:53:04.000Z")),
	"Date -1ms":         "b8" + hex.EncodeToString([]byte("1969-12-31T23:59:59.999Z")),
	"Date -1s":          "b8" + hex.EncodeToString([]byte("1969-12-31T23:59:59.000Z")),
	"Date max":          "bb" + hex.EncodeToString([]byte("+275760-09-13T00:00:00.000Z")),
	"Date min":          "bb" + hex.EncodeToString([]byte("-271821-04-20T00:00:00.000Z")),
	"Date invalid":      "c0",
	// notepack.io joins a lone surrogate with the next character.
	"string lone high surrogate": "a578efbfbd79",
	"string lone low surrogate":  "a47aefbfbd",
	"string lone high at end":    "a478efbfbd",
	// notepack.io truncates the elements of typed arrays, and loses views.
	"Uint16Array":  "c40402010403",
	"Float64Array": "c408000000000000f83f",
	"DataView":     "c4020506",
	// What notepack.io refuses, but has a JSON form.
	"BigUint64Array": "c4080100000000000000",
	// The view has no form for these JavaScript objects; JSON does.
	"String object": "a173",
	"Number object": "05",
}

// inputFor returns what to encode for a value. Text is preferred where it says
// all, since the view does not describe every JavaScript object.
func inputFor(t *testing.T, name string, view json.RawMessage, text *string, hex string) any {
	t.Helper()
	switch {
	case name == "BigInt", name == "symbol":
		return undefined{} // nor can Go say these
	case text != nil && !strings.Contains(string(view), "$bytes"):
		return json.RawMessage(*text)
	case strings.HasPrefix(name, "nested "):
		return json.RawMessage(nested(hex))
	}
	return fromView(t, view)
}

// nested returns the text of the arrays that hex, which has no view, stands for.
func nested(hex string) string {
	n := len(hex)/2 - 1
	return strings.Repeat("[", n) + "1" + strings.Repeat("]", n)
}

func TestAppendMsgpackWritesWhatNotepackWrites(t *testing.T) {
	for _, v := range loadValues(t).Values {
		t.Run(v.Name, func(t *testing.T) {
			in := inputFor(t, v.Name, v.Value, v.JSON, v.Notepack3.Hex)
			want, differs := notAsNotepack[v.Name]
			if !differs {
				want = v.Notepack3.Hex
			}
			if in == (undefined{}) {
				if v.Notepack3.Error == "" && v.Notepack3.Hex != "c0" {
					t.Fatalf("no Go value for %s", v.Value)
				}
				return
			}
			raw, err := parser.MakeRaw(in)
			if err != nil {
				t.Fatal(err)
			}
			got, err := parser.AppendMsgpack([]byte("x"), raw.Payload())
			if err != nil {
				t.Fatal(err)
			}
			if g := hex.EncodeToString(got[1:]); g != want {
				t.Errorf("AppendMsgpack(%s)\n got %s\nwant %s", raw.Payload().JSON, g, want)
			}
			if differs && want == v.Notepack3.Hex {
				t.Errorf("listed as a difference, but is none")
			}
		})
	}
}

// check compares what b becomes with the view of what JavaScript reads.
func checkDecoded(t *testing.T, b []byte, view json.RawMessage) {
	t.Helper()
	p, rest, err := parser.PayloadFromMsgpack(b, parser.Limits{})
	if err != nil || len(rest) > 0 {
		t.Fatalf("PayloadFromMsgpack(%x): rest %x, error %v", b, rest, err)
	}
	want, ok := plainView(t, view)
	if !ok {
		if p.JSON != nil {
			t.Errorf("PayloadFromMsgpack(%x) = %s, want undefined", b, p.JSON)
		}
		return
	}
	if err := parser.ValidateJSON(p.JSON, parser.Limits{}); err != nil {
		t.Fatalf("PayloadFromMsgpack(%x) = %s: %v", b, p.JSON, err)
	}
	var got any
	if err := p.Scan(&got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("PayloadFromMsgpack(%x) = %s = %#v, want %#v", b, p.JSON, got, want)
	}
}

// decodedOtherwise holds what PayloadFromMsgpack reads otherwise than the
// decoder of the package that wrote it.
var decodedOtherwise = map[string]string{
	// A decoder that turns invalid UTF-8 into lone surrogates; ours has none.
	"msgpack2_8/string lone high surrogate": `"x���y"`,
	"msgpack2_8/string lone low surrogate":  `"z���"`,
	"msgpack2_8/string lone surrogate long": `"���aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"`,
	"msgpack2_8/string lone high at end":    `"x���"`,
}

func TestPayloadFromMsgpackReadsAllEncoders(t *testing.T) {
	for _, v := range loadValues(t).Values {
		for encoder, e := range map[string]encodedView{
			"notepack3": v.Notepack3, "notepack2": v.Notepack2, "msgpack2_8": v.Msgpack28,
		} {
			name := encoder + "/" + v.Name
			t.Run(name, func(t *testing.T) {
				switch view, differs := decodedOtherwise[name]; {
				case e.Error != "": // nothing was written
				case differs:
					checkDecoded(t, unhex(t, e.Hex), json.RawMessage(view))
				case e.Decoded == nil:
					checkDecoded(t, unhex(t, e.Hex), json.RawMessage(nested(e.Hex)))
				default:
					checkDecoded(t, unhex(t, e.Hex), e.Decoded)
				}
			})
		}
	}
}

// TestMsgpackTextIsThatOfStringify checks the JSON text, to the byte.
func TestMsgpackTextIsThatOfStringify(t *testing.T) {
	same := 0
	for _, v := range loadValues(t).Values {
		if v.JSON == nil || v.Notepack3.Hex == "" || strings.Contains(string(v.Value), "$bytes") {
			continue
		}
		p, _, err := parser.PayloadFromMsgpack(unhex(t, v.Notepack3.Hex), parser.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if string(p.JSON) == *v.JSON {
			same++
			continue
		}
		switch _, lossy := notAsNotepack[v.Name]; {
		case lossy: // notepack.io wrote something else
		case v.Name == "string lone surrogate long": // it wrote U+FFFD
		case v.Name == "number 9223372036854776000", v.Name == "number -9223372036854776000", v.Name == "number 18446744073709550000":
			// The same number with all its digits: we do not round integers.
		default:
			t.Errorf("%s: %s, want %s", v.Name, p.JSON, *v.JSON)
		}
	}
	if same < 70 {
		t.Errorf("only %d texts are the same", same)
	}
}

func TestPayloadFromMsgpackReadsForeignBytes(t *testing.T) {
	for _, v := range loadValues(t).Foreign {
		t.Run(v.Name, func(t *testing.T) {
			b := unhex(t, v.Hex)
			switch v.Name {
			case "never used byte", "truncated str", "truncated map":
				if p, _, err := parser.PayloadFromMsgpack(b, parser.Limits{}); err == nil {
					t.Errorf("PayloadFromMsgpack(%x) = %s, want an error", b, p.JSON)
				}
				if n, err := parser.ValidateMsgpack(b, parser.Limits{}); err == nil {
					t.Errorf("ValidateMsgpack(%x) = %d, want an error", b, n)
				}
			case "trailing bytes": // are for the caller to judge
				p, rest, err := parser.PayloadFromMsgpack(b, parser.Limits{})
				if string(p.JSON) != "null" || len(rest) != 1 || err != nil {
					t.Errorf("PayloadFromMsgpack(%x) = %s, %x, %v", b, p.JSON, rest, err)
				}
			case "map __proto__ key": // JavaScript loses it, we pass it on
				checkDecoded(t, b, json.RawMessage(`{"__proto__":{"a":1}}`))
			default:
				checkDecoded(t, b, v.Notepack3)
				if n, err := parser.ValidateMsgpack(b, parser.Limits{}); n != len(b) || err != nil {
					t.Errorf("ValidateMsgpack(%x) = %d, %v", b, n, err)
				}
			}
		})
	}
}

func TestMsgpackRoundTrip(t *testing.T) {
	for _, v := range loadValues(t).Values {
		if v.Notepack3.Hex == "" || notAsNotepack[v.Name] != "" && !bytes.Contains(v.Value, []byte("$bytes")) {
			continue
		}
		b := unhex(t, v.Notepack3.Hex)
		p, _, err := parser.PayloadFromMsgpack(b, parser.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if back, err := parser.AppendMsgpack(nil, p); !bytes.Equal(back, b) || err != nil {
			t.Errorf("%s: %x became %s and then %x, %v", v.Name, b, p.JSON, back, err)
		}
	}
}
