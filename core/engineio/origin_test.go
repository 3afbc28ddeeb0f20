package engineio_test

import (
	"strings"
	"testing"

	"github.com/dunlin-io/dunlin/core/engineio"
)

// GHSA and CVE numbers of cross-site WebSocket hijacking are many; this is the one policy against all of them.
// Proves T-25, J-02.
func TestAdvisoryS14OneOriginPolicyForPollingAndUpgrades(t *testing.T) {
	listed := &engineio.CORS{Origins: []string{"https://app.test", "https://*.example.org", "http://localhost:*", "null"}}
	asked := &engineio.CORS{AllowOrigin: func(o string) bool { return o == "https://asked.test" }}
	for _, c := range []struct {
		cfg    engineio.Config
		host   string
		origin string // "-": none
		want   bool
	}{
		{engineio.Config{}, "example.test", "-", true},
		{engineio.Config{}, "example.test", "http://example.test", true},
		{engineio.Config{}, "example.test", "https://example.test", true}, // a proxy has ended TLS
		{engineio.Config{}, "example.test", "HTTP://EXAMPLE.TEST", true},
		{engineio.Config{}, "EXAMPLE.test", "http://example.test", true},
		{engineio.Config{}, "example.test:80", "http://example.test", true},
		{engineio.Config{}, "example.test", "http://example.test:80", true},
		{engineio.Config{}, "example.test", "https://example.test:443", true},
		{engineio.Config{}, "example.test:8080", "http://example.test:8080", true},
		{engineio.Config{}, "[::1]:3000", "http://[::1]:3000", true},
		{engineio.Config{}, "[::1]", "http://[::1]:80", true},
		{engineio.Config{}, "example.test", "http://example.test:8080", false},
		{engineio.Config{}, "example.test:8080", "http://example.test", false},
		{engineio.Config{}, "example.test", "https://example.test:80", false},
		{engineio.Config{}, "[::1]:3000", "http://[::2]:3000", false},
		{engineio.Config{}, "example.test", "http://evil.test", false},
		{engineio.Config{}, "example.test", "http://evil@example.test", false},
		{engineio.Config{}, "example.test", "http://example.test.evil.test", false},
		{engineio.Config{}, "example.test", "http://evilexample.test", false},
		{engineio.Config{}, "example.test", "http://example.test/path", false},
		{engineio.Config{}, "example.test", "ftp://example.test", false},
		{engineio.Config{}, "example.test", "//example.test", false},
		{engineio.Config{}, "example.test", "example.test", false},
		{engineio.Config{}, "example.test", "null", false},
		{engineio.Config{}, "example.test", "", false},
		{engineio.Config{AllowAnyOrigin: true}, "example.test", "http://evil.test", true},
		{engineio.Config{AllowAnyOrigin: true}, "example.test", "null", true},
		{engineio.Config{CORS: listed}, "example.test", "https://app.test", true},
		{engineio.Config{CORS: listed}, "example.test", "https://APP.test", true},
		{engineio.Config{CORS: listed}, "example.test", "http://app.test", false},
		{engineio.Config{CORS: listed}, "example.test", "https://app.test:444", false},
		{engineio.Config{CORS: listed}, "example.test", "https://a.example.org", true},
		{engineio.Config{CORS: listed}, "example.test", "https://a.b.example.org", true},
		{engineio.Config{CORS: listed}, "example.test", "https://.example.org", false},
		{engineio.Config{CORS: listed}, "example.test", "https://example.org", false},
		{engineio.Config{CORS: listed}, "example.test", "https://evil.test/.example.org", false},
		{engineio.Config{CORS: listed}, "example.test", "https://evil@a.example.org", false},
		{engineio.Config{CORS: listed}, "example.test", "https://evil.test?.example.org", false},
		{engineio.Config{CORS: listed}, "example.test", "https://evil.test#.example.org", false},
		{engineio.Config{CORS: listed}, "example.test", "http://localhost:5173", true},
		{engineio.Config{CORS: listed}, "example.test", "http://localhost:", false},
		{engineio.Config{CORS: listed}, "example.test", "http://localhost:1@evil.test", false},
		{engineio.Config{CORS: listed}, "example.test", "null", true},
		{engineio.Config{CORS: listed}, "example.test", "http://evil.test", false},
		{engineio.Config{CORS: &engineio.CORS{Origins: []string{"*"}}}, "example.test", "http://evil.test", true},
		{engineio.Config{CORS: asked}, "example.test", "https://asked.test", true},
		{engineio.Config{CORS: asked}, "example.test", "https://other.test", false},
	} {
		f := serve(t, c.cfg, overTCP, nil)
		header := ""
		if c.origin != "-" {
			header = "Origin: " + c.origin + "\r\n"
		}
		host := "Host: " + c.host + "\r\n"
		up := f.rawUpgrade(strings.Replace(upgradeRequest("EIO=4&transport=websocket"), "Host: example.test\r\n", host+header, 1))
		poll := f.rawUpgrade("GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\n" + host + header + "\r\n")
		wantUp, wantPoll := 101, 200
		if !c.want {
			wantUp, wantPoll = 403, 403
		}
		if up.status != wantUp || poll.status != wantPoll {
			t.Errorf("Origin %q to %q: upgrade %d, poll %d, want allowed %v", c.origin, c.host, up.status, poll.status, c.want)
		}
		f.stop()
	}
}

