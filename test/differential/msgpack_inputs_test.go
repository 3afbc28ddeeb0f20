package differential_test

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/dunlin-io/dunlin/core/parser"
)

// msgpackInputs makes inputs for the MessagePack codec.
type msgpackInputs struct {
	*rand.Rand
	corpus []input
}

func (g *msgpackInputs) oneIn(n int) bool { return g.IntN(n) == 0 }

func (g *msgpackInputs) next() input {
	var in input
	if g.oneIn(5) {
		in = pick(g.Rand, g.corpus...)
		in.frames = []parser.Frame{{Binary: true, Data: append([]byte(nil), in.frames[0].Data...)}}
	} else {
		in = msgpackInput(string(g.packet()))
	}
	if g.oneIn(3) {
		damage(g.Rand, in.frames, msgpackPieces)
	}
	return in
}

func (g *msgpackInputs) packet() []byte {
	typ := g.IntN(5)
	if g.oneIn(3) {
		typ = 2
	}
	members := [][2][]byte{
		{g.str("type"), g.typ(typ)},
		{g.str("nsp"), g.namespace()},
	}
	if data := g.data(typ); data != nil {
		members = append(members, [2][]byte{g.str("data"), data})
	}
	if typ == 3 || g.oneIn(3) {
		members = append(members, [2][]byte{g.str("id"), g.id()})
	}
	if g.oneIn(4) {
		members = append(members, [2][]byte{g.str("options"), g.value(2)})
	}
	if g.oneIn(40) {
		members = append(members, pick(g.Rand, members...)) // twice
	}
	if g.oneIn(40) {
		members = append(members, [2][]byte{g.value(1), g.value(1)})
	}
	g.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	b := g.header(nil, 0x80, 0xde, len(members))
	for _, m := range members {
		b = append(append(b, m[0]...), m[1]...)
	}
	return b
}

func (g *msgpackInputs) typ(typ int) []byte {
	if g.oneIn(30) {
		return g.scalar()
	}
	return g.integer(int64(typ))
}

func (g *msgpackInputs) namespace() []byte {
	if g.oneIn(15) {
		return pick(g.Rand, g.str(""), g.str("chat"), g.str("/a,b"), g.str("/\xff"), g.bin([]byte("/")), g.str("/"+strings.Repeat("n", 252+g.IntN(5))), g.scalar())
	}
	return g.str(pick(g.Rand, "/", "/", "/chat", "/é😀"))
}

func (g *msgpackInputs) id() []byte {
	if g.oneIn(12) {
		return pick(g.Rand, []byte{0xd4, 0, 0}, []byte{0xc0}, g.integer(-1), g.integer(1<<53-1), g.integer(1<<53), g.float(1e300), g.float(0.5), g.float(math.Copysign(0, -1)), g.scalar())
	}
	return g.integer(int64(g.Uint64() >> (11 + g.IntN(53))))
}

func (g *msgpackInputs) data(typ int) []byte {
	if g.oneIn(25) { // of another type
		typ = g.IntN(5)
	}
	switch typ {
	case 0:
		return pick(g.Rand, nil, []byte{0xd4, 0, 0}, g.object(3), g.object(1))
	case 1:
		return pick(g.Rand, nil, nil, nil, []byte{0xd4, 0, 7}, []byte{0xc0})
	case 2:
		name := g.str(pick(g.Rand, "chat", "a", "", "message", "日本"))
		if g.oneIn(10) {
			name = pick(g.Rand, g.str("connect"), g.str("disconnect"), g.str("newListener"), g.value(1), nil)
		}
		return g.array(name, 4)
	case 3:
		return pick(g.Rand, []byte{0x90}, g.array(nil, 3), g.array(nil, 4))
	}
	return pick(g.Rand, g.object(2), g.str("no"), g.text())
}

func (g *msgpackInputs) array(first []byte, depth int) []byte {
	n := g.IntN(4)
	if g.oneIn(50) {
		n += 15
	}
	var items []byte
	for range n {
		items = append(items, g.value(depth-1)...)
	}
	if g.oneIn(400) {
		items = append(items, []byte(strings.Repeat("\x91", pick(g.Rand, 500, 509, 510, 511, 512, 513, 1000))+"\xc0")...)
		n++
	}
	if first != nil {
		n++
	}
	return append(append(g.header(nil, 0x90, 0xdc, n), first...), items...)
}

