package differential_test

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"

	"github.com/dunlin-io/dunlin/core/parser"
)

// damage changes a message in a few places.
func damage(r *rand.Rand, frames []parser.Frame, pieces []string) {
	f := &frames[r.IntN(len(frames))]
	b := slices.Clone(f.Data)
	for range 1 + r.IntN(3) {
		at := r.IntN(len(b) + 1)
		end := min(at+1+r.IntN(4), len(b))
		switch r.IntN(6) {
		case 0: // leave something out
			b = slices.Delete(b, at, end)
		case 1: // say something twice
			b = slices.Insert(b, end, b[at:end]...)
		case 2:
			b = slices.Insert(b, at, []byte(pieces[r.IntN(len(pieces))])...)
		case 3:
			b = slices.Replace(b, at, end, []byte(pieces[r.IntN(len(pieces))])...)
		case 4:
			if at < len(b) {
				b[at] ^= 1 << r.IntN(8)
			}
		default:
			if r.IntN(4) == 0 {
				b = b[:at]
			}
		}
	}
	f.Data = b
}

// endless reports whether in announces a length for which the peer's
// MessagePack decoder, which trusts it, would fetch gigabytes or loop for
// minutes. Ours looks at what is there; its own tests show that.
func endless(in input) bool {
	const most = 1 << 20
	if in.codec.Name() != "msgpack" {
		return false
	}
	for _, f := range in.frames {
		for i := 0; i+5 <= len(f.Data); i++ {
			if b := f.Data[i]; (b == 0xc9 || b == 0xdd || b == 0xdf) && binary.BigEndian.Uint32(f.Data[i+1:]) > most {
				return true
			}
		}
	}
	return false
}
