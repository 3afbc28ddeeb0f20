package engineio

// packetType is the first character of a packet in text form.
type packetType byte

const (
	packetOpen    packetType = '0'
	packetClose   packetType = '1'
	packetPing    packetType = '2'
	packetPong    packetType = '3'
	packetMessage packetType = '4'
	packetUpgrade packetType = '5'
	packetNoop    packetType = '6'

	// base64Mark stands in place of a type digit before a binary message in text form.
	base64Mark = 'b'
	// separator joins the packets of an HTTP body. It is not escaped inside packets.
	separator = 0x1e
)

// packet is one decoded packet. data is a part of the buffer it was decoded from.
type packet struct {
	kind   packetType
	binary bool // only of messages
	data   []byte
}

// decodePacket reads the text form of a packet. Base64 is decoded in place, overwriting p.
func decodePacket(p []byte) (packet, error) {
	if len(p) == 0 {
		return packet{}, errEmptyPacket
	}
	if p[0] == base64Mark {
		return packet{kind: packetMessage, binary: true, data: decodeBase64(p[1:])}, nil
	}
	kind := packetType(p[0])
	if kind < packetOpen || kind > packetNoop {
		return packet{}, errUnknownPacket
	}
	return packet{kind: kind, data: p[1:]}, nil
}

// decodeBase64 decodes p in place and returns the part that holds the result. It is as lenient as the decoder of the
// reference server, which clients have come to rely on: both alphabets, no padding needed, foreign characters skipped,
// incomplete last group dropped.
func decodeBase64(p []byte) []byte {
	var (
		n    int
		bits uint32
		have uint
	)
	for _, c := range p {
		if c == '=' {
			break
		}
		v := base64Value[c]
		if v == base64Foreign {
			continue
		}
		bits = bits<<6 | uint32(v)
		have += 6
		if have >= 8 {
			have -= 8
			p[n] = byte(bits >> have)
			n++
		}
	}
	return p[:n]
}

const base64Foreign = 0xff

var base64Value = func() (table [256]byte) {
	for i := range table {
		table[i] = base64Foreign
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for i := range alphabet {
		table[alphabet[i]] = byte(i)
	}
	table['-'], table['_'] = 62, 63
	return table
}()
