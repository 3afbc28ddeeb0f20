package parser

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"time"
)

// PayloadFromMsgpack reads one MessagePack value and returns what follows it.
// It is made for what JavaScript sends, so values become what JSON.stringify
// makes of them there: binary values become attachments, timestamps (extension
// -1, and those of notepack.io 2) ISO strings, NaN null; invalid UTF-8 becomes
// U+FFFD. Undefined (of notepack.io 2) is dropped from maps, is null in arrays,
// and no payload by itself. Other extensions become [type, binary]. Integers
// stay exact. Keys can be anything but containers.
//
// Nothing of b is kept. No declared length is trusted; the result, text and
// attachments, stays within l.MaxPacketBytes and l.MaxDepth. The number of
// attachments is not limited otherwise. The error wraps [ErrAmbiguous] if a map
// looks like a placeholder and there are binary values.
func PayloadFromMsgpack(b []byte, l Limits) (p Payload, rest []byte, err error) {
	r := msgpackReader{cursor: mpCursor{b}, limits: l.withDefaults()}
	r.out = make([]byte, 0, min(len(b)+len(b)/4+16, 1024)) // b may go on behind the value
	if err := r.read(); err != nil {
		return Payload{}, nil, err
	}
	if len(r.out) > 0 {
		p = Payload{r.out, r.attachments}
	}
	if err := checkPlaceholders(p, len(r.attachments)); err != nil {
		return Payload{}, nil, err
	}
	return p, r.cursor.b, nil
}

type msgpackReader struct {
	cursor      mpCursor
	limits      Limits
	out         []byte
	attachments [][]byte
	size        int // bytes of attachments
}

// mpLevel is a container that is being read.
type mpLevel struct {
	left   uint64 // items to come
	member int    // where the current item begins in out, with comma and key
	object bool
}

// read reads one value, without recursion.
func (r *msgpackReader) read() error {
	var few [8]mpLevel
	open := few[:0]
	var t mpToken
	for {
		if err := r.cursor.next(&t); err != nil {
			return err
		}
		switch {
		case t.kind >= mpKindArray && len(open) == r.limits.MaxDepth:
			return fmt.Errorf("%w than %d levels", ErrTooDeep, r.limits.MaxDepth)
		case t.kind >= mpKindArray:
			object := t.kind == mpKindMap
			r.out = append(r.out, closing(object)-2) // brackets open two below where they close
			open = append(open, mpLevel{left: t.bits, object: object})
		case !t.undefined():
			r.value(&t)
		case len(open) == 0: // no payload
		case open[len(open)-1].object:
			r.out = r.out[:open[len(open)-1].member]
		default:
			r.out = append(r.out, "null"...)
		}
		if len(r.out) > r.limits.MaxPacketBytes-r.size {
			return fmt.Errorf("%w: over %d bytes", ErrTooLarge, r.limits.MaxPacketBytes)
		}
		for len(open) > 0 && open[len(open)-1].left == 0 {
			r.out = append(r.out, closing(open[len(open)-1].object))
			open = open[:len(open)-1]
		}
		if len(open) == 0 {
			return nil
		}
		if err := r.proceed(&open[len(open)-1]); err != nil {
			return err
		}
	}
}

func closing(object bool) byte {
	if object {
		return '}'
	}
	return ']'
}

// proceed writes what comes before the next item: a comma, and in a map the key.
func (r *msgpackReader) proceed(top *mpLevel) error {
	top.left--
	top.member = len(r.out)
	if last := r.out[len(r.out)-1]; last != '[' && last != '{' {
		r.out = append(r.out, ',')
	}
	if !top.object {
		return nil
	}
	var key mpToken
	if err := r.cursor.next(&key); err != nil {
		return err
	}
	var err error
	r.out, err = appendKey(r.out, &key)
	r.out = append(r.out, ':')
	return err
}

