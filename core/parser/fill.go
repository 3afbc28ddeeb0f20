package parser

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// fillBinary decodes a payload with attachments into what dst, a pointer,
// points to. It walks only along the paths that lead to placeholders, and
// leaves everything beside them to encoding/json.
func fillBinary(p Payload, dst any) error {
	w := placeholderWalk{trail: map[int]placeholder{}}
	w.walk(p.JSON)
	f := filler{p, w.trail}
	_, err := f.fill(reflect.ValueOf(dst).Elem(), 0, 0)
	return err
}

type filler struct {
	p     Payload
	trail map[int]placeholder
}

// maxFillDepth bounds recursion where Limits.MaxDepth does not. It is the limit
// of encoding/json.
const maxFillDepth = 10_000

// fill decodes the value that begins at text[i] into v, which can be set, and
// returns the index behind it.
func (f *filler) fill(v reflect.Value, i, depth int) (end int, err error) {
	h, ok := f.trail[i]
	switch {
	case !ok:
		end = skipValue(f.p.JSON, i)
		return end, json.Unmarshal(f.p.JSON[i:end], v.Addr().Interface())
	case depth > maxFillDepth:
		return 0, fmt.Errorf("%w than %d levels", ErrTooDeep, maxFillDepth)
	}
	info := infoOf(v.Type())
	value := Payload{f.p.JSON[i:h.end], f.p.Attachments}
	switch {
	case info.encoded:
		return h.end, scanValue(value, v.Addr().Interface())
	case info.unmarshals:
		return h.end, unmarshalInlined(value, v)
	case v.Kind() == reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		return f.fill(v.Elem(), i, depth+1)
	case v.Kind() == reflect.Interface:
		return h.end, f.fillInterface(v, i, depth)
	case h.num != notBinary:
		return h.end, f.fillBytes(v, h)
	case f.p.JSON[i] == '[':
		return h.end, f.fillArray(v, i, depth)
	}
	return h.end, f.fillObject(v, i, depth)
}

func unmarshalInlined(p Payload, v reflect.Value) error {
	text, err := inlineAttachments(p)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, v.Addr().Interface())
}

func mismatch(what string, v reflect.Value) error {
	return &json.UnmarshalTypeError{Value: what, Type: v.Type()}
}

func (f *filler) fillBytes(v reflect.Value, h placeholder) error {
	if v.Kind() != reflect.Slice || v.Type().Elem().Kind() != reflect.Uint8 {
		return mismatch("binary", v)
	}
	data, err := h.attachment(f.p.Attachments)
	if err != nil {
		return err
	}
	v.SetBytes(bytes.Clone(data))
	return nil
}

func (f *filler) fillInterface(v reflect.Value, i, depth int) error {
	if e := v.Elem(); e.Kind() == reflect.Pointer && !e.IsNil() {
		_, err := f.fill(e.Elem(), i, depth+1)
		return err
	}
	if v.NumMethod() > 0 {
		return mismatch("binary", v)
	}
	var filled reflect.Value
	switch h := f.trail[i]; {
	case h.num != notBinary:
		filled = reflect.New(reflect.TypeFor[[]byte]()).Elem()
	case f.p.JSON[i] == '[':
		filled = reflect.New(reflect.TypeFor[[]any]()).Elem()
	default:
		filled = reflect.New(reflect.TypeFor[map[string]any]()).Elem()
	}
	_, err := f.fill(filled, i, depth)
	v.Set(filled)
	return err
}

func (f *filler) fillArray(v reflect.Value, i, depth int) error {
	if v.Kind() != reflect.Slice && v.Kind() != reflect.Array {
		return mismatch("array", v)
	}
	n := 0
	for i = nextItem(f.p.JSON, i+1); i < len(f.p.JSON) && f.p.JSON[i] != ']'; n++ {
		var err error
		switch {
		case v.Kind() == reflect.Slice:
			item := reflect.New(v.Type().Elem()).Elem()
			i, err = f.fill(item, i, depth+1)
			if n == 0 {
				v.SetLen(0)
			}
			v.Set(reflect.Append(v, item))
		case n < v.Len():
			i, err = f.fill(v.Index(n), i, depth+1)
		default: // encoding/json drops what an array has no room for
			i = f.skip(i)
		}
		if err != nil {
			return err
		}
		i = nextItem(f.p.JSON, i)
	}
	for ; v.Kind() == reflect.Array && n < v.Len(); n++ {
		v.Index(n).SetZero()
	}
	return nil
}

