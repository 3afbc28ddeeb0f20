package parser

import (
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"sync"
	"unicode"
)

// typeInfo is what encoder and filler must know about a type.
type typeInfo struct {
	encoded    bool    // Args or Raw
	marshals   bool    // has marshal methods, which then decide what it becomes
	unmarshals bool    // has unmarshal methods
	bytes      bool    // binary
	scalar     bool    // a string, number or bool without marshal methods
	plain      bool    // can hold nothing binary: encoding/json can do it alone
	fields     []field // of a struct
}

var (
	typeInfos sync.Map // reflect.Type to *typeInfo

	argsType       = reflect.TypeFor[Args]()
	rawType        = reflect.TypeFor[Raw]()
	jsonNumberType = reflect.TypeFor[json.Number]()
)

func infoOf(t reflect.Type) *typeInfo {
	if info, ok := typeInfos.Load(t); ok {
		info, _ := info.(*typeInfo)
		return info
	}
	info := &typeInfo{
		encoded:    t == argsType || t == rawType,
		marshals:   marshals(t),
		unmarshals: unmarshals(t),
		bytes:      isBytes(t),
		plain:      !holdsBinary(t, map[reflect.Type]bool{}),
	}
	switch kind := t.Kind(); {
	case kind == reflect.Struct:
		info.fields = structFields(t)
	case isScalarKind(kind):
		info.scalar = !info.marshals && t != jsonNumberType
	}
	actual, _ := typeInfos.LoadOrStore(t, info)
	info, _ = actual.(*typeInfo)
	return info
}

func isScalarKind(k reflect.Kind) bool {
	return k >= reflect.Bool && k <= reflect.Float64 || k == reflect.String
}

func implements[I any](t reflect.Type) bool {
	i := reflect.TypeFor[I]()
	return t.Implements(i) || reflect.PointerTo(t).Implements(i)
}

// marshals reports whether values of type t decide themselves what they become.
// Pointers and interfaces do not: what they lead to is asked.
func marshals(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface {
		return false
	}
	return implements[json.Marshaler](t) || implements[encoding.TextMarshaler](t)
}

func unmarshals(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface {
		return false
	}
	return implements[json.Unmarshaler](t) || implements[encoding.TextUnmarshaler](t)
}

func isBytes(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 && !marshals(t) && !marshals(t.Elem())
}

// holdsBinary reports whether a value of type t could have something binary in
// it. seen breaks the cycles of recursive types.
func holdsBinary(t reflect.Type, seen map[reflect.Type]bool) bool {
	switch {
	case seen[t]:
		return false
	case t == argsType, t == rawType, t.Kind() == reflect.Interface, isBytes(t):
		return true
	case marshals(t):
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return holdsBinary(t.Elem(), seen)
	case reflect.Struct:
		return slices.ContainsFunc(structFields(t), func(f field) bool { return holdsBinary(f.typ, seen) })
	}
	return false
}

// field is a member of a struct as encoding/json sees it: promoted from embedded
// structs, renamed by its tag.
type field struct {
	name      string
	key       []byte // the encoded name and a colon
	index     []int
	typ       reflect.Type
	tagged    bool
	omitEmpty bool
	omitZero  func(reflect.Value) bool // nil: not asked for
	quoted    bool                     // by the option "string"
}

// of returns the field of v. ok is false if it is behind a nil pointer.
func (f *field) of(v reflect.Value) (fv reflect.Value, ok bool) {
	for _, i := range f.index {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return reflect.Value{}, false
			}
			v = v.Elem()
		}
		v = v.Field(i)
	}
	return v, true
}

