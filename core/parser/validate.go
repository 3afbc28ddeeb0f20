package parser

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"
)

// ValidateJSON checks that text is exactly one JSON value (RFC 8259) in valid
// UTF-8, within l.MaxPacketBytes and l.MaxDepth. What passes may be used as
// [Payload.JSON]. It takes time linear in the length of text and, unless
// nesting beyond 512 is allowed, no memory.
func ValidateJSON(text []byte, l Limits) error {
	l = l.withDefaults()
	if len(text) > l.MaxPacketBytes {
		return fmt.Errorf("%w: %d bytes", ErrTooLarge, len(text))
	}
	return validate(text, l.MaxDepth)
}

// nesting remembers for each open container whether it is an object: one bit
// per level.
type nesting struct {
	depth int
	few   [defaultMaxDepth / 64]uint64
	more  []uint64 // for deeper levels
}

func (n *nesting) word(level int) *uint64 {
	i := level / 64
	if i < len(n.few) {
		return &n.few[i]
	}
	if i -= len(n.few); i == len(n.more) {
		n.more = append(n.more, 0)
	}
	return &n.more[i]
}

func (n *nesting) push(object bool) {
	word, bit := n.word(n.depth), uint64(1)<<(n.depth%64)
	if object {
		*word |= bit
	} else {
		*word &^= bit
	}
	n.depth++
}

func (n *nesting) object() bool {
	top := n.depth - 1
	return *n.word(top)>>(top%64)&1 != 0
}

// validate does the work of ValidateJSON without recursion, so that depth costs
// a bit and not a stack frame.
func validate(b []byte, maxDepth int) error {
	var open nesting
	i := 0
	for {
		start := skipSpace(b, i)
		i = start
		if i < len(b) && (b[i] == '[' || b[i] == '{') {
			object := b[i] == '{'
			if open.depth == maxDepth {
				return fmt.Errorf("%w than %d levels", ErrTooDeep, maxDepth)
			}
			open.push(object)
			i = skipSpace(b, i+1)
			if i == len(b) || b[i] != b[start]+2 { // ']' and '}' follow their opening brackets by two
				if object {
					i = scanKey(b, i)
				}
				if i < 0 {
					return syntaxError(start)
				}
				continue
			}
		} else {
			i = scanScalar(b, i)
		}
		if i < 0 {
			return syntaxError(start)
		}
		next, done := afterValue(b, i, &open)
		if done {
			return nil
		}
		if next < 0 {
			return syntaxError(i)
		}
		i = next
	}
}

// afterValue goes on at b[i], behind a scalar or at the bracket that closes an
// empty container, up to where the next value must begin, or to the end.
func afterValue(b []byte, i int, open *nesting) (next int, done bool) {
	for {
		i = skipSpace(b, i)
		if open.depth == 0 {
			return -1, i == len(b)
		}
		if i == len(b) {
			return -1, false
		}
		switch object := open.object(); {
		case b[i] == ',' && object:
			return scanKey(b, skipSpace(b, i+1)), false
		case b[i] == ',':
			return i + 1, false
		case b[i] == '}' && object, b[i] == ']' && !object:
			open.depth--
			i++
		default:
			return -1, false
		}
	}
}

func syntaxError(at int) error { return fmt.Errorf("%w at byte %d", ErrSyntax, at) }

// The scan functions below take the index of the first byte of what they
// scan and return the index behind it, or -1 if it is malformed.

// scanKey scans a key and its colon.
func scanKey(b []byte, i int) int {
	if i >= len(b) || b[i] != '"' {
		return -1
	}
	if i = scanString(b, i); i < 0 {
		return -1
	}
	if i = skipSpace(b, i); i == len(b) || b[i] != ':' {
		return -1
	}
	return i + 1
}

func scanScalar(b []byte, i int) int {
	if i >= len(b) {
		return -1
	}
	switch b[i] {
	case '"':
		return scanString(b, i)
	case 't':
		return scanLiteral(b, i, "true")
	case 'f':
		return scanLiteral(b, i, "false")
	case 'n':
		return scanLiteral(b, i, "null")
	}
	return scanNumber(b, i)
}

func scanLiteral(b []byte, i int, literal string) int {
	if end := i + len(literal); end <= len(b) && string(b[i:end]) == literal {
		return end
	}
	return -1
}

func scanString(b []byte, i int) int {
	for i++; i < len(b); {
		for i+8 <= len(b) && plainWord(binary.LittleEndian.Uint64(b[i:])) {
			i += 8
		}
		if i == len(b) {
			return -1
		}
		switch c := b[i]; {
		case plain[c]:
			i++
		case c == '"':
			return i + 1
		case c == '\\':
			if i = scanEscape(b, i); i < 0 {
				return -1
			}
		case c < ' ':
			return -1
		default:
			r, n := utf8.DecodeRune(b[i:])
			if r == utf8.RuneError && n == 1 {
				return -1
			}
			i += n
		}
	}
	return -1
}

// plain holds the bytes that stand for themselves in a JSON string.
var plain = func() (t [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// plainWord reports whether eight bytes are all plain. Now and then it errs, but
// only by saying no: a borrow runs into the byte above.
func plainWord(w uint64) bool {
	const each, high = 0x0101010101010101, 0x8080808080808080
	quote, escape := w^each*'"', w^each*'\\'
	return (w|(w-each*' ')|(quote-each)|(escape-each))&high == 0
}

func scanEscape(b []byte, i int) int {
	if i+1 >= len(b) {
		return -1
	}
	switch b[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		if _, ok := hex4(b, i+2); ok {
			return i + 6
		}
	}
	return -1
}

func scanNumber(b []byte, i int) int {
	if b[i] == '-' {
		i++
	}
	switch {
	case i < len(b) && b[i] == '0':
		i++
	case i < len(b) && b[i] >= '1' && b[i] <= '9':
		i = skipDigits(b, i)
	default:
		return -1
	}
	if i < len(b) && b[i] == '.' {
		start := i + 1
		if i = skipDigits(b, start); i == start {
			return -1
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		start := i
		if i = skipDigits(b, start); i == start {
			return -1
		}
	}
	return i
}

func skipDigits(b []byte, i int) int {
	for i < len(b) && b[i] >= '0' && b[i] <= '9' {
		i++
	}
	return i
}
