package redisadapter

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/dunlin-io/dunlin/core/parser"
)

// appendJSONValue writes encoded JSON; none is an empty object.
func appendJSONValue(dst []byte, text json.RawMessage) []byte {
	if len(text) == 0 {
		return append(dst, "{}"...)
	}
	return append(dst, text...)
}

func appendJSONMap(dst []byte, m map[string]string) []byte {
	dst = append(dst, '{')
	for i, k := range slices.Sorted(maps.Keys(m)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendJSONString(dst, k), ':')
		dst = appendJSONString(dst, m[k])
	}
	return append(dst, '}')
}

// appendJSONTexts writes an array of strings; none is an empty array, never
// null.
func appendJSONTexts(dst []byte, list []string) []byte {
	dst = append(dst, '[')
	for i, s := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendJSONString(dst, s)
	}
	return append(dst, ']')
}

// appendJSONString writes s as JSON.stringify does; encoding/json escapes more.
func appendJSONString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	start := 0
	for i, r := range s {
		var escape string
		switch r {
		case '"':
			escape = `\"`
		case '\\':
			escape = `\\`
		case '\b':
			escape = `\b`
		case '\f':
			escape = `\f`
		case '\n':
			escape = `\n`
		case '\r':
			escape = `\r`
		case '\t':
			escape = `\t`
		case utf8.RuneError:
			if _, n := utf8.DecodeRuneInString(s[i:]); n == 1 {
				dst = append(append(dst, s[start:i]...), "\uFFFD"...)
				start = i + 1
			}
			continue
		default:
			if r >= ' ' {
				continue
			}
			dst = append(append(dst, s[start:i]...), `\u00`...)
			dst = append(dst, hex[r>>4], hex[r&0xf])
			start = i + 1
			continue
		}
		dst = append(append(dst, s[start:i]...), escape...)
		start = i + 1
	}
	return append(append(dst, s[start:]...), '"')
}

// jsonText returns a payload as JSON.stringify would write it: a Buffer becomes
// {"type":"Buffer","data":[...]}.
func jsonText(p parser.Payload) ([]byte, error) {
	if len(p.Attachments) == 0 {
		return p.JSON, nil
	}
	w := bufferWriter{dec: json.NewDecoder(bytes.NewReader(p.JSON)), attachments: p.Attachments}
	w.dec.UseNumber()
	if err := w.value(); err != nil {
		return nil, fmt.Errorf("write binary values: %w", err)
	}
	return w.out, nil
}

// bufferWriter copies JSON text and writes attachments in the place of their
// placeholders.
type bufferWriter struct {
	dec         *json.Decoder
	attachments [][]byte
	out         []byte
}

func (w *bufferWriter) value() error {
	token, err := w.dec.Token()
	if err != nil {
		return err
	}
	switch t := token.(type) {
	case json.Delim:
		if t == '{' {
			return w.object()
		}
		return w.array()
	case string:
		w.out = appendJSONString(w.out, t)
	case json.Number:
		w.out = append(w.out, t...)
	case bool:
		w.out = strconv.AppendBool(w.out, t)
	default:
		w.out = append(w.out, "null"...)
	}
	return nil
}

func (w *bufferWriter) array() error {
	w.out = append(w.out, '[')
	for i := 0; w.dec.More(); i++ {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		if err := w.value(); err != nil {
			return err
		}
	}
	w.out = append(w.out, ']')
	_, err := w.dec.Token()
	return err
}

func (w *bufferWriter) object() error {
	begin := len(w.out)
	w.out = append(w.out, '{')
	marked, num := false, ""
	for i := 0; w.dec.More(); i++ {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		key, err := w.dec.Token()
		if err != nil {
			return err
		}
		name, _ := key.(string)
		w.out = append(appendJSONString(w.out, name), ':')
		start := len(w.out)
		if err := w.value(); err != nil {
			return err
		}
		switch name {
		case "_placeholder":
			marked = string(w.out[start:]) == "true"
		case "num":
			num = string(w.out[start:])
		}
	}
	w.out = append(w.out, '}')
	if _, err := w.dec.Token(); err != nil {
		return err
	}
	if !marked {
		return nil
	}
	n, err := strconv.ParseUint(num, 10, 31)
	if err != nil || int(n) >= len(w.attachments) {
		return fmt.Errorf("%w: placeholder %s of %d", parser.ErrAttachments, num, len(w.attachments))
	}
	w.out = appendBuffer(w.out[:begin], w.attachments[n])
	return nil
}

func appendBuffer(dst, data []byte) []byte {
	dst = append(dst, `{"type":"Buffer","data":[`...)
	for i, b := range data {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendUint(dst, uint64(b), 10)
	}
	return append(dst, `]}`...)
}
