package main

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	redisadapter "github.com/dunlin-io/dunlin/adapter/redis"
	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/engineio"
	"github.com/dunlin-io/dunlin/core/parser"
	"github.com/dunlin-io/dunlin/core/socketio"
)

// settings are what the environment says. What this server cannot do is an
// error: a test must never pass because something else was run.
type settings struct {
	port         int
	redis        *redis.Options // nil: a single node
	adapter      redisadapter.Options
	node         string
	codec        parser.Codec
	recovery     socketio.Recovery
	pingInterval time.Duration
	pingTimeout  time.Duration
	maxPayload   int
}

// readSettings reads the environment:
//
//	PORT           3000
//	REDIS_URL      none: a single node
//	ADAPTER        classic, sharded or streams
//	NODE_NAME      go-1
//	PARSER         json, or msgpack
//	EIO3           not supported
//	RECOVERY       1: connection state recovery, two minutes
//	PING_INTERVAL  300 (ms)
//	PING_TIMEOUT   200 (ms)
//	MAX_PAYLOAD    1000000 (bytes)
//
// and, beyond the contract:
//
//	DUNLIN_ROUTING       static, dynamic or dynamic-private: the adapter's routing
//	DUNLIN_NO_EXTENSION  1: says to other nodes only what Node.js nodes say
func readSettings(getenv func(string) string) (settings, error) {
	var bad []error
	fail := func(format string, args ...any) { bad = append(bad, fmt.Errorf(format, args...)) }
	number := func(name string, def int) int {
		text := getenv(name)
		if text == "" {
			return def
		}
		n, err := strconv.Atoi(text)
		if err != nil || n <= 0 {
			fail("%s is %q: it must be a positive number", name, text)
		}
		return n
	}
	choice := func(name string) bool {
		text := getenv(name)
		if text != "" && text != "0" && text != "1" {
			fail("%s is %q: it must be 1, 0 or empty", name, text)
		}
		return text == "1"
	}
	set := settings{
		port:         number("PORT", 3000),
		node:         getenv("NODE_NAME"),
		codec:        parser.JSON(),
		pingInterval: time.Duration(number("PING_INTERVAL", 300)) * time.Millisecond,
		pingTimeout:  time.Duration(number("PING_TIMEOUT", 200)) * time.Millisecond,
		maxPayload:   number("MAX_PAYLOAD", 1_000_000),
	}
	if set.node == "" {
		set.node = "go-1"
	}
	switch name := getenv("PARSER"); name {
	case "", "json":
	case "msgpack":
		set.codec = parser.Msgpack()
	default:
		fail("PARSER is %q: it must be json or msgpack", name)
	}
	if name := getenv("ADAPTER"); name != "" {
		var err error
		if set.adapter.Mode, err = redisadapter.ParseMode(name); err != nil {
			fail("ADAPTER: %w", err)
		}
	}
	if name := getenv("DUNLIN_ROUTING"); name != "" {
		var err error
		if set.adapter.Routing, err = redisadapter.ParseRouting(name); err != nil {
			fail("DUNLIN_ROUTING: %w", err)
		}
	}
	set.adapter.NoExtension = choice("DUNLIN_NO_EXTENSION")
	if choice("EIO3") {
		fail("EIO3=1 is not supported: Engine.IO v3 is not built yet")
	}
	if choice("RECOVERY") {
		set.recovery = socketio.Recovery{MaxDisconnection: 2 * time.Minute}
	}
	if url := getenv("REDIS_URL"); url != "" {
		var err error
		if set.redis, err = redis.ParseURL(url); err != nil {
			fail("REDIS_URL: %w", err)
		} else {
			// A command repeated after a broken connection may publish twice.
			set.redis.MaxRetries, set.redis.DisableIdentity = -1, true
		}
	}
	return set, errors.Join(bad...)
}

func (set *settings) engine(logger *slog.Logger) engineio.Config {
	return engineio.Config{
		PingInterval: set.pingInterval,
		PingTimeout:  set.pingTimeout,
		MaxPayload:   set.maxPayload,
		CORS:         &engineio.CORS{Origins: []string{"*"}},
		Logger:       logger,
	}
}

func (set *settings) socketio(logger *slog.Logger) socketio.Config {
	return socketio.Config{
		Engine: set.engine(logger),
		Parser: set.codec,
		// The name may come back after a restart, an id must not.
		NodeID:   cluster.NodeID(set.node + "-" + strconv.FormatInt(time.Now().UnixNano(), 36)),
		Recovery: set.recovery,
		// As in the reference's test server; its suite does not wait for longer.
		ConnectTimeout: time.Second,
		Logger:         logger,
	}
}
