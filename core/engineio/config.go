package engineio

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Config says how a Server behaves. Zero fields mean the defaults named beside them; New refuses negative values.
type Config struct {
	// Path under which the server answers, with or without its trailing slash. "/engine.io/"
	Path string
	// Transports that are allowed: "polling", "websocket". Both.
	Transports []string
	// DisableUpgrades keeps sessions on the transport they began with.
	DisableUpgrades bool

	PingInterval   time.Duration // from a pong, or the beginning, to the next ping. 25 s
	PingTimeout    time.Duration // from a ping to its pong. 20 s
	UpgradeTimeout time.Duration // for probing and upgrading to a WebSocket. 10 s

	// MaxPayload bounds, in bytes, the body of a POST, a WebSocket message over all its fragments, and the answer to a
	// poll if it holds more than one packet. It is announced to clients. 1,000,000
	MaxPayload int
	// MaxPending bounds the bytes that wait for one client; a single larger batch is accepted when nothing waits. A
	// client that falls further behind is disconnected. 4 MiB
	MaxPending int
	// StallTimeout is how long a client may take nothing of what waits for it. 10 s
	StallTimeout time.Duration
	// MaxFragments bounds the frames of one WebSocket message, empty ones included. 16,384
	MaxFragments int
	// MaxPendingPongs bounds the answers to WebSocket pings that wait for one client. 60
	MaxPendingPongs int
	// MaxHeaderBytes bounds the names and values of the header of a request that opens a session or upgrades it. The
	// limit of http.Server applies before. 16 KiB
	MaxHeaderBytes int
	// MaxSessions bounds the open sessions; more are answered 503. 0: no bound
	MaxSessions int

	BodyTimeout  time.Duration // for reading the body of a POST. 30 s
	WriteTimeout time.Duration // for writing one HTTP response. 30 s
	CloseTimeout time.Duration // for flushing a closing session, and for the client's answer to a close frame. 5 s

	// Admit is asked once for each new session, with its first request; it is not asked again for polls and upgrades.
	// Values of the context it returns are found in Session.Context; its cancellation is not. An error refuses the
	// client with status 403, code 4 and the error's text.
	Admit func(*http.Request) (context.Context, error)
	// NewID makes session ids: 1 to 128 characters of A-Z, a-z, 0-9, '-', '_', '.', '~', unguessable and unused.
	// nil: 15 random bytes in base64url.
	NewID func(*http.Request) (string, error)
	// UnknownSession may answer a poll, post or upgrade with a session id this server does not know, for example by
	// forwarding it. It returns false if it has not; the request is then refused.
	UnknownSession func(w http.ResponseWriter, r *http.Request, sid string) (answered bool)

	// Cookie with the session id, for load balancers that need one. nil: none
	Cookie *Cookie
	// CORS lets browsers of other origins in. nil: none
	CORS *CORS
	// AllowAnyOrigin accepts requests of any origin, also upgrades, which no browser checks by itself. Without it a
	// request with an Origin of another host that CORS does not list is refused, since a foreign page could open a
	// session with the cookies of its visitor.
	AllowAnyOrigin bool

	// InitialMessage is sent to every client right after the open packet.
	InitialMessage *Message
	// InitialHeaders may add to the header of the first response of a session, Headers to every response to a request
	// of one, also the 101 of an upgrade.
	InitialHeaders func(http.Header, *http.Request)
	Headers        func(http.Header, *http.Request)

	// OnReject is told of every refused request.
	OnReject func(*http.Request, *Error)
	// OnPanic is told of panics in accept and in handlers. They end the session, never the process.
	OnPanic func(s *Session, value any, stack []byte)
	// Logger takes what is worth a line. nil: discarded
	Logger *slog.Logger
}

// withDefaults returns a checked copy.
func (c Config) withDefaults() (Config, error) {
	if c.Path == "" {
		c.Path = "/engine.io/"
	}
	if !strings.HasPrefix(c.Path, "/") {
		return c, fmt.Errorf("Path %q does not begin with a slash", c.Path)
	}
	c.Path = strings.TrimSuffix(c.Path, "/")
	if c.Transports == nil {
		c.Transports = []string{transportPolling, transportWebSocket}
	}
	if len(c.Transports) == 0 {
		return c, errors.New("Transports is empty: leave it nil for polling and websocket")
	}
	for _, name := range c.Transports {
		if name != transportPolling && name != transportWebSocket {
			return c, fmt.Errorf("Transports holds %q: only polling and websocket are known", name)
		}
	}
	c.Transports = slices.Clone(c.Transports)
	if err := c.setLimits(); err != nil {
		return c, err
	}
	if err := c.Cookie.check(); err != nil {
		return c, fmt.Errorf("Cookie: %w", err)
	}
	if err := c.CORS.check(); err != nil {
		return c, fmt.Errorf("CORS: %w", err)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

func (c *Config) setLimits() error {
	for _, d := range []struct {
		name  string
		field *time.Duration
		value time.Duration
	}{
		{"PingInterval", &c.PingInterval, 25 * time.Second},
		{"PingTimeout", &c.PingTimeout, 20 * time.Second},
		{"UpgradeTimeout", &c.UpgradeTimeout, 10 * time.Second},
		{"StallTimeout", &c.StallTimeout, 10 * time.Second},
		{"BodyTimeout", &c.BodyTimeout, 30 * time.Second},
		{"WriteTimeout", &c.WriteTimeout, 30 * time.Second},
		{"CloseTimeout", &c.CloseTimeout, 5 * time.Second},
	} {
		if *d.field < 0 || *d.field > 0 && *d.field < time.Millisecond {
			return fmt.Errorf("%s is %v: use at least 1ms, or 0 for %v", d.name, *d.field, d.value)
		}
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	for _, n := range []struct {
		name  string
		field *int
		value int
	}{
		{"MaxPayload", &c.MaxPayload, 1_000_000},
		{"MaxPending", &c.MaxPending, 4 << 20},
		{"MaxFragments", &c.MaxFragments, 16_384},
		{"MaxPendingPongs", &c.MaxPendingPongs, 60},
		{"MaxHeaderBytes", &c.MaxHeaderBytes, 16 << 10},
		{"MaxSessions", &c.MaxSessions, 0},
	} {
		if *n.field < 0 || *n.field > maxLimit {
			return fmt.Errorf("%s is %d: use 1 to %d, or 0 for the default", n.name, *n.field, maxLimit)
		}
		if *n.field == 0 {
			*n.field = n.value
		}
	}
	return nil
}

// maxLimit keeps sums of two limits within an int of 32 bits.
const maxLimit = 1 << 30
