package engineio_test

// One test for each published attack on Engine.IO servers that concerns what this package does. Each also asks whether
// the server still serves somebody else.

import (
	"encoding/base64"
	"fmt"
	"io"
	"math/bits"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/core/engineio"
)

// alive fails the test unless a new client gets its echo. It is run on a fixture of echoing sessions.
func (f *fixture) alive() {
	f.t.Helper()
	w := f.upgrade("EIO=4&transport=websocket")
	w.frame()
	w.send("4alive?")
	w.expect("4alive?")
	w.Close()
}

// CVE-2017-16031: guessable session ids.
// Proves J-10.
func TestAdvisoryS1SessionIDsAreUnguessable(t *testing.T) {
	const n = 200_000
	seen := make(map[string]bool, n)
	ones := 0
	for range n {
		id := engineio.NewID()
		raw, err := base64.RawURLEncoding.DecodeString(id)
		if err != nil || len(id) != 20 || len(raw)*8 < 120 {
			t.Fatalf("id %q is not 120 bits in base64url", id)
		}
		if seen[id] {
			t.Fatalf("id %q came twice", id)
		}
		seen[id] = true
		for _, b := range raw {
			ones += bits.OnesCount8(b)
		}
	}
	if share := float64(ones) / (n * 120); share < 0.499 || share > 0.501 { // ten standard deviations
		t.Errorf("%.4f of the bits are set", share)
	}
}

// CVE-2020-28481: CORS open by default.
func TestAdvisoryS2NoCORSUnlessConfigured(t *testing.T) {
	f := serve(t, engineio.Config{AllowAnyOrigin: true}, overTCP, echoes)
	res := f.must("GET", "EIO=4&transport=polling", "", "Origin", "http://evil.test")
	for name := range res.header {
		if strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("%s: %s", name, res.header.Get(name))
		}
	}
	f.alive()
}

// CVE-2020-36048: huge bodies.
// Proves T-12.
func TestAdvisoryS5BodiesAreBoundedAsTheyAreRead(t *testing.T) {
	f := serve(t, engineio.Config{}, overTCP, nil)
	p := f.openPolling()
	head := "POST /engine.io/?" + p.query() + " HTTP/1.1\r\nHost: a\r\n"

	// Announced too long: refused before it is sent.
	_, res := f.raw(head + "Content-Length: 1000001\r\n\r\n4")
	if res.StatusCode != 413 {
		t.Errorf("Content-Length 1000001 = %d, want 413", res.StatusCode)
	}
	// Not announced.
	c, err := f.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go func() { // ends when all is written or the server closes
		fmt.Fprintf(c, "%sTransfer-Encoding: chunked\r\n\r\n", head)
		for range 110 {
			if _, err := fmt.Fprintf(c, "2710\r\n%s\r\n", strings.Repeat("x", 10_000)); err != nil {
				return
			}
		}
	}()
	answer := make([]byte, 12)
	if _, err := io.ReadFull(c, answer); err != nil || string(answer) != "HTTP/1.1 413" {
		t.Errorf("chunked body: %q %v, want 413", answer, err)
	}
	// The session lives, and takes exactly the limit.
	data := strings.Repeat("x", 999_999)
	p.expectPost("4" + data)
	p.rec.expectMessage(t, data)
}

// CVE-2022-21676: a frame with reserved bits, in the same segment as the handshake too.
func TestAdvisoryS6ReservedBitsInTheFirstSegment(t *testing.T) {
	eachDriver(t, func(t *testing.T, over option) {
		f := serve(t, engineio.Config{}, over, echoes)
		bad := []byte{0xa1, 0x81, 1, 2, 3, 4, 0x33}
		w := f.upgrade("EIO=4&transport=websocket")
		w.frame()
		w.write(bad)
		if code := w.closeCode(); code != codeProtocol {
			t.Errorf("close code %d", code)
		}
		c, err := f.dial()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		go func() { _, _ = c.Write(append([]byte(upgradeRequest("EIO=4&transport=websocket")), bad...)) }() // one write
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		all := make([]byte, 0, 1024)
		for !strings.HasSuffix(string(all), "\x88\x02\x03\xea") {
			buf := make([]byte, 512)
			n, err := c.Read(buf)
			if err != nil {
				t.Fatalf("no close frame with 1002: %q %v", all, err)
			}
			all = append(all, buf[:n]...)
		}
		f.alive()
	})
}