// structFields lists the fields of t in the order in which encoding/json writes
// them. Of fields with equal names the least nested wins, then the one whose
// name comes from a tag; if that leaves several, none is used.
func structFields(t reflect.Type) []field {
	type embedded struct {
		typ   reflect.Type
		index []int
	}
	var fields []field
	seen := map[reflect.Type]bool{}
	for level := []embedded{{typ: t}}; len(level) > 0; {
		var next []embedded
		count := map[reflect.Type]int{} // embedded types of this level
		for _, s := range level {
			count[s.typ]++
		}
		for _, s := range level {
			if seen[s.typ] {
				continue
			}
			seen[s.typ] = true
			for i := range s.typ.NumField() {
				index := append(slices.Clone(s.index), i)
				f, inner, ok := newField(s.typ.Field(i), index)
				switch {
				case !ok:
				case inner != nil:
					next = append(next, embedded{inner, index})
				default:
					fields = append(fields, f)
					if count[s.typ] > 1 { // the same name twice: it must not win
						fields = append(fields, f)
					}
				}
			}
		}
		level = next
	}
	return dominant(fields)
}

// newField returns the field that f declares, or the struct whose fields it
// embeds. ok is false if it declares nothing.
func newField(f reflect.StructField, index []int) (_ field, inner reflect.Type, ok bool) {
	typ := f.Type
	if typ.Kind() == reflect.Pointer && typ.Name() == "" {
		typ = typ.Elem()
	}
	tag := f.Tag.Get("json")
	if tag == "-" || !f.IsExported() && !(f.Anonymous && typ.Kind() == reflect.Struct) {
		return field{}, nil, false
	}
	name, options, _ := strings.Cut(tag, ",")
	if !validName(name) {
		name = ""
	}
	if name == "" && f.Anonymous && typ.Kind() == reflect.Struct {
		return field{}, typ, true
	}
	out := field{name: name, index: index, typ: f.Type, tagged: name != ""}
	if name == "" {
		out.name = f.Name
	}
	out.key = append(appendQuoted(nil, out.name), ':')
	for option := range strings.SplitSeq(options, ",") {
		switch option {
		case "omitempty":
			out.omitEmpty = true
		case "omitzero":
			out.omitZero = zeroTest(f.Type)
		case "string":
			out.quoted = isScalarKind(typ.Kind())
		}
	}
	return out, nil, true
}

func validName(name string) bool {
	for _, c := range name {
		if !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", c) && !unicode.IsLetter(c) && !unicode.IsDigit(c) {
			return false
		}
	}
	return name != ""
}

// zeroTest returns what tells whether a value of type t is zero: its own method
// IsZero if it has one.
func zeroTest(t reflect.Type) func(reflect.Value) bool {
	type zeroer interface{ IsZero() bool }
	isZero := reflect.TypeFor[zeroer]()
	ask := func(v reflect.Value) bool {
		z, ok := v.Interface().(zeroer)
		return ok && z.IsZero()
	}
	switch {
	case t.Implements(isZero) && t.Kind() == reflect.Interface:
		return func(v reflect.Value) bool {
			return v.IsNil() || v.Elem().Kind() == reflect.Pointer && v.Elem().IsNil() || ask(v)
		}
	case t.Implements(isZero) && t.Kind() == reflect.Pointer:
		return func(v reflect.Value) bool { return v.IsNil() || ask(v) }
	case t.Implements(isZero):
		return ask
	case reflect.PointerTo(t).Implements(isZero):
		return func(v reflect.Value) bool {
			p := reflect.New(t)
			p.Elem().Set(v)
			return ask(p)
		}
	}
	return reflect.Value.IsZero
}

// dominant drops the fields that another of the same name hides.
func dominant(fields []field) []field {
	rank := func(f field) int { // higher wins
		r := -2 * len(f.index)
		if f.tagged {
			r++
		}
		return r
	}
	best := map[string]int{}  // highest rank of a name
	count := map[string]int{} // fields with that rank
	for _, f := range fields {
		switch r, known := best[f.name]; {
		case !known || rank(f) > r:
			best[f.name], count[f.name] = rank(f), 1
		case rank(f) == r:
			count[f.name]++
		}
	}
	fields = slices.DeleteFunc(fields, func(f field) bool {
		return rank(f) != best[f.name] || count[f.name] > 1
	})
	slices.SortFunc(fields, func(a, b field) int { return slices.Compare(a.index, b.index) })
	return fields
}
