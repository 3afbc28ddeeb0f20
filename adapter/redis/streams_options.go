package redisadapter

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// StreamOptions are what [Options] hold for the mode [Streams]. A zero field
// means its default. Name, Count and ShardedPubSub must be the same on all
// members.
type StreamOptions struct {
	// Name is the key of the stream, or with Count over 1 what the keys begin
	// with. Default "socket.io".
	Name string

	// Count is how many streams the namespaces are spread over, on keys such as
	// socket.io-0. Each takes a connection. Default 1, at most 256.
	Count int

	// SignedHash is for clusters with Node.js members and Count over 1. The
	// JavaScript adapter computes a negative stream number for some namespaces
	// (/dashboard of four: socket.io--3), writes there, and never reads it. With
	// SignedHash such a stream is read, and so is the one that Node.js nodes do
	// read; messages are written to both, so that everybody hears us. Without
	// it such a namespace hears nothing from Node.js nodes.
	SignedHash bool

	// MaxLen is about how many entries a stream keeps. It bounds how far back
	// clients recover. Default 10,000.
	MaxLen int

	// ReadCount is how many entries are read at a time at most, Block how long
	// Redis may hold an answer back until there are any: a stream that vanished
	// is noticed within that time. Defaults 100 and 5 s, at least 1 ms.
	ReadCount int
	Block     time.Duration

	// ShardedPubSub sends requests and answers with SPUBLISH instead of PUBLISH.
	// It needs Redis 7.
	ShardedPubSub bool

	// SessionPrefix begins the keys of sessions. Default "sio:session:".
	SessionPrefix string

	// Plaintext writes binary data in entries as JSON, where it arrives as
	// {"type":"Buffer","data":[...]}, the JavaScript option onlyPlaintext.
	Plaintext bool
}

const (
	defaultStream        = "socket.io"
	defaultMaxLen        = 10_000
	defaultReadCount     = 100
	defaultBlock         = 5 * time.Second
	defaultSessionPrefix = "sio:session:"
	maxStreams           = 256
)

func (o StreamOptions) withDefaults() (StreamOptions, error) {
	var errs []error
	between := func(name string, v *int, def, most int) {
		if *v == 0 {
			*v = def
		}
		if *v < 1 || *v > most {
			errs = append(errs, fmt.Errorf("%s is %d, want 1 to %d", name, *v, most))
		}
	}
	between("Count", &o.Count, 1, maxStreams)
	between("MaxLen", &o.MaxLen, defaultMaxLen, 1<<30)
	between("ReadCount", &o.ReadCount, defaultReadCount, 10_000)
	if o.Block == 0 {
		o.Block = defaultBlock
	}
	if o.Block < time.Millisecond || o.Block > time.Minute {
		errs = append(errs, fmt.Errorf("block is %v, want 1 ms to 1 min", o.Block))
	}
	if o.Name == "" {
		o.Name = defaultStream
	}
	if o.SessionPrefix == "" {
		o.SessionPrefix = defaultSessionPrefix
	}
	for _, name := range []string{o.Name, o.SessionPrefix} {
		if strings.ContainsAny(name, "\r\n\x00") {
			errs = append(errs, fmt.Errorf("key %q contains control characters", name))
		}
	}
	return o, errors.Join(errs...)
}
