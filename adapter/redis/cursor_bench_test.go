package redisadapter

import (
	"testing"

	"github.com/vmihailenco/msgpack/v5"
)

// BenchmarkCursor steps over a value of MessagePack, and beside it decodes the
// same with the library.
func BenchmarkCursor(b *testing.B) {
	value := []any{"b88c27a720c2c4f8", map[string]any{
		"type": 2, "nsp": "/", "data": []any{"chat message", map[string]any{"user": "alice", "text": "hello everybody, how are you today?", "at": int64(1767225600000)}},
	}, map[string]any{"rooms": []any{"general"}, "except": []any{"b88c27a7"}, "flags": map[string]any{}}}
	packed, err := msgpack.Marshal(value)
	if err != nil {
		b.Fatal(err)
	}
	text := string(packed)
	b.Run("skip", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			c := cursor{s: text}
			if c.skip(); c.bad || c.left() != 0 {
				b.Fatal("not one value")
			}
		}
	})
	b.Run("library", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			var v any
			if err := msgpack.Unmarshal(packed, &v); err != nil {
				b.Fatal(err)
			}
		}
	})
}
