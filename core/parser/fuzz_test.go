package parser_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/dunlin-io/dunlin/core/parser"
)

// seeds returns the strings at the given key anywhere in a golden file.
func seeds(f *testing.F, file, key string) (found []string) {
	f.Helper()
	data, err := os.ReadFile("testdata/" + file)
	if err != nil {
		f.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		f.Fatal(err)
	}
	var walk func(v any, wanted bool)
	walk = func(v any, wanted bool) {
		switch v := v.(type) {
		case string:
			if wanted {
				found = append(found, v)
			}
		case []any:
			for _, e := range v {
				walk(e, wanted)
			}
		case map[string]any:
			for k, e := range v {
				walk(e, wanted && k != "$bytes" || k == key)
			}
		}
	}
	walk(v, false)
	if len(found) < 20 {
		f.Fatalf("%d seeds in %s", len(found), file)
	}
	return found
}

func bytesOf(f *testing.F, hexes []string) (all [][]byte) {
	f.Helper()
	for _, s := range hexes {
		var b []byte
		if _, err := fmt.Sscanf(s, "%x", &b); err == nil {
			all = append(all, b)
		}
	}
	return all
}

// FuzzDecode feeds one decoder with text, two binary messages, and text again.
func FuzzDecode(f *testing.F) {
	for _, s := range seeds(f, "socketio-packets.json", "input") {
		f.Add([]byte(s), []byte{1}, []byte{}, []byte(`2["next"]`))
	}
	f.Fuzz(func(t *testing.T, text, a, b, next []byte) {
		d := parser.JSON().NewDecoder(parser.Limits{})
		for _, m := range []parser.Frame{{Data: text}, {Binary: true, Data: a}, {Binary: true, Data: b}, {Data: next}} {
			p, ok, err := d.Decode(m)
			if err != nil && (ok || d.Pending()) {
				t.Fatalf("%q: complete %v, pending %v after %v", m.Data, ok, d.Pending(), err)
			}
			if ok {
				checkPacket(t, p)
			}
		}
	})
}

// checkPacket checks what holds for every packet that was accepted.
func checkPacket(t *testing.T, p parser.Packet) {
	t.Helper()
	if p.Namespace == "" || p.Namespace[0] != '/' || p.Type > parser.ConnectError {
		t.Errorf("%+v", p)
	}
	if err := p.Check(parser.Limits{MaxDepth: 513, MaxPacketBytes: -1}); err != nil { // a placeholder is a level of its own
		t.Errorf("Check of %q, which was decoded: %v", p.Payload.JSON, err)
	}
	if p.Type == parser.Event {
		name, args, err := p.Payload.Event()
		if err != nil || parser.Reserved(name) {
			t.Errorf("Event() of %s: %q, %v", p.Payload.JSON, name, err)
		}
		sent, err := parser.MakeEvent(name, args.Values()...)
		if err != nil || sent.Len() != args.Len() {
			t.Errorf("%s sent on: %s, %v", p.Payload.JSON, sent.EventPayload().JSON, err)
		}
		checkSame(t, args.Payload(), sent.Payload())
	}
	if p.Payload.JSON != nil && !json.Valid(p.Payload.JSON) {
		t.Errorf("payload %q", p.Payload.JSON)
	}
	for _, codec := range []parser.Codec{parser.JSON(), parser.Msgpack()} {
		switch codec.Name() {
		case "msgpack":
			if p.Type == parser.ConnectError && p.Payload.JSON == nil || len(p.Payload.Attachments) > 0 {
				continue // not there; placeholders get new numbers
			}
		case "json":
			binary := len(p.Payload.Attachments) > 0
			if strings.Contains(p.Namespace, ",") || binary && p.Type != parser.Event && p.Type != parser.Ack {
				continue
			}
		}
		frames, err := codec.Encode(&p)
		if err != nil {
			t.Fatalf("Encode(%+v): %v", p, err)
		}
		again := codec.NewDecoder(parser.Limits{MaxPacketBytes: -1})
		for i, frame := range frames {
			back, ok, err := again.Decode(frame)
			if err != nil || ok != (i == len(frames)-1) {
				t.Fatalf("%s %q: %v, %v", codec.Name(), frame.Data, ok, err)
			}
			if !ok {
				continue
			}
			if codec.Name() == "json" && !reflect.DeepEqual(back, p) {
				t.Errorf("got %+v, want %+v", back, p)
			}
			if p.Payload.JSON != nil {
				checkSame(t, p.Payload, back.Payload)
			}
		}
	}
}

