package parser

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"sync"
)

// encoder turns Go values into JSON text and attachments.
type encoder struct {
	buf          []byte
	attachments  [][]byte
	placeholders int           // written to buf
	native       bool          // write plain values without encoding/json, see plainValue
	std          *json.Encoder // appends to buf
}

// maxEncodeDepth bounds the nesting of what is encoded, and with it the
// recursion of encoder. Another node would refuse to decode more.
const maxEncodeDepth = defaultMaxDepth

// maxPooledBuffer is the largest buffer worth keeping between two events.
const maxPooledBuffer = 64 << 10

var encoders = sync.Pool{New: func() any {
	e := &encoder{buf: make([]byte, 0, 512)}
	e.std = json.NewEncoder(e)
	e.std.SetEscapeHTML(false)
	return e
}}

func newEncoder() *encoder {
	e, _ := encoders.Get().(*encoder)
	return e
}

// free gives e back. What payload returned stays valid.
func (e *encoder) free() {
	if cap(e.buf) > maxPooledBuffer {
		return
	}
	e.buf, e.attachments, e.placeholders, e.native = e.buf[:0], nil, 0, false
	encoders.Put(e)
}

// Write appends what encoding/json wrote. It never fails.
func (e *encoder) Write(p []byte) (int, error) {
	e.buf = append(e.buf, p...)
	return len(p), nil
}

// payload returns what was encoded, in memory of its own.
func (e *encoder) payload() (Payload, error) {
	p := Payload{bytes.Clone(e.buf), e.attachments}
	if err := checkPlaceholders(p, e.placeholders); err != nil {
		return Payload{}, fmt.Errorf("encode: %w", err)
	}
	return p, nil
}

// list appends values and the closing bracket of an array.
func (e *encoder) list(values []any, depth int) error {
	for i, v := range values {
		if i > 0 {
			e.buf = append(e.buf, ',')
		}
		if err := e.value(v, depth+1); err != nil {
			return err
		}
	}
	e.buf = append(e.buf, ']')
	return nil
}

// value appends v, which is inside of depth containers. The types that most
// events are made of are written without reflection.
func (e *encoder) value(v any, depth int) error {
	if depth > maxEncodeDepth {
		return fmt.Errorf("encode: %w than %d levels", ErrTooDeep, maxEncodeDepth)
	}
	switch v := v.(type) {
	case nil:
		e.null()
	case string:
		e.buf = appendQuoted(e.buf, v)
	case bool:
		e.buf = strconv.AppendBool(e.buf, v)
	case int:
		e.buf = strconv.AppendInt(e.buf, int64(v), 10)
	case int64:
		e.buf = strconv.AppendInt(e.buf, v, 10)
	case uint64:
		e.buf = strconv.AppendUint(e.buf, v, 10)
	case float64:
		e.buf = appendNumber(e.buf, v, 64)
	case []byte:
		e.bytes(v)
	case json.RawMessage:
		return e.rawMessage(v)
	case Raw:
		return e.raw(v)
	case Args:
		return e.splice(v.Payload())
	case []any:
		if v == nil {
			e.null()
			return nil
		}
		e.buf = append(e.buf, '[')
		return e.list(v, depth)
	case map[string]any:
		return e.object(v, depth)
	default:
		return e.reflected(v, depth)
	}
	return nil
}

func (e *encoder) null() { e.buf = append(e.buf, "null"...) }

func (e *encoder) bytes(b []byte) {
	if b == nil {
		e.null()
		return
	}
	e.placeholder(bytes.Clone(b))
}

func (e *encoder) placeholder(b []byte) {
	e.buf = appendPlaceholder(e.buf, len(e.attachments))
	e.attachments = append(e.attachments, b)
	e.placeholders++
}

func (e *encoder) rawMessage(m json.RawMessage) error {
	if m == nil {
		e.null()
		return nil
	}
	if err := validate(m, maxEncodeDepth); err != nil {
		return fmt.Errorf("encode json.RawMessage: %w", err)
	}
	e.buf = append(e.buf, bytes.TrimSpace(m)...)
	return nil
}

func (e *encoder) raw(r Raw) error {
	if r.payload.JSON == nil {
		e.null()
		return nil
	}
	return e.splice(r.payload)
}

// splice appends a value that is encoded already. Its attachments get new
// numbers; those it does not refer to are left behind.
func (e *encoder) splice(p Payload) error {
	var found []placeholder
	if len(p.Attachments) > 0 {
		found = findPlaceholders(p.JSON)
	}
	if len(found) == 0 {
		e.buf = append(e.buf, p.JSON...)
		return nil
	}
	numbers := make([]int, len(p.Attachments)) // new number plus one
	done := 0
	for _, h := range found {
		data, err := h.attachment(p.Attachments)
		if err != nil {
			return err
		}
		e.buf = append(e.buf, p.JSON[done:h.start]...)
		done = h.end
		if n := numbers[h.num]; n > 0 {
			e.buf = appendPlaceholder(e.buf, n-1)
			e.placeholders++
			continue
		}
		e.placeholder(data)
		numbers[h.num] = len(e.attachments)
	}
	e.buf = append(e.buf, p.JSON[done:]...)
	return nil
}

// object appends a map with its keys sorted, as encoding/json does.
func (e *encoder) object(m map[string]any, depth int) error {
	if m == nil {
		e.null()
		return nil
	}
	var few [8]string
	keys := few[:0]
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	e.buf = append(e.buf, '{')
	for i, k := range keys {
		if i > 0 {
			e.buf = append(e.buf, ',')
		}
		e.buf = append(appendQuoted(e.buf, k), ':')
		if err := e.value(m[k], depth+1); err != nil {
			return err
		}
	}
	e.buf = append(e.buf, '}')
	return nil
}

// reflected appends a value of any other type. A panic in a method of that type
// becomes an error, since only the caller of the one who emits can know it.
func (e *encoder) reflected(v any, depth int) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("encode %T: panic: %v", v, r)
		}
	}()
	return e.reflectValue(reflect.ValueOf(v), depth)
}
