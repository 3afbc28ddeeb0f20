package differential_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/dunlin-io/dunlin/core/parser"
)

// jsonInputs makes inputs for the default codec.
type jsonInputs struct {
	*rand.Rand
	corpus []input
	refs   int // placeholders in the current packet
}

// oneIn is true once in n times.
func (g *jsonInputs) oneIn(n int) bool { return g.IntN(n) == 0 }

func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

// next makes a connection's messages: a packet, or a few in a row.
func (g *jsonInputs) next() input {
	var in input
	if g.oneIn(5) {
		in = pick(g.Rand, g.corpus...)
		in.frames = append([]parser.Frame(nil), in.frames...)
	} else {
		in.codec = parser.JSON()
		for range pick(g.Rand, 1, 1, 1, 1, 2, 3) {
			in.frames = append(in.frames, g.packet()...)
		}
	}
	if g.oneIn(3) {
		damage(g.Rand, in.frames, jsonPieces)
	}
	return in
}

func (g *jsonInputs) packet() []parser.Frame {
	g.refs = 0
	typ := pick(g.Rand, 0, 0, 1, 2, 2, 2, 2, 3, 3, 4, 5, 5, 5, 5, 6, 6)
	payload := g.payload(typ)
	var b strings.Builder
	b.WriteString(strconv.Itoa(typ))
	due := 0
	if typ >= 5 {
		due = max(g.refs, 1)
		if g.oneIn(20) {
			due += pick(g.Rand, -1, 1, 9)
		}
		b.WriteString(g.count(due) + "-")
	}
	b.WriteString(g.namespace())
	b.WriteString(g.id(typ))
	b.WriteString(payload)
	frames := []parser.Frame{{Data: []byte(b.String())}}
	if g.oneIn(20) {
		due += pick(g.Rand, -1, 1)
	}
	for range due {
		data := make([]byte, g.IntN(5))
		for i := range data {
			data[i] = byte(g.Uint32())
		}
		frames = append(frames, parser.Frame{Binary: true, Data: data})
	}
	return frames
}

func (g *jsonInputs) count(n int) string {
	if g.oneIn(30) {
		return pick(g.Rand, "", " ", "+1", "1.0", "1e0", "0x1", "01", "-1", "1 ", "10", "11", "99999999999999999999", "0", "00", "1_0", "Infinity")
	}
	return strconv.Itoa(n)
}

func (g *jsonInputs) namespace() string {
	switch g.IntN(20) {
	case 0:
		return pick(g.Rand, "/,", "/", "/a", "/a,b,", "//,", "/é😀,", "/a?token=1&x=2,", "/a b,", "/\u2028\t,", "/1,", "chat,", ",", "/\"[,")
	case 1:
		return "/" + strings.Repeat("n", 252+g.IntN(5)) + ","
	case 2, 3, 4, 5, 6:
		return pick(g.Rand, "/chat,", "/admin,", "/a/b,", "/room-17,")
	}
	return ""
}

func (g *jsonInputs) id(typ int) string {
	switch {
	case g.oneIn(40):
		return pick(g.Rand, " ", "  ", " 1", "1 ", "1 2", "\u00a0", "+1", "-1", "00", "007", "1.5", "1e3", "9007199254740991", "9007199254740992",
			"18446744073709551616", strings.Repeat("9", 400), "٣")
	case typ == 3 || typ == 6 || g.oneIn(3):
		return strconv.FormatUint(g.Uint64()>>(11+g.IntN(53)), 10)
	}
	return ""
}

