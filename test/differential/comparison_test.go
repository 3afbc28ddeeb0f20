package differential_test

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/dunlin-io/dunlin/core/parser"
)

// stage is where a difference shows.
type stage string

const (
	decoding     stage = "both decode the input"
	early        stage = "we reject a placeholder before its attachments come, and they when all have come"
	theirPacket  stage = "we decode what they encode"
	sameEncoding stage = "they decode what we encode"
	crossing     stage = "they decode what we encode with the other codec"
)

// finding is a difference between the two sides.
type finding struct {
	stage  stage
	in     input // the one that it began with
	ours   outcome
	theirs answer
	what   string // that differs
	a, b   any    // both sides' value of it, or an error
}

// kind tells findings apart that are likely to have different causes.
func (f *finding) kind() string { return string(f.stage) + f.what }

func (f *finding) String() string {
	theirs := "accepted"
	if f.theirs.rejected() {
		theirs = fmt.Sprintf("%q at %d", *f.theirs.Error, f.theirs.At)
	}
	return fmt.Sprintf("when %s: %s differs\n   ours %#v\n theirs %#v\ndecoding: ours %v at %d, pending %v; theirs %s, pending %v",
		f.stage, f.what, f.a, f.b, f.ours.err, f.ours.at, f.ours.pending, theirs, f.theirs.Pending)
}

// text is the message at which one side gave up, or the first.
func (f *finding) text() []byte {
	switch {
	case f.ours.err != nil:
		return f.in.frames[f.ours.at].Data
	case f.theirs.rejected():
		return f.in.frames[f.theirs.At].Data
	}
	return f.in.frames[0].Data
}

// outcome is what we made of an input.
type outcome struct {
	packets []parser.Packet
	err     error
	at      int // the message that err is about
	pending bool
}

func decode(codec parser.Codec, frames []parser.Frame) (o outcome) {
	d := codec.NewDecoder(parser.Limits{})
	o.at = -1
	for i, f := range frames {
		p, ok, err := d.Decode(f)
		if err != nil {
			o.err, o.at = err, i
			return o
		}
		if ok {
			o.packets = append(o.packets, p)
		}
	}
	o.pending = d.Pending()
	return o
}

// question is an input for the peer that follows from another, and what to do
// with the answer.
type question struct {
	in    input
	judge func(answer) *finding
}

// compare judges an input that both sides decoded. What is still to be asked
// comes back as questions.
func compare(in input, ours outcome, theirs answer) (*finding, []question) {
	found := func(what string, a, b any) *finding {
		return &finding{decoding, in, ours, theirs, what, a, b}
	}
	if errors.Is(ours.err, parser.ErrAttachments) && strings.Contains(ours.err.Error(), "placeholder") {
		return nil, []question{askLater(in, ours, theirs)}
	}
	switch {
	case (ours.err != nil) != theirs.rejected():
		return found("acceptance", ours.err, theirs.Error), nil
	case ours.at != theirs.At:
		return found("the message that is wrong", ours.at, theirs.At), nil
	case ours.pending != theirs.Pending:
		return found("what is due", ours.pending, theirs.Pending), nil
	case len(ours.packets) != len(theirs.Packets):
		return found("the number of packets", len(ours.packets), len(theirs.Packets)), nil
	}
	var next []question
	for i, p := range ours.packets {
		q := theirs.Packets[i]
		if what, a, b := differ(p, q); what != "" {
			return found(what, a, b), nil
		}
		if what, a, b := compareEvent(p); what != "" {
			return found(what, a, b), nil
		}
		if what, a, b := decodeTheirs(in.codec, q); what != "" {
			f := found(what, a, b)
			f.stage = theirPacket
			return f, nil
		}
		for _, codec := range []parser.Codec{parser.JSON(), parser.Msgpack()} {
			f := found("", nil, nil)
			f.stage = crossing
			if codec.Name() == in.codec.Name() {
				f.stage = sameEncoding
			}
			frames, err := codec.Encode(&p)
			if err != nil {
				f.what, f.a = "encoding", err
				return f, nil
			}
			next = append(next, question{input{codec, frames}, func(a answer) *finding { return judgeOurs(f, q, a) }})
		}
	}
	return nil, next
}

// askLater completes the packet whose placeholders we reject at once.
func askLater(in input, ours outcome, theirs answer) question {
	frames := append([]parser.Frame(nil), in.frames[:ours.at+1]...)
	for range (parser.Limits{MaxAttachments: 10}).MaxAttachments {
		frames = append(frames, parser.Frame{Binary: true})
	}
	return question{input{in.codec, frames}, func(a answer) *finding {
		if a.rejected() && *a.Error == "illegal attachments" {
			return nil
		}
		f := &finding{early, in, ours, theirs, "acceptance", ours.err, nil}
		if len(a.Packets) > len(ours.packets) {
			f.b = a.Packets[len(ours.packets)].Data
		}
		return f
	}}
}

