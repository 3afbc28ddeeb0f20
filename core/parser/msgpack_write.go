package parser

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
)

// AppendMsgpack appends p as one MessagePack value, byte for byte as
// notepack.io 3 writes it: keys in their order, the shortest form of integers,
// float64 for all other numbers. Attachments become binary, at each place that
// refers to them. No payload is nil.
//
// Where notepack.io corrupts values, this does not: integers beyond 64 bits
// become float64, and lone surrogates U+FFFD. Integers beyond 2^53 stay exact
// unless they are written as JavaScript prints a number it cannot hold exactly.
//
// It takes linear time and does not build Go values. It fails if p is not
// valid, and then returns dst as it was.
func AppendMsgpack(dst []byte, p Payload) ([]byte, error) {
	if p.JSON == nil {
		return append(dst, mpNil), nil
	}
	if uint64(len(p.JSON)) > math.MaxUint32 {
		return dst, fmt.Errorf("%w: %d bytes", ErrTooLarge, len(p.JSON))
	}
	if err := validate(p.JSON, unlimited); err != nil {
		return dst, err
	}
	w := msgpackWriter{text: p.JSON, attachments: p.Attachments}
	if len(p.Attachments) > 0 {
		w.holes = findPlaceholders(p.JSON)
	}
	for _, h := range w.holes {
		if _, err := h.attachment(p.Attachments); err != nil {
			return dst, err
		}
	}
	var few [32]uint32
	w.counts = countItems(few[:0], p.JSON, w.holes)
	out, err := w.write(dst)
	if err != nil {
		return dst, err
	}
	return out, nil
}

// countItems appends, for each array and object of valid JSON text in the order
// in which they open, the number of their items: MessagePack wants it first.
// Placeholders are not looked into.
func countItems(counts []uint32, text []byte, holes []placeholder) []uint32 {
	var few [32]int
	open := few[:0] // indices into counts
	for i := 0; i < len(text); {
		switch text[i] {
		case '"':
			i = skipString(text, i)
			continue
		case '[', '{':
			if len(holes) > 0 && holes[0].start == i {
				i = holes[0].end
				holes = holes[1:]
				continue
			}
			open = append(open, len(counts))
			if next := text[skipSpace(text, i+1)]; next == ']' || next == '}' {
				counts = append(counts, 0)
			} else {
				counts = append(counts, 1)
			}
		case ',':
			counts[open[len(open)-1]]++
		case ']', '}':
			open = open[:len(open)-1]
		}
		i++
	}
	return counts
}

type msgpackWriter struct {
	text        []byte
	attachments [][]byte
	holes       []placeholder // those to come
	counts      []uint32      // of the containers to come
}

// write appends one token after the other: once containers know their lengths,
// MessagePack needs neither separators nor ends.
func (w *msgpackWriter) write(dst []byte) ([]byte, error) {
	for i := 0; i < len(w.text); {
		end := i + 1
		switch c := w.text[i]; c {
		case ' ', '\n', '\r', '\t', ',', ':', ']', '}':
		case '"':
			end = skipString(w.text, i)
			dst = appendMsgpackText(dst, w.text[i:end])
		case '[', '{':
			if len(w.holes) > 0 && w.holes[0].start == i {
				data := w.attachments[w.holes[0].num]
				if uint64(len(data)) > math.MaxUint32 {
					return nil, fmt.Errorf("%w: attachment of %d bytes", ErrTooLarge, len(data))
				}
				dst = append(appendHeader(dst, mpBin8, 0, len(data)), data...)
				end = w.holes[0].end
				w.holes = w.holes[1:]
				break
			}
			if c == '[' {
				dst = appendContainer(dst, mpFixArray, mpArray16, w.counts[0])
			} else {
				dst = appendContainer(dst, mpFixMap, mpMap16, w.counts[0])
			}
			w.counts = w.counts[1:]
		case 't':
			dst, end = append(dst, mpTrue), i+len("true")
		case 'f':
			dst, end = append(dst, mpFalse), i+len("false")
		case 'n':
			dst, end = append(dst, mpNil), i+len("null")
		default:
			end = skipToken(w.text, i)
			dst = appendMsgpackNumber(dst, w.text[i:end])
		}
		i = end
	}
	return dst, nil
}

// appendHeader appends the header of a string (with fix forms) or of binary.
// first is its form with an 8-bit length; those with 16 and 32 bits follow it.
func appendHeader(dst []byte, first, fix byte, n int) []byte {
	switch {
	case fix != 0 && n < 32:
		return append(dst, fix|byte(n))
	case n <= math.MaxUint8:
		return append(dst, first, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, first+1), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, first+2), uint32(n))
}

func appendContainer(dst []byte, fix, first byte, n uint32) []byte {
	switch {
	case n < 16:
		return append(dst, fix|byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, first), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, first+1), n)
}

// appendMsgpackText appends what the JSON string quoted stands for.
func appendMsgpackText(dst, quoted []byte) []byte {
	text := inner(quoted)
	if bytes.IndexByte(text, '\\') >= 0 {
		// Unescaped it is shorter, by how much is known only afterwards.
		text = appendUnquoted(make([]byte, 0, len(quoted)), quoted)
	}
	return append(appendHeader(dst, mpStr8, mpFixStr, len(text)), text...)
}

func appendMsgpackString(dst []byte, s string) []byte {
	return append(appendHeader(dst, mpStr8, mpFixStr, len(s)), s...)
}

// appendMsgpackNumber appends a JSON number.
func appendMsgpackNumber(dst, text []byte) []byte {
	digits, negative := text, text[0] == '-'
	if negative {
		digits = text[1:]
	}
	n, whole := parseDigits(digits)
	if whole && n <= 1<<53 {
		return appendMsgpackInt(dst, n, negative)
	}
	f := parseNumber(text)
	var buf [32]byte
	exact := whole && (!negative || n <= 1<<63) && string(appendNumber(buf[:0], f, 64)) != string(text)
	switch {
	case exact:
		return appendMsgpackInt(dst, n, negative)
	case f != math.Trunc(f) || f >= 1<<64 || f < -1<<63:
		return binary.BigEndian.AppendUint64(append(dst, mpFloat64), math.Float64bits(f))
	}
	return appendMsgpackInt(dst, uint64(math.Abs(f)), negative)
}

// appendMsgpackInt appends n, or -n.
func appendMsgpackInt(dst []byte, n uint64, negative bool) []byte {
	if negative && n > 0 {
		switch i := -int64(n); {
		case i >= -32:
			return append(dst, byte(i))
		case i >= math.MinInt8:
			return append(dst, mpInt8, byte(i))
		case i >= math.MinInt16:
			return binary.BigEndian.AppendUint16(append(dst, mpInt16), uint16(i))
		case i >= math.MinInt32:
			return binary.BigEndian.AppendUint32(append(dst, mpInt32), uint32(i))
		default:
			return binary.BigEndian.AppendUint64(append(dst, mpInt64), uint64(i))
		}
	}
	switch {
	case n <= mpMaxFixInt:
		return append(dst, byte(n))
	case n <= math.MaxUint8:
		return append(dst, mpUint8, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, mpUint16), uint16(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, mpUint32), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, mpUint64), n)
}
