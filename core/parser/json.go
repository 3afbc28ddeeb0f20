package parser

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// JSON returns the default codec, which every Socket.IO client understands.
func JSON() Codec { return jsonCodec{} }

type jsonCodec struct{}

func (jsonCodec) Name() string { return "json" }

func (jsonCodec) NewDecoder(l Limits) Decoder { return &jsonDecoder{limits: l.withDefaults()} }

// Encode fails, beside for what no codec can represent, for attachments in
// anything but an EVENT or an ACK.
func (jsonCodec) Encode(p *Packet) ([]Frame, error) {
	if err := checkPacket(p); err != nil {
		return nil, err
	}
	binary := len(p.Payload.Attachments)
	switch {
	case strings.Contains(p.Namespace, ","):
		return nil, fmt.Errorf("encode: %w %q", ErrNamespace, p.Namespace)
	case binary > 0 && p.Type != Event && p.Type != Ack:
		return nil, fmt.Errorf("encode %s: %w: binary values", p.Type, ErrPayload)
	}
	const header = len("6") + len("65535-") + len(",") + len("9007199254740991")
	text := make([]byte, 0, header+len(p.Namespace)+len(p.Payload.JSON))
	if binary > 0 {
		text = append(text, '0'+byte(p.Type+BinaryEvent-Event))
		text = strconv.AppendInt(text, int64(binary), 10)
		text = append(text, '-')
	} else {
		text = append(text, '0'+byte(p.Type))
	}
	if p.Namespace != "/" {
		text = append(text, p.Namespace...)
		text = append(text, ',')
	}
	if p.HasID {
		text = strconv.AppendUint(text, p.ID, 10)
	}
	text = append(text, p.Payload.JSON...)
	frames := make([]Frame, 1, 1+binary)
	frames[0].Data = text
	for _, a := range p.Payload.Attachments {
		frames = append(frames, Frame{Binary: true, Data: a})
	}
	return frames, nil
}

// checkPacket checks what would make peers misread a packet, or give up on the
// connection.
func checkPacket(p *Packet) error {
	switch {
	case p.Type > ConnectError:
		return fmt.Errorf("encode: %w %d", ErrType, p.Type)
	case !strings.HasPrefix(p.Namespace, "/"):
		return fmt.Errorf("encode: %w %q", ErrNamespace, p.Namespace)
	case p.HasID && p.ID > MaxID:
		return fmt.Errorf("encode: %w: %d", ErrID, p.ID)
	case len(p.Payload.Attachments) > maxAttachmentCount:
		return fmt.Errorf("encode: %w: %d", ErrTooMany, len(p.Payload.Attachments))
	case len(p.Payload.JSON) == 0 && (p.Type == Event || len(p.Payload.Attachments) > 0):
		return fmt.Errorf("encode %s: %w: nothing", p.Type, ErrPayload)
	}
	return nil
}

// jsonDecoder puts together the packets of one connection.
type jsonDecoder struct {
	limits    Limits
	namespace namespaceCache
	partial   *partial // nil: a packet begins with the next message
}

// partial is a packet with attachments missing.
type partial struct {
	packet Packet
	count  int   // of attachments in all
	refs   []int // how many placeholders refer to each
	size   int   // bytes so far, as Limits.MaxPacketBytes counts them
}

func (d *jsonDecoder) Pending() bool { return d.partial != nil }

func (d *jsonDecoder) Decode(f Frame) (Packet, bool, error) {
	p, ok, err := d.decode(f)
	if err != nil {
		d.partial = nil
	}
	if !ok {
		p = Packet{}
	}
	return p, ok, err
}

func (d *jsonDecoder) decode(f Frame) (p Packet, ok bool, err error) {
	switch {
	case f.Binary && d.partial == nil:
		return p, false, fmt.Errorf("%w: binary, but no attachment is due", ErrUnexpected)
	case f.Binary:
		return d.attachment(f.Data)
	case d.partial != nil:
		return p, false, fmt.Errorf("%w: text, but an attachment is due", ErrUnexpected)
	case len(f.Data) > d.limits.MaxPacketBytes:
		return p, false, fmt.Errorf("%w: %d bytes", ErrTooLarge, len(f.Data))
	}
	h, err := d.header(f.Data)
	if err != nil {
		return p, false, err
	}
	text := bytes.TrimRight(h.payload, " \t\r\n")
	p = Packet{Type: h.typ, Namespace: h.namespace, ID: h.id, HasID: h.hasID}
	if err := checkPayload(p.Type, text); err != nil {
		return p, false, err
	}
	if len(text) > 0 {
		if err := validate(text, d.limits.MaxDepth); err != nil {
			return p, false, fmt.Errorf("%s: %w: %w", p.Type, ErrPayload, err)
		}
	}
	if p.Type == Event {
		if err := checkEvent(text); err != nil {
			return p, false, err
		}
	}
	if len(text) > 0 {
		p.Payload.JSON = bytes.Clone(text)
	}
	if h.count == 0 {
		return p, true, nil
	}
	return p, false, d.expect(p, h.count)
}

// header is what comes before the payload.
type header struct {
	typ       Type
	count     int // of attachments
	namespace string
	id        uint64
	hasID     bool
	payload   []byte
}

