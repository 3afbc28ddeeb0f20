package redisadapter

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/parser"
)

// Options are those of an [Adapter]. A zero field means its default; an
// impossible value is an error of [New] and [Open].
type Options struct {
	// Mode is how Redis is used. All members need the same. Default Classic.
	Mode Mode

	// Routing is which messages Redis is asked for: all, or those to rooms with
	// members on this node. Default: what the JavaScript adapter does by default.
	Routing Routing

	// Streams are the options of the mode of that name; others ignore them.
	Streams StreamOptions

	// Prefix begins every channel name, as the JavaScript option "key" does.
	// All members need the same. Default "socket.io".
	Prefix string

	// MaxMessage is the size in bytes of the largest message that is published
	// or accepted. Default 16 MiB, at least 1 KiB.
	MaxMessage int

	// SharedAnswers sends answers to the channel that all nodes hear, as the
	// JavaScript adapter does by default, instead of the one that only the
	// asking node hears (its option publishOnSpecificResponseChannel). Every
	// version since 6.2 understands both, so it may differ between members.
	SharedAnswers bool

	// NoExtension leaves out what Go nodes say to each other beyond the classic
	// format, and ignores it. All bytes are then those of the JavaScript
	// adapter; answers do not name their node, and a client that leaves without
	// acknowledging is awaited until the timeout.
	NoExtension bool

	// BufferMessages, BufferBytes and BufferTime bound what waits to be
	// published, above all while Redis is away. The oldest give way. Defaults
	// 10,000 messages, 16 MiB, 30 s. A single message may exceed BufferBytes.
	BufferMessages int
	BufferBytes    int
	BufferTime     time.Duration

	// Secrets sign everything that is published, and sessions that are kept, with
	// HMAC-SHA256; what comes in without a signature of one of them is dropped and
	// counted (DropUnsigned). The first one signs and all are accepted: to change
	// it, add the new one at the end on every node, then move it to the front on
	// every node, then remove the old one. At least 16 random bytes each; they are
	// never logged. All members must have them: Node.js nodes and emitters cannot
	// take part.
	//
	// Somebody who can use Redis but knows no secret cannot make a message, change
	// one, move it to another channel or stream, or repeat it: each is taken once,
	// by the number and time that are signed with it, so clocks must agree to
	// within two minutes. What remains possible: to read everything, to drop or
	// hold back messages up to that time, to give a node that was not there a
	// message of the last two minutes, to put back an old session of a client, to
	// delete streams and sessions, and to subscribe, which makes requests wait for
	// answers of a node that is none.
	Secrets [][]byte

	// Logger hears of trouble and of its end. Trouble that goes on is logged ever
	// more rarely. Default: nothing is logged.
	Logger *slog.Logger

	// OnError is called with each error of the connections to Redis, OnDrop for
	// messages that were dropped. They are called by the adapter's goroutines,
	// maybe several at a time, and must not block.
	OnError func(error)
	OnDrop  func(Drop)
}

// Drop says that messages were dropped.
type Drop struct {
	Reason   DropReason
	Messages int
	Err      error // the cause, if there is more to say than the reason
}

// DropReason is why messages were dropped.
type DropReason uint8

// The reasons.
const (
	DropMalformed DropReason = iota // received, and not what a member of the cluster sends
	DropOverflow                    // the oldest gave way: more was published than the buffer holds
	DropExpired                     // Redis was away longer than Options.BufferTime
	DropInFlight                    // the connection failed before Redis said that it had the message
	DropRefused                     // Redis answered with an error
	DropClosed                      // still queued when the adapter was closed
	DropUnsigned                    // received without a valid signature, or a second time; see Options.Secrets
	dropReasons
)

// String returns the reason as a label for logs and metrics.
func (r DropReason) String() string {
	names := [...]string{"malformed", "overflow", "expired", "in_flight", "refused", "closed", "unsigned"}
	if int(r) < len(names) {
		return names[r]
	}
	return fmt.Sprintf("DropReason(%d)", r)
}

const (
	defaultPrefix         = "socket.io"
	defaultMaxMessage     = 16 << 20
	minMaxMessage         = 1 << 10
	defaultBufferMessages = 10_000
	defaultBufferBytes    = 16 << 20
	defaultBufferTime     = 30 * time.Second
	maxDepth              = 512
)

func (o Options) withDefaults() (Options, error) {
	var errs []error
	atLeast := func(name string, v *int, def, low int) {
		if *v == 0 {
			*v = def
		}
		if *v < low {
			errs = append(errs, fmt.Errorf("%s is %d, want at least %d", name, *v, low))
		}
	}
	atLeast("MaxMessage", &o.MaxMessage, defaultMaxMessage, minMaxMessage)
	atLeast("BufferMessages", &o.BufferMessages, defaultBufferMessages, 1)
	atLeast("BufferBytes", &o.BufferBytes, defaultBufferBytes, minMaxMessage)
	if o.BufferTime == 0 {
		o.BufferTime = defaultBufferTime
	}
	if o.BufferTime < 0 {
		errs = append(errs, fmt.Errorf("BufferTime is %v, want more than 0", o.BufferTime))
	}
	if o.Mode > Streams {
		errs = append(errs, fmt.Errorf("mode %v is not available yet", o.Mode))
	}
	streams, err := o.Streams.withDefaults()
	if o.Streams = streams; err != nil {
		errs = append(errs, fmt.Errorf("streams: %w", err))
	}
	switch {
	case o.Routing > DynamicPrivate:
		errs = append(errs, fmt.Errorf("there is no %v", o.Routing))
	case o.Routing == DefaultRouting && o.Mode == Sharded:
		o.Routing = Dynamic
	case o.Routing == DefaultRouting:
		o.Routing = Static
	case o.Routing != Static && o.Mode == Streams:
		errs = append(errs, fmt.Errorf("routing is %v, which streams do not have", o.Routing))
	}
	if err := checkSecrets(o.Secrets); err != nil {
		errs = append(errs, err)
	}
	if o.Prefix == "" {
		o.Prefix = defaultPrefix
	}
	if strings.ContainsAny(o.Prefix, "\r\n\x00") {
		errs = append(errs, fmt.Errorf("prefix %q contains control characters", o.Prefix))
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if err := errors.Join(errs...); err != nil {
		return o, fmt.Errorf("redis adapter options: %w", err)
	}
	return o, nil
}

// shardChannels reports whether channels are those of SSUBSCRIBE.
func (o *Options) shardChannels() bool {
	return o.Mode == Sharded || o.Mode == Streams && o.Streams.ShardedPubSub
}

// orderKey is a key on the master of a Redis Cluster that gets everything, or
// empty if there is no such master.
func (o *Options) orderKey() string {
	switch {
	case o.Mode != Streams:
		return o.Prefix
	case o.Streams.Count == 1:
		return o.Streams.Name
	}
	return ""
}

// limits are those of what comes from other nodes: they have checked what came
// from clients, so only what protects this node is bounded.
func (o *Options) limits() parser.Limits {
	return parser.Limits{MaxAttachments: -1, MaxPacketBytes: o.MaxMessage, MaxDepth: maxDepth, MaxNamespace: -1}
}

func (o *Options) dialect(namespace string, self cluster.NodeID, r cluster.Receiver) dialect {
	switch o.Mode {
	case Sharded:
		return newSharded(o, namespace, self, r)
	case Streams:
		return newStreamed(o, namespace, self, r)
	case Classic:
	}
	return newClassic(o, namespace, self, r)
}
