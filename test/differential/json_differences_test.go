package differential_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/dunlin-io/dunlin/core/parser"
)

// difference is where we differ from JavaScript on purpose.
type difference struct {
	name    string
	reason  string
	example input // must go on to differ
	applies rule
}

// rule decides whether a finding is a certain difference.
type rule interface{ excuses(f *finding) bool }

// when is the rule for findings as a whole.
type when func(f *finding) bool

func (w when) excuses(f *finding) bool { return w(f) }

// within is the rule for parts of the data. Several such differences may be in
// the data of one packet.
type within struct {
	stage stage
	same  func(f *finding, a, b any) bool
}

func (w within) excuses(f *finding) bool {
	return f.stage == w.stage && f.what == "data" && alike(f.a, f.b, func(a, b any) bool { return w.same(f, a, b) })
}

func (f *finding) rejectedByUs(err error) bool {
	return f.stage == decoding && errors.Is(f.ours.err, err)
}

// packet reports whether we decoded a packet of that type.
func (f *finding) packet(t parser.Type) bool {
	return slices.ContainsFunc(f.ours.packets, func(p parser.Packet) bool { return p.Type == t })
}

func proto(v any) bool { return v == "__proto__" }

const space = `[\t-\r \x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}]` // what JavaScript takes for it

var (
	noType       = regexp.MustCompile(`^(` + space + `|$)`)
	goodCount    = regexp.MustCompile(`^[56][0-9]+-`)
	spaceAsID    = regexp.MustCompile(`^(?:[0-4]|[56][^-]*-)(?:/[^,]*,)?[0-9]*` + space)
	largeID      = regexp.MustCompile(`^(?:[0-4]|[56][^-]*-)(?:/[^,]*,)?0*[1-9][0-9]{15,}`)
	noPayload    = regexp.MustCompile(`^(?:2|[56][^-]*-)(?:/[^,]*(?:,|$))?[0-9]*$`)
	binaryHeader = regexp.MustCompile(`^[56]([0-9]+)-(?:/[^,]*,)?[0-9]*`)
	longName     = regexp.MustCompile(`^(?:[0-4]|[56][^-]*-)/[^,]{100,}`)
)

// jsonDifferences are those of the default codec.
var jsonDifferences = []difference{
	{
		"type", "a packet begins with its type; JavaScript takes nothing, or white space, for a 0", textInput(" "),
		when(func(f *finding) bool { return f.rejectedByUs(parser.ErrType) && noType.Match(f.text()) }),
	},
	{
		"count", "a count is made of digits; JavaScript takes any form of number, as 0x1", textInput(`50x1-["a"]`, ""),
		when(func(f *finding) bool { return f.rejectedByUs(parser.ErrAttachments) && !goodCount.Match(f.text()) }),
	},
	{
		"id-space", "white space is no id, and none is allowed before the payload; for JavaScript it is a 0", textInput(`2 ["a"]`),
		when(func(f *finding) bool {
			if f.stage == decoding && f.what == "id" { // of a packet without payload
				return slices.ContainsFunc(f.in.frames, func(m parser.Frame) bool { return spaceAsID.Match(m.Data) })
			}
			return f.rejectedByUs(parser.ErrPayload) && spaceAsID.Match(f.text())
		}),
	},
	{
		"id-large", "JavaScript cannot count beyond 2^53: the answer would have another id", textInput(`29007199254740993["a"]`),
		when(func(f *finding) bool { return f.rejectedByUs(parser.ErrID) && largeID.Match(f.text()) }),
	},
	{
		"event-nothing", "an event has a name, and attachments belong to something", textInput(`2`),
		when(func(f *finding) bool { return f.rejectedByUs(parser.ErrPayload) && noPayload.Match(f.text()) }),
	},
	{
		"namespace-length", "names beyond 255 bytes are refused (Limits.MaxNamespace)", textInput(`0/` + strings.Repeat("a", 255) + `,`),
		when(func(f *finding) bool { return f.rejectedByUs(parser.ErrNamespace) && longName.Match(f.text()) }),
	},
	{
		"utf-8", "text that is not UTF-8 is refused; JavaScript reads something else instead", textInput("2[\"\xff\"]"),
		when(func(f *finding) bool {
			return f.ours.err != nil && !utf8.Valid(f.text()) && !f.in.frames[f.ours.at].Binary
		}),
	},
	{
		"depth", "nesting beyond 512 levels is refused (Limits.MaxDepth)", textInput(`2["a",` + strings.Repeat("[", 512) + strings.Repeat("]", 512) + `]`),
		when(func(f *finding) bool { return f.rejectedByUs(parser.ErrTooDeep) && len(f.text()) > 512 }),
	},
	{
		"range", "text is passed on as it is; reading a number beyond float64 is an error, and not infinity", textInput(`2["a",1e999]`),
		when(func(f *finding) bool {
			var refused *json.UnmarshalTypeError
			if err, ok := f.a.(error); f.stage != decoding || !ok || !errors.As(err, &refused) {
				return false
			}
			_, err := strconv.ParseFloat(strings.TrimPrefix(refused.Value, "number "), 64)
			return errors.Is(err, strconv.ErrRange)
		}),
	},
	{
		"placeholder-fraction", "a placeholder refers to an attachment; for JavaScript half an attachment is undefined", textInput(`51-["a",{"_placeholder":true,"num":0.5}]`),
		when(func(f *finding) bool {
			return f.stage == early && holds(f.b, func(v any) bool { return v == undefined{} })
		}),
	},
	{
		"placeholder-overridden", "all text is passed on, so placeholders are checked also where the same key comes again", textInput(`51-["a",{"k":{"_placeholder":true},"k":1}]`),
		when(func(f *finding) bool {
			header := binaryHeader.FindSubmatch(f.text())
			if f.stage != early || header == nil {
				return false
			}
			d := json.NewDecoder(bytes.NewReader(f.text()[len(header[0]):]))
			d.UseNumber() // 1e999 may stand anywhere
			var data any
			if d.Decode(&data) != nil {
				return false
			}
			count, err := strconv.ParseFloat(string(header[1]), 64)
			return err == nil && !holds(data, func(v any) bool {
				object, _ := v.(map[string]any)
				text, _ := object["num"].(json.Number)
				num, err := text.Float64()
				return object["_placeholder"] == true && (err != nil || num < 0 || num >= count)
			})
		}),
	},
	{
		"proto", "a key like any other; both packages set the prototype of what they copy or build instead, and lose it", textInput(`51-["a",{"_placeholder":true,"num":0},{"__proto__":1}]`, ""),
		when(func(f *finding) bool {
			return f.what == "data" && f.stage == crossing && holds(f.b, proto) || f.stage == theirPacket && holds(f.b, proto)
		}),
	},
	{
		"refusal-nothing", "a CONNECT_ERROR says something in MessagePack, where the client's decoder insists on it", textInput(`4`),
		when(func(f *finding) bool {
			err, _ := f.a.(error)
			return f.stage == crossing && f.what == "encoding" && errors.Is(err, parser.ErrPayload) && f.packet(parser.ConnectError)
		}),
	},
}
