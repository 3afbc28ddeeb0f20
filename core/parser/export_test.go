package parser

import "reflect"

// EncodeNative encodes v as if encoding/json had refused to, to compare the two.
func EncodeNative(v any) (Payload, error) {
	e := newEncoder()
	defer e.free()
	e.native = true
	if err := e.reflectValue(reflect.ValueOf(v), 0); err != nil {
		return Payload{}, err
	}
	return e.payload()
}

// InlineAttachments replaces placeholders by what encoding/json reads.
func InlineAttachments(p Payload) ([]byte, error) { return inlineAttachments(p) }
