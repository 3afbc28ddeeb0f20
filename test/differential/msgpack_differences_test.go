package differential_test

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/dunlin-io/dunlin/core/parser"
)

// Parts of examples: packets of MessagePack without their last bytes.
const (
	mpEvent = "\x83\xa4type\x02\xa3nsp\xa1/\xa4data" // data comes next
	mpAck   = "\x83\xa4type\x03\xa3nsp\xa1/\xa4data"
)

// msgpackDifferences are those of the MessagePack codec.
var msgpackDifferences = []difference{
	{
		"proto", "a key like any other; notepack.io sets the prototype of what it builds, and packets inherit from it", msgpackInput(mpEvent + "\x92\xa1a\x81\xa9__proto__\xc0"),
		when(func(f *finding) bool { return bytes.Contains(f.text(), []byte("__proto__")) }),
	},
	{
		"id", "ids count from 0 to 2^53-1; socket.io-msgpack-parser takes any number without fraction", msgpackInput("\x84\xa4type\x02\xa3nsp\xa1/\xa2id\xff\xa4data\x91\xa1a"),
		when(func(f *finding) bool {
			id, ok := f.theirID()
			return ok && f.rejectedByUs(parser.ErrID) && (id < 0 || id > parser.MaxID)
		}),
	},
	{
		"namespace", "a name begins with a slash, is UTF-8, and has at most 255 bytes (Limits.MaxNamespace)", msgpackInput("\x82\xa4type\x00\xa3nsp\xa1a"),
		when(func(f *finding) bool {
			name := f.theirNamespace()
			return f.rejectedByUs(parser.ErrNamespace) && (!strings.HasPrefix(name, "/") || len(name) > 255 || strings.Contains(name, "\uFFFD"))
		}),
	},
	{
		"depth", "nesting beyond 512 levels is refused (Limits.MaxDepth)", msgpackInput(mpAck + strings.Repeat("\x91", 513) + "\xc0"),
		when(func(f *finding) bool { return f.rejectedByUs(parser.ErrTooDeep) && len(f.text()) > 512 }),
	},
	{
		"key-kind", "a key is a scalar; JavaScript makes a string of anything, as [object Object]", msgpackInput(mpEvent + "\x92\xa1a\x81\x90\xc0"),
		when(func(f *finding) bool {
			return f.rejectedByUs(parser.ErrSyntax) && strings.Contains(f.ours.err.Error(), "map key is a container or an extension")
		}),
	},
	{
		"event-name", "the name of an event is checked for this codec, too", msgpackInput(mpEvent + "\x91\xa7connect"),
		when(func(f *finding) bool {
			list, ok := f.theirData().([]any)
			if !ok || !f.rejectedByUs(parser.ErrPayload) {
				return false
			}
			if len(list) == 0 {
				return true
			}
			switch name := list[0].(type) {
			case string:
				return parser.Reserved(name)
			case float64:
				return math.IsNaN(name) || math.IsInf(name, 0)
			}
			return true
		}),
	},
	{
		"extension-as-list", "an extension is no list of arguments; JavaScript sees [type, bytes]", msgpackInput(mpAck + "\xd4\x05\x00"),
		when(func(f *finding) bool {
			list, ok := f.theirData().([]any)
			return ok && f.rejectedByUs(parser.ErrPayload) && len(list) == 2 && isBytes(list[1])
		}),
	},
	{
		"placeholder", "what looks like a placeholder beside binary values cannot be passed on with the default codec", msgpackInput(mpEvent + "\x93\xa1a\xc4\x00\x81\xac_placeholder\xc3"),
		when(func(f *finding) bool {
			return f.rejectedByUs(parser.ErrAmbiguous) && bytes.Contains(f.text(), []byte("_placeholder"))
		}),
	},
	{
		"timestamp", "extension -1 is a time, as notepack.io 3 and all others write it; notepack.io 2 sees [-1, bytes]", msgpackInput(mpEvent + "\x92\xa1a\xd6\xff\x00\x00\x00\x01"),
		within{decoding, func(_ *finding, a, b any) bool {
			list, ok := b.([]any)
			_, isTime := a.(string)
			return ok && len(list) == 2 && list[0] == -1.0 && isBytes(list[1]) && (isTime || a == nil)
		}},
	},
	{
		"utf-8", "a broken sequence becomes one U+FFFD for each byte, in JavaScript sometimes fewer", msgpackInput(mpEvent + "\x92\xa1a\xa2\xe2\x82"),
		within{decoding, func(_ *finding, a, b any) bool {
			x, isText := a.(string)
			y, areTexts := b.(string)
			return isText && areTexts && collapsed(x) == collapsed(y)
		}},
	},
	{
		"exact-key", "integers stay exact, also as keys", msgpackInput(mpEvent + "\x92\xa1a\x81\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xc0"),
		within{decoding, sameNumber},
	},
	{
		"undefined-again", "a value stands though its key comes again with undefined, which is left out", msgpackInput(mpEvent + "\x92\xa1a\x82\xa1k\x01\xa1k\xd4\x00\x00"),
		within{decoding, func(f *finding, a, b any) bool {
			m, ok := a.(member)
			_, number := strconv.ParseFloat(m.key, 64) // which has many forms
			return ok && b == (undefined{}) && (number == nil || bytes.Count(f.text(), []byte(m.key)) >= 2)
		}},
	},
	{
		"corrupt-number", "notepack.io writes other numbers for those beyond 64 bits", msgpackInput(mpEvent + "\x92\xa1a\xcb\x7e\x37\xe4\x3c\x88\x00\x75\x9c"),
		within{theirPacket, func(_ *finding, _, b any) bool {
			x, ok := b.(float64)
			return ok && (x >= 1<<64 || x < -1<<63)
		}},
	},
	{
		"corrupt-date", "notepack.io writes an invalid date as 1970", msgpackInput(mpEvent + "\x92\xa1a\xd7\x00\x7f\x00\x00\x00\x00\x00\x00\x00"),
		within{theirPacket, func(_ *finding, a, b any) bool { return a == "1970-01-01T00:00:00.000Z" && b == nil }},
	},
	{
		"packet-key", "the keys of a packet are strings; JavaScript makes them of binary values and lists, too", msgpackInput("\x82\xc4\x04type\x00\xa3nsp\xa1/"),
		when(func(f *finding) bool {
			return f.stage == decoding && oddKey(f.text())
		}),
	},
	{
		"namespace-comma", "with the default codec nobody can decode it", msgpackInput("\x82\xa4type\x00\xa3nsp\xa4/a,b"),
		when(func(f *finding) bool {
			return f.notEncoded(parser.ErrNamespace) && strings.Contains(f.theirNamespace(), ",")
		}),
	},
	{
		"binary-elsewhere", "with the default codec only events and acknowledgements carry binary", msgpackInput("\x83\xa4type\x00\xa3nsp\xa1/\xa4data\x81\xa1a\xc4\x00"),
		when(func(f *finding) bool {
			return f.notEncoded(parser.ErrPayload) && len(f.ours.packets[0].Payload.Attachments) > 0 && (f.packet(parser.Connect) || f.packet(parser.ConnectError))
		}),
	},
	{
		"too-many", "clients with the default codec take 10 attachments; a server that is told so sends more", msgpackInput(mpEvent + "\x9c\xa1a" + strings.Repeat("\xc4\x00", 11)),
		when(func(f *finding) bool {
			return f.stage == crossing && f.b == "too many attachments" && len(f.ours.packets[0].Payload.Attachments) > 10
		}),
	},
}

