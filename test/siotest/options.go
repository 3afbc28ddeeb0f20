package siotest

import (
	"crypto/tls"
	"net/http"
	"net/url"
	"time"

	"github.com/dunlin-io/dunlin/core/parser"
)

// Transport is how a client connects.
type Transport string

// The ways to connect. The zero value is WebSocket.
const (
	WebSocket Transport = "websocket"
	Polling   Transport = "polling"
	Upgrade   Transport = "upgrade" // polling, then WebSocket at once
)

// Options say how to connect. The zero value joins "/" over WebSocket.
type Options struct {
	Namespace string // "/"
	// Auth is the CONNECT payload; nil: none. A func(attempt int) any is asked
	// for it each time the client joins, counted from 1.
	Auth      any
	Transport Transport
	Header    http.Header // of every request
	Query     url.Values  // beside the protocol's own
	Path      string      // of every request; the server's, or "/socket.io/"
	Parser    parser.Codec
	Limits    parser.Limits // of what the client accepts
	TLS       *tls.Config   // of connections to https addresses

	// Reconnect makes the client come back by itself, as the JavaScript client
	// does, when the connection was lost. It waits ReconnectDelay (1 s), twice
	// as long after each failure, at most ReconnectDelayMax (5 s), each time up
	// to half more or less, by a chance that is the same in every run. Meanwhile
	// it keeps what it is told to emit. Client.ExpectConnect waits until the
	// client is back.
	Reconnect                         bool
	ReconnectDelay, ReconnectDelayMax time.Duration
}

// withDefaults takes what is not said from d, and then from the package.
func (o Options) withDefaults(d Options) Options {
	if o.Namespace == "" {
		o.Namespace = "/"
	}
	if o.Transport == "" {
		o.Transport = WebSocket
	}
	if o.Path == "" {
		o.Path = d.Path
	}
	if o.Path == "" {
		o.Path = "/socket.io/"
	}
	if o.Parser == nil {
		o.Parser = d.Parser
	}
	if o.Parser == nil {
		o.Parser = parser.JSON()
	}
	if o.ReconnectDelay <= 0 {
		o.ReconnectDelay = time.Second
	}
	if o.ReconnectDelayMax <= 0 {
		o.ReconnectDelayMax = 5 * time.Second
	}
	return o
}