func (g *jsonInputs) payload(typ int) string {
	if g.oneIn(30) { // of another type, or of none
		typ = g.IntN(7)
	}
	switch typ {
	case 0:
		return pick(g.Rand, "", g.object(3, false), g.object(1, false))
	case 1:
		return pick(g.Rand, "", "", "", "", "", " ", "null", g.scalar())
	case 2, 5:
		name := pick(g.Rand, `"chat"`, `"a"`, `""`, `"é\ud83d\ude00"`, `"message"`, "1", "-2.50", g.text())
		if g.oneIn(15) {
			name = pick(g.Rand, `"connect"`, `"\u0063onnect"`, `"connect_error"`, `"disconnect"`, `"disconnecting"`, `"newListener"`, `"removeListener"`,
				`"Connect"`, "null", "true", "[]", "{}", "1e999", "-0", `"toString"`, `"__proto__"`)
		}
		return g.array(name, 4, typ == 5)
	case 3, 6:
		return pick(g.Rand, "", "[]", g.array("", 3, typ == 6), g.array("", 4, typ == 6))
	}
	return pick(g.Rand, "", `{"message":"no"}`, g.object(2, false), g.text())
}

func (g *jsonInputs) space() string {
	if g.oneIn(25) {
		return pick(g.Rand, " ", "\t", "\n", "\r\n", "  ", "\u00a0", "\ufeff")
	}
	return ""
}

// array makes an array; first, if there is one, is its first item.
func (g *jsonInputs) array(first string, depth int, binary bool) string {
	items := []string{}
	if first != "" {
		items = append(items, first)
	}
	for range g.IntN(4) {
		items = append(items, g.value(depth-1, binary))
	}
	if g.oneIn(400) { // deeper than anybody needs
		n := pick(g.Rand, 500, 509, 510, 511, 512, 513, 1000)
		items = append(items, strings.Repeat("[", n)+strings.Repeat("]", n))
	}
	return "[" + g.joined(items) + "]" + g.space()
}

func (g *jsonInputs) object(depth int, binary bool) string {
	members := []string{}
	for range g.IntN(4) {
		key := pick(g.Rand, `"a"`, `"b"`, `"token"`, `"num"`, `"1"`, `"_placeholder"`, g.text())
		if g.oneIn(30) {
			key = pick(g.Rand, `"__proto__"`, `"constructor"`, `"toJSON"`, `"length"`, `"\ud800"`, `"base64"`)
		}
		members = append(members, key+g.space()+":"+g.space()+g.value(depth-1, binary))
	}
	return "{" + g.joined(members) + "}" + g.space()
}

func (g *jsonInputs) joined(items []string) string {
	for i := range items {
		items[i] = g.space() + items[i] + g.space()
	}
	return strings.Join(items, ",")
}

func (g *jsonInputs) value(depth int, binary bool) string {
	switch n := g.IntN(10); {
	case binary && n < 3, g.oneIn(40):
		return g.placeholder()
	case depth > 0 && n < 6:
		return pick(g.Rand, g.array, func(_ string, depth int, binary bool) string { return g.object(depth, binary) })("", depth, binary)
	case n < 8:
		return g.scalar()
	}
	return g.text()
}

func (g *jsonInputs) placeholder() string {
	num := strconv.Itoa(g.refs)
	g.refs++
	if g.oneIn(25) {
		num = pick(g.Rand, "0", "1", "-1", "0.5", "1e0", "0e0", "-0", "10", `"0"`, "null", "1e999", "[]", "4294967296")
	}
	switch g.IntN(30) {
	case 0:
		return fmt.Sprintf(`{"num":%s,"_placeholder":true}`, num)
	case 1:
		return fmt.Sprintf(`{"_placeholder":true,"num":%s,"x":%s}`, num, g.scalar())
	case 2:
		return fmt.Sprintf(`{"_placeholder":%s,"num":%s}`, pick(g.Rand, "1", "false", `"true"`, "null", "{}"), num)
	case 3:
		return fmt.Sprintf(`{"_pl\u0061ceholder":true,"n\u0075m":%s}`, num)
	case 4:
		return fmt.Sprintf(`{"_placeholder":false,"_placeholder":true,"num":7,"num":%s}`, num)
	case 5:
		return fmt.Sprintf(`{"_placeholder":true,"num":%s,"in":{"_placeholder":true,"num":0}}`, num)
	case 6:
		return `{"_placeholder":true}`
	}
	return fmt.Sprintf(`{"_placeholder":true,"num":%s}`, num)
}

