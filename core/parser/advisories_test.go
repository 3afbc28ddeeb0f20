package parser_test

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/dunlin-io/dunlin/core/parser"
)

// The tests of this file replay attacks that servers and parsers of this
// protocol fell to. P1 to P9 and F26 number them in the project's list.

func decode(t *testing.T, l parser.Limits, messages ...any) (parser.Packet, bool, error) {
	t.Helper()
	d := parser.JSON().NewDecoder(l)
	var p parser.Packet
	var ok bool
	var err error
	for _, m := range messages {
		switch m := m.(type) {
		case string:
			p, ok, err = d.Decode(parser.Frame{Data: []byte(m)})
		case []byte:
			p, ok, err = d.Decode(parser.Frame{Binary: true, Data: m})
		default:
			t.Fatalf("%T is no message", m)
		}
		if err != nil {
			return p, ok, err
		}
	}
	return p, ok, nil
}

func rejects(t *testing.T, want error, messages ...any) {
	t.Helper()
	if p, _, err := decode(t, parser.Limits{}, messages...); !errors.Is(err, want) {
		t.Errorf("%.60q: %v %.60q, error %v, want %v", messages, p.Type, p.Payload.JSON, err, want)
	}
}

func accepts(t *testing.T, messages ...any) parser.Packet {
	t.Helper()
	p, ok, err := decode(t, parser.Limits{}, messages...)
	if !ok || err != nil {
		t.Errorf("%.60q: complete %v, error %v", messages, ok, err)
	}
	return p
}

