package parser_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/core/parser"
)

type (
	blob    []byte
	hexBlob []byte
	ptrBlob []byte
	octet   uint8
	celsius float32
	level   int
	tag     string
)

func (h hexBlob) MarshalText() ([]byte, error)  { return []byte(strings.ToUpper(string(h))), nil }
func (p *ptrBlob) MarshalJSON() ([]byte, error) { return []byte(`"ptr"`), nil }
func (l level) MarshalText() ([]byte, error)    { return []byte{'L', '0' + byte(l)}, nil }

type inner struct {
	A int    `json:"a"`
	B string `json:"b,omitempty"`
	C any
	X int
	Y int
}

type Exported struct {
	E    int
	X    int `json:"X"`
	Deep *Exported
}

type clash struct{ Y int }

type outer struct {
	inner
	*Exported
	clash
	Name    string    `json:"name"`
	Dash    int       `json:"-,"` //nolint:staticcheck // encoding/json still calls it "-"
	Hidden  int       `json:"-"`
	Quoted  int64     `json:",string"`
	QuotedS string    `json:"qs,string"`
	QuotedP *bool     `json:"qp,string"`
	Empty   []int     `json:",omitempty"`
	EmptyM  any       `json:",omitempty"`
	Zero    inner     `json:",omitzero"`
	ZeroT   time.Time `json:",omitzero"`
	Bad     int       `json:"a\"b"` //nolint:staticcheck // encoding/json falls back to the field's name
	Any     any
	lower   int //nolint:unused // must not be sent
}

type zeroable struct{ N int }

func (z *zeroable) IsZero() bool { return z.N == 7 }

type withZeroable struct {
	A zeroable  `json:",omitzero"`
	B *zeroable `json:",omitzero"`
	C any       `json:",omitzero"`
}

type node struct {
	Value int
	Next  *node
	Kids  []node          `json:",omitempty"`
	By    map[string]node `json:",omitempty"`
}

type pointerMarshaler struct{ N int }

func (p *pointerMarshaler) MarshalJSON() ([]byte, error) { return []byte(`{"ptr":true}`), nil }

type embedsTime struct {
	time.Time
	Note string
}

type unexportedTagged struct {
	inner `json:"in"`
}

// jsonValues are values that encoding/json encodes and that hold nothing binary.
func jsonValues() map[string]any {
	day := time.Date(2026, 11, 22, 1, 2, 3, 4, time.UTC)
	return map[string]any{
		"nil":               nil,
		"string":            "a\"\\/<>&\u2028 é😀\x00\x1f\x7f\b\f\n\r\t",
		"named string":      tag("t"),
		"invalid utf8":      "a\xffb\xc3",
		"bools":             []bool{true, false},
		"ints":              []any{int8(-8), int16(-16), int32(-32), int64(math.MinInt64), uint8(8), uint16(16), uint32(32), uint64(math.MaxUint64), uintptr(1), level(3)},
		"floats":            []float64{0, 1, -1.5, 1e20, 1e21, 1e-6, 1e-7, 5e-324, math.MaxFloat64, 123456789.125},
		"float32":           []float32{0.1, 1e21, 1e-7, 3.4e38},
		"named float":       celsius(36.6),
		"number":            json.Number("12.50"),
		"raw":               json.RawMessage(`{"b":1,"a":[2,3]}`),
		"nil raw":           json.RawMessage(nil),
		"ip":                net.IPv4(1, 2, 3, 4),
		"addr":              netip.MustParseAddr("::1"),
		"big":               big.NewInt(1).Lsh(big.NewInt(1), 100),
		"time":              day,
		"hex":               hexBlob("ab"),
		"pointer receiver":  &pointerMarshaler{1},
		"by value":          pointerMarshaler{1},
		"in slice":          []pointerMarshaler{{1}},
		"array":             [3]int{1, 2, 3},
		"byte array":        [3]byte{1, 2, 3},
		"array of ptr blob": [1]ptrBlob{nil},
		"nil slice":         []int(nil),
		"nil any slice":     []any(nil),
		"nil map":           map[string]any(nil),
		"empty":             []any{[]int{}, map[string]int{}, struct{}{}},
		"map":               map[string]any{"z": 1, "a": nil, "é<": []any{true}, "b": 0, "y": 0, "c": 0, "x": 0, "d": 0, "w": 0},
		"int keys":          map[int]string{10: "a", 9: "b", -1: "c"},
		"uint keys":         map[uint8]int{200: 1, 3: 2},
		"text keys":         map[level]int{2: 1, 1: 2},
		"named keys":        map[tag]int{"b": 1, "a": 2},
		"addr keys":         map[netip.Addr]bool{netip.MustParseAddr("1.2.3.4"): true},
		"struct":            inner{A: 1, C: map[string]any{"x": 1}},
		"outer":             outer{inner: inner{A: 1, B: "b", X: 1, Y: 1}, Exported: &Exported{E: 2, X: 3}, Quoted: 5, QuotedS: `"q"`, QuotedP: new(true), Any: inner{}},
		"outer empty":       outer{},
		"outer pointer":     &outer{Exported: &Exported{Deep: &Exported{E: 1}}, Empty: []int{1}, EmptyM: 0, ZeroT: day},
		"zeroable":          withZeroable{zeroable{7}, &zeroable{7}, 0},
		"not zero":          &withZeroable{A: zeroable{1}, B: &zeroable{2}, C: &zeroable{}},
		"list":              &node{1, &node{2, nil, nil, nil}, []node{{Value: 3}}, map[string]node{"k": {Value: 4}}},
		"embeds time":       embedsTime{day, "lost"},
		"tagged":            struct{ In any }{unexportedTagged{inner{A: 1}}},
		"pointers":          []any{new(1), new("s"), (*int)(nil), new(new(2.5)), new(any("x"))},
		"error":             []any{errors.New("lost")},
	}
}

