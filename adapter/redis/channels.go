package redisadapter

import (
	"strings"

	"github.com/dunlin-io/dunlin/core/cluster"
)

// socketIDLen is the length of all sockets' ids, here and in Node.js. A room whose
// name is as long is taken for one.
const socketIDLen = 20

// channels are the channel names of one namespace, as one node sees them.
type channels struct {
	pattern   string // matches broadcast and all room channels
	private   string // matches the channels of rooms that are sockets' ids
	broadcast string // what all of these begin with, and itself one of them
	request   string
	response  string // all nodes hear it, and answers of one node begin with it
	own       string // only this node hears it
}

func newChannels(prefix, namespace string, self cluster.NodeID) channels {
	c := channels{
		broadcast: prefix + "#" + namespace + "#",
		request:   prefix + "-request#" + namespace + "#",
		response:  prefix + "-response#" + namespace + "#",
	}
	c.pattern = escapeGlob(c.broadcast) + "*"
	c.private = escapeGlob(c.broadcast) + strings.Repeat("?", socketIDLen) + "#"
	c.own = c.responseOf(string(self))
	return c
}

// of returns the channel of a broadcast.
func (c *channels) of(t *cluster.Target) string {
	if len(t.Rooms) == 1 {
		return c.roomChannel(t.Rooms[0])
	}
	return c.broadcast
}

func (c *channels) roomChannel(room string) string { return c.broadcast + room + "#" }

// room returns the room that a broadcast's channel names; "" stands for none,
// or for a room whose name is empty.
func (c *channels) room(channel string) (room string, ok bool) {
	rest, ok := strings.CutPrefix(channel, c.broadcast)
	if !ok || rest == "" {
		return "", ok
	}
	return strings.CutSuffix(rest, "#")
}

// responseOf returns the channel on which the node with that uid alone hears
// answers.
func (c *channels) responseOf(uid string) string { return c.response + uid + "#" }

// escapeGlob returns the pattern that matches exactly s. Redis patterns know
// *, ?, [...] and \.
func escapeGlob(s string) string {
	return globEscaper.Replace(s)
}

var globEscaper = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`)