// allocated returns the bytes that fn allocates.
func allocated(fn func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fn()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// CVE-2020-36049: quadratic concatenation while a long number is parsed. With
// quadratic cost these inputs would take hours.
// Proves T-64.
func TestP1LongNumbers(t *testing.T) {
	long := strings.Repeat("9", 3_900_000)
	rejects(t, parser.ErrID, "2"+long+`["a"]`)
	rejects(t, parser.ErrTooMany, "5"+long+`-["a"]`)
	accepts(t, `2["a",`+long+`]`)
	accepts(t, `2["a",0.`+long+`e`+strings.Repeat("0", 9)+`1]`)
	accepts(t, "2"+strings.Repeat("0", 3_900_000)+`7["a"]`) // as JavaScript does
	rejects(t, parser.ErrTooLarge, `2["a",`+long+long+`]`)
	d, frame := parser.JSON().NewDecoder(parser.Limits{}), parser.Frame{Data: []byte("2" + long + `["a"]`)}
	if used := allocated(func() { _, _, _ = d.Decode(frame) }); used > 10_000 {
		t.Errorf("%d bytes for a bad id", used)
	}
}

// CVE-2022-2421: the num of a placeholder names a method instead of an index.
func TestP2PlaceholderIndex(t *testing.T) {
	event := func(num string) string { return `51-["e",{"_placeholder":true,"num":` + num + `}]` }
	for _, num := range []string{`"splice"`, `5`, `1`, `-1`, `0.5`, `1e0`, `null`, `true`, `{}`, `[0]`, `"0"`, `1e400`, `-1e-9`, `4294967296`} {
		rejects(t, parser.ErrAttachments, event(num), []byte("a"))
	}
	rejects(t, parser.ErrAttachments, `51-["e",{"_placeholder":true}]`, []byte("a"))
	rejects(t, parser.ErrAttachments, `51-["e",{"num":0,"_placeholder":true,"num":"x"}]`, []byte("a"))
	for _, num := range []string{`0`, `-0`, `0.0`, `0e9`} {
		p := accepts(t, event(num), []byte("a"))
		var b []byte
		if err := p.Payload.Args().Scan(nil, &b); string(b) != "a" || err != nil {
			t.Errorf("num %s: %q, %v", num, b, err)
		}
	}
	for _, mark := range []string{`1`, `"true"`, `null`, `[true]`, `{"x":true}`, `false`, `true,"_placeholder":false`} {
		p := accepts(t, `51-["e",{"num":9,"_placeholder":`+mark+`}]`, []byte("a"))
		var v map[string]any
		if err := p.Payload.Args().Scan(nil, &v); len(v) != 2 || err != nil {
			t.Errorf("_placeholder %s: %v, %v", mark, v, err)
		}
	}
	// What is inside of a placeholder is never looked at.
	accepts(t, `51-["e",{"_placeholder":true,"num":0,"x":[{"_placeholder":true,"num":"splice"}]}]`, []byte("a"))
}

// CVE-2023-32695: an event whose name is not a string.
func TestP3EventName(t *testing.T) {
	for _, m := range []string{`2[{}]`, `2[[]]`, `2[null]`, `2[true]`, `2[]`, `2{}`, `2[{"toString":1}]`, `2`, `2"a"`, `21`, `2[ ]`} {
		rejects(t, parser.ErrPayload, m)
	}
	for _, name := range []string{"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"} {
		rejects(t, parser.ErrPayload, `2["`+name+`"]`)
		rejects(t, parser.ErrPayload, fmt.Sprintf(`2["\u%04x%s",1]`, name[0], name[1:]))
	}
	for _, m := range []string{`2[1,2]`, `2[-0.5e3]`, `2["connection"]`, `2["error"]`, `2["message"]`, `2["Connect"]`, `2["toString"]`, `2[ "a" ]`} {
		accepts(t, m)
	}
}

// CVE-2026-33151: any number of attachments may be announced.
// Proves T-63, J-18.
func TestP4AttachmentCount(t *testing.T) {
	rejects(t, parser.ErrTooMany, `511-["e"]`)
	rejects(t, parser.ErrTooMany, `5999999-["e"]`)
	rejects(t, parser.ErrTooMany, `599999999999999999999999-["e"]`)
	if _, ok, err := decode(t, parser.Limits{}, `510-["e"]`); ok || err != nil {
		t.Errorf("10 attachments: %v, %v", ok, err)
	}
	for _, count := range []string{"1e1", "0x1", " 1", "1.0", "+1", "-1", "1 ", "", "\u0661"} {
		rejects(t, parser.ErrAttachments, "5"+count+`-["e"]`)
	}
	if _, _, err := decode(t, parser.Limits{MaxAttachments: 3}, `54-["e"]`); !errors.Is(err, parser.ErrTooMany) {
		t.Errorf("over a lower limit: %v", err)
	}
	if _, _, err := decode(t, parser.Limits{MaxAttachments: -1}, `565535-["e"]`); err != nil {
		t.Errorf("no limit: %v", err)
	}
	if _, _, err := decode(t, parser.Limits{MaxAttachments: -1}, `565536-["e"]`); !errors.Is(err, parser.ErrTooMany) {
		t.Errorf("over what can be counted: %v", err)
	}
	if used := allocated(func() { rejects(t, parser.ErrTooMany, `5999999-["e"]`) }); used > 10_000 {
		t.Errorf("%d bytes for a refused count", used)
	}
}

// CVE-2026-69185: zero attachments leave the decoder waiting.
func TestP5ZeroAttachments(t *testing.T) {
	rejects(t, parser.ErrAttachments, `50-["e",1]`)
	rejects(t, parser.ErrAttachments, `500-["e",1]`)
	rejects(t, parser.ErrAttachments, `60-1[]`)
	accepts(t, `501-["e",1]`, []byte("a"))
}

// CVE-2026-48804: attachments without a header pile up.
func TestP6UnaskedAttachments(t *testing.T) {
	rejects(t, parser.ErrUnexpected, []byte("a"))
	rejects(t, parser.ErrUnexpected, `2["e"]`, []byte("a"))
	rejects(t, parser.ErrUnexpected, `51-["e"]`, []byte("a"), []byte("b"))
	rejects(t, parser.ErrUnexpected, `52-["e"]`, []byte("a"), `51-["e"]`)

	d := parser.JSON().NewDecoder(parser.Limits{})
	for _, m := range []string{`2["e"]`, `51-["e"]`} {
		if d.Pending() {
			t.Error("attachments are due before they were announced")
		}
		if _, _, err := d.Decode(parser.Frame{Data: []byte(m)}); err != nil {
			t.Fatal(err)
		}
	}
	if !d.Pending() {
		t.Error("no attachment is due")
	}
	if _, ok, err := d.Decode(parser.Frame{Binary: true}); !ok || err != nil || d.Pending() {
		t.Errorf("complete: %v, %v, pending %v", ok, err, d.Pending())
	}
}

// F24, F25: the bytes of a packet are bounded together.
// Proves J-25.
func TestP6AttachmentBytes(t *testing.T) {
	text := `52-["e",` + hole("0") + `]`
	limits := parser.Limits{MaxPacketBytes: 1000}
	room := 1000 - len(text) + len("52-")
	for _, tt := range []struct {
		text string
		a, b int
		ok   bool
	}{
		{text, room, 0, true},
		{text, room - 1, 1, true},
		{text, room, 1, false},
		{text, room + 1, 0, false},
		{text, 0, room + 1, false},
		// A second placeholder for the same bytes counts them again: whoever
		// makes copies of what it refers to would be surprised otherwise.
		{`52-["e",` + hole("0") + `,` + hole("0") + `]`, 400, 0, true},
		{`52-["e",` + hole("0") + `,` + hole("0") + `]`, 500, 0, false},
		{`2["` + strings.Repeat("x", 1000) + `"]`, 0, 0, false},
	} {
		_, ok, err := decode(t, limits, tt.text, make([]byte, tt.a), make([]byte, tt.b))
		if ok != tt.ok || !tt.ok && !errors.Is(err, parser.ErrTooLarge) {
			t.Errorf("%.30s with %d and %d bytes: complete %v, error %v", tt.text, tt.a, tt.b, ok, err)
		}
	}
	if _, ok, err := decode(t, parser.Limits{MaxPacketBytes: -1}, text, make([]byte, 5_000_000), []byte{}); !ok || err != nil {
		t.Errorf("no limit: %v, %v", ok, err)
	}
}

// CVE-2025-61765, and what a hostile bus can send: bytes are data, and declared
// lengths are not believed.
func TestP7HostileBus(t *testing.T) {
	for name, b := range map[string][]byte{
		"never used":       {0xc1},
		"truncated":        {0x93, 0xa1},
		"array of 4 G":     {0xdd, 0xff, 0xff, 0xff, 0xff},
		"array of 4 G, 1":  {0xdd, 0xff, 0xff, 0xff, 0xff, 1},
		"map of 4 G":       {0xdf, 0xff, 0xff, 0xff, 0xff, 1},
		"map of 16 M":      {0xdf, 0x01, 0, 0, 0},
		"bin of 4 G":       {0xc6, 0xff, 0xff, 0xff, 0xff, 1},
		"str of 4 G":       {0xdb, 0xff, 0xff, 0xff, 0xff, 1},
		"ext of 4 G":       {0xc9, 0xff, 0xff, 0xff, 0xff, 1},
		"half a map":       {0x82, 0xa1, 'a', 1, 0xa1, 'b'},
		"map without room": {0x82, 0xa1, 'a', 1},
		"deep":             bytes.Repeat([]byte{0x91}, 100_000),
		"deep maps":        bytes.Repeat([]byte{0x81, 0xa1, 'k'}, 100_000),
		"key is an array":  {0x81, 0x90, 1},
		"nothing":          {},
	} {
		used := allocated(func() {
			if p, _, err := parser.PayloadFromMsgpack(b, parser.Limits{}); err == nil {
				t.Errorf("%s: %s", name, p.JSON)
			}
			if _, err := parser.ValidateMsgpack(b, parser.Limits{}); err == nil && name != "key is an array" {
				t.Errorf("%s: validated", name)
			}
		})
		if used > 200_000 {
			t.Errorf("%s: %d bytes for %d", name, used, len(b))
		}
	}
}

// Deep nesting: a few kilobytes overflow the stack of whoever recurs.
// Proves J-25.
func TestP8DeepNesting(t *testing.T) {
	for name, n := range map[string]struct{ open, bottom, end string }{
		"arrays":  {"[", "1", "]"},
		"objects": {`{"k":`, "1", "}"},
		"empty":   {"[", "[]", "]"},
		"binary":  {"[", hole("0"), "]"},
		"mixed":   {`[1,{"k":0,"j":[`, "null", `]}]`},
	} {
		levels := strings.Count(n.open, "[") + strings.Count(n.open, "{")
		bottom := strings.Count(n.bottom, "[") + strings.Count(n.bottom, "{")
		nest := func(depth int) string {
			times := (depth - 1 - bottom) / levels // one is the event's own array
			rest := depth - 1 - bottom - times*levels
			return `["e",` + strings.Repeat("[", rest) + strings.Repeat(n.open, times) + n.bottom +
				strings.Repeat(n.end, times) + strings.Repeat("]", rest) + `]`
		}
		for _, depth := range []int{511, 512, 513, 10_001, 500_000} {
			messages := []any{"2" + nest(depth)}
			if name == "binary" {
				messages = []any{"51-" + nest(depth), []byte("a")}
			}
			if depth == 500_000 && name != "arrays" && name != "binary" {
				continue // for time
			}
			if depth > 512 {
				rejects(t, parser.ErrTooDeep, messages...)
			}
			limits := parser.Limits{MaxDepth: -1, MaxPacketBytes: -1}
			if depth <= 512 {
				limits = parser.Limits{}
			}
			p, ok, err := decode(t, limits, messages...)
			if !ok || err != nil {
				t.Fatalf("%s, %d levels: %v", name, depth, err)
			}
			b, err := parser.AppendMsgpack(nil, p.Payload)
			if err != nil {
				t.Fatalf("%s, %d levels to MessagePack: %v", name, depth, err)
			}
			back, _, err := parser.PayloadFromMsgpack(b, limits)
			if err != nil || !bytes.Equal(back.JSON, p.Payload.JSON) {
				t.Errorf("%s, %d levels and back: %v", name, depth, err)
			}
			if _, err := parser.MakeArgs(p.Payload.Args().Values()...); err != nil {
				t.Errorf("%s, %d levels sent on: %v", name, depth, err)
			}
			var v any
			if err := p.Payload.Args().Scan(nil, &v); (err == nil) != (depth-1 <= 10_000) {
				t.Errorf("%s, Scan of %d levels: %v", name, depth, err)
			}
		}
	}
}

// Keys and names that mean something to JavaScript objects are plain text.
func TestP9PrototypeNames(t *testing.T) {
	for _, name := range []string{"__proto__", "constructor", "toString", "hasOwnProperty"} {
		p := accepts(t, `2["`+name+`",{"`+name+`":{"x":1}}]`)
		event, args, err := p.Payload.Event()
		if event != name || err != nil {
			t.Errorf("Event() = %q, %v", event, err)
		}
		back, err := parser.MakeEvent(event, args.Values()...)
		if got := back.EventPayload().JSON; !bytes.Equal(got, p.Payload.JSON) || err != nil {
			t.Errorf("sent on as %s, %v", got, err)
		}
		var v map[string]map[string]int
		if err := args.Scan(&v); v[name]["x"] != 1 || err != nil {
			t.Errorf("Scan: %v, %v", v, err)
		}
	}
	// Not own properties in JavaScript, so not placeholders either.
	accepts(t, `51-["e",{"__proto__":{"_placeholder":true,"num":0}}]`, []byte("a"))
}

func TestF26WideAndOddJSON(t *testing.T) {
	wide := `["e",[` + strings.Repeat("[],", 330_000) + `[]]]`
	keys := `["e",{` + strings.Repeat(`"k":1,`, 500_000) + `"k":2}]`
	holes := `["e",[` + strings.Repeat(hole("0")+",", 30_000) + `0]]`
	odd := `["e",1e999,-1e999,"\ud800","\udc00\ud800",9007199254740993,-0,1E+2,0.10,{"a":1,"a":{"b":[]}}]`
	for name, tt := range map[string]struct {
		text   string
		binary bool
	}{"wide": {wide, false}, "keys": {keys, false}, "holes": {holes, true}, "odd": {odd, false}} {
		messages := []any{"2" + tt.text}
		if tt.binary {
			messages = []any{"51-" + tt.text, []byte{1}}
		}
		var p parser.Packet
		if used := allocated(func() { p = accepts(t, messages...) }); used > uint64(20*len(tt.text)+10_000) {
			t.Errorf("%s: %d bytes for %d", name, used, len(tt.text))
		}
		if string(p.Payload.JSON) != tt.text {
			t.Errorf("%s: the text changed", name)
		}
		var packed []byte
		if used := allocated(func() { packed, _ = parser.AppendMsgpack(nil, p.Payload) }); used > uint64(20*len(tt.text)+10_000) {
			t.Errorf("%s: %d bytes for MessagePack of %d", name, used, len(tt.text))
		}
		if n, err := parser.ValidateMsgpack(packed, parser.Limits{}); n != len(packed) || err != nil {
			t.Errorf("%s: MessagePack of %d of %d bytes, %v", name, n, len(packed), err)
		}
		limits := parser.Limits{MaxPacketBytes: 2 * len(tt.text)}
		if used := allocated(func() { _, _, _ = parser.PayloadFromMsgpack(packed, limits) }); used > uint64(20*len(tt.text)+10_000) {
			t.Errorf("%s: %d bytes from MessagePack of %d", name, used, len(packed))
		}
	}
	if used := allocated(func() { rejects(t, parser.ErrTooDeep, `2["e",`+strings.Repeat("[", 512)+strings.Repeat("]", 512)+`]`) }); used > 50_000 {
		t.Errorf("%d bytes for a refusal", used)
	}
}

// Invalid UTF-8 from a polling client must not reach the WebSocket of another,
// who would have to close it.
func TestInvalidUTF8IsRejected(t *testing.T) {
	rejects(t, parser.ErrSyntax, "2[\"e\",\"\xff\"]")
	rejects(t, parser.ErrSyntax, "2[\"e\",{\"\xc3(\":1}]")
	rejects(t, parser.ErrSyntax, "2[\"e\",\"\xed\xa0\x80\"]")
	rejects(t, parser.ErrNamespace, "2/\xff,[\"e\"]")
	accepts(t, `2["é😀\u2028`+"\u2028"+`"]`)
}

// Proves T-64, J-25.
func TestNamespaceLength(t *testing.T) {
	name := "/" + strings.Repeat("n", 254)
	if p := accepts(t, "0"+name+","); p.Namespace != name {
		t.Errorf("namespace %q", p.Namespace)
	}
	rejects(t, parser.ErrNamespace, "0"+name+"n,")
	if _, _, err := decode(t, parser.Limits{MaxNamespace: -1}, "0"+name+name); err != nil {
		t.Errorf("no limit: %v", err)
	}
}