// CVE-2022-41940: a reset while an upgrade is refused.
func TestAdvisoryS7ResetDuringRefusedUpgrade(t *testing.T) {
	f := serve(t, engineio.Config{}, overTCP, echoes)
	for i := range 300 {
		c, err := f.dial()
		if err != nil {
			t.Fatal(err)
		}
		_ = c.(*net.TCPConn).SetLinger(0)
		query := "EIO=4&transport=websocket&sid=unknown"
		if i%3 == 0 {
			query = "EIO=4&transport=websocket" // a good one, reset as well
		}
		_, _ = c.Write([]byte(upgradeRequest(query)))
		c.Close()
	}
	f.alive()
	for i := 0; f.Len() > 0; i++ { // those that were opened end
		if i > 5000 {
			t.Fatalf("%d sessions left", f.Len())
		}
		time.Sleep(time.Millisecond)
	}
}

// CVE-2023-31125: odd transport names.
func TestAdvisoryS8OddTransports(t *testing.T) {
	f := serve(t, engineio.Config{}, overTCP, echoes)
	for _, name := range []string{"__proto__", "constructor", "hasOwnProperty", "toString", "", "Polling", "polling%00", "webtransport", strings.Repeat("p", 8000)} {
		res := f.must("GET", "EIO=4&transport="+name, "")
		if res.status != 400 || res.body != `{"code":0,"message":"Transport unknown"}` {
			t.Errorf("transport %.20q = %d %s", name, res.status, res.body)
		}
	}
	f.alive()
}

// CVE-2026-59725: a binary post was never answered.
// Proves T-13.
func TestAdvisoryS9BinaryPostIsAnswered(t *testing.T) {
	f := serve(t, engineio.Config{}, overTCP, echoes)
	before := runtime.NumGoroutine()
	for range 100 {
		p := f.openPolling()
		res := p.must("POST", p.query(), "4a", "Content-Type", "Application/Octet-Stream; x=y")
		if res.status != 400 || res.body != "" {
			t.Fatalf("binary post = %d %q", res.status, res.body)
		}
		if r := p.rec.waitClosed(t); r != engineio.ReasonTransportError {
			t.Fatalf("reason %q", r)
		}
	}
	f.alive()
	if n := runtime.NumGoroutine(); n > before+20 {
		t.Errorf("%d goroutines, %d before", n, before)
	}
}

// GHSA-gr94-w7qr-f4j3: a transport that skipped admission.
func TestAdvisoryS10EveryTransportIsAdmitted(t *testing.T) {
	f := serve(t, engineio.Config{MaxSessions: 1}, overTCP, nil)
	f.openPolling()
	if res := f.must("GET", "EIO=4&transport=polling", ""); res.status != 503 {
		t.Errorf("polling = %d", res.status)
	}
	if res := f.rawUpgrade(upgradeRequest("EIO=4&transport=websocket")); res.status != 503 {
		t.Errorf("websocket = %d", res.status)
	}
	if res := f.must("GET", "EIO=4&transport=webtransport", ""); res.status != 400 || !strings.Contains(res.body, `"code":0`) {
		t.Errorf("webtransport = %d %s", res.status, res.body)
	}
}

