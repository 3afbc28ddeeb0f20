package redisadapter

import (
	"fmt"
	"slices"
)

// Mode is how an [Adapter] uses Redis. All members of a cluster need the same.
type Mode uint8

// The modes, each compatible with the JavaScript package of that name.
const (
	// Classic publishes with PUBLISH, and every node hears everything unless
	// [Options].Routing says otherwise.
	Classic Mode = iota
	// Sharded publishes with SPUBLISH, which needs Redis 7; rooms have channels
	// of their own, which nodes without members do not hear.
	Sharded
	// Streams appends what must not be lost to a Redis stream.
	Streams
)

var modeNames = []string{"classic", "sharded", "streams"}

// String returns the mode's name as ParseMode reads it.
func (m Mode) String() string {
	if int(m) < len(modeNames) {
		return modeNames[m]
	}
	return fmt.Sprintf("Mode(%d)", m)
}

// ParseMode reads the name of a mode: classic, sharded or streams.
func ParseMode(name string) (Mode, error) {
	i := slices.Index(modeNames, name)
	if i < 0 {
		return 0, fmt.Errorf("redis adapter: unknown mode %q, want one of %q", name, modeNames)
	}
	return Mode(i), nil //nolint:gosec // an index of three
}

// MarshalText implements [encoding.TextMarshaler].
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler], as ParseMode.
func (m *Mode) UnmarshalText(text []byte) (err error) {
	*m, err = ParseMode(string(text))
	return err
}

// Routing is which messages a node asks Redis for. The names are those of the
// JavaScript option subscriptionMode.
type Routing uint8

// The routings. In the classic mode each node may choose for itself, and
// Node.js nodes have the equivalent of Static. In the sharded mode all members
// need the same, since it decides where messages are published, too.
const (
	// DefaultRouting is that of the JavaScript package: Static in the classic
	// mode and in that with streams, Dynamic in the sharded mode.
	DefaultRouting Routing = iota
	// Static asks for all messages of a namespace.
	Static
	// Dynamic asks for the messages to rooms that have members here. Those to a
	// single socket reach all nodes, as if they were for everybody.
	Dynamic
	// DynamicPrivate asks for the messages to rooms that have members here, and
	// to single sockets that are here. Each socket costs a subscription; what is
	// emitted to one before Redis knows of that is missed.
	DynamicPrivate
)

var routingNames = []string{"default", "static", "dynamic", "dynamic-private"}

// String returns the routing's name as ParseRouting reads it.
func (r Routing) String() string {
	if int(r) < len(routingNames) {
		return routingNames[r]
	}
	return fmt.Sprintf("Routing(%d)", r)
}

// ParseRouting reads the name of a routing: static, dynamic, dynamic-private or
// default.
func ParseRouting(name string) (Routing, error) {
	i := slices.Index(routingNames, name)
	if i < 0 {
		return 0, fmt.Errorf("redis adapter: unknown routing %q, want one of %q", name, routingNames)
	}
	return Routing(i), nil //nolint:gosec // an index of four
}

// MarshalText implements [encoding.TextMarshaler].
func (r Routing) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler], as ParseRouting.
func (r *Routing) UnmarshalText(text []byte) (err error) {
	*r, err = ParseRouting(string(text))
	return err
}
