package redisadapter

import (
	"strconv"
	"unicode/utf16"
)

// streamNames are the streams of one namespace.
type streamNames struct {
	log string // has everything, in the one order that offsets follow
	// copies is where the messages are written a second time, for Node.js nodes,
	// which do not read log; empty when they do.
	copies string
}

// names returns a namespace's streams. A single stream has the plain name; of
// several, the JavaScript adapter takes number h % count, where h is a signed
// 32-bit hash and % has the sign of h. The correct number is what that would be
// if % did not: the same where h is not negative.
func (o *StreamOptions) names(namespace string) streamNames {
	if o.Count == 1 {
		return streamNames{log: o.Name}
	}
	signed := int(javaHash(namespace)) % o.Count
	correct := (signed + o.Count) % o.Count
	n := streamNames{log: o.numbered(correct)}
	if o.SignedHash && signed < 0 {
		n = streamNames{log: o.numbered(signed), copies: n.log}
	}
	return n
}

func (o *StreamOptions) numbered(i int) string { return o.Name + "-" + strconv.Itoa(i) }

// javaHash is Java's String.hashCode, over UTF-16 units as in JavaScript.
func javaHash(s string) int32 {
	var h int32
	for _, unit := range utf16.Encode([]rune(s)) {
		h = h*31 + int32(unit)
	}
	return h
}