// engine.io 6.6.11: another protocol version on an existing session; magic query keys.
func TestAdvisoryS11VersionMismatchAndMagicKeys(t *testing.T) {
	f := serve(t, engineio.Config{}, overTCP, echoes)
	p := f.openPolling()
	if res := f.rawUpgrade(upgradeRequest("EIO=3&transport=websocket&sid=" + p.sid)); res.status != 400 {
		t.Errorf("upgrade with EIO=3 = %d", res.status)
	}
	if res := f.must("GET", "EIO=3&transport=polling&sid="+p.sid, ""); res.status != 400 || !strings.Contains(res.body, `"code":3`) {
		t.Errorf("poll with EIO=3 = %d %s", res.status, res.body)
	}
	res := f.must("GET", "EIO=4&transport=polling&__proto__=x&__proto__[a]=b&constructor=y", "")
	sid := f.parseOpen(res.body)
	rec := f.session()
	if rec.ID() != sid {
		rec = f.session()
	}
	if got := rec.Handshake().Query.Get("__proto__[a]"); got != "b" {
		t.Errorf("query key lost: %q", got)
	}
	f.alive()
}

// CVE-2024-47764: cookie values that break the header.
func TestAdvisoryS12CookieValuesAreChecked(t *testing.T) {
	for _, c := range []engineio.Cookie{
		{Name: "a b"},
		{Name: "a;b"},
		{Name: "a\r\nSet-Cookie: x"},
		{Path: "/; Domain=evil.test"},
		{Path: "/\r\n"},
		{Domain: "a;b"},
		{Priority: "High; Domain=evil.test"},
		{MaxAge: -1},
		{Partitioned: true},
	} {
		if _, err := engineio.New(engineio.Config{Cookie: &c}, nopAccept); err == nil {
			t.Errorf("New accepts %+v", c)
		}
	}
}

func nopAccept(*engineio.Session) engineio.Handler { return nopHandler{} }

// python-engineio CVE-2026-48802: each unsolicited pong started a heartbeat.
func TestAdvisoryS15UnsolicitedPongs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, engineio.Config{}, overPipe, nil)
		w, _ := f.openWebSocket()
		before := runtime.NumGoroutine()
		flood := []byte(nil)
		for range 100_000 {
			flood = append(flood, clientFrame(true, opText, []byte("3"))...)
		}
		w.write(flood)
		if n := runtime.NumGoroutine(); n > before {
			t.Errorf("%d goroutines, %d before", n, before)
		}
		began := time.Now()
		for i := 1; i <= 3; i++ {
			if op, data, err := readLong(w); err != nil || op != opText || string(data) != "2" {
				t.Fatalf("frame %d %q %v", op, data, err)
			}
			if d := time.Since(began); d != time.Duration(i)*25*time.Second {
				t.Errorf("ping %d after %v: want one each interval", i, d)
			}
			w.send("3")
			synctest.Wait()
		}
	})
}

// python-engineio CVE-2026-48809: a transport without the size limit.
// Proves T-14.
func TestAdvisoryS16OneLimitForEveryTransport(t *testing.T) {
	const limit = 1000
	f := serve(t, engineio.Config{MaxPayload: limit}, overTCP, echoes)
	p := f.openPolling()
	if res := p.post("4" + strings.Repeat("x", limit)); res.status != 413 {
		t.Errorf("post = %d", res.status)
	}
	for _, op := range []byte{opText, opBinary} {
		w, _ := f.openWebSocket()
		w.write(clientFrame(true, op, []byte("4"+strings.Repeat("x", limit))))
		if code := w.closeCode(); code != codeTooBig {
			t.Errorf("websocket opcode %d: close code %d", op, code)
		}
	}
	f.alive()
}

