package parser

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
)

// scanValue decodes one value into what dst points to. The types that most
// events are made of are read without reflection; what they cannot hold is left
// to encoding/json, for its errors.
func scanValue(p Payload, dst any) error {
	text := bytes.TrimSpace(p.JSON)
	if len(text) == 0 {
		return syntaxError(0)
	}
	if v := reflect.ValueOf(dst); v.Kind() != reflect.Pointer || v.IsNil() {
		return &json.InvalidUnmarshalError{Type: reflect.TypeOf(dst)}
	}
	p.JSON = text
	if scanFast(text, dst) {
		return nil
	}
	switch dst := dst.(type) {
	case *Raw:
		*dst = Raw{p}
		return nil
	case *Args:
		if text[0] != '[' {
			return fmt.Errorf("%w: not an array", ErrPayload)
		}
		*dst = p.Args()
		return nil
	case *json.RawMessage:
		inlined, err := inlineAttachments(p)
		*dst = bytes.Clone(inlined)
		return err
	}
	if len(p.Attachments) > 0 && (text[0] == '{' || text[0] == '[') {
		return fillBinary(p, dst)
	}
	return json.Unmarshal(text, dst)
}

// scanFast reports whether it could decode text into dst.
func scanFast(text []byte, dst any) (done bool) {
	switch dst := dst.(type) {
	case *string:
		if text[0] == '"' {
			*dst = unquote(text)
			return true
		}
	case *int:
		n, ok := scanInt(text)
		if ok && int64(int(n)) == n {
			*dst = int(n)
			return true
		}
	case *int64:
		n, ok := scanInt(text)
		if ok {
			*dst = n
		}
		return ok
	case *uint64:
		n, ok := parseDigits(text)
		if ok {
			*dst = n
		}
		return ok
	case *float64:
		if c := text[0]; c == '-' || c >= '0' && c <= '9' {
			f, err := strconv.ParseFloat(string(text), 64)
			if err == nil {
				*dst = f
			}
			return err == nil
		}
	case *bool:
		if text[0] == 't' || text[0] == 'f' {
			*dst = text[0] == 't'
			return true
		}
	}
	return false
}

func scanInt(text []byte) (int64, bool) {
	negative := text[0] == '-'
	if negative {
		text = text[1:]
	}
	n, ok := parseDigits(text)
	switch {
	case !ok || n > 1<<63 || n == 1<<63 && !negative:
		return 0, false
	case negative:
		return -int64(n), true
	}
	return int64(n), true
}
