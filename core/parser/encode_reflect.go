package parser

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// reflectValue appends v, which is inside of depth containers.
func (e *encoder) reflectValue(v reflect.Value, depth int) error {
	if depth > maxEncodeDepth {
		return fmt.Errorf("encode: %w than %d levels", ErrTooDeep, maxEncodeDepth)
	}
	info := infoOf(v.Type())
	switch {
	case info.encoded:
		return e.value(v.Interface(), depth)
	case info.bytes:
		e.bytes(v.Bytes())
		return nil
	case info.scalar:
		return e.scalar(v)
	case info.marshals, info.plain && !e.native && v.CanInterface():
		return e.plainValue(v, info, depth)
	}
	switch v.Kind() {
	case reflect.Interface, reflect.Pointer:
		if v.IsNil() {
			e.null()
			return nil
		}
		if v.Kind() == reflect.Pointer {
			return e.reflectValue(v.Elem(), depth+1)
		}
		return e.value(v.Elem().Interface(), depth)
	case reflect.Slice:
		if v.IsNil() {
			e.null()
			return nil
		}
		return e.elements(v, depth)
	case reflect.Array:
		return e.elements(v, depth)
	case reflect.Map:
		return e.mapValue(v, depth)
	case reflect.Struct:
		return e.structValue(v, info, depth)
	}
	return e.stdValue(v) // which knows the right error
}

// plainValue leaves v, in which there can be nothing binary, to encoding/json.
// If that stumbles over NaN or an infinite number, v is walked after all.
func (e *encoder) plainValue(v reflect.Value, info *typeInfo, depth int) error {
	start := len(e.buf)
	err := e.stdValue(v)
	if err == nil || info.marshals {
		return err
	}
	var unsupported *json.UnsupportedValueError
	if !errors.As(err, &unsupported) {
		return err
	}
	e.buf = e.buf[:start]
	e.native = true
	err = e.reflectValue(v, depth)
	e.native = false
	return err
}

func (e *encoder) stdValue(v reflect.Value) error {
	if v.CanAddr() { // for marshal methods of the pointer
		v = v.Addr()
	}
	if err := e.std.Encode(v.Interface()); err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	e.buf = bytes.TrimSuffix(e.buf, []byte{'\n'})
	return nil
}

func (e *encoder) scalar(v reflect.Value) error {
	switch v.Kind() {
	case reflect.String:
		e.buf = appendQuoted(e.buf, v.String())
	case reflect.Bool:
		e.buf = strconv.AppendBool(e.buf, v.Bool())
	case reflect.Float32, reflect.Float64:
		e.buf = appendNumber(e.buf, v.Float(), v.Type().Bits())
	default:
		if v.CanInt() {
			e.buf = strconv.AppendInt(e.buf, v.Int(), 10)
		} else {
			e.buf = strconv.AppendUint(e.buf, v.Uint(), 10)
		}
	}
	return nil
}

func (e *encoder) elements(v reflect.Value, depth int) error {
	e.buf = append(e.buf, '[')
	for i := range v.Len() {
		if i > 0 {
			e.buf = append(e.buf, ',')
		}
		if err := e.reflectValue(v.Index(i), depth+1); err != nil {
			return err
		}
	}
	e.buf = append(e.buf, ']')
	return nil
}

func (e *encoder) mapValue(v reflect.Value, depth int) error {
	if v.IsNil() {
		e.null()
		return nil
	}
	type entry struct {
		key   string
		value reflect.Value
	}
	entries := make([]entry, 0, v.Len())
	for it := v.MapRange(); it.Next(); {
		key, err := mapKey(it.Key())
		if err != nil {
			return fmt.Errorf("encode key of %s: %w", v.Type(), err)
		}
		entries = append(entries, entry{key, it.Value()})
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.key, b.key) })
	e.buf = append(e.buf, '{')
	for i, entry := range entries {
		if i > 0 {
			e.buf = append(e.buf, ',')
		}
		e.buf = append(appendQuoted(e.buf, entry.key), ':')
		if err := e.reflectValue(entry.value, depth+1); err != nil {
			return err
		}
	}
	e.buf = append(e.buf, '}')
	return nil
}

// mapKey turns a key into text by the rules of encoding/json.
func mapKey(k reflect.Value) (string, error) {
	if k.Kind() == reflect.String {
		return k.String(), nil
	}
	if m, ok := k.Interface().(encoding.TextMarshaler); ok {
		if k.Kind() == reflect.Pointer && k.IsNil() {
			return "", nil
		}
		text, err := m.MarshalText()
		return string(text), err
	}
	switch {
	case k.CanInt():
		return strconv.FormatInt(k.Int(), 10), nil
	case k.CanUint():
		return strconv.FormatUint(k.Uint(), 10), nil
	}
	return "", &json.UnsupportedTypeError{Type: k.Type()}
}

func (e *encoder) structValue(v reflect.Value, info *typeInfo, depth int) error {
	e.buf = append(e.buf, '{')
	first := true
	for i := range info.fields {
		f := &info.fields[i]
		fv, ok := f.of(v)
		if !ok || f.omitEmpty && isEmpty(fv) || f.omitZero != nil && f.omitZero(fv) {
			continue
		}
		if !first {
			e.buf = append(e.buf, ',')
		}
		first = false
		e.buf = append(e.buf, f.key...)
		start := len(e.buf)
		if err := e.reflectValue(fv, depth+1); err != nil {
			return err
		}
		if text := e.buf[start:]; f.quoted && string(text) != "null" {
			e.buf = appendQuoted(e.buf[:start], string(text))
		}
	}
	e.buf = append(e.buf, '}')
	return nil
}

func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}
