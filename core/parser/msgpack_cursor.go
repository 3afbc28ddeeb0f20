package parser

import (
	"encoding/binary"
	"fmt"
	"math"
)

// The first bytes of MessagePack values. Of the fix forms the lower bits are the
// length, of the number itself.
const (
	mpMaxFixInt = 0x7f
	mpFixMap    = 0x80 // to 0x8f
	mpFixArray  = 0x90 // to 0x9f
	mpFixStr    = 0xa0 // to 0xbf
	mpNil       = 0xc0
	mpFalse     = 0xc2
	mpTrue      = 0xc3
	mpBin8      = 0xc4 // length in 8 bits; 0xc5 16, 0xc6 32
	mpExt8      = 0xc7 // length in 8 bits; 0xc8 16, 0xc9 32; then the type
	mpFloat32   = 0xca
	mpFloat64   = 0xcb
	mpUint8     = 0xcc
	mpUint16    = 0xcd
	mpUint32    = 0xce
	mpUint64    = 0xcf
	mpInt8      = 0xd0
	mpInt16     = 0xd1
	mpInt32     = 0xd2
	mpInt64     = 0xd3
	mpFixExt1   = 0xd4 // then 2, 4, 8, 16 bytes
	mpStr8      = 0xd9 // length in 8 bits; 0xda 16, 0xdb 32
	mpArray16   = 0xdc // 0xdd 32
	mpMap16     = 0xde // 0xdf 32
	mpMinFixInt = 0xe0
)

type mpKind uint8

const (
	mpKindNil mpKind = iota
	mpKindBool
	mpKindUint // not negative
	mpKindInt  // negative
	mpKindFloat
	mpKindStr
	mpKindBin
	mpKindExt
	mpKindArray
	mpKindMap
)

// mpToken is a value, or the beginning of a container. What does not belong to
// its kind is left over from the token before.
type mpToken struct {
	kind   mpKind
	fixext bool
	ext    int8
	bits   uint64 // bool 0 or 1; uint; int as two's complement; float64 bits; items of a container
	data   []byte // of str, bin, ext; a part of the input
}

// undefined reports whether t is what notepack.io 2 writes for undefined.
func (t *mpToken) undefined() bool {
	return t.kind == mpKindExt && t.ext == 0 && t.fixext && len(t.data) == 1
}

// mpCursor reads tokens. It trusts no declared length: neither data nor
// containers can be longer than the bytes that are left.
type mpCursor struct {
	b []byte // what is left
}

func (c *mpCursor) truncated() error {
	return fmt.Errorf("%w: MessagePack is cut off", ErrSyntax)
}

func (c *mpCursor) take(n uint64) ([]byte, error) {
	if n > uint64(len(c.b)) {
		return nil, c.truncated()
	}
	data := c.b[:n:n]
	c.b = c.b[n:]
	return data, nil
}

// number reads a big-endian number of size bytes.
func (c *mpCursor) number(size int) (uint64, error) {
	var buf [8]byte
	data, err := c.take(uint64(size))
	copy(buf[8-size:], data)
	return binary.BigEndian.Uint64(buf[:]), err
}

// next reads a token into t, of which it sets what belongs to the token's kind.
func (c *mpCursor) next(t *mpToken) (err error) {
	if len(c.b) == 0 {
		return c.truncated()
	}
	first := c.b[0]
	c.b = c.b[1:]
	switch {
	case first <= mpMaxFixInt:
		t.kind, t.bits = mpKindUint, uint64(first)
	case first >= mpMinFixInt:
		t.kind, t.bits = mpKindInt, uint64(int64(int8(first)))
	case first < mpFixArray:
		return c.container(t, mpKindMap, uint64(first&0xf))
	case first < mpFixStr:
		return c.container(t, mpKindArray, uint64(first&0xf))
	case first < mpNil:
		t.kind = mpKindStr
		t.data, err = c.take(uint64(first & 0x1f))
	case first >= mpUint8 && first <= mpInt64:
		return c.integer(t, first)
	default:
		return c.other(t, first)
	}
	return err
}