// checkSame checks that two payloads decode to the same values.
func checkSame(t *testing.T, a, b parser.Payload) {
	t.Helper()
	var x, y any
	errX, errY := a.Scan(&x), b.Scan(&y)
	if errX != nil { // such as 1e999
		return
	}
	if errY != nil || !reflect.DeepEqual(x, y) {
		t.Errorf("%s is %#v, %s is %#v, %v", a.JSON, x, b.JSON, y, errY)
	}
}

func FuzzValidateJSON(f *testing.F) {
	for _, s := range seeds(f, "msgpack-values.json", "json") {
		f.Add([]byte(s))
	}
	for _, s := range []string{`[1,]`, `{"a":1,}`, `[,]`, `01`, `-`, `1.`, `.5`, `1e`, `"\x"`, `"\u12"`, `{"a"}`, `{1:2}`, `[}`, `nul`, "\"\t\"", "", " ", `{"a":[{}]}x`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		err := parser.ValidateJSON(text, parser.Limits{MaxDepth: 10_000, MaxPacketBytes: -1})
		if want := json.Valid(text) && utf8.Valid(text); (err == nil) != want {
			t.Errorf("ValidateJSON(%q) = %v, but encoding/json says %v", text, err, want)
		}
	})
}

// FuzzArgs takes values to text and back.
func FuzzArgs(f *testing.F) {
	for _, s := range seeds(f, "msgpack-values.json", "json") {
		f.Add([]byte(s), "text", int64(1), 1.5, []byte{1})
	}
	f.Fuzz(func(t *testing.T, text []byte, s string, n int64, x float64, b []byte) {
		raw, err := parser.MakeRaw(json.RawMessage(text))
		if (err == nil) != (parser.ValidateJSON(text, parser.Limits{}) == nil) && len(text) > 0 {
			t.Fatalf("MakeRaw(%q): %v", text, err)
		}
		values := []any{raw, s, n, x, map[string]any{s: []any{b, x}}}
		args, err := parser.MakeArgs(values...)
		if err != nil {
			return // the text looks like a placeholder
		}
		var (
			gotRaw parser.Raw
			gotS   string
			gotN   int64
			gotX   any
			gotB   map[string][]any
		)
		if err := args.Scan(&gotRaw, &gotS, &gotN, &gotX, &gotB); err != nil {
			t.Fatal(err)
		}
		if want := string([]rune(s)); gotS != want {
			t.Errorf("%q, want %q", gotS, want)
		}
		if want := any(x); gotN != n || gotX != want && !(math.IsNaN(x) || math.IsInf(x, 0)) {
			t.Errorf("%d, %v, want %d, %v", gotN, gotX, n, x)
		}
		if got, _ := gotB[string([]rune(s))][0].([]byte); !bytes.Equal(got, b) {
			t.Errorf("%x, want %x", got, b)
		}
		if !bytes.Equal(gotRaw.Payload().JSON, raw.Payload().JSON) {
			t.Errorf("%s, want %s", gotRaw.Payload().JSON, raw.Payload().JSON)
		}
		again, err := parser.MakeArgs(args.Values()...)
		if err != nil || !reflect.DeepEqual(again, args) {
			t.Errorf("%s, want %s, %v", again.Payload().JSON, args.Payload().JSON, err)
		}
	})
}

// FuzzMsgpack compares our conversion with the msgpack library's.
func FuzzMsgpack(f *testing.F) {
	for _, b := range bytesOf(f, seeds(f, "msgpack-values.json", "hex")) {
		f.Add(b)
	}
	for _, b := range bytesOf(f, seeds(f, "msgpack-parser.json", "payload_hex")) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := parser.ValidateMsgpack(b, parser.Limits{})
		p, rest, readErr := parser.PayloadFromMsgpack(b, parser.Limits{})
		switch {
		case err != nil && readErr == nil:
			t.Fatalf("%x was read as %s but is not valid: %v", b, p.JSON, err)
		case err != nil || readErr != nil:
			return
		case n != len(b)-len(rest):
			t.Fatalf("%x: %d bytes are valid, %d were read", b, n, len(b)-len(rest))
		case p.JSON == nil: // undefined
			return
		}
		if err := parser.ValidateJSON(p.JSON, parser.Limits{MaxDepth: 513}); err != nil {
			t.Fatalf("%x became %s: %v", b, p.JSON, err)
		}
		back, err := parser.AppendMsgpack(nil, p)
		if err != nil {
			t.Fatal(err)
		}
		again, _, err := parser.PayloadFromMsgpack(back, parser.Limits{MaxDepth: 513})
		if err != nil {
			t.Fatal(err)
		}
		checkSame(t, p, again) // floats beyond 2^53 come back as the same number with more digits
		compareWithLibrary(t, b[:n], p)
		compareWithLibrary(t, back, p)
	})
}