// differ compares a packet of ours with one of theirs.
func differ(p parser.Packet, q peerPacket) (what string, a, b any) {
	var id any = undefined{}
	if p.HasID {
		id = float64(p.ID)
	}
	var data any = undefined{}
	if p.Payload.JSON != nil {
		data = nil
		if err := p.Payload.Scan(&data); err != nil {
			return "data", err, q.Data
		}
	}
	want := stringified(q.Data)
	switch {
	case any(float64(p.Type)) != q.Type:
		return "type", p.Type, q.Type
	case p.Namespace != q.Nsp:
		return "namespace", p.Namespace, q.Nsp
	case id != q.ID:
		return "id", id, q.ID
	case !reflect.DeepEqual(data, want):
		return "data", data, want
	case len(p.Payload.Attachments) > 0 && len(p.Payload.Attachments) < countBytes(data) && !repeated(p):
		return "the number of attachments", len(p.Payload.Attachments), countBytes(data)
	}
	return "", nil, nil
}

// repeated reports whether p refers to an attachment more than once.
func repeated(p parser.Packet) bool {
	return bytes.Count(p.Payload.JSON, []byte(`:true`)) > len(p.Payload.Attachments)
}

// compareEvent compares the two ways in which the arguments of an event can be
// read.
func compareEvent(p parser.Packet) (what string, a, b any) {
	if p.Type != parser.Event {
		return "", nil, nil
	}
	var list []any
	if err := p.Payload.Scan(&list); err != nil {
		return "the list of arguments", err, nil
	}
	name, args, err := p.Payload.Event()
	if err != nil {
		return "the event's name", err, list[0]
	}
	if s, ok := list[0].(string); ok && s != name {
		return "the event's name", name, s
	}
	if args.Len() != len(list)-1 {
		return "the number of arguments", args.Len(), len(list) - 1
	}
	for i, raw := range args.Values() {
		var v any
		if err := raw.(parser.Raw).Scan(&v); err != nil || !reflect.DeepEqual(v, list[i+1]) {
			return fmt.Sprintf("argument %d", i), errors.Join(err), list[i+1]
		}
	}
	return "", nil, nil
}

// decodeTheirs decodes what the peer made of q. Text must come out of our
// encoder again as it went in.
func decodeTheirs(codec parser.Codec, q peerPacket) (what string, a, b any) {
	if q.Again == nil {
		return "their encoding", nil, q.Data
	}
	frames, err := q.frames()
	if err != nil {
		return "their encoding", err, q.Again
	}
	o := decode(codec, frames)
	if o.err != nil || len(o.packets) != 1 {
		return "their encoding", o.err, q.Again
	}
	if what, a, b := differ(o.packets[0], q); what != "" {
		return what, a, b
	}
	if codec.Name() == "msgpack" { // has many forms
		return "", nil, nil
	}
	again, err := codec.Encode(&o.packets[0])
	if err != nil || !reflect.DeepEqual(bare(again), bare(frames)) {
		return "the encoding of what they encoded", errors.Join(err), q.Again
	}
	return "", nil, nil
}

// bare makes frames comparable: empty data may be nil or not.
func bare(frames []parser.Frame) (list []string) {
	for _, f := range frames {
		list = append(list, fmt.Sprintf("%v %x", f.Binary, f.Data))
	}
	return list
}

// judgeOurs compares what the peer decoded from our encoding of q with q.
func judgeOurs(f *finding, q peerPacket, a answer) *finding {
	switch {
	case a.rejected():
		f.what, f.a, f.b = "acceptance", nil, *a.Error
		return f
	case len(a.Packets) != 1 || a.Pending:
		f.what, f.a, f.b = "the number of packets", 1, len(a.Packets)
		return f
	}
	p := a.Packets[0]
	if f.stage == crossing && q.Type == any(float64(parser.Ack)) && q.Data == any(undefined{}) {
		q.Data = []any{} // MessagePack knows no ACK without a list
	}
	for _, part := range []struct {
		what string
		a, b any
	}{{"type", p.Type, q.Type}, {"namespace", p.Nsp, q.Nsp}, {"id", p.ID, q.ID}, {"data", stringified(p.Data), stringified(q.Data)}} {
		if !reflect.DeepEqual(part.a, part.b) {
			f.what, f.a, f.b = part.what, part.a, part.b
			return f
		}
	}
	return nil
}
