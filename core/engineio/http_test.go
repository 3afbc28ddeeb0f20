package engineio_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/core/engineio"
)

func TestTLSPollingAndWebSocket(t *testing.T) {
	f, srv := serveTLS(t, false)
	res := f.must("GET", "EIO=4&transport=polling", "")
	p := &poller{f, f.parseOpen(res.body), f.session()}
	if !p.rec.Handshake().Secure {
		t.Error("Secure is false over TLS")
	}
	p.expectPost("4x")
	p.expectPoll("4x")
	f.dial = func() (net.Conn, error) {
		return tls.Dial("tcp", srv.Listener.Addr().String(), srv.Client().Transport.(*http.Transport).TLSClientConfig)
	}
	w := p.upgrade("EIO=4&transport=websocket&sid=" + p.sid)
	w.send("2probe")
	w.expect("3probe")
	w.send("5")
	for _, n := range []int{1, 3000, 200_000} {
		data := strings.Repeat("x", n)
		go w.send("4" + data) // ends with the echo
		w.expect("4" + data)
	}
	p.rec.Close()
	if code := w.closeCode(); code != codePlain {
		t.Errorf("close code %d", code)
	}
	w.write(clientFrame(true, opClose, nil))
}

// serveTLS starts an echoing fixture whose HTTP client speaks TLS, with HTTP/2 if asked.
func serveTLS(t *testing.T, http2 bool) (*fixture, *httptest.Server) {
	t.Helper()
	f := serve(t, engineio.Config{}, overTCP, echoes)
	srv := httptest.NewUnstartedServer(f.Server)
	srv.EnableHTTP2 = http2
	srv.StartTLS()
	t.Cleanup(func() {
		f.stop()
		srv.Close()
	})
	f.get = srv.Client()
	redirect := f.get.Transport.(*http.Transport)
	redirect.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, srv.Listener.Addr().String())
	}
	f.https = true
	return f, srv
}

func TestHTTP2PollsAndRefusesToUpgrade(t *testing.T) {
	f, _ := serveTLS(t, true)
	res := f.must("GET", "EIO=4&transport=polling", "")
	p := &poller{f, f.parseOpen(res.body), f.session()}
	answer := p.parked()
	p.expectPost("4over h2")
	if res := <-answer; res.body != "4over h2" {
		t.Errorf("poll = %q", res.body)
	}
	res = f.must("GET", "EIO=4&transport=websocket", "")
	if res.status != 400 || !strings.Contains(res.body, "WebSocket needs HTTP/1.1") {
		t.Errorf("websocket over HTTP/2 = %d %s", res.status, res.body)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { // ends with the cancelled request
		defer close(done)
		_, _ = p.doContext(ctx, "GET", p.query(), "")
	}()
	p.waitParked()
	cancel()
	<-done
	if r := p.rec.waitClosed(t); r != engineio.ReasonTransportError {
		t.Errorf("reason %q after the stream was cancelled", r)
	}
}

func TestServerTimeoutsSpareParkedPollsAndUpgradedConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, engineio.Config{PingInterval: time.Hour}, func(f *fixture) {
			f.http.ReadTimeout, f.http.WriteTimeout, f.http.IdleTimeout = 2*time.Second, 3*time.Second, 4*time.Second
			overPipe(f)
		}, echoes)
		p := f.openPolling()
		answer := p.parked()
		w, rec := f.openWebSocket()
		time.Sleep(time.Minute)
		p.rec.Send(text("parked for a minute"))
		if res := <-answer; res.status != 200 || res.body != "4parked for a minute" {
			t.Errorf("poll = %d %q", res.status, res.body)
		}
		w.send("4after a minute")
		w.expect("4after a minute")
		select {
		case <-rec.closed:
			t.Errorf("closed %q", rec.reason)
		default:
		}
	})
}

