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