func differences(codec parser.Codec) []difference {
	if codec.Name() == "json" {
		return jsonDifferences
	}
	return msgpackDifferences
}

// notEncoded reports whether we could not encode with the other codec.
func (f *finding) notEncoded(because error) bool {
	err, ok := f.a.(error)
	return ok && f.stage == crossing && f.what == "encoding" && errors.Is(err, because)
}

func (f *finding) theirID() (float64, bool) {
	if len(f.theirs.Packets) == 0 {
		return 0, false
	}
	id, ok := f.theirs.Packets[0].ID.(float64)
	return id, ok
}

func (f *finding) theirNamespace() string {
	if len(f.theirs.Packets) == 0 {
		return ""
	}
	return f.theirs.Packets[0].Nsp
}

func (f *finding) theirData() any {
	if len(f.theirs.Packets) == 0 {
		return undefined{}
	}
	return f.theirs.Packets[0].Data
}

// oddKey reports whether b holds the name of a packet's member as a binary value
// or alone in a list, in any of their forms.
func oddKey(b []byte) bool {
	for _, name := range []string{"type", "nsp", "id", "data"} {
		n := string(rune(len(name)))
		forms := []string{"\xc4" + n, "\xc5\x00" + n, "\xc6\x00\x00\x00" + n}
		for _, list := range []string{"\x91", "\xdc\x00\x01", "\xdd\x00\x00\x00\x01"} {
			forms = append(forms, list+string([]byte{0xa0 | byte(len(name))}), list+"\xd9"+n, list+"\xda\x00"+n, list+"\xdb\x00\x00\x00"+n)
		}
		if slices.ContainsFunc(forms, func(form string) bool { return bytes.Contains(b, []byte(form+name)) }) {
			return true
		}
	}
	return false
}

func isBytes(v any) bool {
	_, ok := v.([]byte)
	return ok
}

// collapsed returns s with one U+FFFD for each run of them.
func collapsed(s string) string {
	const mark = string(utf8.RuneError)
	for strings.Contains(s, mark+mark) {
		s = strings.ReplaceAll(s, mark+mark, mark)
	}
	return s
}

// sameNumber reports whether two strings are the same number of JavaScript.
func sameNumber(_ *finding, a, b any) bool {
	s, _ := a.(string)
	t, _ := b.(string)
	x, errX := strconv.ParseFloat(s, 64)
	y, errY := strconv.ParseFloat(t, 64)
	return errX == nil && errY == nil && x == y && math.Abs(x) > 1<<53
}
