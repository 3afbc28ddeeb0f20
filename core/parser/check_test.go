package parser_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/dunlin-io/dunlin/core/parser"
)

func TestCheckFindsWhatDecodersMustRefuse(t *testing.T) {
	const num0 = `["x",{"_placeholder":true,"num":0}]`
	event := func(text string, attachments ...[]byte) parser.Packet {
		p := parser.Packet{Type: parser.Event, Namespace: "/", Payload: parser.Payload{Attachments: attachments}}
		if text != "" {
			p.Payload.JSON = []byte(text)
		}
		return p
	}
	of := func(typ parser.Type, text string) parser.Packet {
		p := event(text)
		p.Type = typ
		return p
	}
	with := func(change func(*parser.Packet)) parser.Packet {
		p := event(`["x"]`)
		change(&p)
		return p
	}
	limits := parser.Limits{MaxPacketBytes: 60, MaxDepth: 3, MaxNamespace: 5}
	for _, c := range []struct {
		name string
		p    parser.Packet
		want error // nil: it passes
	}{
		{"event", event(`["x",1,[[]]]`), nil},
		{"event with number as name", event(`[1]`), nil},
		{"event with id", with(func(p *parser.Packet) { p.ID, p.HasID = parser.MaxID, true }), nil},
		{"event with attachment", event(num0, []byte("ab")), nil},
		{"what looks like a placeholder without attachments", event(`["x",{"_placeholder":true,"num":7}]`), nil},
		{"attachment that nothing refers to", event(`["x"]`, []byte("ab")), nil},
		{"connect", of(parser.Connect, ""), nil},
		{"connect with payload", of(parser.Connect, `{}`), nil},
		{"disconnect", of(parser.Disconnect, ""), nil},
		{"ack", of(parser.Ack, `[]`), nil},
		{"ack without payload", of(parser.Ack, ""), nil},
		{"connect error", of(parser.ConnectError, `{"message":"x"}`), nil},
		{"connect error with text", of(parser.ConnectError, `"x"`), nil},

		{"type of the wire", of(parser.BinaryEvent, `["x"]`), parser.ErrType},
		{"no namespace", with(func(p *parser.Packet) { p.Namespace = "" }), parser.ErrNamespace},
		{"namespace without slash", with(func(p *parser.Packet) { p.Namespace = "x" }), parser.ErrNamespace},
		{"long namespace", with(func(p *parser.Packet) { p.Namespace = "/12345" }), parser.ErrNamespace},
		{"namespace that is no text", with(func(p *parser.Packet) { p.Namespace = "/\xff" }), parser.ErrNamespace},
		{"high id", with(func(p *parser.Packet) { p.ID, p.HasID = parser.MaxID+1, true }), parser.ErrID},
		{"event without payload", event(""), parser.ErrPayload},
		{"empty, but not nil", with(func(p *parser.Packet) { p.Type, p.Payload.JSON = parser.Ack, []byte{} }), parser.ErrPayload},
		{"event without name", event(`[]`), parser.ErrPayload},
		{"event with object as name", event(`[{}]`), parser.ErrPayload},
		{"reserved event", event(`["disconnect"]`), parser.ErrPayload},
		{"space before", event(` ["x"]`), parser.ErrPayload},
		{"object as event", event(`{}`), parser.ErrPayload},
		{"list as auth payload", of(parser.Connect, `[]`), parser.ErrPayload},
		{"disconnect with payload", of(parser.Disconnect, `[]`), parser.ErrPayload},
		{"malformed", event(`["x",`), parser.ErrSyntax},
		{"more than one value", event(`["x"][]`), parser.ErrSyntax},
		{"not UTF-8", event("[\"\xff\"]"), parser.ErrSyntax},
		{"deep", event(`["x",[[[]]]]`), parser.ErrTooDeep},
		{"long", event(`["x","` + strings.Repeat("y", 60) + `"]`), parser.ErrTooLarge},
		{"attachments without payload", with(func(p *parser.Packet) {
			p.Type, p.Payload = parser.Ack, parser.Payload{Attachments: [][]byte{{1}}}
		}), parser.ErrPayload},
		{"placeholder of nothing", event(`["x",{"_placeholder":true,"num":1}]`, []byte{1}), parser.ErrAttachments},
		{"placeholder without number", event(`["x",{"_placeholder":true}]`, []byte{1}), parser.ErrAttachments},
		{"long attachment", event(num0, make([]byte, 30)), parser.ErrTooLarge},
		{"too many", event(`["x"]`, make([][]byte, 1<<16)...), parser.ErrTooMany},
	} {
		if err := c.p.Check(limits); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	// Each placeholder counts, for each becomes the whole attachment.
	twice := event(`[1,{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]`, make([]byte, 20))
	size := len(twice.Payload.JSON) + 40
	if err := twice.Check(parser.Limits{MaxPacketBytes: size}); err != nil {
		t.Error(err)
	}
	if err := twice.Check(parser.Limits{MaxPacketBytes: size - 1}); !errors.Is(err, parser.ErrTooLarge) {
		t.Errorf("an attachment that is used twice: %v, want ErrTooLarge", err)
	}
}
