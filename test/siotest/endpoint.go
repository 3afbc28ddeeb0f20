package siotest

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
)

// Endpoint is where clients connect: a Server, or a handler (Serve) or address
// (At) of which nothing else is known.
type Endpoint struct {
	t        testing.TB
	url      url.URL   // scheme and host
	network  *Listener // nil: the address is reached over TCP
	defaults Options
	clients  atomic.Uint64 // counts those that Try has made
}

func newEndpoint(tb testing.TB, l *Listener) *Endpoint {
	return &Endpoint{t: tb, url: url.URL{Scheme: "http", Host: "siotest"}, network: l}
}

// Serve serves an application's handler, of which a socketio.Server is a part,
// on a network in memory until the test ends. The Server in it is not shut
// down; the application does that, by a Cleanup that is registered before Serve
// is called.
func Serve(tb testing.TB, h http.Handler) *Endpoint {
	tb.Helper()
	e := newEndpoint(tb, Listen())
	serve(tb, e.network, h, func(context.Context) error { return nil })
	return e
}

// At is a server that runs somewhere else, at an address such as
// "http://localhost:3000" that names neither path nor namespace: Options do. It
// is reached over TCP, which a synctest bubble cannot wait for; such a test runs
// on real time.
func At(tb testing.TB, address string) *Endpoint {
	tb.Helper()
	u, err := url.Parse(address)
	switch {
	case err != nil:
		tb.Fatalf("address: %v", err)
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		tb.Fatalf("address %q does not begin with http:// or https:// and a host", address)
	case u.Path != "" && u.Path != "/" || u.RawQuery != "":
		tb.Fatalf("address %q names more than a host: use Options.Path, .Namespace and .Query", address)
	}
	return &Endpoint{t: tb, url: url.URL{Scheme: u.Scheme, Host: u.Host}}
}

// Dial connects a client and joins its namespace.
func (e *Endpoint) Dial(opts ...Options) *Client {
	e.t.Helper()
	c := e.Try(opts...)
	c.ExpectConnect()
	return c
}

// Try connects a client and asks for its namespace; ExpectConnect or
// ExpectConnectError says what comes of it.
func (e *Endpoint) Try(opts ...Options) *Client {
	e.t.Helper()
	o := e.options(opts)
	m := newManager(e, o)
	if err := m.open(); err != nil {
		e.t.Fatalf("connect by %s: %v", o.Transport, err)
	}
	return m.join(o.Namespace, o.Auth)
}

// Open connects without joining a namespace, for tests that send and expect
// packets as they are on the wire.
func (e *Endpoint) Open(opts ...Options) *Session {
	e.t.Helper()
	o := e.options(opts)
	s, err := e.open(o)
	if err != nil {
		e.t.Fatalf("connect by %s: %v", o.Transport, err)
	}
	return s
}

// Refused connects like Open, and returns the error with which the server
// refuses. It fails when the server does not.
func (e *Endpoint) Refused(opts ...Options) error {
	e.t.Helper()
	s, err := e.open(e.options(opts))
	if err == nil {
		s.Cut()
		e.t.Fatal("the server opened a session")
	}
	return err
}

// open opens a session that ends with the test.
func (e *Endpoint) open(o Options) (*Session, error) {
	s := newSession(e, o)
	e.t.Cleanup(func() {
		s.Cut()
		s.running.Wait()
	})
	return s, s.connect()
}

func (e *Endpoint) options(opts []Options) Options {
	e.t.Helper()
	return one(e.t, opts).withDefaults(e.defaults)
}

// HTTP returns a client for requests of the test's own to the endpoint; in
// memory, any host name will do.
func (e *Endpoint) HTTP() *http.Client {
	t := &http.Transport{DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
		return e.dial(ctx, addr)
	}}
	e.t.Cleanup(t.CloseIdleConnections)
	return &http.Client{Transport: t}
}

func (e *Endpoint) dial(ctx context.Context, addr string) (wire, error) {
	if e.network == nil {
		return dialTCP(ctx, addr)
	}
	c, err := e.network.dial(ctx)
	if err != nil {
		return nil, err
	}
	return c, nil
}
