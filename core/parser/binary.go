package parser

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
)

// placeholder is where the text of a payload refers to an attachment.
type placeholder struct {
	start, end int
	num        int // -1: not an index at all
}

// findPlaceholders returns the placeholders of valid JSON text, in order. As in
// JavaScript an object is one if its _placeholder is literally true, whatever
// else it holds, and of equal keys the last counts.
//
// It takes time linear in the length of text.
func findPlaceholders(text []byte) []placeholder {
	var w placeholderWalk
	w.walk(text)
	return w.found
}

type placeholderWalk struct {
	open  []container
	found []placeholder
	trail map[int]placeholder // if not nil: what is found, and the containers around it with num notBinary, by start
}

// notBinary is the num of a container that has placeholders inside.
const notBinary = -2

func (w *placeholderWalk) walk(text []byte) {
	for i := 0; i < len(text); {
		switch c := text[i]; c {
		case '{', '[':
			w.value(nil)
			w.open = append(w.open, container{start: i, object: c == '{', key: c == '{', inside: len(w.found)})
			i++
		case '}', ']':
			i++
			w.leave(i)
		case '"':
			end := skipString(text, i)
			if top := w.top(); top != nil && top.key {
				top.member = memberOf(text[i:end])
			} else {
				w.value(text[i:end])
			}
			i = end
		case ',', ':':
			if top := w.top(); top != nil {
				top.key = top.object && c == ','
			}
			i++
		case ' ', '\n', '\r', '\t':
			i++
		default:
			end := skipToken(text, i)
			w.value(text[i:end])
			i = end
		}
	}
}

type container struct {
	start  int
	object bool
	key    bool   // the next string is a key
	member member // whose value comes next
	marked bool   // _placeholder is true
	hasNum bool
	num    int  // value of num, -1 if it is not an index
	inside int  // placeholders found before this container
	holds  bool // a placeholder
}

type member uint8

const (
	otherMember member = iota
	markMember
	numMember
)

func memberOf(key []byte) member {
	const mark = `"_placeholder"`
	if len(key) > 6*len(mark) { // longer than with every letter escaped
		return otherMember
	}
	var buf [len(mark)]byte
	switch string(appendUnquoted(buf[:0], key)) {
	case "_placeholder":
		return markMember
	case "num":
		return numMember
	}
	return otherMember
}

func (w *placeholderWalk) top() *container {
	if len(w.open) == 0 {
		return nil
	}
	return &w.open[len(w.open)-1]
}

// value notes the value of the current member; nil stands for a container.
func (w *placeholderWalk) value(text []byte) {
	top := w.top()
	if top == nil {
		return
	}
	switch top.member {
	case markMember:
		top.marked = string(text) == "true"
	case numMember:
		top.hasNum, top.num = true, parseIndex(text)
	}
	top.member = otherMember
}

// leave closes the innermost container, which ends before end.
func (w *placeholderWalk) leave(end int) {
	top := w.top()
	if top == nil {
		return
	}
	c := *top
	w.open = w.open[:len(w.open)-1]
	h := placeholder{c.start, end, notBinary}
	switch {
	case c.marked:
		h.num = -1
		if c.hasNum {
			h.num = c.num
		}
		// A placeholder is replaced as a whole: those inside do not count.
		w.found = append(w.found[:c.inside], h)
	case !c.holds:
		return
	}
	if w.trail != nil {
		w.trail[c.start] = h
	}
	if top = w.top(); top != nil {
		top.holds = true
	}
}

// parseIndex reads a number that has an integer value, however it is written.
func parseIndex(text []byte) int {
	if n, ok := parseDigits(text); ok && n <= math.MaxInt32 {
		return int(n)
	}
	if len(text) == 0 || text[0] != '-' && (text[0] < '0' || text[0] > '9') {
		return -1
	}
	f := parseNumber(text)
	if f < 0 || f > math.MaxInt32 || f != math.Trunc(f) {
		return -1
	}
	return int(f)
}

// attachment returns the bytes that h refers to.
func (h placeholder) attachment(attachments [][]byte) ([]byte, error) {
	if h.num < 0 || h.num >= len(attachments) {
		return nil, fmt.Errorf("%w: placeholder %d of %d", ErrAttachments, h.num, len(attachments))
	}
	return attachments[h.num], nil
}

func appendPlaceholder(dst []byte, num int) []byte {
	dst = append(dst, `{"_placeholder":true,"num":`...)
	dst = strconv.AppendInt(dst, int64(num), 10)
	return append(dst, '}')
}

// checkPlaceholders checks that the n placeholders that were written to p.JSON
// are all that is found there. The wire has no way to escape what looks like
// one: all that can be done is not to send what peers would misread.
func checkPlaceholders(p Payload, n int) error {
	if len(p.Attachments) == 0 {
		return nil
	}
	// The usual case: no other key has that name, not even spelled with escapes.
	if bytes.Count(p.JSON, []byte("_placeholder")) == n && !bytes.Contains(p.JSON, []byte(`\u`)) {
		return nil
	}
	found := findPlaceholders(p.JSON)
	ours := len(found) == n
	var buf [48]byte
	for _, h := range found {
		// One of ours inside of something that looks like one would not be found.
		ours = ours && bytes.Equal(p.JSON[h.start:h.end], appendPlaceholder(buf[:0], h.num))
	}
	if !ours {
		return fmt.Errorf(`%w: {"_placeholder":true} beside binary values`, ErrAmbiguous)
	}
	return nil
}

// inlineAttachments returns p's text with the placeholders replaced by base64
// strings, which is how encoding/json writes and reads a []byte.
func inlineAttachments(p Payload) ([]byte, error) {
	if len(p.Attachments) == 0 {
		return p.JSON, nil
	}
	dst := make([]byte, 0, len(p.JSON))
	done := 0
	for _, h := range findPlaceholders(p.JSON) {
		data, err := h.attachment(p.Attachments)
		if err != nil {
			return nil, err
		}
		dst = append(dst, p.JSON[done:h.start]...)
		dst = append(dst, '"')
		dst = base64.StdEncoding.AppendEncode(dst, data)
		dst = append(dst, '"')
		done = h.end
	}
	return append(dst, p.JSON[done:]...), nil
}