func stdEncode(t *testing.T, v any) string {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func TestValuesWithoutBinaryBecomeWhatEncodingJSONMakes(t *testing.T) {
	// JavaScript escapes neither of these, encoding/json all three.
	unescape := strings.NewReplacer(`\u2028`, "\u2028", `\u2029`, "\u2029", `\ufffd`, "\uFFFD").Replace
	for name, v := range jsonValues() {
		t.Run(name, func(t *testing.T) {
			want := unescape(stdEncode(t, v))
			raw, err := parser.MakeRaw(v)
			if got := unescape(string(raw.Payload().JSON)); got != want || err != nil {
				t.Errorf("MakeRaw = %s, %v\nwant %s", got, err, want)
			}
			raw, err = parser.MakeRaw(struct{ V any }{v})
			if got, want := unescape(string(raw.Payload().JSON)), `{"V":`+want+`}`; got != want || err != nil {
				t.Errorf("MakeRaw = %s, %v\nwant %s", got, err, want)
			}
			if v == nil {
				return
			}
			p, err := parser.EncodeNative(v)
			if got := unescape(string(p.JSON)); got != want || err != nil {
				t.Errorf("native = %s, %v\nwant %s", got, err, want)
			}
		})
	}
}

func TestBinaryIsFoundAnywhere(t *testing.T) {
	data := []byte{1, 2, 3}
	const hole = `{"_placeholder":true,"num":0}`
	type holder struct {
		Blob blob `json:"blob,omitempty"`
		Note string
	}
	type embedding struct {
		*holder
		Any any `json:",omitempty"`
	}
	for name, tt := range map[string]struct {
		value any
		want  string
	}{
		"bytes":             {data, hole},
		"named":             {blob(data), hole},
		"named element":     {[]octet{1, 2, 3}, hole},
		"pointer":           {&data, hole},
		"interface pointer": {new(any(data)), hole},
		"slice":             {[]any{0, data}, `[0,` + hole + `]`},
		"typed slice":       {[][]byte{data}, `[` + hole + `]`},
		"array":             {[1][]byte{data}, `[` + hole + `]`},
		"map":               {map[string]any{"k": data}, `{"k":` + hole + `}`},
		"typed map":         {map[int][]byte{7: data}, `{"7":` + hole + `}`},
		"struct":            {holder{data, "n"}, `{"blob":` + hole + `,"Note":"n"}`},
		"struct pointer":    {&holder{data, "n"}, `{"blob":` + hole + `,"Note":"n"}`},
		"embedded":          {embedding{&holder{data, "n"}, nil}, `{"blob":` + hole + `,"Note":"n"}`},
		"interface field":   {embedding{nil, data}, `{"Any":` + hole + `}`},
		"beside NaN":        {[]any{math.NaN(), data}, `[null,` + hole + `]`},
		"struct in any":     {[]any{map[string]any{"s": struct{ B []byte }{data}}}, `[{"s":{"B":` + hole + `}}]`},
	} {
		t.Run(name, func(t *testing.T) {
			raw, err := parser.MakeRaw(tt.value)
			if err != nil {
				t.Fatal(err)
			}
			p := raw.Payload()
			if string(p.JSON) != tt.want || len(p.Attachments) != 1 || !bytes.Equal(p.Attachments[0], data) {
				t.Errorf("got %s, %x, want %s, %x", p.JSON, p.Attachments, tt.want, data)
			}
		})
	}
}

func TestOnlyBytesAreBinary(t *testing.T) {
	for name, tt := range map[string]struct {
		value any
		want  string
	}{
		"nil bytes":      {[]byte(nil), `null`},
		"nil in struct":  {struct{ B []byte }{}, `{"B":null}`},
		"raw message":    {json.RawMessage(" {\"a\" : 1}\n"), `{"a" : 1}`},
		"ip":             {net.IPv4(1, 2, 3, 4), `"1.2.3.4"`},
		"text marshaler": {hexBlob("ab"), `"AB"`},
		"ptr marshaler":  {&struct{ P ptrBlob }{ptrBlob("x")}, `{"P":"ptr"}`},
		"byte array":     {[2]byte{1, 2}, `[1,2]`},
		"omitted": {struct {
			B []byte `json:",omitempty"`
		}{[]byte{}}, `{}`},
	} {
		t.Run(name, func(t *testing.T) {
			raw, err := parser.MakeRaw(tt.value)
			if p := raw.Payload(); string(p.JSON) != tt.want || len(p.Attachments) != 0 || err != nil {
				t.Errorf("got %s, %x, %v, want %s", p.JSON, p.Attachments, err, tt.want)
			}
		})
	}
}

func TestSameBytesTwiceAreSentTwice(t *testing.T) {
	b := []byte{9}
	args, err := parser.MakeArgs(b, b)
	if err != nil {
		t.Fatal(err)
	}
	p := args.Payload()
	if want := `[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`; string(p.JSON) != want || len(p.Attachments) != 2 {
		t.Errorf("got %s, %x", p.JSON, p.Attachments)
	}
	b[0] = 1
	if p.Attachments[0][0] != 9 {
		t.Error("the buffer is still the caller's")
	}
}

func TestNaNIsNull(t *testing.T) {
	type reading struct {
		Name  string
		Value float64
		More  []float32 `json:",omitempty"`
	}
	for name, v := range map[string]any{
		"argument": math.NaN(),
		"slice":    []float64{math.Inf(1), 1, math.Inf(-1)},
		"struct":   reading{"t", math.NaN(), []float32{float32(math.Inf(1))}},
		"map":      map[string]reading{"a": {Value: math.NaN()}, "b": {Value: 2}},
		"quoted": struct {
			F float64 `json:",string"`
		}{math.NaN()},
	} {
		raw, err := parser.MakeRaw(v)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if text := string(raw.Payload().JSON); !strings.Contains(text, "null") || !json.Valid([]byte(text)) {
			t.Errorf("%s: %s", name, text)
		}
	}
}

type panics struct{}

func (panics) MarshalJSON() ([]byte, error) { panic("no") }

type fails struct{}

var errFails = errors.New("fails")

func (fails) MarshalJSON() ([]byte, error) { return nil, errFails }

func TestEncodingErrors(t *testing.T) {
	cycle := map[string]any{}
	cycle["self"] = cycle
	loop := &node{}
	loop.Next = loop
	anyLoop := []any{nil}
	anyLoop[0] = anyLoop
	var unsupported *json.UnsupportedTypeError
	for name, tt := range map[string]struct {
		value any
		is    error
		as    any
	}{
		"channel":          {make(chan int), nil, &unsupported},
		"func in struct":   {struct{ F func() }{func() {}}, nil, &unsupported},
		"func in any":      {[]any{func() {}}, nil, &unsupported},
		"complex":          {1i, nil, &unsupported},
		"map key":          {map[struct{ A any }]any{{1}: 1}, nil, &unsupported},
		"map cycle":        {cycle, parser.ErrTooDeep, nil},
		"pointer cycle":    {loop, parser.ErrTooDeep, nil},
		"slice cycle":      {anyLoop, parser.ErrTooDeep, nil},
		"panic":            {panics{}, nil, nil},
		"panic in struct":  {struct{ A, B any }{nil, panics{}}, nil, nil},
		"error":            {fails{}, errFails, nil},
		"error in map":     {map[string]any{"x": fails{}}, errFails, nil},
		"bad raw message":  {json.RawMessage(`{"a":`), parser.ErrSyntax, nil},
		"empty raw":        {json.RawMessage{}, parser.ErrSyntax, nil},
		"two raw values":   {json.RawMessage(`1 2`), parser.ErrSyntax, nil},
		"deep raw message": {json.RawMessage(strings.Repeat("[", 600) + strings.Repeat("]", 600)), parser.ErrTooDeep, nil},
	} {
		t.Run(name, func(t *testing.T) {
			args, err := parser.MakeEvent("e", "first", tt.value)
			if err == nil {
				t.Fatalf("no error, but %s", args.EventPayload().JSON)
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("error = %v, want %v", err, tt.is)
			}
			if tt.as != nil && !errors.As(err, tt.as) {
				t.Errorf("error = %v (%T)", err, err)
			}
			// What an encoder leaves behind must not show up in the next event.
			next, err := parser.MakeArgs(1)
			if p := next.Payload(); string(p.JSON) != "[1]" || p.Attachments != nil || err != nil {
				t.Errorf("afterwards: %s, %x, %v", p.JSON, p.Attachments, err)
			}
		})
	}
}

func TestEventNameIsNotAnArgument(t *testing.T) {
	args, err := parser.MakeEvent("say\n\"hi\"", 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(args.EventPayload().JSON); got != `["say\n\"hi\"",1,null]` {
		t.Errorf("EventPayload() = %s", got)
	}
	if got := string(args.Payload().JSON); got != `[1,null]` || args.Len() != 2 {
		t.Errorf("Payload() = %s, Len() = %d", got, args.Len())
	}
	none, _ := parser.MakeEvent("e")
	if got := string(none.Payload().JSON); got != `[]` || none.Len() != 0 || len(none.Values()) != 0 {
		t.Errorf("Payload() = %s, Len() = %d", got, none.Len())
	}
	name, again, err := args.EventPayload().Event()
	if name != "say\n\"hi\"" || again.Len() != 2 || err != nil {
		t.Errorf("Event() = %q, %d, %v", name, again.Len(), err)
	}
	if nested, _ := parser.MakeArgs(args, parser.Args{}); string(nested.Payload().JSON) != `[[1,null],[]]` {
		t.Errorf("nested: %s", nested.Payload().JSON)
	}
}

func TestEventNames(t *testing.T) {
	for text, want := range map[string]string{
		`["a"]`: "a", ` [ "\u0061" , 1]`: "a", `[1]`: "1", `[1.0]`: "1", `[-0]`: "0", `[1e3,2]`: "1000",
		`[1e400]`: "Infinity", `[-1e400]`: "-Infinity", `[0.5]`: "0.5", `[""]`: "", `[9007199254740993]`: "9007199254740992",
	} {
		name, _, err := parser.Payload{JSON: []byte(text)}.Event()
		if name != want || err != nil {
			t.Errorf("%s: %q, %v, want %q", text, name, err, want)
		}
	}
	for _, text := range []string{``, `[]`, `{}`, `[null]`, `[true]`, `[{}]`, `[[]]`, `"a"`, ` `} {
		if name, _, err := (parser.Payload{JSON: []byte(text)}).Event(); !errors.Is(err, parser.ErrPayload) {
			t.Errorf("%s: %q, %v", text, name, err)
		}
	}
}

// Proves J-21.
func TestValuesAreSentOnUnchanged(t *testing.T) {
	const text = `["e", {"a":1,"a":2} ,1e999,[{"_placeholder":true,"num":1}, {"num":0,"_placeholder":true}],"\ud800",{"_placeholder":true,"num":1}]`
	in := parser.Payload{JSON: []byte(text), Attachments: [][]byte{{0}, {1}, {2}}}
	_, args, err := in.Event()
	if err != nil {
		t.Fatal(err)
	}
	out, err := parser.MakeEvent("back", append(args.Values(), []byte{7})...)
	if err != nil {
		t.Fatal(err)
	}
	p := out.EventPayload()
	want := `["back",{"a":1,"a":2},1e999,[{"_placeholder":true,"num":0}, {"_placeholder":true,"num":1}],"\ud800",{"_placeholder":true,"num":2},{"_placeholder":true,"num":3}]`
	if string(p.JSON) != want {
		t.Errorf("got  %s\nwant %s", p.JSON, want)
	}
	if want := [][]byte{{1}, {0}, {1}, {7}}; !reflect.DeepEqual(p.Attachments, want) {
		t.Errorf("attachments = %x, want %x", p.Attachments, want)
	}
}

func TestPlaceholderUsedTwiceDoesNotMultiplyAttachments(t *testing.T) {
	hole := `{"_placeholder":true,"num":0}`
	in := parser.Payload{JSON: []byte(`[[` + hole + `,` + hole + `]]`), Attachments: [][]byte{{5}}}
	out, err := parser.MakeArgs(in.Args().Values()...)
	if err != nil {
		t.Fatal(err)
	}
	if p := out.Payload(); string(p.JSON) != string(in.JSON) || len(p.Attachments) != 1 {
		t.Errorf("%s, %x", p.JSON, p.Attachments)
	}
}

func TestLookalikeBesideBinaryIsAnError(t *testing.T) {
	lookalike := map[string]any{"_placeholder": true, "num": 99}
	if args, err := parser.MakeArgs(lookalike); err != nil {
		t.Errorf("alone: %v, %s", err, args.Payload().JSON)
	}
	data := []byte{1}
	for name, args := range map[string][]any{
		"beside":    {lookalike, data},
		"first":     {map[string]any{"_placeholder": true, "num": 0}, data},
		"around":    {map[string]any{"_placeholder": true, "x": data}},
		"identical": {map[string]any{"_placeholder": true, "num": map[string]any{"x": data}}, json.RawMessage(`{"_placeholder":true,"num":0}`)},
		"raw":       {json.RawMessage(`{"num":0,"\u005fplaceholder":true}`), data},
		"struct": {struct {
			P bool `json:"_placeholder"`
		}{true}, data},
	} {
		if a, err := parser.MakeArgs(args...); !errors.Is(err, parser.ErrAmbiguous) {
			t.Errorf("%s: %v, %s", name, err, a.Payload().JSON)
		}
	}
	if _, err := parser.MakeArgs(map[string]any{"_placeholder": 1}, data); err != nil {
		t.Errorf("not literally true: %v", err)
	}
}

func TestRawIsAValueOfItsOwn(t *testing.T) {
	var zero parser.Raw
	if p := zero.Payload(); string(p.JSON) != "null" {
		t.Errorf("zero Raw = %s", p.JSON)
	}
	args, err := parser.MakeArgs("x", []byte{1}, []byte{2})
	if err != nil {
		t.Fatal(err)
	}
	var raw parser.Raw
	if err := args.Scan(nil, nil, &raw); err != nil {
		t.Fatal(err)
	}
	p := raw.Payload()
	if string(p.JSON) != `{"_placeholder":true,"num":0}` || !reflect.DeepEqual(p.Attachments, [][]byte{{2}}) {
		t.Errorf("Payload() = %s, %x", p.JSON, p.Attachments)
	}
	var b []byte
	if err := raw.Scan(&b); err != nil || !bytes.Equal(b, []byte{2}) {
		t.Errorf("Scan: %x, %v", b, err)
	}
	text, err := json.Marshal(struct {
		R parser.Raw
		A parser.Args
		Z parser.Raw
	}{raw, args, zero})
	if want := `{"R":"Ag==","A":["x","AQ==","Ag=="],"Z":null}`; string(text) != want || err != nil {
		t.Errorf("json.Marshal = %s, %v", text, err)
	}
	inside, err := parser.MakeRaw(map[string]any{"r": &raw, "s": struct{ A parser.Args }{args}})
	if err != nil {
		t.Fatal(err)
	}
	if p := inside.Payload(); len(p.Attachments) != 3 || !bytes.Equal(p.Attachments[0], []byte{2}) {
		t.Errorf("%s, %x", p.JSON, p.Attachments)
	}
	if err := json.Unmarshal([]byte(`{"a":[1]}`), &raw); err != nil || string(raw.Payload().JSON) != `{"a":[1]}` {
		t.Errorf("json.Unmarshal: %s, %v", raw.Payload().JSON, err)
	}
}