func (c *mpCursor) other(t *mpToken, first byte) (err error) {
	switch first {
	case mpNil:
		t.kind = mpKindNil
	case mpFalse, mpTrue:
		t.kind, t.bits = mpKindBool, uint64(first&1)
	case mpFloat32:
		t.kind = mpKindFloat
		t.bits, err = c.number(4)
		t.bits = math.Float64bits(float64(math.Float32frombits(uint32(t.bits))))
	case mpFloat64:
		t.kind = mpKindFloat
		t.bits, err = c.number(8)
	case mpFixExt1, mpFixExt1 + 1, mpFixExt1 + 2, mpFixExt1 + 3, mpFixExt1 + 4:
		return c.extension(t, 1<<(first-mpFixExt1), true)
	case mpBin8, mpBin8 + 1, mpBin8 + 2, mpExt8, mpExt8 + 1, mpExt8 + 2, mpStr8, mpStr8 + 1, mpStr8 + 2:
		return c.sized(t, first)
	case mpArray16, mpArray16 + 1, mpMap16, mpMap16 + 1:
		n, err := c.number(2 << (first & 1))
		switch {
		case err != nil:
			return err
		case first < mpMap16:
			return c.container(t, mpKindArray, n)
		}
		return c.container(t, mpKindMap, n)
	default:
		return fmt.Errorf("%w: MessagePack has no %#x", ErrSyntax, first)
	}
	return err
}

func (c *mpCursor) integer(t *mpToken, first byte) error {
	size := 1 << ((first - mpUint8) & 3)
	n, err := c.number(size)
	t.kind, t.bits = mpKindUint, n
	if shift := 64 - 8*size; first >= mpInt8 {
		t.bits = uint64(int64(n<<shift) >> shift)
		if int64(t.bits) < 0 {
			t.kind = mpKindInt
		}
	}
	return err
}

// sized reads what has a length of 8, 16 or 32 bits.
func (c *mpCursor) sized(t *mpToken, first byte) error {
	kind, base := mpKindStr, byte(mpStr8)
	switch {
	case first < mpExt8:
		kind, base = mpKindBin, mpBin8
	case first < mpStr8:
		kind, base = mpKindExt, mpExt8
	}
	n, err := c.number(1 << (first - base))
	switch {
	case err != nil:
		return err
	case kind == mpKindExt:
		return c.extension(t, n, false)
	}
	t.kind = kind
	t.data, err = c.take(n)
	return err
}

func (c *mpCursor) extension(t *mpToken, n uint64, fix bool) error {
	typ, err := c.take(1)
	if err != nil {
		return err
	}
	t.kind, t.ext, t.fixext = mpKindExt, int8(typ[0]), fix
	t.data, err = c.take(n)
	return err
}

func (c *mpCursor) container(t *mpToken, kind mpKind, n uint64) error {
	least := n // bytes
	if kind == mpKindMap {
		least = 2 * n
	}
	if least > uint64(len(c.b)) {
		return c.truncated()
	}
	t.kind, t.bits = kind, n
	return nil
}

// small returns the length of the value that comes next if that is a small
// number, a short string or the like, as most are; otherwise 0.
func (c *mpCursor) small() int {
	if len(c.b) == 0 {
		return 0
	}
	switch first := c.b[0]; {
	case first <= mpMaxFixInt, first >= mpMinFixInt, first == mpNil, first == mpFalse, first == mpTrue:
		return 1
	case first >= mpFixStr && first < mpNil:
		if n := 1 + int(first&0x1f); n <= len(c.b) {
			return n
		}
	}
	return 0
}

// skip reads one value and everything in it.
func (c *mpCursor) skip(maxDepth int) error {
	var few [32]uint64
	open := few[:0] // items to come, per open container
	for {
		if n := c.small(); n > 0 {
			c.b = c.b[n:]
		} else {
			var t mpToken
			if err := c.next(&t); err != nil {
				return err
			}
			if t.kind == mpKindMap {
				t.bits *= 2
			}
			if t.kind >= mpKindArray {
				if len(open) == maxDepth {
					return fmt.Errorf("%w than %d levels", ErrTooDeep, maxDepth)
				}
				open = append(open, t.bits)
			}
		}
		for len(open) > 0 && open[len(open)-1] == 0 {
			open = open[:len(open)-1]
		}
		if len(open) == 0 {
			return nil
		}
		open[len(open)-1]--
	}
}

// ValidateMsgpack checks that b begins with one well-formed MessagePack value
// within l.MaxPacketBytes and l.MaxDepth, and returns its length. No declared
// length exceeds the bytes that are there, so that what passes is safe for
// decoders that trust such lengths, or recur.
func ValidateMsgpack(b []byte, l Limits) (n int, err error) {
	l = l.withDefaults()
	c := mpCursor{b}
	if err := c.skip(l.MaxDepth); err != nil {
		return 0, err
	}
	if n = len(b) - len(c.b); n > l.MaxPacketBytes {
		return 0, fmt.Errorf("%w: %d bytes", ErrTooLarge, n)
	}
	return n, nil
}
