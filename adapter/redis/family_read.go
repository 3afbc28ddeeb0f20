package redisadapter

import (
	"fmt"
	"math"
	"strings"

	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/parser"
)

// wire is a message, or the data of one, that is being read.
type wire struct {
	text string
	json []byte // the same if it is JSON, and then valid; else nil
}

// envelopeDepth is how deep in a message the data of its packet stands.
const envelopeDepth = 3

// open looks what a message is written in. JSON is checked as a whole,
// MessagePack while it is read.
func (f *family) open(text string) (wire, error) {
	if len(text) == 0 || text[0] != '{' {
		return wire{text: text}, nil
	}
	w := wire{text, []byte(text)}
	l := f.limits
	if l.MaxDepth > 0 {
		l.MaxDepth += envelopeDepth
	}
	if err := parser.ValidateJSON(w.json, l); err != nil {
		return wire{}, fmt.Errorf("%w: %w", errMalformed, err)
	}
	return w, nil
}

// span is where in a message a value stands. The zero value is none.
type span struct{ start, end int }

// spanOf skips a value.
func spanOf(r reader) span {
	s := span{start: r.at()}
	r.skip()
	s.end = r.at()
	return s
}

func (s span) empty() bool { return s.end == s.start }

// reader reads a value of the message.
func (w *wire) reader(s span) reader {
	if w.json != nil {
		return &jsonCursor{s: w.text[:s.end], i: s.start}
	}
	return &cursor{s: w.text[:s.end], i: s.start}
}

func (w *wire) whole() span { return span{0, len(w.text)} }

// value returns a value as a payload, which shares the bytes of JSON.
func (w *wire) value(s span, l parser.Limits) (parser.Payload, error) {
	if w.json != nil {
		n := len(strings.TrimRight(w.text[s.start:s.end], " \t\r\n"))
		return parser.Payload{JSON: w.json[s.start : s.start+n : s.start+n]}, nil
	}
	p, rest, err := parser.PayloadFromMsgpack([]byte(w.text[s.start:s.end]), l)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%w: %d bytes behind a value", errMalformed, len(rest))
	}
	return p, err
}

// decode reads what appendSharded, appendMsgpack or a JavaScript member wrote.
// Body is nil where the message is of no interest: one of this node's own, or of
// a type that is not known or only for members that count heartbeats.
//
// Arguments are taken as they come. With session recovery on, the sharded
// JavaScript adapter adds a stray null to what it receives, and an empty string
// to what it has sent; the message itself has neither, nor do our clients get
// one. (A packet that it sends a second time has that string, which then is an
// argument like any other.)
func (f *family) decode(payload string) (cluster.Message, error) {
	if f.own(payload) {
		return cluster.Message{From: f.self, Namespace: f.namespace}, nil
	}
	w, err := f.open(payload)
	if err != nil {
		return cluster.Message{}, err
	}
	var h head
	r := w.reader(w.whole())
	for n := r.object(); r.more(n); n-- {
		switch r.key() {
		case "type":
			h.kind = kindNumber(r.number())
		case "data":
			h.data = spanOf(r)
		case "uid":
			h.uid = r.text()
		case "nsp":
			h.namespace = r.str()
		case "x":
			h.x = readExtension(r)
		default:
			r.skip()
		}
	}
	if r.failed() || r.at() < len(w.text) {
		return cluster.Message{}, fmt.Errorf("%w at byte %d", errMalformed, r.at())
	}
	return f.message(&w, &h)
}

// head is an envelope of which the data is not read yet.
type head struct {
	kind           int
	uid, namespace string
	data           span
	x              *extension // nil: there is none
}

// kindNumber makes what cannot be a type one that is not known.
func kindNumber(n float64) int {
	if n == math.Trunc(n) && n > 0 && n <= familyLast {
		return int(n)
	}
	return 0
}

func (f *family) message(w *wire, h *head) (cluster.Message, error) {
	if h.namespace != f.namespace {
		return cluster.Message{}, fmt.Errorf("%w %.100q", errOtherNamespace, h.namespace)
	}
	m := cluster.Message{From: nodeOf(h.uid), Namespace: f.namespace}
	if f.isSelf(h.uid) {
		return m, nil
	}
	if !f.extension {
		h.x = nil
	}
	body, err := f.body(w, h)
	if err != nil {
		return cluster.Message{}, fmt.Errorf("message of type %d: %w", h.kind, err)
	}
	if m.Body = body; body == nil {
		return m, nil
	}
	if h.x != nil {
		m.Seq = h.x.Seq
	}
	if b, ok := body.(cluster.Broadcast); !ok || b.RequestID != "" {
		m.ReplyTo = f.replyTo(h.uid, h.x)
	}
	return m, nil
}

func (f *family) isSelf(uid string) bool { return uid == string(f.self) && uid != emitterUID }

// own recognises by its end a message that this node has sent, so that nothing
// else of it is read: with one channel for all, each of them comes back. What it
// does not recognise is read, and recognised then.
func (f *family) own(s string) bool {
	end := s[max(0, len(s)-len(f.namespace)-len(f.self)-40):]
	i := strings.LastIndex(end, string(f.self))
	if i < 2 || f.self == "" {
		return false
	}
	before, after := end[:i], end[i+len(f.self):]
	if s[0] == '{' {
		rest, ok := strings.CutPrefix(after, `","nsp":"`+f.namespace+`"`)
		return ok && strings.HasSuffix(before, `,"uid":"`) &&
			(rest == "}" || strings.HasPrefix(rest, `,"x":{`) && strings.IndexByte(rest, '}') == len(rest)-2)
	}
	rest, ok := strings.CutPrefix(after, "\xa3nsp")
	return ok && strings.HasSuffix(before[:i-1], "\xa3uid") && len(rest) > len(f.namespace) &&
		strings.HasPrefix(rest[1:], f.namespace) && before[i-1] == 0xa0|byte(len(f.self)) //nolint:gosec // ids are short
}