func (f *filler) fillObject(v reflect.Value, i, depth int) error {
	if v.Kind() != reflect.Struct && v.Kind() != reflect.Map {
		return mismatch("object", v)
	}
	if v.Kind() == reflect.Map && v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	text := f.p.JSON
	for i = nextItem(text, i+1); i < len(text) && text[i] == '"'; {
		end := skipString(text, i)
		key := unquote(text[i:end])
		if i = skipSpace(text, skipSpace(text, end)+1); i >= len(text) { // behind the colon
			return syntaxError(end)
		}
		var err error
		if v.Kind() == reflect.Map {
			i, err = f.fillEntry(v, key, i, depth)
		} else {
			i, err = f.fillMember(v, key, i, depth)
		}
		if err != nil {
			return err
		}
		i = nextItem(text, i)
	}
	return nil
}

func (f *filler) fillEntry(m reflect.Value, key string, i, depth int) (end int, err error) {
	k, err := parseMapKey(m.Type().Key(), key)
	if err != nil {
		return 0, err
	}
	item := reflect.New(m.Type().Elem()).Elem()
	if end, err = f.fill(item, i, depth+1); err != nil {
		return 0, err
	}
	m.SetMapIndex(k, item)
	return end, nil
}

// parseMapKey turns text into a key by the rules of encoding/json.
func parseMapKey(t reflect.Type, text string) (reflect.Value, error) {
	k := reflect.New(t)
	if u, ok := k.Interface().(encoding.TextUnmarshaler); ok {
		return k.Elem(), u.UnmarshalText([]byte(text))
	}
	k = k.Elem()
	var err error
	switch {
	case k.Kind() == reflect.String:
		k.SetString(text)
	case k.CanInt():
		var n int64
		n, err = strconv.ParseInt(text, 10, t.Bits())
		k.SetInt(n)
	case k.CanUint():
		var n uint64
		n, err = strconv.ParseUint(text, 10, t.Bits())
		k.SetUint(n)
	default:
		return k, mismatch("object", reflect.MakeMap(reflect.MapOf(t, t)))
	}
	if err != nil {
		return k, mismatch("number "+text, k)
	}
	return k, nil
}

func (f *filler) fillMember(v reflect.Value, key string, i, depth int) (end int, err error) {
	field := findField(infoOf(v.Type()).fields, key)
	if field == nil {
		return f.skip(i), nil
	}
	for _, n := range field.index[:len(field.index)-1] {
		v = v.Field(n)
		if v.Kind() != reflect.Pointer {
			continue
		}
		if v.IsNil() {
			if !v.CanSet() {
				return 0, fmt.Errorf("cannot set embedded pointer to unexported struct: %s", v.Type().Elem())
			}
			v.Set(reflect.New(v.Type().Elem()))
		}
		v = v.Elem()
	}
	v = v.Field(field.index[len(field.index)-1])
	if _, binary := f.trail[i]; field.quoted && !binary && f.p.JSON[i] == '"' {
		end = skipString(f.p.JSON, i)
		return end, json.Unmarshal([]byte(unquote(f.p.JSON[i:end])), v.Addr().Interface())
	}
	return f.fill(v, i, depth+1)
}

func findField(fields []field, name string) *field {
	var folded *field
	for i := range fields {
		if fields[i].name == name {
			return &fields[i]
		}
		if folded == nil && strings.EqualFold(fields[i].name, name) {
			folded = &fields[i]
		}
	}
	return folded
}

// skip returns the index behind the value that begins at text[i].
func (f *filler) skip(i int) int {
	if h, ok := f.trail[i]; ok {
		return h.end
	}
	return skipValue(f.p.JSON, i)
}

// nextItem returns the index of the item or closing bracket at or behind b[i].
func nextItem(b []byte, i int) int {
	i = skipSpace(b, i)
	if i < len(b) && b[i] == ',' {
		i = skipSpace(b, i+1)
	}
	return i
}