func TestOriginTwiceIsRefused(t *testing.T) {
	f := serve(t, engineio.Config{CORS: &engineio.CORS{Origins: []string{"*"}}}, overTCP, nil)
	two := []string{"Origin", "http://example.test", "Origin", "http://example.test"}
	if res := f.rawUpgrade(upgradeRequest("EIO=4&transport=websocket", two...)); res.status != 403 {
		t.Errorf("upgrade = %d", res.status)
	}
	if res := f.must("GET", "EIO=4&transport=polling", "", two...); res.status != 403 {
		t.Errorf("poll = %d", res.status)
	}
}

func TestOriginIsCheckedForKnownSessionsToo(t *testing.T) {
	f := serve(t, engineio.Config{}, overTCP, nil)
	p := f.openPolling()
	if res := p.must("POST", p.query(), "4x", "Origin", "http://evil.test"); res.status != 403 {
		t.Errorf("post = %d", res.status)
	}
	if res := f.rawUpgrade(upgradeRequest("EIO=4&transport=websocket&sid="+p.sid, "Origin", "http://evil.test")); res.status != 403 {
		t.Errorf("upgrade = %d", res.status)
	}
}

// Proves T-24.
func TestCORSHeaders(t *testing.T) {
	f := serve(t, engineio.Config{CORS: &engineio.CORS{
		Origins: []string{"https://app.test"}, Credentials: true, ExposedHeaders: []string{"X-A", "X-B"},
	}}, overTCP, nil)
	p := f.openPolling()
	for name, res := range map[string]response{
		"handshake": f.must("GET", "EIO=4&transport=polling", "", "Origin", "https://app.test"),
		"error":     f.must("GET", "EIO=4&transport=nope", "", "Origin", "https://app.test"),
		"post":      f.must("POST", p.query(), "4x", "Origin", "https://app.test"),
	} {
		h := res.header
		if h.Get("Access-Control-Allow-Origin") != "https://app.test" || h.Get("Access-Control-Allow-Credentials") != "true" ||
			h.Get("Access-Control-Expose-Headers") != "X-A,X-B" || h.Get("Vary") != "Origin" {
			t.Errorf("%s: %v", name, h)
		}
	}
	res := f.must("GET", "EIO=4&transport=polling", "", "Origin", "https://evil.test")
	if res.status != 403 || res.header.Get("Access-Control-Allow-Origin") != "" || res.header.Get("Vary") != "Origin" {
		t.Errorf("foreign origin: %d %v", res.status, res.header)
	}
}

// Proves T-24.
func TestPreflightIsAnsweredBeforeTheSessionIsLookedFor(t *testing.T) {
	f := serve(t, engineio.Config{CORS: &engineio.CORS{Origins: []string{"*"}, MaxAge: 600e9}}, overTCP, nil)
	res := f.must("OPTIONS", "EIO=4&transport=polling&sid=on-another-node", "",
		"Origin", "https://app.test", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "x-custom")
	h := res.header
	if res.status != 204 || h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Access-Control-Allow-Headers") != "x-custom" ||
		h.Get("Access-Control-Allow-Methods") != "GET,HEAD,PUT,PATCH,POST,DELETE" || h.Get("Access-Control-Max-Age") != "600" {
		t.Errorf("preflight = %d %v", res.status, h)
	}
	if h.Get("Access-Control-Allow-Credentials") != "" {
		t.Error("credentials with *")
	}
	g := serve(t, engineio.Config{CORS: &engineio.CORS{
		Origins: []string{"https://app.test"}, Methods: []string{"GET", "POST"}, AllowedHeaders: []string{"X-A"},
	}}, overTCP, nil)
	res = g.must("OPTIONS", "", "", "Origin", "https://app.test")
	if res.status != 204 || res.header.Get("Access-Control-Allow-Methods") != "GET,POST" || res.header.Get("Access-Control-Allow-Headers") != "X-A" {
		t.Errorf("preflight = %d %v", res.status, res.header)
	}
}