// wrapped hides the hijacker of a ResponseWriter behind Unwrap, as logging middlewares do; opaque hides it for good.
type (
	wrapped struct{ http.ResponseWriter }
	opaque  struct{ http.ResponseWriter }
)

func (w wrapped) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Proves T-21.
func TestMiddlewaresMayWrapTheResponseWriter(t *testing.T) {
	f := serve(t, engineio.Config{}, func(f *fixture) {
		inner := f.http.Handler
		f.http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.SetCookie(w, &http.Cookie{Name: "app", Value: "1"})
			if r.URL.Query().Has("opaque") {
				inner.ServeHTTP(opaque{w}, r)
				return
			}
			inner.ServeHTTP(wrapped{w}, r)
		})
		overTCP(f)
	}, echoes)
	p := f.openPolling()
	answer := p.parked()
	p.rec.Send(text("x"))
	if res := <-answer; res.body != "4x" {
		t.Errorf("poll = %q", res.body)
	}
	w, res := f.raw(upgradeRequest("EIO=4&transport=websocket"))
	if res.StatusCode != 101 || res.Header.Get("Set-Cookie") != "app=1" {
		t.Errorf("upgrade = %d %v", res.StatusCode, res.Header)
	}
	w.frame()
	if res := f.rawUpgrade(upgradeRequest("EIO=4&transport=websocket&opaque=1")); res.status != 500 {
		t.Errorf("upgrade without a hijacker = %d %s", res.status, res.body)
	}
	for range 1000 {
		if f.Len() == 2 {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("%d sessions, want 2: the one that could not be opened stays", f.Len())
}

func TestMuxAndStripPrefix(t *testing.T) {
	f := serve(t, engineio.Config{Path: "/rt"}, func(f *fixture) {
		inner := f.http.Handler
		mux := http.NewServeMux()
		mux.Handle("/api/", http.StripPrefix("/api", inner))
		f.http.Handler = mux
		overTCP(f)
	}, nil)
	if res := f.rawUpgrade("GET /api/rt/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n\r\n"); res.status != 200 {
		t.Errorf("polling = %d", res.status)
	}
}

func TestSeveralUpgradeTokensAndCases(t *testing.T) {
	f := serve(t, engineio.Config{}, overTCP, nil)
	for _, lines := range []string{
		"connection: keep-alive, Upgrade\r\nupgrade: WebSocket\r\n",
		"Connection: keep-alive\r\nConnection: upgrade\r\nUpgrade: websocket\r\n",
		"CONNECTION: UPGRADE\r\nUPGRADE: WEBSOCKET\r\n",
	} {
		request := strings.Replace(upgradeRequest("EIO=4&transport=websocket"), "Connection: Upgrade\r\nUpgrade: websocket\r\n", lines, 1)
		if res := f.rawUpgrade(request); res.status != 101 {
			t.Errorf("%q = %d", lines, res.status)
		}
	}
}

func TestUnixSocket(t *testing.T) {
	l, err := net.Listen("unix", t.TempDir()+"/s")
	if err != nil {
		t.Skip("no Unix sockets here:", err)
	}
	f := serve(t, engineio.Config{}, func(f *fixture) {
		f.dial = func() (net.Conn, error) { return net.Dial("unix", l.Addr().String()) }
		go func() { _ = f.http.Serve(l) }() // ends when the fixture closes the server
	}, echoes)
	w, _ := f.openWebSocket()
	w.send("4x")
	w.expect("4x")
}

func TestConnectionReuseAfterPolls(t *testing.T) {
	f := serve(t, engineio.Config{}, overTCP, nil)
	p := f.openPolling()
	c, err := f.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := bufio.NewReader(c)
	for range 5 {
		p.rec.Send(text("x"))
		if _, err := io.WriteString(c, "GET /engine.io/?"+p.query()+" HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, _ := io.ReadAll(res.Body); string(body) != "4x" || res.Close {
			t.Errorf("poll = %q, close %v", body, res.Close)
		}
	}
}
