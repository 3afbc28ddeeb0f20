package parser

// Limits bounds what a peer can make us hold or compute. A zero field means
// the default; a negative one means no limit, where not stated otherwise. All
// but the first are stricter than the JavaScript server, which has no such limits.
type Limits struct {
	// MaxAttachments is the highest number of binary values in a packet of the
	// default codec. Default 10, as in socket.io-parser 4.2.6 and later;
	// negative: 65,535.
	MaxAttachments int

	// MaxPacketBytes bounds text and attachments of a packet together, each
	// attachment counted once per placeholder that refers to it. Default 4 MB.
	MaxPacketBytes int

	// MaxDepth bounds the nesting of arrays and objects. Default 512.
	MaxDepth int

	// MaxNamespace bounds the bytes of a namespace's name. Default 255.
	MaxNamespace int
}

// DefaultMaxAttachments is how many binary values a packet of the default codec
// may hold unless Limits say otherwise. JavaScript clients have the same limit.
const DefaultMaxAttachments = 10

const (
	defaultMaxAttachments = DefaultMaxAttachments
	defaultMaxPacketBytes = 4_000_000
	defaultMaxDepth       = 512
	defaultMaxNamespace   = 255

	maxAttachmentCount = 1<<16 - 1
	unlimited          = int(^uint(0) >> 1)
)

func (l Limits) withDefaults() Limits {
	return Limits{
		MaxAttachments: min(orDefault(l.MaxAttachments, defaultMaxAttachments), maxAttachmentCount),
		MaxPacketBytes: orDefault(l.MaxPacketBytes, defaultMaxPacketBytes),
		MaxDepth:       orDefault(l.MaxDepth, defaultMaxDepth),
		MaxNamespace:   orDefault(l.MaxNamespace, defaultMaxNamespace),
	}
}

func orDefault(n, def int) int {
	switch {
	case n == 0:
		return def
	case n < 0:
		return unlimited
	}
	return n
}
