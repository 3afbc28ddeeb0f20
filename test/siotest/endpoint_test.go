package siotest_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/core/engineio"
	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

// application is a handler with a Socket.IO server in it.
func application(t *testing.T) http.Handler {
	t.Helper()
	srv, err := socketio.New(socketio.Config{Engine: engineio.Config{
		Path: "/live/", CloseTimeout: 10 * time.Millisecond, // for polling clients that were cut
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Shutdown(context.Background()) })
	srv.On("echo", func(ev *socketio.Event) { _ = ev.Ack(ev.Values()...) })
	srv.On("who", func(ev *socketio.Event) {
		h := ev.Socket.Handshake()
		_ = ev.Ack(h.Header.Get("X-User"), h.Query.Get("v"), h.Secure)
	})
	srv.Of("/chat")
	mux := http.NewServeMux()
	mux.Handle("/live/", srv)
	mux.HandleFunc("/hello", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) })
	return mux
}

func visit(t *testing.T, e *siotest.Endpoint, o siotest.Options, secure bool) {
	t.Helper()
	for _, transport := range []siotest.Transport{siotest.WebSocket, siotest.Polling, siotest.Upgrade} {
		o.Transport = transport
		o.Path = "/live/"
		o.Header = http.Header{"X-User": {"ada"}}
		o.Query = url.Values{"v": {"7"}}
		c := e.Dial(o)
		c.EmitWithAck("echo", 1, []byte("two")).Expect(1, []byte("two"))
		c.EmitWithAck("who").Expect("ada", "7", secure)
		c.Join("/chat")
		c.Cut()
		c.ExpectDisconnect("transport error")
		c.Resume()
		c.EmitWithAck("echo", 2).Expect(2)
		c.Close()
	}
	o.Path = "/elsewhere/"
	if err := e.Refused(o); err == nil {
		t.Error("a path without server was served")
	}
}

func TestServeRunsAnyHandler(t *testing.T) {
	everywhere(t, func(t *testing.T) {
		app := siotest.Serve(t, application(t))
		visit(t, app, siotest.Options{}, false)
		resp, err := app.HTTP().Get("http://any/hello")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if text, err := io.ReadAll(resp.Body); err != nil || string(text) != "hello" {
			t.Errorf("%q, %v", text, err)
		}
	})
}

func TestAtReachesServersOverTCP(t *testing.T) {
	plain := httptest.NewServer(application(t))
	t.Cleanup(plain.Close)
	visit(t, siotest.At(t, plain.URL), siotest.Options{}, false)

	secure := httptest.NewUnstartedServer(application(t))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())
	visit(t, siotest.At(t, secure.URL+"/"), siotest.Options{TLS: &tls.Config{RootCAs: roots}}, true)
	if err := siotest.At(t, secure.URL).Refused(siotest.Options{Path: "/live/"}); err == nil {
		t.Error("an unknown certificate was accepted")
	}
}

func TestStallOverTCPStopsReading(t *testing.T) {
	srv := httptest.NewServer(application(t))
	t.Cleanup(srv.Close)
	c := siotest.At(t, srv.URL).Dial(siotest.Options{Path: "/live/"})
	c.EmitWithAck("echo").Expect()
	c.Session().Stall(true)
	text := strings.Repeat("x", 100_000) // more than a read takes that has begun before
	late := c.EmitWithAck("echo", text)
	late.ExpectNothing(20 * time.Millisecond)
	c.Session().Stall(false)
	late.Expect(text)
	c.Session().Stall(true)
	c.Cut()
	c.ExpectDisconnect("transport error")
}

func TestAtRefusesWhatIsNoAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &verdict{TB: t}
		for _, address := range []string{"localhost:3000", "ws://localhost", "http://", "http://x/chat", "http://x?a=b", "http://x:y:z", "%"} {
			if said := v.failure(func() { siotest.At(v, address) }); said == "" {
				t.Errorf("%q was accepted", address)
			}
		}
	})
}
