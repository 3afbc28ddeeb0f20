package engineio

import (
	"bytes"
	"fmt"
	"iter"
	"unicode/utf8"
)

// packets yields the packets of an HTTP body in order. The first error ends the sequence: packets before it count, what
// follows it is not looked at, as in the reference server. An empty body is one empty packet, hence an error.
func packets(body []byte) iter.Seq2[packet, error] {
	return func(yield func(packet, error) bool) {
		for more := true; more; {
			var part []byte
			part, body, more = bytes.Cut(body, []byte{separator})
			p, err := decodePacket(part)
			if err == nil && !p.binary && !utf8.Valid(p.data) {
				err = errNotUTF8
			}
			if err != nil {
				yield(packet{}, fmt.Errorf("decode payload: %w", err))
				return
			}
			if !yield(p, nil) {
				return
			}
		}
	}
}
