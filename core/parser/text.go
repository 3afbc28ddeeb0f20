package parser

import (
	"bytes"
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"
)

// The skip functions walk over JSON text that was validated before. On any
// other text they return some index within it, and never fail.

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// skipString returns the index behind the string that begins at b[i].
func skipString(b []byte, i int) int {
	for i++; i < len(b); i++ {
		for i+8 <= len(b) && plainWord(binary.LittleEndian.Uint64(b[i:])) {
			i += 8
		}
		if i == len(b) {
			break
		}
		switch b[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return len(b)
}

// skipValue returns the index behind the value that begins at b[i].
func skipValue(b []byte, i int) int {
	for depth := 0; i < len(b); {
		switch b[i] {
		case '"':
			i = skipString(b, i)
		case '[', '{':
			depth++
			i++
			continue
		case ']', '}':
			depth--
			i++
		case ' ', '\n', '\r', '\t', ',', ':':
			i++
			continue
		default:
			i = skipToken(b, i)
		}
		if depth <= 0 {
			return i
		}
	}
	return len(b)
}

// skipToken returns the index behind the number or literal that begins at b[i].
func skipToken(b []byte, i int) int {
	for i++; i < len(b); i++ {
		switch b[i] {
		case ',', ']', '}', ':', '"', '[', '{', ' ', '\n', '\r', '\t':
			return i
		}
	}
	return i
}

// element finds the array element at or behind b[i], where b[i] is behind the
// opening bracket or behind another element. It returns the element's bounds;
// ok is false when the array ends.
func element(b []byte, i int) (start, end int, ok bool) {
	start = skipSpace(b, i)
	if start < len(b) && b[start] == ',' {
		start = skipSpace(b, start+1)
	}
	if start >= len(b) || b[start] == ']' {
		return start, start, false
	}
	return start, skipValue(b, start), true
}

// appendUnquoted appends what the JSON string quoted, with its quotes, stands
// for. Lone surrogates become U+FFFD.
func appendUnquoted(dst, quoted []byte) []byte {
	b := inner(quoted)
	for {
		n := bytes.IndexByte(b, '\\')
		if n < 0 || n+1 >= len(b) {
			return append(dst, b...)
		}
		dst = append(dst, b[:n]...)
		c := b[n+1]
		b = b[n+2:]
		switch c {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			var r rune
			r, b = escapedRune(b)
			dst = utf8.AppendRune(dst, r)
		default:
			dst = append(dst, c)
		}
	}
}

func inner(quoted []byte) []byte {
	if len(quoted) < 2 {
		return nil
	}
	return quoted[1 : len(quoted)-1]
}

// escapedRune decodes the digits behind \u, and a second escape if the two are
// a surrogate pair.
func escapedRune(b []byte) (r rune, rest []byte) {
	r, ok := hex4(b, 0)
	if !ok {
		return utf8.RuneError, nil
	}
	b = b[4:]
	if !utf16.IsSurrogate(r) {
		return r, b
	}
	if len(b) >= 6 && b[0] == '\\' && b[1] == 'u' {
		if low, ok := hex4(b, 2); ok {
			if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
				return pair, b[6:]
			}
		}
	}
	return utf8.RuneError, b
}

func hex4(b []byte, i int) (r rune, ok bool) {
	if i+4 > len(b) {
		return 0, false
	}
	for _, c := range b[i : i+4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// appendQuoted appends s as a JSON string, escaped exactly as JSON.stringify
// does. Invalid UTF-8 becomes U+FFFD.
func appendQuoted[T string | []byte](dst []byte, s T) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	done := 0
	for i := 0; i < len(s); {
		c := s[i]
		if plain[c] {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, n := decodeRune(s[i:])
			if r == utf8.RuneError && n == 1 {
				dst = append(dst, s[done:i]...)
				dst = append(dst, "\uFFFD"...)
				done = i + n
			}
			i += n
			continue
		}
		dst = append(dst, s[done:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, `\b`...)
		case '\f':
			dst = append(dst, `\f`...)
		case '\n':
			dst = append(dst, `\n`...)
		case '\r':
			dst = append(dst, `\r`...)
		case '\t':
			dst = append(dst, `\t`...)
		default:
			dst = append(dst, `\u00`...)
			dst = append(dst, hex[c>>4], hex[c&15])
		}
		i++
		done = i
	}
	dst = append(dst, s[done:]...)
	return append(dst, '"')
}

func decodeRune[T string | []byte](s T) (rune, int) {
	// At most four bytes are looked at, so the conversion stays on the stack.
	return utf8.DecodeRuneInString(string(s[:min(len(s), utf8.UTFMax)]))
}
