package differential_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/core/parser"
)

// upload is a struct as users have them.
type upload struct {
	Name    string          `json:"name"`
	Content []byte          `json:"content,omitempty"`
	Next    *upload         `json:"next"`
	Extra   any             `json:"extra,omitempty"`
	Hidden  int             `json:"-"`
	Raw     json.RawMessage `json:"raw,omitempty"`
}

// values makes Go values, each with what JavaScript must see of it.
type values struct{ *rand.Rand }

func (g values) value(depth int) (v, seen any) {
	n := g.IntN(16)
	if depth == 0 {
		n = g.IntN(10)
	}
	switch n {
	case 0:
		return nil, nil
	case 1:
		return true, true
	case 2:
		i := int64(g.Uint64()) >> g.IntN(64)
		return i, float64(i)
	case 3:
		u := g.Uint64() >> g.IntN(64)
		return u, float64(u)
	case 4:
		f := pick(g.Rand, 0.1, -2.5, 1e21, 1e-7, 5e-324, math.MaxFloat64, g.NormFloat64(), g.NormFloat64()*1e30)
		return f, f
	case 5:
		return pick(g.Rand, math.NaN(), math.Inf(1), math.Inf(-1)), nil
	case 6, 7:
		s := g.text()
		return s, string([]rune(s))
	case 8:
		b := g.bytes()
		return b, b
	case 9:
		t := time.UnixMilli(g.Int64N(4e12)).UTC()
		return t, t.Format(time.RFC3339Nano)
	case 10, 11:
		return g.list(depth)
	case 12, 13:
		return g.object(depth)
	case 14:
		return g.upload(depth)
	}
	v, seen = g.value(depth - 1)
	raw, err := parser.MakeRaw(v)
	if err != nil {
		return nil, nil // holds what looks like a placeholder
	}
	return raw, seen
}

func (g values) list(depth int) (v, seen any) {
	list, all := []any{}, []any{}
	for range g.IntN(5) {
		v, seen := g.value(depth - 1)
		list, all = append(list, v), append(all, seen)
	}
	return list, all
}

func (g values) object(depth int) (v, seen any) {
	object, all := map[string]any{}, map[string]any{}
	for range g.IntN(5) {
		key := strings.ToValidUTF8(g.text(), "")
		if g.IntN(3) == 0 {
			key = pick(g.Rand, "a", "num", "1", "constructor", "toString")
		}
		object[key], all[key] = g.value(depth - 1)
	}
	return object, all
}

func (g values) upload(depth int) (v, seen any) {
	u := upload{Name: strings.ToValidUTF8(g.text(), ""), Content: g.bytes(), Hidden: 1}
	all := map[string]any{"name": u.Name, "next": nil}
	if len(u.Content) > 0 {
		all["content"] = u.Content
	}
	if u.Extra, seen = g.value(depth - 1); u.Extra != nil {
		all["extra"] = seen
	}
	if g.IntN(3) == 0 {
		u.Raw = json.RawMessage(` {"n" : [1e2, "\u00e9"] } `)
		all["raw"] = map[string]any{"n": []any{100.0, "é"}}
	}
	if g.IntN(3) == 0 {
		u.Next = &upload{Name: "next", Content: []byte{0xff}}
		all["next"] = map[string]any{"name": "next", "content": []byte{0xff}, "next": nil}
	}
	return u, all
}

func (g values) bytes() []byte {
	b := make([]byte, pick(g.Rand, 0, 1, 3, 40))
	for i := range b {
		b[i] = byte(g.Uint32())
	}
	return b
}

func (g values) text() string {
	var b strings.Builder
	for range pick(g.Rand, 0, 1, 3, 8, 40) {
		switch g.IntN(12) {
		case 0:
			b.WriteRune(rune(g.IntN(0x110000))) // surrogates become U+FFFD
		case 1:
			b.WriteString(pick(g.Rand, "\x00", "\n", `"`, `\`, "\u2028", "<", "é", "😀", "\x1f", "\x7f"))
		case 2:
			b.WriteString(pick(g.Rand, "\xff", "\xc3", "a"))
		default:
			b.WriteByte(byte('a' + g.IntN(26)))
		}
	}
	return b.String()
}

// TestValuesArrive encodes Go values, as emitting does, and lets the peer decode
// them.
func TestValuesArrive(t *testing.T) {
	inputs, seed := setting(t, "DIFFERENTIAL_INPUTS", usualInputs), setting(t, "DIFFERENTIAL_SEED", usualSeed)
	t.Logf("%d values, seed %d", inputs, seed)
	for _, codec := range []parser.Codec{parser.JSON(), parser.Msgpack()} {
		t.Run(codec.Name(), func(t *testing.T) {
			peer := startPeer(t)
			for i := uint64(0); i < inputs; i += batch {
				n := min(batch, inputs-i)
				asked, want := make([]input, n), make([]any, n)
				for k := range asked {
					g := values{rand.New(rand.NewPCG(seed, i+uint64(k)))} //nolint:gosec // the same values again are the point
					asked[k], want[k] = emitted(t, codec, g)
				}
				answers, err := peer.ask(asked)
				if err != nil {
					t.Fatal(err)
				}
				for k, a := range answers {
					if a.rejected() || len(a.Packets) != 1 {
						t.Fatalf("value %d of seed %d: %s was rejected: %v", i+uint64(k), seed, show(asked[k]), a)
					}
					if got := a.Packets[0].Data; !reflect.DeepEqual(got, want[k]) {
						t.Fatalf("value %d of seed %d: %s arrived as\n%#v, want\n%#v", i+uint64(k), seed, show(asked[k]), got, want[k])
					}
				}
			}
		})
	}
}

// emitted returns an event with up to three arguments, and its data.
func emitted(t *testing.T, codec parser.Codec, g values) (input, any) {
	t.Helper()
	for {
		name := strings.ToValidUTF8(g.text(), "")
		data := []any{name}
		var args []any
		for range g.IntN(4) {
			v, seen := g.value(3)
			args, data = append(args, v), append(data, seen)
		}
		if countBytes(data) > 10 { // more than the peer takes
			continue
		}
		event, err := parser.MakeEvent(name, args...)
		if err != nil {
			t.Fatalf("MakeEvent(%q, %#v): %v", name, args, err)
		}
		frames, err := codec.Encode(&parser.Packet{Type: parser.Event, Namespace: "/", Payload: event.EventPayload()})
		if err != nil {
			t.Fatalf("Encode(%s): %v", event.EventPayload().JSON, err)
		}
		return input{codec, frames}, data
	}
}
