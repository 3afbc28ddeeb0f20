package redisadapter

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// reader reads a message value by value, whether it is JSON or MessagePack.
// After an error everything read is zero and there is nothing more; callers
// check once, at the end. A container is read so:
//
//	for n := r.object(); r.more(n); n-- {
//		switch r.key() {
//		case "type":
//			kind = r.number()
//		default:
//			r.skip()
//		}
//	}
type reader interface {
	object() int
	array() int
	more(n int) bool // n is what object or array has returned, less one for each item read
	key() string
	str() string
	text() string // a string, or a number as JavaScript prints it
	number() float64
	atNumber() bool
	atNull() bool
	flag() (value, ok bool) // anything but a boolean is skipped and is no flag
	texts(most int) []string
	skip()
	at() int // where the next value begins
	fail()
	failed() bool
}

var (
	_ reader = (*cursor)(nil)
	_ reader = (*jsonCursor)(nil)
)

func (c *cursor) more(n int) bool { return n > 0 && !c.bad }
func (c *cursor) key() string     { return c.text() }
func (c *cursor) at() int         { return c.i }
func (c *cursor) atNull() bool    { return c.peek() == 0xc0 }
func (c *cursor) failed() bool    { return c.bad }

// jsonCursor reads JSON text that [parser.ValidateJSON] has passed: of its
// syntax nothing is checked again, of its bounds and kinds everything.
type jsonCursor struct {
	s   string
	i   int
	bad bool
}

func (c *jsonCursor) fail()        { c.bad, c.i = true, len(c.s) }
func (c *jsonCursor) failed() bool { return c.bad }

// peek skips white space and returns the byte that is next, at the end 0.
func (c *jsonCursor) peek() byte {
	for ; c.i < len(c.s); c.i++ {
		switch b := c.s[c.i]; b {
		case ' ', '\t', '\r', '\n':
		default:
			return b
		}
	}
	return 0
}

func (c *jsonCursor) at() int {
	c.peek()
	return c.i
}

func (c *jsonCursor) expect(b byte) bool {
	if c.peek() != b {
		c.fail()
		return false
	}
	c.i++
	return true
}

// uncounted is the number of items in a container before the first is read: in
// JSON only its end tells.
const uncounted = math.MaxInt

func (c *jsonCursor) object() int {
	c.expect('{')
	return uncounted
}

func (c *jsonCursor) array() int {
	c.expect('[')
	return uncounted
}

func (c *jsonCursor) more(n int) bool {
	switch c.peek() {
	case 0:
		c.fail()
	case '}', ']':
		c.i++
		return false
	}
	if n < uncounted {
		c.expect(',')
	}
	return !c.bad
}

func (c *jsonCursor) key() string {
	s := c.str()
	c.expect(':')
	return s
}

// quoted returns a string with its quotes.
func (c *jsonCursor) quoted() string {
	if !c.expect('"') {
		return ""
	}
	start := c.i - 1
	for {
		n := strings.IndexByte(c.s[c.i:], '"')
		if n < 0 {
			c.fail()
			return ""
		}
		c.i += n + 1
		escapes := 0
		for c.s[c.i-2-escapes] == '\\' { // at the latest the opening quote is none
			escapes++
		}
		if escapes%2 == 0 {
			return c.s[start:c.i]
		}
	}
}

func (c *jsonCursor) str() string {
	q := c.quoted()
	if c.bad {
		return ""
	}
	if strings.IndexByte(q, '\\') < 0 {
		return q[1 : len(q)-1]
	}
	var s string
	if err := json.Unmarshal([]byte(q), &s); err != nil {
		c.fail()
	}
	return s
}

func (c *jsonCursor) text() string {
	if c.atNumber() {
		return numberText(c.number())
	}
	return c.str()
}

// word returns what lies between two delimiters: a number, true, false or null.
func (c *jsonCursor) word() string {
	c.peek()
	start := c.i
	for ; c.i < len(c.s); c.i++ {
		switch c.s[c.i] {
		case ',', '}', ']', ':', ' ', '\t', '\r', '\n':
			return c.s[start:c.i]
		}
	}
	return c.s[start:]
}

func (c *jsonCursor) number() float64 {
	if !c.atNumber() {
		c.fail()
		return 0
	}
	f, err := strconv.ParseFloat(c.word(), 64)
	if err != nil && f == 0 { // beyond the range of numbers is infinite, as in JavaScript
		c.fail()
	}
	return f
}

func (c *jsonCursor) atNumber() bool {
	b := c.peek()
	return b == '-' || b >= '0' && b <= '9'
}

func (c *jsonCursor) atNull() bool { return c.peek() == 'n' }

func (c *jsonCursor) flag() (value, ok bool) {
	switch c.peek() {
	case 't', 'f':
		return c.word() == "true", true
	}
	c.skip()
	return false, false
}

func (c *jsonCursor) texts(most int) (list []string) {
	for n := c.array(); c.more(n); n-- {
		if len(list) == most {
			c.fail()
			return nil
		}
		list = append(list, c.text())
	}
	if c.bad {
		return nil
	}
	return list
}

// skip skips one value, whatever it is and however deep it nests.
func (c *jsonCursor) skip() {
	switch c.peek() {
	case 0:
		c.fail()
		return
	case '"':
		c.quoted()
		return
	case '{', '[':
	default:
		c.word()
		return
	}
	for depth := 0; c.i < len(c.s); c.i++ {
		switch c.s[c.i] {
		case '"':
			c.quoted()
			c.i--
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				c.i++
				return
			}
		}
	}
	c.fail()
}

// firstItem returns the first item of a JSON array, nil if it has none.
func firstItem(array []byte) []byte {
	c := jsonCursor{s: string(array)}
	if !c.more(c.array()) {
		return nil
	}
	start := c.at()
	c.skip()
	return array[start:c.i]
}