func (g *jsonInputs) scalar() string {
	switch g.IntN(6) {
	case 0:
		return pick(g.Rand, "null", "true", "false")
	case 1:
		return strconv.FormatInt(int64(g.Uint64())>>g.IntN(64), 10)
	case 2:
		return strconv.FormatFloat(g.NormFloat64()*pick(g.Rand, 1, 1e6, 1e-6, 1e30, 1e300), pick(g.Rand, byte('g'), 'e', 'f'), -1, 64)
	case 3:
		return pick(g.Rand, "-0", "0", "1.0", "1E2", "1e-9", "9007199254740993", "18446744073709551615", "-9223372036854775809", "1e21", "123456789012345678901234567890",
			"0.1", "5e-324", "1e-400", "1.7976931348623157e308", "2.2250738585072011e-308", "1e999", "-1e999")
	case 4:
		if g.oneIn(8) {
			return pick(g.Rand, "01", "1.", ".5", "-", "+1", "1e", "NaN", "undefined", "nul", "TRUE", "'a'", "0x1", "1_000")
		}
	}
	return g.text()
}

// text makes a string, in any spelling of its characters.
func (g *jsonInputs) text() string {
	var b strings.Builder
	b.WriteByte('"')
	for range pick(g.Rand, 0, 1, 3, 3, 8, 40) {
		switch g.IntN(14) {
		case 0:
			fmt.Fprintf(&b, `\u%04x`, g.IntN(1<<16))
		case 1:
			b.WriteString(pick(g.Rand, `\n`, `\"`, `\\`, `\/`, `\b`, `\f`, `\r`, `\t`, `\u0000`, `\ud83d\ude00`, `\uD83D`, `\udE00`, `\ude00\ud83d`))
		case 2:
			b.WriteRune(pick(g.Rand, 'é', '日', '😀', '\u2028', '\u2029', '\u007f', '\u0085', '\ufeff', '\uffff', '\U0010ffff'))
		case 3:
			if g.oneIn(20) {
				b.WriteString(pick(g.Rand, "\t", "\n", "\x00", `\x41`, `\u12`, `\`, "\x1f"))
			}
		default:
			b.WriteByte(pick(g.Rand, []byte("abcxyz 019,:/[]{}-_")...))
		}
	}
	b.WriteByte('"')
	return b.String()
}

// jsonPieces is what damage inserts.
var jsonPieces = []string{
	"0", "1", "2", "5", "6", "9", "-", "/", ",", "[", "]", "{", "}", `"`, `\`, ":", " ", "\n", ".", "e", "null", "true", `""`, "[]", "{}", `\u`, `\ud800`, "1e999",
	`{"_placeholder":true,"num":0}`, `"_placeholder":true`, `"num":0`, `"__proto__":1`, "\xff", "é", "51-", "/a,", "\u00a0",
}

// jsonCorpus is the golden vectors' inputs.
func jsonCorpus(vectors []byte) (corpus []input, err error) {
	type entry struct{ Input, Encoded []any }
	var file struct{ Encode, Decode, Reject, Options []entry }
	if err := json.Unmarshal(vectors, &file); err != nil {
		return nil, err
	}
	for _, list := range [][]entry{file.Encode, file.Decode, file.Reject, file.Options} {
		for _, e := range list {
			in := input{codec: parser.JSON()}
			for _, m := range append(e.Input, e.Encoded...) {
				switch m := m.(type) {
				case string:
					in.frames = append(in.frames, parser.Frame{Data: []byte(m)})
				case map[string]any:
					text, ok := m["$bytes"].(string)
					if !ok {
						return nil, fmt.Errorf("message %v", m)
					}
					data, err := hex.DecodeString(text)
					if err != nil {
						return nil, err
					}
					in.frames = append(in.frames, parser.Frame{Binary: true, Data: data})
				default:
					return nil, fmt.Errorf("message %v", m)
				}
			}
			if len(in.frames) > 0 { // a packet that JavaScript could not encode
				corpus = append(corpus, in)
			}
		}
	}
	return corpus, nil
}
