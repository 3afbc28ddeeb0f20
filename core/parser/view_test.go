package parser_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// The golden files in testdata were recorded from the JavaScript packages. What
// JSON cannot say is written there as an object with a single key that begins
// with $, the JSON view: {"$bytes": hex}, {"$date": iso}, {"$undefined": true},
// {"$number": "NaN"}.

func readVectors(t *testing.T, file string, dst any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(dst); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// undefined stands for a value that is not there.
type undefined struct{}

// special decodes an object of the view that is not an object. What it cannot
// express as a Go value it reports as an error, so that no entry is passed over.
func special(object map[string]json.RawMessage) (v any, ok bool, err error) {
	str := func(key string) (s string) {
		err = json.Unmarshal(object[key], &s)
		return s
	}
	for key := range object {
		switch key {
		case "$bytes":
			s := str(key)
			if err != nil {
				return nil, true, err
			}
			v, err = hex.DecodeString(s)
			return v, true, err
		case "$date":
			if string(object[key]) == "null" {
				return nil, true, nil
			}
			return str(key), true, err
		case "$undefined", "$function":
			return undefined{}, true, nil
		case "$map", "$set", "$error":
			return struct{}{}, true, nil // as JSON.stringify sees them
		case "$number":
			switch str(key) {
			case "NaN":
				return math.NaN(), true, err
			case "Infinity":
				return math.Inf(1), true, err
			case "-Infinity":
				return math.Inf(-1), true, err
			case "-0":
				return math.Copysign(0, -1), true, err
			}
			return nil, true, fmt.Errorf("unknown number %s", object[key])
		case "$type":
		default:
			if key[:min(1, len(key))] == "$" {
				return nil, true, fmt.Errorf("unknown view %s", key)
			}
		}
	}
	return nil, false, nil
}

// fromView turns a view into Go values with the member order of the view:
// objects become structs made for the purpose.
func fromView(t *testing.T, view json.RawMessage) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(view))
	switch first, err := d.Token(); {
	case err != nil:
		t.Fatal(err)
	case first == json.Delim('['):
		list := []any{}
		for d.More() {
			v := fromView(t, rawNext(t, d))
			if v == (undefined{}) {
				v = nil
			}
			list = append(list, v)
		}
		return list
	case first == json.Delim('{'):
		var object map[string]json.RawMessage
		if err := json.Unmarshal(view, &object); err != nil {
			t.Fatal(err)
		}
		v, ok, err := special(object)
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			return v
		}
		return structFrom(t, d)
	default:
		return first
	}
	return nil
}

func structFrom(t *testing.T, d *json.Decoder) any {
	t.Helper()
	var fields []reflect.StructField
	var values []any
	for d.More() {
		key, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		v := fromView(t, rawNext(t, d))
		if v == (undefined{}) {
			continue
		}
		fields = append(fields, reflect.StructField{
			Name: fmt.Sprintf("F%d", len(fields)),
			Type: reflect.TypeFor[any](),
			Tag:  reflect.StructTag(fmt.Sprintf(`json:%q`, key)),
		})
		values = append(values, v)
	}
	s := reflect.New(reflect.StructOf(fields)).Elem()
	for i, v := range values {
		if v != nil {
			s.Field(i).Set(reflect.ValueOf(v))
		}
	}
	return s.Interface()
}

func rawNext(t *testing.T, d *json.Decoder) (raw json.RawMessage) {
	t.Helper()
	if err := d.Decode(&raw); err != nil {
		t.Fatal(err)
	}
	return raw
}

// plainView turns a view into what Scan into an interface gives for it: JSON
// values and []byte. ok is false for undefined.
func plainView(t *testing.T, view json.RawMessage) (v any, ok bool) {
	t.Helper()
	if err := json.Unmarshal(view, &v); err != nil {
		t.Fatal(err)
	}
	return plain(t, v)
}

func plain(t *testing.T, v any) (_ any, ok bool) {
	t.Helper()
	switch v := v.(type) {
	case []any:
		for i, e := range v {
			v[i], _ = plain(t, e)
		}
	case map[string]any:
		raw := map[string]json.RawMessage{}
		for k, e := range v {
			raw[k], _ = json.Marshal(e)
		}
		s, ok, err := special(raw)
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			switch s := s.(type) {
			case undefined:
				return nil, false
			case struct{}:
				return map[string]any{}, true
			case float64:
				if math.IsNaN(s) || math.IsInf(s, 0) {
					return nil, true
				}
				return 0.0, true
			}
			return s, true
		}
		for k, e := range v {
			if p, ok := plain(t, e); ok {
				v[k] = p
			} else {
				delete(v, k)
			}
		}
	}
	return v, true
}