func (g *msgpackInputs) object(depth int) []byte {
	n := g.IntN(4)
	if g.oneIn(50) {
		n += 15
	}
	b := g.header(nil, 0x80, 0xde, n)
	for range n {
		switch {
		case g.oneIn(15):
			b = append(b, pick(g.Rand, g.scalar(), g.value(1), g.str("__proto__"), g.str("toJSON"), g.integer(7), g.bin([]byte("k")))...)
		default:
			b = append(b, pick(g.Rand, g.str("a"), g.str("b"), g.str("_placeholder"), g.str("num"), g.str("1"), g.text())...)
		}
		b = append(b, g.value(depth-1)...)
	}
	return b
}

func (g *msgpackInputs) value(depth int) []byte {
	if n := g.IntN(10); depth > 0 && n < 5 {
		if n < 3 {
			return g.array(nil, depth)
		}
		return g.object(depth)
	}
	return g.scalar()
}

func (g *msgpackInputs) scalar() []byte {
	switch g.IntN(9) {
	case 0:
		return []byte{pick(g.Rand, byte(0xc0), 0xc2, 0xc3, 0xc3)}
	case 1:
		return g.integer(int64(g.Uint64()) >> g.IntN(64))
	case 2:
		return binary.BigEndian.AppendUint64([]byte{0xcf}, g.Uint64()>>g.IntN(12))
	case 3:
		return g.float(g.NormFloat64() * pick(g.Rand, 1, 1e6, 1e-6, 1e18, 1e30, 1e300))
	case 4:
		return g.float(pick(g.Rand, 0, math.Copysign(0, -1), math.NaN(), math.Inf(1), math.Inf(-1), 1<<53, 1<<63, 1<<64, 2, -1, 5e-324))
	case 5:
		data := make([]byte, pick(g.Rand, 0, 1, 2, 3, 40))
		for i := range data {
			data[i] = byte(g.Uint32())
		}
		return g.bin(data)
	case 6:
		return g.ext()
	}
	return g.text()
}

// integer writes n in any of the forms that can hold it.
func (g *msgpackInputs) integer(n int64) []byte {
	forms := [][]byte{binary.BigEndian.AppendUint64([]byte{0xd3}, uint64(n))}
	if n >= 0 {
		forms = append(forms, binary.BigEndian.AppendUint64([]byte{0xcf}, uint64(n)))
	}
	if n == int64(float64(n)) && g.oneIn(4) {
		forms = append(forms, binary.BigEndian.AppendUint64([]byte{0xcb}, math.Float64bits(float64(n))))
	}
	if n >= math.MinInt32 && n <= math.MaxInt32 {
		forms = append(forms, binary.BigEndian.AppendUint32([]byte{0xd2}, uint32(n)))
	}
	if n >= 0 && n <= math.MaxUint32 {
		forms = append(forms, binary.BigEndian.AppendUint32([]byte{0xce}, uint32(n)))
	}
	if n >= math.MinInt16 && n <= math.MaxInt16 {
		forms = append(forms, binary.BigEndian.AppendUint16([]byte{0xd1}, uint16(n)))
	}
	if n >= 0 && n <= math.MaxUint16 {
		forms = append(forms, binary.BigEndian.AppendUint16([]byte{0xcd}, uint16(n)))
	}
	if n >= math.MinInt8 && n <= math.MaxInt8 {
		forms = append(forms, []byte{0xd0, byte(n)})
	}
	if n >= 0 && n <= math.MaxUint8 {
		forms = append(forms, []byte{0xcc, byte(n)})
	}
	if n >= -32 && n < 128 {
		forms = append(forms, []byte{byte(n)}, []byte{byte(n)}, []byte{byte(n)})
	}
	return pick(g.Rand, forms...)
}

func (g *msgpackInputs) float(f float64) []byte {
	if g.oneIn(4) {
		return binary.BigEndian.AppendUint32([]byte{0xca}, math.Float32bits(float32(f)))
	}
	return binary.BigEndian.AppendUint64([]byte{0xcb}, math.Float64bits(f))
}