func compareWithLibrary(t *testing.T, b []byte, p parser.Payload) {
	t.Helper()
	d := msgpack.NewDecoder(bytes.NewReader(b))
	d.SetMapDecoder(func(d *msgpack.Decoder) (any, error) { return d.DecodeUntypedMap() })
	v, err := func() (v any, err error) {
		defer func() {
			if r := recover(); r != nil { // binary as a key
				err = fmt.Errorf("panic: %v", r)
			}
		}()
		return d.DecodeInterface()
	}()
	if err != nil {
		return // unknown extensions, keys of odd kinds
	}
	want, ok := fromLibrary(v)
	if !ok {
		return
	}
	var got any
	if err := p.Scan(&got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%x is %s = %#v, %v; the library says %#v", b, p.JSON, got, err, want)
	}
}

// fromLibrary turns what the library decodes into what Scan gives. ok is false
// for values that JavaScript and the library see differently.
func fromLibrary(v any) (_ any, ok bool) {
	switch r := reflect.ValueOf(v); {
	case r.CanInt():
		return float64(r.Int()), true
	case r.CanUint():
		return float64(r.Uint()), true
	case r.CanFloat():
		f := r.Float()
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, true
		}
		return f + 0, true
	}
	switch v := v.(type) {
	case string:
		return string([]rune(v)), true
	case time.Time:
		v = v.UTC()
		return v.Format("2006-01-02T15:04:05.000Z"), v.Year() >= 0 && v.Year() <= 9999 && v.Nanosecond()%1e6 == 0
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			if list[i], ok = fromLibrary(e); !ok {
				return nil, false
			}
		}
		return list, true
	case map[any]any:
		object := map[string]any{}
		for k, e := range v {
			s, isString := k.(string)
			if !isString || !utf8.ValidString(s) {
				return nil, false
			}
			if object[s], ok = fromLibrary(e); !ok {
				return nil, false
			}
		}
		return object, true
	case []byte:
		return v, v != nil
	}
	return v, true
}

func FuzzMsgpackDecode(f *testing.F) {
	for _, b := range bytesOf(f, seeds(f, "msgpack-parser.json", "payload_hex")) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := decodeMsgpack(b); err == nil {
			checkPacket(t, p)
		}
	})
}

// FuzzUnvalidated feeds text that nobody looked at to what expects valid text:
// it may fail or return nonsense, but not panic.
func FuzzUnvalidated(f *testing.F) {
	for _, s := range seeds(f, "socketio-packets.json", "input") {
		f.Add([]byte(s[min(len(s), 1):]))
	}
	f.Add([]byte(`{"q":` + hole("0") + `,"k":} "namee`))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, p := range []parser.Payload{{JSON: text}, {JSON: text, Attachments: [][]byte{{1}, {2}}}} {
			_, event, _ := p.Event()
			for _, args := range []parser.Args{event, p.Args()} {
				var a, b, c any
				var u upload
				var list parser.Args
				var raw parser.Raw
				_ = args.Scan(&a, &b, &c)
				_ = args.Scan(&u, &u, &u)
				_ = args.Scan(&list, nil, &raw)
				_, _ = parser.MakeArgs(args.Values()...)
				_, _ = parser.MakeArgs(args, list, raw)
				_, _ = args.MarshalJSON()
				_, _ = parser.AppendMsgpack(nil, args.Payload())
				_, _ = parser.AppendMsgpack(nil, raw.Payload())
				if args.Len() != len(args.Values()) {
					t.Errorf("%q: %d arguments, %d values", text, args.Len(), len(args.Values()))
				}
			}
			_ = p.Scan(new(any))
			_ = p.Scan(new(upload))
		}
	})
}
