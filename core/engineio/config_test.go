package engineio_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/core/engineio"
)

// Proves J-03.
func TestNewRefusesImpossibleConfigs(t *testing.T) {
	for name, c := range map[string]struct {
		cfg  engineio.Config
		want string // part of the error: it names the field
	}{
		"relative path":         {engineio.Config{Path: "engine.io"}, "Path"},
		"unknown transport":     {engineio.Config{Transports: []string{"webtransport"}}, "Transports"},
		"no transport":          {engineio.Config{Transports: []string{}}, "Transports"},
		"negative interval":     {engineio.Config{PingInterval: -1}, "PingInterval"},
		"tiny timeout":          {engineio.Config{PingTimeout: time.Microsecond}, "PingTimeout"},
		"negative payload":      {engineio.Config{MaxPayload: -1}, "MaxPayload"},
		"huge pending":          {engineio.Config{MaxPending: 1<<30 + 1}, "MaxPending"},
		"negative sessions":     {engineio.Config{MaxSessions: -1}, "MaxSessions"},
		"star and credentials":  {engineio.Config{CORS: &engineio.CORS{Origins: []string{"*"}, Credentials: true}}, "CORS"},
		"CORS without origin":   {engineio.Config{CORS: &engineio.CORS{}}, "CORS"},
		"origin without scheme": {engineio.Config{CORS: &engineio.CORS{Origins: []string{"example.com"}}}, "CORS"},
		"origin with a path":    {engineio.Config{CORS: &engineio.CORS{Origins: []string{"https://example.com/"}}}, "CORS"},
		"two stars":             {engineio.Config{CORS: &engineio.CORS{Origins: []string{"https://*.*.com"}}}, "CORS"},
		"header injection":      {engineio.Config{CORS: &engineio.CORS{Origins: []string{"*"}, ExposedHeaders: []string{"a\r\nb"}}}, "CORS"},
	} {
		_, err := engineio.New(c.cfg, nopAccept)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error about %s", name, err, c.want)
		}
	}
	if _, err := engineio.New(engineio.Config{}, nil); err == nil {
		t.Error("New accepts a nil accept")
	}
}

// Proves J-01.
func TestPathIsMatchedWithAndWithoutItsSlash(t *testing.T) {
	for _, path := range []string{"/socket.io", "/socket.io/"} {
		f := serve(t, engineio.Config{Path: path}, overTCP, nil)
		for target, want := range map[string]int{"/socket.io/": 200, "/socket.io": 200, "/socket.io/x": 404, "/": 404, "/socket.iox": 404} {
			res := f.rawUpgrade("GET " + target + "?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n\r\n")
			if res.status != want {
				t.Errorf("Path %q: GET %s = %d, want %d", path, target, res.status, want)
			}
		}
	}
}

func TestTransportsCanBeRestricted(t *testing.T) {
	f := serve(t, engineio.Config{Transports: []string{"polling"}}, overTCP, nil)
	if res := f.must("GET", "EIO=4&transport=polling", ""); !strings.Contains(res.body, `"upgrades":[]`) {
		t.Errorf("open packet %q offers what is not allowed", res.body)
	}
	if res := f.rawUpgrade(upgradeRequest("EIO=4&transport=websocket")); res.status != 400 || res.body != "Transport unknown" {
		t.Errorf("websocket = %d %q", res.status, res.body)
	}
	f = serve(t, engineio.Config{Transports: []string{"websocket"}}, overTCP, nil)
	if res := f.must("GET", "EIO=4&transport=polling", ""); res.status != 400 {
		t.Errorf("polling = %d", res.status)
	}
	f.openWebSocket()
}

