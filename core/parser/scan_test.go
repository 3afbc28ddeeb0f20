package parser_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/core/parser"
)

func argsOf(text string, attachments ...[]byte) parser.Args {
	return parser.Payload{JSON: []byte(text), Attachments: attachments}.Args()
}

func TestScanDecodesAsEncodingJSONDoes(t *testing.T) {
	texts := []string{
		`null`, `true`, `false`, `0`, `-0`, `1`, `-1`, `127`, `128`, `1.5`, `1e3`, `1E400`, `9007199254740993`,
		`9223372036854775807`, `9223372036854775808`, `-9223372036854775808`, `-9223372036854775809`,
		`18446744073709551615`, `18446744073709551616`,
		`""`, `"a"`, `"\ud83d\ude00\u00e9\n\/"`, `"\ud800"`, `"\udc00\ud800x"`, `"AQI="`, `"2026-11-22T00:00:00Z"`, `"1.2.3.4"`,
		`[]`, `[1,2]`, `[ "a" , null ]`, `{}`, `{"a":1,"B":"x","c":[1]}`, `{"A":2,"a":3,"unknown":{"x":[]}}`, `{"by":{"k":{"value":1}}}`,
	}
	targets := []any{
		"", int(5), int8(5), int64(5), uint64(5), uint8(5), float64(5), float32(5), true, any(nil), []byte("old"),
		[]any{1},
		[]int{1},
		map[string]any{"old": 1},
		inner{},
		node{},
		outer{},
		time.Time{},
		net.IP{},
		json.RawMessage("old"), json.Number("1"),
		new("old"), (*int)(nil),
		[1]int{4},
		struct{}{},
		map[int]int{},
		level(1),
	}
	for _, text := range texts {
		for _, target := range targets {
			typ := reflect.TypeFor[any]()
			if target != nil {
				typ = reflect.TypeOf(target)
			}
			got, want := reflect.New(typ), reflect.New(typ)
			if target != nil {
				got.Elem().Set(reflect.ValueOf(target))
				want.Elem().Set(reflect.ValueOf(target))
			}
			err := argsOf(`[0, `+text+` ,0]`).Scan(nil, got.Interface())
			wantErr := json.Unmarshal([]byte(text), want.Interface())
			if (err != nil) != (wantErr != nil) {
				t.Errorf("%s into %v: error %v, want %v", text, typ, err, wantErr)
			}
			if !reflect.DeepEqual(got.Interface(), want.Interface()) {
				t.Errorf("%s into %v: %#v, want %#v", text, typ, got.Elem(), want.Elem())
			}
		}
	}
}

func TestScanCountsArguments(t *testing.T) {
	args := argsOf(`[1,"two"]`)
	var n int
	var s string
	if err := args.Scan(&n); err != nil || n != 1 {
		t.Errorf("extra arguments: %d, %v", n, err)
	}
	if err := args.Scan(nil, &s); err != nil || s != "two" {
		t.Errorf("skipped: %q, %v", s, err)
	}
	n = 0
	if err := args.Scan(&n, &s, nil); !errors.Is(err, parser.ErrArgs) || n != 1 {
		t.Errorf("missing argument: %d, %v", n, err)
	}
	if err := (parser.Args{}).Scan(); err != nil {
		t.Errorf("nothing from nothing: %v", err)
	}
	var mismatch *json.UnmarshalTypeError
	if err := args.Scan(nil, &n); !errors.As(err, &mismatch) || !strings.Contains(err.Error(), "argument 1") {
		t.Errorf("mismatch: %v", err)
	}
	var invalid *json.InvalidUnmarshalError
	for _, dst := range []any{n, (*int)(nil)} {
		if err := args.Scan(dst); !errors.As(err, &invalid) {
			t.Errorf("Scan(%T): %v", dst, err)
		}
		if err := argsOf(`[{"_placeholder":true,"num":0}]`, nil).Scan(dst); !errors.As(err, &invalid) {
			t.Errorf("Scan(%T): %v", dst, err)
		}
	}
	var list parser.Args
	if err := argsOf(`[[1,2]]`).Scan(&list); err != nil || list.Len() != 2 {
		t.Errorf("array: %d, %v", list.Len(), err)
	}
	if err := args.Scan(&list); !errors.Is(err, parser.ErrPayload) {
		t.Errorf("no array: %v", err)
	}
}

