package parser_test

import (
	"bytes"
	"testing"

	"github.com/dunlin-io/dunlin/core/parser"
)

type chatMessage struct {
	From string `json:"from"`
	Text string `json:"text"`
	At   int64  `json:"at"`
	Room string `json:"room"`
}

var chat = chatMessage{"alice", "Hello everyone, how are you doing today?", 1763820000123, "general-discussion"}

const chatText = `["chat message",{"from":"alice","text":"Hello everyone, how are you doing today?","at":1763820000123,"room":"general-discussion"}]`

func BenchmarkMakeEvent(b *testing.B) {
	data := make([]byte, 64)
	for name, args := range map[string][]any{
		"strings": {"general", "Hello everyone, how are you doing today?", 17, true},
		"struct":  {chat},
		"map":     {map[string]any{"from": chat.From, "text": chat.Text, "at": chat.At, "room": chat.Room}},
		"binary":  {"file", data},
		"holder":  {struct{ Data []byte }{data}},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := parser.MakeEvent("chat message", args...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func chatPacket() *parser.Packet {
	return &parser.Packet{Type: parser.Event, Namespace: "/", Payload: parser.Payload{JSON: []byte(chatText)}}
}

func BenchmarkEncode(b *testing.B) {
	for _, codec := range []parser.Codec{parser.JSON(), parser.Msgpack()} {
		b.Run(codec.Name(), func(b *testing.B) {
			b.ReportAllocs()
			p := chatPacket()
			for b.Loop() {
				if _, err := codec.Encode(p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	binary := chatPacket()
	binary.Payload = parser.Payload{JSON: []byte(`["file",` + hole("0") + `]`), Attachments: [][]byte{make([]byte, 64)}}
	long := chatPacket()
	long.Payload.JSON = append(append([]byte(`["e","`), bytes.Repeat([]byte("long text "), 1000)...), `"]`...)
	for name, p := range map[string]*parser.Packet{"chat": chatPacket(), "binary": binary, "10KB": long} {
		for _, codec := range []parser.Codec{parser.JSON(), parser.Msgpack()} {
			b.Run(codec.Name()+"/"+name, func(b *testing.B) {
				frames, err := codec.Encode(p)
				if err != nil {
					b.Fatal(err)
				}
				d := codec.NewDecoder(parser.Limits{})
				b.ReportAllocs()
				for b.Loop() {
					for _, f := range frames {
						if _, _, err := d.Decode(f); err != nil {
							b.Fatal(err)
						}
					}
				}
			})
		}
	}
}

func BenchmarkEvent(b *testing.B) {
	p := chatPacket().Payload
	b.ReportAllocs()
	for b.Loop() {
		if _, args, err := p.Event(); err != nil || args.Len() != 1 {
			b.Fatal(err)
		}
	}
}

func BenchmarkScan(b *testing.B) {
	chatArgs := argsOf(`[` + chatText[len(`["chat message",`):])
	plain := argsOf(`["general",17,true,2.5]`)
	holder := argsOf(`[{"Data":`+hole("0")+`}]`, make([]byte, 64))
	b.Run("struct", func(b *testing.B) {
		b.ReportAllocs()
		var m chatMessage
		for b.Loop() {
			if err := chatArgs.Scan(&m); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("any", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var v any
			if err := chatArgs.Scan(&v); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("basic", func(b *testing.B) {
		b.ReportAllocs()
		var s string
		var n int
		var ok bool
		var f float64
		for b.Loop() {
			if err := plain.Scan(&s, &n, &ok, &f); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("binary", func(b *testing.B) {
		b.ReportAllocs()
		var h struct{ Data []byte }
		for b.Loop() {
			if err := holder.Scan(&h); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkMsgpackConversion(b *testing.B) {
	p := parser.Payload{JSON: []byte(chatText)}
	packed, err := parser.AppendMsgpack(nil, p)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		var buf []byte
		for b.Loop() {
			if buf, err = parser.AppendMsgpack(buf[:0], p); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := parser.PayloadFromMsgpack(packed, parser.Limits{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("validate", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := parser.ValidateMsgpack(packed, parser.Limits{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkValidateJSON(b *testing.B) {
	text := []byte(chatText)
	b.ReportAllocs()
	for b.Loop() {
		if err := parser.ValidateJSON(text, parser.Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}