// The HTTP layer: requests that two parsers could read differently, and methods that fit nowhere.
// Proves J-04.
func TestAdvisoryHTTPRequestsAreUnambiguous(t *testing.T) {
	f := serve(t, engineio.Config{}, overTCP, echoes)
	p := f.openPolling()
	up := func(query string, header ...string) string { return upgradeRequest(query, header...) }
	const ws = "EIO=4&transport=websocket"
	for name, c := range map[string]struct {
		request string
		status  int
	}{
		"upgrade with a body":            {up(ws, "Content-Length", "6") + "\x81\x80abcd", 400},
		"upgrade with Transfer-Encoding": {up(ws, "Transfer-Encoding", "chunked") + "0\r\n\r\n", 400},
		"two keys":                       {up(ws, "Sec-WebSocket-Key", wsKey), 400},
		"short key":                      {strings.Replace(up(ws), wsKey, "c2hvcnQ=", 1), 400},
		"key that is not base64":         {strings.Replace(up(ws), wsKey, "!!!!!!!!!!!!!!!!!!!!!!==", 1), 400},
		"version 12":                     {strings.Replace(up(ws), "Version: 13", "Version: 12", 1), 426},
		"no version":                     {strings.Replace(up(ws), "Sec-WebSocket-Version: 13\r\n", "", 1), 400},
		"POST upgrade":                   {"POST" + strings.TrimPrefix(up(ws), "GET"), 405},
		"HTTP/1.0 upgrade":               {strings.Replace(up(ws), "HTTP/1.1", "HTTP/1.0", 1), 505},
		"upgrade to something else":      {strings.Replace(up(ws), "Upgrade: websocket", "Upgrade: h2c", 1), 400},
		"two versions":                   {"GET /engine.io/?EIO=4&EIO=3&transport=polling HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		"two transports":                 {"GET /engine.io/?EIO=4&transport=polling&transport=websocket HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		"two sids":                       {"GET /engine.io/?EIO=4&transport=polling&sid=a&sid=b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		"JSONP":                          {"GET /engine.io/?EIO=4&transport=polling&j=1 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		"PUT to a session":               {"PUT /engine.io/?" + p.query() + " HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 405},
		"HEAD to a session":              {"HEAD /engine.io/?" + p.query() + " HTTP/1.1\r\nHost: a\r\n\r\n", 405},
		"DELETE to nothing":              {"DELETE /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		"OPTIONS without CORS":           {"OPTIONS /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		"another path":                   {"GET /engine.io/x?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n\r\n", 404},
		"a prefix of the path":           {"GET /engine?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n\r\n", 404},
		"path without its slash":         {"GET /engine.io?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n\r\n", 200},
	} {
		if res := f.rawUpgrade(c.request); res.status != c.status {
			t.Errorf("%s = %d %s, want %d", name, res.status, res.body, c.status)
		}
	}
	p.expectPost("4fine")
	p.expectPoll("4fine")
	f.alive()
}

// A request with both lengths must not leave bytes that are taken for a second one.
func TestAdvisoryHTTPSmuggledRequestIsNotServed(t *testing.T) {
	f := serve(t, engineio.Config{}, overTCP, echoes)
	p := f.openPolling()
	hidden := "GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n\r\n"
	body := "2\r\n4a\r\n0\r\n\r\n"
	c, err := f.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST /engine.io/?%s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n%s%s",
		p.query(), len(body)+len(hidden), body, hidden)
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	all, _ := io.ReadAll(c)
	if n := strings.Count(string(all), "HTTP/1.1 "); n != 1 {
		t.Errorf("%d responses: %q", n, all)
	}
	f.alive()
}

// Every request of a session gets exactly one answer, whatever overlaps.
func TestAdvisoryEveryRequestIsAnsweredOnce(t *testing.T) {
	f := serve(t, engineio.Config{}, overTCP, echoes)
	for range 30 {
		p := f.openPolling()
		const n = 12
		answers := make(chan int, n)
		for i := range n {
			go func() { // ends with the response
				method, body := http.MethodGet, ""
				if i%2 == 0 {
					method, body = http.MethodPost, "4x"
				}
				res, err := p.do(method, p.query(), body)
				if err != nil {
					t.Errorf("%s: %v", method, err)
				}
				answers <- res.status
			}()
		}
		for i := range n {
			if i == n/2 { // a last poll may have nothing to wait for but the end
				p.rec.CloseNow(engineio.ReasonForcedClose, nil)
			}
			select {
			case status := <-answers:
				if status != 200 && status != 400 {
					t.Errorf("status %d", status)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("a request was not answered")
			}
		}
	}
	f.alive()
}
