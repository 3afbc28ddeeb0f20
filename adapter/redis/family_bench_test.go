package redisadapter

import (
	"strconv"
	"testing"

	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/parser"
)

func testFamily(tb testing.TB) *family {
	tb.Helper()
	o := Options{MaxMessage: defaultMaxMessage}
	return &family{namespace: "/", self: "b88c27a720c2c4f8", extension: true, limits: o.limits()}
}

// benchmarkMessages are a broadcast without and with a binary value.
func benchmarkMessages(b *testing.B) map[string]*cluster.Message {
	b.Helper()
	plain := benchmarkPacket(b)
	args, err := parser.MakeEvent("file", map[string]any{"name": "a.png", "at": int64(1767225600000)}, make([]byte, 1024))
	if err != nil {
		b.Fatal(err)
	}
	binary := cluster.Broadcast{
		Target: plain.Target,
		Packet: &parser.Packet{Type: parser.Event, Namespace: "/", Payload: args.EventPayload()},
	}
	return map[string]*cluster.Message{
		"JSON":        {Seq: 1234567, Namespace: "/", Body: *plain},
		"MessagePack": {Seq: 1234567, Namespace: "/", Body: binary},
	}
}

func BenchmarkEncodeFamily(b *testing.B) {
	f := testFamily(b)
	for name, m := range benchmarkMessages(b) {
		b.Run(name, func(b *testing.B) {
			buf := make([]byte, 0, 4096)
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if buf, err = f.appendSharded(buf[:0], m); err != nil {
					b.Fatal(err)
				}
			}
			b.SetBytes(int64(len(buf)))
		})
	}
	b.Run("entry", func(b *testing.B) {
		m := benchmarkMessages(b)["JSON"]
		b.ReportAllocs()
		for b.Loop() {
			if _, err := f.entry(m, false); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkDecodeFamily(b *testing.B) {
	f := testFamily(b)
	other := *f
	other.self = "1437b1cfd6052bbf"
	for name, m := range benchmarkMessages(b) {
		payload, err := f.appendSharded(nil, m)
		if err != nil {
			b.Fatal(err)
		}
		s := string(payload)
		for own, f := range map[bool]*family{true: f, false: &other} {
			b.Run(name+"/own "+strconv.FormatBool(own), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(s)))
				for b.Loop() {
					if m, err := f.decode(s); err != nil || (m.Body == nil) != own {
						b.Fatal(m, err)
					}
				}
			})
		}
	}
	b.Run("entry", func(b *testing.B) {
		e, err := f.entry(benchmarkMessages(b)["JSON"], false)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if m, err := other.fromEntry(e); err != nil || m.Body == nil {
				b.Fatal(m, err)
			}
		}
	})
}
