package bench

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestPayloadsComeBack(t *testing.T) {
	for _, size := range []int{minSize, 128, 5000} {
		f := newFormat(0xabcdef, size)
		want := stamp{7, 123_456_789, 42 * time.Hour}
		payload := string(f.append(nil, want))
		if len(payload) != size {
			t.Errorf("%d bytes: %s, want %d", len(payload), payload, size)
		}
		if got, err := f.parse([]byte(payload), true); got != want || err != nil {
			t.Errorf("parse(%s) = %v, %v", payload, got, err)
		}
		for _, text := range []string{
			`["msg",` + payload + `]`,
			`["msg",{"fill":` + string(f.fill) + `,"stamp":` + payload[9:63] + `}]`,
			`[ "msg", ` + strings.ReplaceAll(payload, `:"`, `: "`) + " ]",
		} {
			if got, err := f.parse([]byte(text), false); got != want || err != nil {
				t.Errorf("parse(%s) = %v, %v", text, got, err)
			}
		}
		for text, want := range map[string]error{
			"":                                      errForeign,
			`["msg",{"hello":"you"}]`:               errForeign,
			payload[:size-2]:                        errDamaged,
			payload[:40]:                            errDamaged,
			payload[:30] + payload[31:]:             errDamaged,
			strings.Replace(payload, "00", "0g", 1): errForeign,
			strings.Replace(payload, ":0000", ":0g00", 1):          errDamaged,
			string(newFormat(0xabcdee, size).append(nil, stamp{})): errForeign,
		} {
			if got, err := f.parse([]byte(text), false); !errors.Is(err, want) {
				t.Errorf("parse(%.90s) = %v, %v, want %v", text, got, err, want)
			}
		}
		if _, err := f.parse([]byte(payload+" "), true); !errors.Is(err, errDamaged) {
			t.Errorf("a longer attachment: %v", err)
		}
	}
}

func TestPacketsAreRead(t *testing.T) {
	for text, want := range map[string]struct {
		namespace   string
		kind        byte
		id          uint64
		message     bool
		attachments int
		body        string
	}{
		`2["msg",1]`:        {"/", event, 0, true, 0, `["msg",1]`},
		`2["other",1]`:      {"/", event, 0, false, 0, `["other",1]`},
		`2/a,["msg",1]`:     {"/a", event, 0, true, 0, `["msg",1]`},
		`2/b,["msg",1]`:     {"/a", 0, 0, true, 0, `["msg",1]`},
		`2["msg",2]`:        {"/a", 0, 0, true, 0, `["msg",2]`},
		`3/a,17[]`:          {"/a", ack, 17, false, 0, `[]`},
		`317["x"]`:          {"/", ack, 17, false, 0, `["x"]`},
		`51-["msg",{}]`:     {"/", event, 0, true, 1, ""},
		`62-/a,5[{},{}]`:    {"/a", ack, 5, false, 2, ""},
		`0{"sid":"x"}`:      {"/", connect, 0, false, 0, `{"sid":"x"}`},
		`4/a,{"message":1}`: {"/a", connectError, 0, false, 0, `{"message":1}`},
		`1/a,`:              {"/a", disconnect, 0, false, 0, ""},
	} {
		p, n, err := parsePacket([]byte(text), want.namespace)
		if err != nil || p.kind != want.kind || p.id != want.id || p.message != want.message || n != want.attachments || string(p.body) != want.body {
			t.Errorf("parsePacket(%s) = %+v, %d, %v", text, p, n, err)
		}
	}
	for _, text := range []string{"", "7", "5", "5-[]", "5x-[]", "51[]"} {
		if p, _, err := parsePacket([]byte(text), "/"); err == nil {
			t.Errorf("parsePacket(%s) = %+v", text, p)
		}
	}
}
