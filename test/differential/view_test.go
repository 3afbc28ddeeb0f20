package differential_test

import (
	"encoding/hex"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
)

// undefined is JavaScript's.
type undefined struct{}

// fromView turns what peer.mjs writes into what Scan gives: nil, bool, float64,
// string, []byte, []any and map[string]any; and undefined.
func fromView(v any) (any, error) {
	list, ok := v.([]any)
	if !ok {
		return v, nil
	}
	kind, items := list[0], list[1:]
	switch kind {
	case "undefined":
		return undefined{}, nil
	case "number":
		text, _ := items[0].(string)
		return strconv.ParseFloat(text, 64)
	case "bytes":
		text, _ := items[0].(string)
		return hex.DecodeString(text)
	case "array":
		for i := range items {
			var err error
			if items[i], err = fromView(items[i]); err != nil {
				return nil, err
			}
		}
		return items, nil
	case "object":
		object := make(map[string]any, len(items)/2)
		for i := 0; i < len(items); i += 2 {
			key, _ := items[i].(string)
			var err error
			if object[key], err = fromView(items[i+1]); err != nil {
				return nil, err
			}
		}
		return object, nil
	}
	return nil, fmt.Errorf("value of kind %v", kind)
}

// stringified does to a value what JSON.stringify does: numbers that are none
// become null, and so does undefined, unless it is in an object and dropped. -0
// is not told from 0.
func stringified(v any) any {
	switch v := v.(type) {
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil
		}
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			if list[i] = stringified(item); list[i] == (undefined{}) {
				list[i] = nil
			}
		}
		return list
	case map[string]any:
		object := make(map[string]any, len(v))
		for key, item := range v {
			if item != any(undefined{}) {
				object[key] = stringified(item)
			}
		}
		return object
	}
	return v
}

// member is a part of an object.
type member struct {
	key   string
	value any
}

// alike compares two values. It asks same about strings, numbers, keys and
// binary values that are not equal, about values of different kinds, and about
// members of a that b has not: these are compared with undefined.
func alike(a, b any, same func(a, b any) bool) bool {
	switch x := a.(type) {
	case []any:
		y, ok := b.([]any)
		return ok && slices.EqualFunc(x, y, func(a, b any) bool { return alike(a, b, same) }) || same(a, b)
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok {
			return same(a, b)
		}
		met := 0
		for key, item := range x {
			other, ok := y[key]
			for k := range y {
				if !ok && same(key, k) {
					other, ok = y[k], true
				}
			}
			switch {
			case ok && alike(item, other, same):
				met++
			case ok || !same(member{key, item}, undefined{}):
				return false
			}
		}
		return met == len(y)
	}
	return reflect.DeepEqual(a, b) || same(a, b)
}

// holds reports whether f is true for v or for anything in it, keys included.
func holds(v any, f func(any) bool) bool {
	if f(v) {
		return true
	}
	switch v := v.(type) {
	case []any:
		return slices.ContainsFunc(v, func(item any) bool { return holds(item, f) })
	case map[string]any:
		for key, item := range v {
			if f(key) || holds(item, f) {
				return true
			}
		}
	}
	return false
}

// countBytes returns how many binary values there are in v.
func countBytes(v any) (n int) {
	switch v := v.(type) {
	case []byte:
		return 1
	case []any:
		for _, item := range v {
			n += countBytes(item)
		}
	case map[string]any:
		for _, item := range v {
			n += countBytes(item)
		}
	}
	return n
}
