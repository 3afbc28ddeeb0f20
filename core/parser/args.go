package parser

import (
	"bytes"
	"fmt"
)

// Args is a list of encoded arguments, as they arrive with an event or an
// acknowledgement, or are about to be sent. The zero value is an empty list.
// Args are immutable and safe for concurrent use.
type Args struct {
	payload Payload // a JSON array; no JSON at all is an empty list
	start   int     // where the arguments begin: behind '[', or behind the event's name
}

// MakeArgs encodes arguments, as the payload of an acknowledgement.
//
// Values become what encoding/json makes of them, with these differences. A
// []byte, or a value of a type made from []byte that has no marshal methods,
// becomes an attachment wherever it is found: in structs, maps, slices, behind
// pointers and in interfaces; nil is null. It is copied, and sent once for each
// time it is found. NaN and infinite numbers become null, as in JavaScript.
// HTML is not escaped. A json.RawMessage is sent as it is. [Args] and [Raw] are
// passed on without being decoded; Args as one argument is an array.
//
// It fails for what JSON cannot express, for nesting beyond 512 levels, which
// includes cycles, if a marshal method fails or panics, and with [ErrAmbiguous]
// if {"_placeholder":true} is sent beside binary values: peers would take it
// for one of these.
func MakeArgs(args ...any) (Args, error) {
	e := newEncoder()
	defer e.free()
	e.buf = append(e.buf, '[')
	if err := e.list(args, 0); err != nil {
		return Args{}, err
	}
	p, err := e.payload()
	if err != nil {
		return Args{}, err
	}
	return Args{p, 1}, nil
}

// MakeEvent encodes an event and its arguments as MakeArgs does. The result is
// the list of arguments; [Args.EventPayload] has the name, too.
func MakeEvent(event string, args ...any) (Args, error) {
	e := newEncoder()
	defer e.free()
	e.buf = append(e.buf, '[')
	e.buf = appendQuoted(e.buf, event)
	start := len(e.buf)
	if len(args) > 0 {
		e.buf = append(e.buf, ',')
	}
	if err := e.list(args, 0); err != nil {
		return Args{}, fmt.Errorf("encode event %q: %w", event, err)
	}
	p, err := e.payload()
	if err != nil {
		return Args{}, fmt.Errorf("encode event %q: %w", event, err)
	}
	return Args{p, start}, nil
}

// Event returns the name and the arguments of an EVENT's payload. The arguments
// are not looked at. A name that is a number is returned as JavaScript prints
// it, so that 1 and "1" are the same event, as they are for JavaScript.
func (p Payload) Event() (name string, args Args, err error) {
	start, end, ok := firstElement(p.JSON)
	if !ok {
		return "", Args{}, fmt.Errorf("%w: an event is an array that begins with a name", ErrPayload)
	}
	text := p.JSON[start:end]
	switch c := text[0]; {
	case c == '"':
		name = unquote(text)
	case c == '-' || c >= '0' && c <= '9':
		name = numericName(parseNumber(text))
	default:
		return "", Args{}, fmt.Errorf("%w: the name of an event is a string or a number", ErrPayload)
	}
	return name, Args{p, end}, nil
}

func firstElement(text []byte) (start, end int, ok bool) {
	i := skipSpace(text, 0)
	if i == len(text) || text[i] != '[' {
		return 0, 0, false
	}
	return element(text, i+1)
}

func unquote(quoted []byte) string {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(inner(quoted))
	}
	return string(appendUnquoted(make([]byte, 0, len(quoted)), quoted))
}

// Args returns the arguments of an ACK's payload.
func (p Payload) Args() Args {
	i := skipSpace(p.JSON, 0)
	if i == len(p.JSON) || p.JSON[i] != '[' {
		return Args{}
	}
	return Args{p, i + 1}
}

// Len returns the number of arguments.
func (a Args) Len() int {
	n := 0
	for _, end, ok := element(a.payload.JSON, a.start); ok; _, end, ok = element(a.payload.JSON, end) {
		n++
	}
	return n
}

// Scan decodes the arguments into the values dst points to. Arguments beyond
// the last dst are ignored; if there are fewer, the error wraps [ErrArgs] and
// what is there was decoded. A nil dst skips an argument.
//
// Decoding follows encoding/json, so null leaves most values as they are. An
// attachment goes into a []byte, and into an interface as a []byte, at any
// depth; a type's own UnmarshalJSON sees it as a base64 string. A *[Raw] takes
// the argument as it is, and a *[Args] takes an array. What does not fit stops
// Scan; the value it was meant for may be half decoded.
func (a Args) Scan(dst ...any) error {
	end := a.start
	for i, d := range dst {
		start, e, ok := element(a.payload.JSON, end)
		if !ok {
			return fmt.Errorf("%w: %d of %d", ErrArgs, i, len(dst))
		}
		end = e
		if d == nil {
			continue
		}
		if err := scanValue(Payload{a.payload.JSON[start:end], a.payload.Attachments}, d); err != nil {
			return fmt.Errorf("scan argument %d: %w", i, err)
		}
	}
	return nil
}

// Values returns each argument as a [Raw], so that arguments can be sent on as
// they came: Emit("back", args.Values()...).
func (a Args) Values() []any {
	var values []any
	for start, end, ok := element(a.payload.JSON, a.start); ok; start, end, ok = element(a.payload.JSON, end) {
		values = append(values, Raw{Payload{a.payload.JSON[start:end:end], a.payload.Attachments}})
	}
	return values
}

// Payload returns the arguments as the payload of an ACK, without the name of
// an event.
func (a Args) Payload() Payload {
	text := a.payload.JSON
	if text == nil {
		return Payload{JSON: []byte("[]")}
	}
	if i := skipSpace(text, 0); i+1 == a.start {
		return a.payload
	}
	rest := bytes.TrimLeft(text[a.start:], " \t\r\n,")
	return Payload{append(append(make([]byte, 0, 1+len(rest)), '['), rest...), a.payload.Attachments}
}

// EventPayload returns the payload of an EVENT, the name first. It makes sense
// only for what [MakeEvent] and [Payload.Event] returned.
func (a Args) EventPayload() Payload { return a.payload }

// MarshalJSON returns the array of arguments as encoding/json would write it,
// with binary values as base64 strings.
func (a Args) MarshalJSON() ([]byte, error) { return inlineAttachments(a.Payload()) }
