package parser

import "bytes"

// Raw is one encoded value with its attachments. The zero value is null. It is
// immutable and safe for concurrent use.
//
// It can be an argument or a part of one, at any depth, and is then sent as it
// is. As a target of [Args.Scan] it takes what arrived as it is.
type Raw struct {
	payload Payload
}

// MakeRaw encodes v as [MakeArgs] does.
func MakeRaw(v any) (Raw, error) {
	e := newEncoder()
	defer e.free()
	if err := e.value(v, 0); err != nil {
		return Raw{}, err
	}
	p, err := e.payload()
	return Raw{p}, err
}

// Raw returns the payload as one value, such as the credentials of a CONNECT.
// That of a packet without payload is null.
func (p Payload) Raw() Raw { return Raw{p} }

// Scan decodes the payload as [Args.Scan] decodes an argument. Without payload
// dst stays as it is.
func (p Payload) Scan(dst any) error {
	if p.JSON == nil {
		return nil
	}
	return scanValue(p, dst)
}

// Scan decodes the value as [Args.Scan] decodes an argument.
func (r Raw) Scan(dst any) error {
	if r.payload.JSON == nil {
		return scanValue(r.Payload(), dst)
	}
	return scanValue(r.payload, dst)
}

// Payload returns the value as a packet's payload, such as that of a CONNECT.
func (r Raw) Payload() Payload {
	switch {
	case r.payload.JSON == nil:
		return Payload{JSON: []byte("null")}
	case len(r.payload.Attachments) == 0:
		return r.payload
	}
	// A part of a larger payload holds the attachments of the whole.
	e := newEncoder()
	defer e.free()
	if err := e.splice(r.payload); err != nil {
		return Payload{JSON: []byte("null")}
	}
	return Payload{bytes.Clone(e.buf), e.attachments}
}

// MarshalJSON returns the value as encoding/json would write it, with binary
// values as base64 strings.
func (r Raw) MarshalJSON() ([]byte, error) {
	if r.payload.JSON == nil {
		return []byte("null"), nil
	}
	return inlineAttachments(r.payload)
}

// UnmarshalJSON makes r the value that text stands for; it has no attachments.
func (r *Raw) UnmarshalJSON(text []byte) error {
	r.payload = Payload{JSON: bytes.Clone(text)}
	return nil
}