// header writes a length in any of the forms that can hold it.
func (g *msgpackInputs) header(dst []byte, fix, form16 byte, n int) []byte {
	switch m := g.IntN(10); {
	case m > 1 && n < 16:
		return append(dst, fix|byte(n))
	case m == 1:
		return binary.BigEndian.AppendUint32(append(dst, form16+1), uint32(n))
	}
	return binary.BigEndian.AppendUint16(append(dst, form16), uint16(n))
}

// sized writes data behind its length. first is the form with eight bits.
func (g *msgpackInputs) sized(first byte, n int, data ...byte) (b []byte) {
	switch m := g.IntN(10); {
	case m > 1 && n < 256:
		b = []byte{first, byte(n)}
	case m == 1:
		b = binary.BigEndian.AppendUint32([]byte{first + 2}, uint32(n))
	default:
		b = binary.BigEndian.AppendUint16([]byte{first + 1}, uint16(n))
	}
	return append(b, data...)
}

func (g *msgpackInputs) str(s string) []byte {
	if len(s) < 32 && !g.oneIn(10) {
		return append([]byte{0xa0 | byte(len(s))}, s...)
	}
	return g.sized(0xd9, len(s), []byte(s)...)
}

func (g *msgpackInputs) bin(data []byte) []byte { return g.sized(0xc4, len(data), data...) }

func (g *msgpackInputs) ext() []byte {
	typ := pick(g.Rand, byte(0), 0, 0, 0xff, 5, 0x80)
	if g.oneIn(2) {
		form := g.IntN(5)
		b := []byte{0xd4 + byte(form), typ}
		for range 1 << form {
			b = append(b, byte(g.Uint32()))
		}
		if form == 3 && typ == 0 && !g.oneIn(4) { // a date that there is
			binary.BigEndian.PutUint64(b[2:], uint64(g.Int64N(1<<53)-1<<52))
		}
		return b
	}
	n := pick(g.Rand, 0, 1, 4, 8, 12, 20)
	b := g.sized(0xc7, n, typ)
	for range n {
		b = append(b, byte(g.Uint32()))
	}
	return b
}

func (g *msgpackInputs) text() []byte {
	var s strings.Builder
	for range pick(g.Rand, 0, 1, 3, 3, 8, 40) {
		switch g.IntN(30) {
		case 0, 1, 2:
			s.WriteString(string(pick(g.Rand, 'é', '日', '😀', '\u2028', '\u0000', '"', '\\', '\n', '\ufeff', '\uffff', '\U0010ffff')))
		case 3:
			if g.oneIn(5) {
				s.WriteString(pick(g.Rand, "\xff", "\xc3", "\xe2\x82", "\xf0\x9f\x98", "\xed\xa0\x80", "\xc0\x80", "\xf4\x90\x80\x80"))
			}
		default:
			s.WriteString(string(pick(g.Rand, []rune("abcxyz 019,:/[]{}-_")...)))
		}
	}
	return g.str(s.String())
}

// msgpackPieces is what damage inserts.
var msgpackPieces = []string{
	"\x00", "\x02", "\x7f", "\x80", "\x81", "\x90", "\x91", "\xa0", "\xa1", "\xc0", "\xc1", "\xc3", "\xc4\x00", "\xc7\x00\x00", "\xcb", "\xcf", "\xd4\x00\x00", "\xd7\x00", "\xd9", "\xdc\x00\x01",
	"\xe0", "\xff", "\xa4type", "\xa3nsp", "\xa2id", "\xa4data", "\xa9__proto__", "\xac_placeholder\xc3", "\xc4\x01\x00", "\xa1/", "\xd6\xff\x00\x00\x00\x01",
}

// msgpackCorpus is the golden vectors' inputs.
func msgpackCorpus(vectors []byte) (corpus []input, err error) {
	type entry struct {
		Payload string `json:"payload_hex"`
	}
	var file struct{ Wire, Encoder, Decoder []entry }
	if err := json.Unmarshal(vectors, &file); err != nil {
		return nil, err
	}
	for _, list := range [][]entry{file.Wire, file.Encoder, file.Decoder} {
		for _, e := range list {
			data, err := hex.DecodeString(e.Payload)
			if err != nil {
				return nil, fmt.Errorf("entry %q: %w", e.Payload, err)
			}
			if len(data) > 0 {
				corpus = append(corpus, msgpackInput(string(data)))
			}
		}
	}
	return corpus, nil
}