type upload struct {
	Name  string
	Data  []byte
	Named blob `json:"named"`
	Size  int  `json:",string"`
	Any   any
	Rest  map[string]any
	Parts []struct{ B []byte }
	Fixed [2][]byte
	By    map[int][]byte
	Raw   parser.Raw
	Ptr   *[]byte
	*Exported
	Custom custom
	hidden []byte //nolint:unused // must not be set
}

// custom sees what encoding/json would show it.
type custom struct{ data []byte }

func (c *custom) UnmarshalJSON(text []byte) error {
	var v struct{ B []byte }
	err := json.Unmarshal(text, &v)
	c.data = v.B
	return err
}

func hole(n string) string { return `{"_placeholder":true,"num":` + n + `}` }

func TestAttachmentsReachEveryDepth(t *testing.T) {
	text := `[{"name":"n","DATA":` + hole("0") + `,"named":` + hole("1") + `,"Size":"12","E":4,"Deep":{"E":5},
		"Any":{"k":[1,` + hole("2") + `,{"x":` + hole("3") + `,"y":null}]},
		"Rest":{"a":` + hole("4") + `,"b":true},
		"Parts":[{"B":` + hole("5") + `},{"B":null},{}],
		"Fixed":[null,` + hole("6") + `,` + hole("7") + `],
		"By":{"-3":` + hole("8") + `},
		"Raw":[` + hole("9") + `], "Ptr":` + hole("10") + `,
		"Custom":{"B":` + hole("11") + `}, "hidden":` + hole("12") + `, "unknown":[` + hole("13") + `]}]`
	var attachments [][]byte
	for i := range 14 {
		attachments = append(attachments, []byte{byte(i)})
	}
	var got upload
	if err := argsOf(text, attachments...).Scan(&got); err != nil {
		t.Fatal(err)
	}
	want := upload{
		Name: "n", Data: []byte{0}, Named: blob{1}, Size: 12,
		Any:      map[string]any{"k": []any{1.0, []byte{2}, map[string]any{"x": []byte{3}, "y": nil}}},
		Rest:     map[string]any{"a": []byte{4}, "b": true},
		Parts:    []struct{ B []byte }{{[]byte{5}}, {}, {}},
		Fixed:    [2][]byte{nil, {6}},
		By:       map[int][]byte{-3: {8}},
		Raw:      got.Raw,
		Ptr:      &[]byte{10},
		Exported: &Exported{E: 4, Deep: &Exported{E: 5}},
		Custom:   custom{[]byte{11}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if p := got.Raw.Payload(); string(p.JSON) != "["+hole("0")+"]" || p.Attachments[0][0] != 9 {
		t.Errorf("Raw = %s, %x", p.JSON, p.Attachments)
	}
	got.Data[0] = 77
	if attachments[0][0] != 0 {
		t.Error("Scan gave away the bytes of the arguments")
	}
}

// TestScanWithBinaryAgreesWithEncodingJSON uses that encoding/json reads a
// []byte from base64.
func TestScanWithBinaryAgreesWithEncodingJSON(t *testing.T) {
	type all struct {
		B  []byte
		L  [][]byte
		M  map[string][]byte
		T  map[level][]byte `json:"-"`
		N  *node
		S  []upload
		Q  bool `json:"q,string"`
		P  **[]byte
		A  [1][]byte
		I  map[uint8]blob
		O  outer
		Up struct{ upload }
	}
	for _, text := range []string{
		`{"B":@}`, `{"b":@,"B":@}`, `{"L":[@,null,@],"B":null}`, `{"M":{"x":@,"y":null},"N":{"Value":1,"Next":null}}`,
		`{"S":[{"Name":"a","Data":@,"Size":"5"},{"Parts":[{"B":@}]}]}`, `{"q":"true","B":@}`, `{"P":@}`, `{"A":[@,@,1]}`, `{"A":[]}`,
		`{"I":{"200":@}}`, `{"I":{"300":@}}`, `{"I":{"x":@}}`, `{"N":@}`, `{"q":@}`, `{"O":{"name":@}}`, `{"O":{"Deep":{"E":@}}}`,
		`{"Up":{"Data":@,"E":1}}`, `{"B":[@]}`, `{"B":{"x":@}}`, `{"q":"maybe","B":@}`, `{"L":{"0":@}}`, `{"M":[@]}`,
	} {
		text = strings.ReplaceAll(text, "@", hole("0"))
		p := parser.Payload{JSON: []byte(text), Attachments: [][]byte{[]byte("data")}}
		var got, want all
		err := p.Scan(&got)
		inlined, _ := parser.InlineAttachments(p)
		wantErr := json.Unmarshal(inlined, &want)
		if (err != nil) != (wantErr != nil) {
			// A string is the one thing that base64 fits and an attachment does not.
			if strings.Contains(text, "name") && err != nil {
				continue
			}
			t.Errorf("%s: error %v, want %v", text, err, wantErr)
		}
		if err == nil && !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v\nwant %+v", text, got, want)
		}
	}
}

func TestScanBinaryErrors(t *testing.T) {
	var mismatch *json.UnmarshalTypeError
	for _, dst := range []any{new(string), new(int), new(map[string]any), new([]any), new(struct{}), new([1]byte), new(error), new([]string), new(time.Time)} {
		if err := argsOf(`[`+hole("0")+`]`, []byte{1}).Scan(dst); err == nil {
			t.Errorf("binary into %T: no error", dst)
		} else if _, isTime := dst.(*time.Time); !isTime && !errors.As(err, &mismatch) {
			t.Errorf("binary into %T: %v", dst, err)
		}
	}
	var b []byte
	for _, num := range []string{"1", "-1", "0.5", "null", `"0"`, "1e999"} {
		if err := argsOf(`[`+hole(num)+`]`, []byte{1}).Scan(&b); !errors.Is(err, parser.ErrAttachments) {
			t.Errorf("num %s: %v", num, err)
		}
	}
	if err := argsOf(`[` + hole("0") + `]`).Scan(&b); err == nil {
		t.Error("a plain object went into a []byte")
	}
	deep := strings.Repeat("[", 20_000) + hole("0") + strings.Repeat("]", 20_000)
	var v any
	if err := argsOf(`[`+deep+`]`, b).Scan(&v); !errors.Is(err, parser.ErrTooDeep) {
		t.Errorf("deep: %v", err)
	}
}

func TestScanFillsWhatIsThere(t *testing.T) {
	var b []byte
	var v any = &b
	if err := argsOf(`[`+hole("0")+`]`, []byte{1}).Scan(&v); err != nil || !bytes.Equal(b, []byte{1}) {
		t.Errorf("behind an interface: %x, %v", b, err)
	}
	m := map[string]any{"old": 1}
	if err := argsOf(`[{"new":`+hole("0")+`}]`, []byte{1}).Scan(&m); err != nil || len(m) != 2 {
		t.Errorf("map: %v, %v", m, err)
	}
	var raw json.RawMessage
	if err := argsOf(`[{"new":`+hole("0")+`}]`, []byte{1}).Scan(&raw); err != nil || string(raw) != `{"new":"AQ=="}` {
		t.Errorf("RawMessage: %s, %v", raw, err)
	}
	if err := (parser.Payload{}).Scan(&m); err != nil || len(m) != 2 {
		t.Errorf("no payload: %v, %v", m, err)
	}
}