// Proves T-29.
func TestNewIDIsCheckedAndUsed(t *testing.T) {
	ids := map[string]int{"node-1.abc_~": 200, "": 400, "a b": 400, "a/b": 400, "a\nb": 400, strings.Repeat("x", 129): 400, strings.Repeat("x", 128): 200}
	next := ""
	f := serve(t, engineio.Config{NewID: func(*http.Request) (string, error) { return next, nil }}, overTCP, nil)
	for id, want := range ids {
		next = id
		res := f.must("GET", "EIO=4&transport=polling", "")
		if res.status != want {
			t.Errorf("id %.20q = %d, want %d", id, res.status, want)
		}
		if want == 200 && f.parseOpen(res.body) != id {
			t.Errorf("open packet %q, want id %q", res.body, id)
		}
		if want == 200 {
			if res := f.must("GET", "EIO=4&transport=polling", ""); res.status != 400 {
				t.Errorf("id in use = %d, want 400", res.status)
			}
		}
	}
}

func TestUnknownSessionMayBeAnsweredElsewhere(t *testing.T) {
	var asked []string
	cfg := engineio.Config{UnknownSession: func(w http.ResponseWriter, r *http.Request, sid string) bool {
		asked = append(asked, sid)
		if sid != "elsewhere" {
			return false
		}
		w.WriteHeader(http.StatusTeapot)
		return true
	}}
	f := serve(t, cfg, overTCP, nil)
	for _, c := range []struct {
		sid    string
		status int
	}{{"elsewhere", 418}, {"nowhere", 400}} {
		if res := f.must("GET", "EIO=4&transport=polling&sid="+c.sid, ""); res.status != c.status {
			t.Errorf("poll of %s = %d", c.sid, res.status)
		}
		if res := f.must("POST", "EIO=4&transport=polling&sid="+c.sid, "4x"); res.status != c.status {
			t.Errorf("post to %s = %d", c.sid, res.status)
		}
		if res := f.rawUpgrade(upgradeRequest("EIO=4&transport=websocket&sid=" + c.sid)); res.status != c.status {
			t.Errorf("upgrade of %s = %d", c.sid, res.status)
		}
	}
	if len(asked) != 6 {
		t.Errorf("asked %v", asked)
	}
}

// Proves T-19.
func TestOnRejectHearsOfEveryRefusal(t *testing.T) {
	var got []*engineio.Error
	cfg := engineio.Config{OnReject: func(_ *http.Request, e *engineio.Error) { got = append(got, e) }}
	f := serve(t, cfg, overTCP, nil)
	f.must("GET", "EIO=4&transport=nope", "")
	f.must("POST", "EIO=4&transport=polling", "")
	f.rawUpgrade(upgradeRequest("EIO=3&transport=websocket"))
	want := []engineio.Code{engineio.CodeUnknownTransport, engineio.CodeBadMethod, engineio.CodeUnsupportedVersion}
	if len(got) != len(want) {
		t.Fatalf("%d refusals heard of, want %d", len(got), len(want))
	}
	for i, e := range got {
		if e.Code != want[i] || e.Error() == "" {
			t.Errorf("refusal %d: %v", i, e)
		}
	}
}

// Proves T-23.
func TestCookieIsSetOnThePollingHandshakeOnly(t *testing.T) {
	for want, c := range map[string]engineio.Cookie{
		"io=%s; Path=/; HttpOnly; SameSite=Lax": {},
		"sid=%s; Path=/x; Domain=a.test; Max-Age=60; Secure; SameSite=None; Partitioned; Priority=High": {
			Name: "sid", Path: "/x", Domain: "a.test", MaxAge: time.Minute, Secure: true, SameSite: http.SameSiteNoneMode, Partitioned: true,
			Priority: "High", ScriptAccess: true,
		},
		"io=%s; HttpOnly; SameSite=Lax": {NoPath: true},
	} {
		f := serve(t, engineio.Config{Cookie: &c}, overTCP, nil)
		res := f.must("GET", "EIO=4&transport=polling", "")
		sid := f.parseOpen(res.body)
		if got := res.header.Get("Set-Cookie"); got != strings.Replace(want, "%s", sid, 1) {
			t.Errorf("Set-Cookie: %q, want %q", got, want)
		}
		p := &poller{f, sid, f.session()}
		if res := p.post("4x"); res.header.Get("Set-Cookie") != "" {
			t.Error("cookie on a later response")
		}
		if _, res := f.raw(upgradeRequest("EIO=4&transport=websocket")); res.Header.Get("Set-Cookie") != "" {
			t.Error("cookie on a 101")
		}
	}
}