func (d *jsonDecoder) header(b []byte) (h header, err error) {
	if len(b) == 0 || b[0] < '0' || b[0] > '6' {
		return h, fmt.Errorf("%w: %.1q", ErrType, b)
	}
	h.typ = Type(b[0] - '0')
	b = b[1:]
	if h.typ >= BinaryEvent {
		if h.count, b, err = d.count(b); err != nil {
			return h, err
		}
		h.typ -= BinaryEvent - Event
	}
	if h.namespace, b, err = d.nsp(b); err != nil {
		return h, err
	}
	n := skipDigits(b, 0)
	if n > 0 {
		id, ok := parseDigits(b[:n])
		if !ok || id > MaxID {
			return h, fmt.Errorf("%w: %.20s", ErrID, b[:n])
		}
		h.id, h.hasID = id, true
	}
	h.payload = b[n:]
	return h, nil
}

// count reads the number of attachments. JavaScript accepts any form of number
// here, such as 1e1 or 0x1; we take digits only.
func (d *jsonDecoder) count(b []byte) (n int, rest []byte, err error) {
	end := skipDigits(b, 0)
	if end == 0 || end == len(b) || b[end] != '-' {
		return 0, nil, fmt.Errorf("%w: no count", ErrAttachments)
	}
	count, ok := parseDigits(b[:end])
	switch {
	case ok && count == 0:
		return 0, nil, fmt.Errorf("%w: count is 0", ErrAttachments)
	case !ok || count > uint64(d.limits.MaxAttachments):
		return 0, nil, fmt.Errorf("%w: %.20s of at most %d", ErrTooMany, b[:end], d.limits.MaxAttachments)
	}
	return int(count), b[end+1:], nil
}

func (d *jsonDecoder) nsp(b []byte) (name string, rest []byte, err error) {
	if len(b) == 0 || b[0] != '/' {
		return "/", b, nil
	}
	end := bytes.IndexByte(b, ',')
	if end < 0 {
		end = len(b)
	} else {
		rest = b[end+1:]
	}
	name, err = d.namespace.intern(b[:end], d.limits.MaxNamespace)
	return name, rest, err
}

// namespaceCache is the namespace of the last packet, so that the next one need
// not allocate it.
type namespaceCache string

func (c *namespaceCache) intern(b []byte, maxLen int) (string, error) {
	switch {
	case len(b) == 0 || b[0] != '/':
		return "", fmt.Errorf("%w %.20q", ErrNamespace, b)
	case len(b) > maxLen:
		return "", fmt.Errorf("%w: %d bytes long", ErrNamespace, len(b))
	case !utf8.Valid(b):
		return "", fmt.Errorf("%w: not UTF-8", ErrNamespace)
	case len(b) == 1:
		return "/", nil
	case string(b) != string(*c):
		*c = namespaceCache(b)
	}
	return string(*c), nil
}

// checkPayload checks by its first byte that text is what a packet of type t
// may carry.
func checkPayload(t Type, text []byte) error {
	first := byte(0)
	if len(text) > 0 {
		first = text[0]
	}
	ok := false
	switch t {
	case Connect:
		ok = first == 0 || first == '{'
	case Disconnect:
		ok = first == 0
	case Event:
		ok = first == '['
	case Ack:
		ok = first == 0 || first == '['
	case ConnectError:
		ok = first == 0 || first == '{' || first == '"'
	}
	if !ok {
		return fmt.Errorf("%s: %w: begins with %.1q", t, ErrPayload, text)
	}
	return nil
}

// checkEvent checks the name of an event.
func checkEvent(text []byte) error {
	start, end, _ := firstElement(text)
	if start == end {
		return fmt.Errorf("EVENT: %w: no name", ErrPayload)
	}
	name := text[start:end]
	switch c := name[0]; {
	case c == '-' || c >= '0' && c <= '9':
		return nil
	case c != '"':
		return fmt.Errorf("EVENT: %w: the name is neither string nor number", ErrPayload)
	case len(name) > len(`""`)+len(`\u0000`)*len("removeListener"): // longer than any reserved name can be
		return nil
	}
	var buf [100]byte
	if reserved(appendUnquoted(buf[:0], name)) {
		return fmt.Errorf("EVENT: %w: reserved name %s", ErrPayload, name)
	}
	return nil
}

// expect makes the next count messages p's attachments.
func (d *jsonDecoder) expect(p Packet, count int) error {
	if p.Payload.JSON == nil {
		return fmt.Errorf("%s: %w: attachments, but nothing refers to them", p.Type, ErrPayload)
	}
	refs := make([]int, count)
	for _, h := range findPlaceholders(p.Payload.JSON) {
		if h.num < 0 || h.num >= count {
			return fmt.Errorf("%w: placeholder %d of %d", ErrAttachments, h.num, count)
		}
		refs[h.num]++
	}
	p.Payload.Attachments = make([][]byte, 0, min(count, defaultMaxAttachments))
	d.partial = &partial{packet: p, count: count, refs: refs, size: len(p.Payload.JSON)}
	return nil
}

func (d *jsonDecoder) attachment(data []byte) (p Packet, ok bool, err error) {
	part := d.partial
	n := len(part.packet.Payload.Attachments)
	times := max(part.refs[n], 1)
	if len(data) > (d.limits.MaxPacketBytes-part.size)/times {
		return p, false, fmt.Errorf("%w: attachment %d of %d bytes", ErrTooLarge, n, len(data))
	}
	part.size += times * len(data)
	part.packet.Payload.Attachments = append(part.packet.Payload.Attachments, append([]byte{}, data...))
	if n+1 < part.count {
		return p, false, nil
	}
	d.partial = nil
	return part.packet, true, nil
}
