package bench

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// stamp is what a payload tells about itself.
type stamp struct {
	stream uint32
	seq    uint64        // from 1; 0 asks only who hears the stream
	at     time.Duration // since the epoch of the run: when it was due, or sent
}

// format makes and reads payloads. A payload is
//
//	{"stamp":"dunlin:RUN:STREAM:SEQ:AT","fill":"xxx…"}
//
// with hexadecimal numbers of fixed width; a binary one is the same bytes. RUN
// tells the payloads of other runs at the same server.
type format struct {
	size   int
	prefix []byte // up to and with RUN and its colon
	fill   []byte // with its quotes
}

const (
	runDigits    = 8
	streamDigits = 8
	seqDigits    = 10
	atDigits     = 16
)

// minSize is what a payload with an empty fill takes.
const minSize = len(`{"stamp":"dunlin:::`) + len(`:","fill":""}`) + runDigits + streamDigits + seqDigits + atDigits

func newFormat(run uint32, size int) *format {
	fill := append([]byte{'"'}, bytes.Repeat([]byte{'x'}, size-minSize)...)
	return &format{
		size:   size,
		prefix: fmt.Appendf(nil, "dunlin:%0*x:", runDigits, run),
		fill:   append(fill, '"'),
	}
}

func (f *format) append(dst []byte, s stamp) []byte {
	dst = append(dst, `{"stamp":"`...)
	dst = append(dst, f.prefix...)
	dst = appendHex(dst, uint64(s.stream), streamDigits)
	dst = append(dst, ':')
	dst = appendHex(dst, s.seq, seqDigits)
	dst = append(dst, ':')
	dst = appendHex(dst, uint64(s.at), atDigits) //nolint:gosec // since the epoch, so never negative
	dst = append(dst, `","fill":`...)
	dst = append(dst, f.fill...)
	return append(dst, '}')
}

func appendHex(dst []byte, v uint64, digits int) []byte {
	const hexadecimal = "0123456789abcdef"
	for i := digits - 1; i >= 0; i-- {
		dst = append(dst, hexadecimal[v>>(4*i)&15])
	}
	return dst
}

// Why parse fails.
var (
	errForeign = errors.New("not a payload of this run")
	errDamaged = errors.New("payload has changed on its way")
)

// parse finds the payload in what a server has sent. Servers may write JSON with
// other spaces than ours, and in another order; an attachment has its length.
func (f *format) parse(text []byte, binary bool) (stamp, error) {
	at := bytes.Index(text, f.prefix)
	if at < 0 {
		return stamp{}, errForeign
	}
	rest := text[at+len(f.prefix):]
	const fields = streamDigits + 1 + seqDigits + 1 + atDigits
	if len(rest) < fields || binary && len(text) != f.size || !bytes.Contains(text, f.fill) {
		return stamp{}, errDamaged
	}
	stream, err1 := parseHex(rest[:streamDigits])
	seq, err2 := parseHex(rest[streamDigits+1:][:seqDigits])
	due, err3 := parseHex(rest[fields-atDigits:][:atDigits])
	if err1 != nil || err2 != nil || err3 != nil || due>>63 != 0 {
		return stamp{}, errDamaged
	}
	return stamp{uint32(stream), seq, time.Duration(due)}, nil //nolint:gosec // 8 digits, and less than 1<<63
}

func parseHex(digits []byte) (v uint64, err error) {
	for _, c := range digits {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		default:
			return 0, hex.InvalidByteError(c)
		}
		v = v<<4 | uint64(c)
	}
	return v, nil
}

// appendPacket writes the packets of an event with one payload, after what head
// says: the event's name and the arguments before the payload, as
// `["room","r",`. Without an attachment it is one text message, else a text
// message with a hole and the payload itself.
func appendPacket(dst []byte, namespace string, id uint64, ack bool, head string, payload []byte, binary bool) []byte {
	if binary {
		dst = append(dst, "451-"...)
	} else {
		dst = append(dst, "42"...)
	}
	if namespace != "/" {
		dst = append(append(dst, namespace...), ',')
	}
	if ack {
		dst = strconv.AppendUint(dst, id, 10)
	}
	dst = append(dst, head...)
	if binary {
		payload = []byte(`{"_placeholder":true,"num":0}`)
	}
	return append(append(dst, payload...), ']')
}