// appendKey appends a key as JavaScript makes property names of values.
func appendKey(dst []byte, t *mpToken) ([]byte, error) {
	switch t.kind {
	case mpKindStr, mpKindBin:
		return appendQuoted(dst, t.data), nil
	case mpKindArray, mpKindMap, mpKindExt:
		return dst, fmt.Errorf("%w: map key is a container or an extension", ErrSyntax)
	case mpKindFloat:
		return appendQuoted(dst, numericName(math.Float64frombits(t.bits))), nil
	}
	dst = append(dst, '"')
	dst = appendScalar(dst, t)
	return append(dst, '"'), nil
}

// appendScalar appends nil, a bool or a number.
func appendScalar(dst []byte, t *mpToken) []byte {
	switch t.kind {
	case mpKindBool:
		return strconv.AppendBool(dst, t.bits != 0)
	case mpKindUint:
		return strconv.AppendUint(dst, t.bits, 10)
	case mpKindInt:
		return strconv.AppendInt(dst, int64(t.bits), 10)
	case mpKindFloat:
		return appendNumber(dst, math.Float64frombits(t.bits), 64)
	}
	return append(dst, "null"...)
}

// value appends anything but a container.
func (r *msgpackReader) value(t *mpToken) {
	switch t.kind {
	case mpKindStr:
		r.out = appendQuoted(r.out, t.data)
	case mpKindBin:
		r.binary(t.data)
	case mpKindExt:
		r.extension(t)
	default:
		r.out = appendScalar(r.out, t)
	}
}

func (r *msgpackReader) binary(data []byte) {
	r.out = appendPlaceholder(r.out, len(r.attachments))
	r.attachments = append(r.attachments, append([]byte{}, data...))
	r.size += len(data)
}

// extension appends what notepack.io makes of an extension. Type 0 is its own,
// from before there were timestamps: fixext8 is a time in milliseconds, ext8 to
// ext32 an ArrayBuffer.
func (r *msgpackReader) extension(t *mpToken) {
	switch {
	case t.ext == 0 && t.fixext && len(t.data) == 8:
		r.out = appendTime(r.out, float64(int64(binary.BigEndian.Uint64(t.data))))
	case t.ext == 0 && !t.fixext:
		r.binary(t.data)
	case t.ext == -1 && len(t.data) == 4:
		r.out = appendTime(r.out, 1000*float64(binary.BigEndian.Uint32(t.data)))
	case t.ext == -1 && len(t.data) == 8:
		n := binary.BigEndian.Uint64(t.data)
		r.out = appendTime(r.out, 1000*float64(n&(1<<34-1))+float64(n>>34)/1e6)
	case t.ext == -1 && len(t.data) == 12:
		nanos, seconds := binary.BigEndian.Uint32(t.data), int64(binary.BigEndian.Uint64(t.data[4:]))
		r.out = appendTime(r.out, 1000*float64(seconds)+float64(nanos)/1e6)
	default:
		r.out = append(r.out, '[')
		r.out = strconv.AppendInt(r.out, int64(t.ext), 10)
		r.out = append(r.out, ',')
		r.binary(t.data)
		r.out = append(r.out, ']')
	}
}

// appendTime appends a JavaScript time, in milliseconds since 1970, as
// Date.toJSON does.
//
// See ECMA-262, "Date Time String Format" and "TimeClip".
func appendTime(dst []byte, millis float64) []byte {
	const most = 8.64e15
	if !(math.Abs(millis) <= most) {
		return append(dst, "null"...)
	}
	t := time.UnixMilli(int64(millis)).UTC()
	dst = append(dst, '"')
	switch year := t.Year(); {
	case year < 0:
		dst = fmt.Appendf(dst, "-%06d", -year)
	case year > 9999:
		dst = fmt.Appendf(dst, "+%06d", year)
	default:
		dst = fmt.Appendf(dst, "%04d", year)
	}
	return t.AppendFormat(dst, `-01-02T15:04:05.000Z"`)
}
