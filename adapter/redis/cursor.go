package redisadapter

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
)

var errMalformed = errors.New("malformed message")

// cursor reads MessagePack without a library and without allocating. Nothing
// that a message declares is believed before the bytes are there. After an
// error bad is set, and everything read is zero; callers check once, at the
// end. See https://github.com/msgpack/msgpack/blob/master/spec.md.
type cursor struct {
	s   string
	i   int
	bad bool
}

func (c *cursor) left() int { return len(c.s) - c.i }

func (c *cursor) fail() { c.bad, c.i = true, len(c.s) }

func (c *cursor) peek() byte {
	if c.i >= len(c.s) {
		return msgpackNever
	}
	return c.s[c.i]
}

const msgpackNever = 0xc1 // the one byte that begins no value

// take returns the next n bytes.
func (c *cursor) take(n int) string {
	if c.bad || n > c.left() {
		c.fail()
		return ""
	}
	c.i += n
	return c.s[c.i-n : c.i]
}

// uint reads n bytes, big-endian.
func (c *cursor) uint(n int) uint64 {
	b := c.take(n)
	if c.bad {
		return 0
	}
	var word [8]byte
	copy(word[8-n:], b)
	return binary.BigEndian.Uint64(word[:])
}

// length reads a declared length of which each unit needs at least size bytes.
func (c *cursor) length(bytes, size int) int {
	n := c.uint(bytes)
	if n > uint64(c.left()/size) {
		c.fail()
		return 0
	}
	return int(n)
}

// array reads the header of an array and returns its length.
func (c *cursor) array() int {
	switch b := c.first(); {
	case b>>4 == 0x9 && int(b&0x0f) <= c.left():
		return int(b & 0x0f)
	case b == 0xdc:
		return c.length(2, 1)
	case b == 0xdd:
		return c.length(4, 1)
	}
	c.fail()
	return 0
}

// object reads the header of a map and returns how many pairs it has.
func (c *cursor) object() int {
	switch b := c.first(); {
	case b>>4 == 0x8 && 2*int(b&0x0f) <= c.left():
		return int(b & 0x0f)
	case b == 0xde:
		return c.length(2, 2)
	case b == 0xdf:
		return c.length(4, 2)
	}
	c.fail()
	return 0
}

func (c *cursor) first() byte {
	b := c.take(1)
	if c.bad {
		return msgpackNever
	}
	return b[0]
}

// str reads a string.
func (c *cursor) str() string {
	switch b := c.first(); {
	case b>>5 == 0b101:
		return c.take(int(b & 0x1f))
	case b == 0xd9:
		return c.take(c.length(1, 1))
	case b == 0xda:
		return c.take(c.length(2, 1))
	case b == 0xdb:
		return c.take(c.length(4, 1))
	}
	c.fail()
	return ""
}

// number reads an integer or a float. Values beyond 2^53 are rounded, as they
// are in JavaScript.
func (c *cursor) number() float64 {
	switch b := c.first(); {
	case b < 0x80:
		return float64(b)
	case b >= 0xe0:
		return float64(int8(b))
	case b == 0xca:
		return float64(math.Float32frombits(uint32(c.uint(4))))
	case b == 0xcb:
		return math.Float64frombits(c.uint(8))
	case b >= 0xcc && b <= 0xcf:
		return float64(c.uint(1 << (b - 0xcc)))
	case b == 0xd0:
		return float64(int8(c.uint(1)))
	case b == 0xd1:
		return float64(int16(c.uint(2)))
	case b == 0xd2:
		return float64(int32(c.uint(4)))
	case b == 0xd3:
		return float64(int64(c.uint(8)))
	}
	c.fail()
	return 0
}

// atNumber reports whether a number is next.
func (c *cursor) atNumber() bool {
	b := c.peek()
	return b < 0x80 || b >= 0xe0 || b >= 0xca && b <= 0xd3
}

// text reads a string, or a number as JavaScript would print it: rooms that
// are numbers travel as such, and are the same rooms as their text.
func (c *cursor) text() string {
	if c.atNumber() {
		return numberText(c.number())
	}
	return c.str()
}

// texts reads an array of strings and numbers, and fails if there are more than
// most.
func (c *cursor) texts(most int) []string {
	n := c.array()
	if n > most {
		c.fail()
	}
	if n == 0 || c.bad {
		return nil
	}
	list := make([]string, n)
	for i := range list {
		list[i] = c.text()
	}
	return list
}

// flag reads a boolean; anything else is skipped and is no flag.
func (c *cursor) flag() (value, ok bool) {
	switch b := c.peek(); b {
	case 0xc2, 0xc3:
		c.i++
		return b == 0xc3, true
	}
	c.skip()
	return false, false
}

// skip skips one value, whatever it is and however deep it nests.
func (c *cursor) skip() {
	for todo := 1; todo > 0 && !c.bad; todo-- {
		todo += c.skipHead()
		if todo-1 > c.left() {
			c.fail()
		}
	}
}

// skipHead skips a scalar, or the header of a container, and returns how many
// values follow that belong to it.
func (c *cursor) skipHead() int {
	switch b := c.peek(); {
	case b < 0x80, b >= 0xe0, b == 0xc0, b == 0xc2, b == 0xc3:
		c.take(1)
	case b>>4 == 0x8, b == 0xde, b == 0xdf:
		return 2 * c.object()
	case b>>4 == 0x9, b == 0xdc, b == 0xdd:
		return c.array()
	case b>>5 == 0b101, b >= 0xd9 && b <= 0xdb:
		c.str()
	case b >= 0xc4 && b <= 0xc6: // bin
		c.i++
		c.take(c.length(1<<(b-0xc4), 1))
	case b >= 0xc7 && b <= 0xc9: // ext
		c.i++
		n := c.length(1<<(b-0xc7), 1)
		c.take(n + 1)
	case b >= 0xca && b <= 0xd3:
		c.number()
	case b >= 0xd4 && b <= 0xd8: // fixext
		c.take(2 + 1<<(b-0xd4))
	default:
		c.fail()
	}
	return 0
}

// numberText prints a number as JavaScript does.
func numberText(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	case f == 0:
		return "0"
	}
	text, err := json.Marshal(f) // encoding/json writes numbers as ECMAScript does
	if err != nil {
		return ""
	}
	return string(text)
}

func appendArrayLen(dst []byte, n int) []byte {
	switch {
	case n < 16:
		return append(dst, 0x90|byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, 0xdc), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, 0xdd), uint32(n))
}

func appendStr(dst []byte, s string) []byte {
	switch n := len(s); {
	case n < 32:
		dst = append(dst, 0xa0|byte(n))
	case n <= math.MaxUint8:
		dst = append(dst, 0xd9, byte(n))
	case n <= math.MaxUint16:
		dst = binary.BigEndian.AppendUint16(append(dst, 0xda), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint32(append(dst, 0xdb), uint32(n))
	}
	return append(dst, s...)
}

func appendUint(dst []byte, n uint64) []byte {
	switch {
	case n < 0x80:
		return append(dst, byte(n))
	case n <= math.MaxUint8:
		return append(dst, 0xcc, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, 0xcd), uint16(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, 0xce), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, 0xcf), n)
}

func appendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, 0xc3)
	}
	return append(dst, 0xc2)
}

// appendTexts appends an array of strings; none is an empty array, never nil.
func appendTexts(dst []byte, list []string) []byte {
	dst = appendArrayLen(dst, len(list))
	for _, s := range list {
		dst = appendStr(dst, s)
	}
	return dst
}
