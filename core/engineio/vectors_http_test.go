package engineio_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/core/engineio"
)

// httpVector is one exchange with a server of the reference implementation, with a payload limit of 100.
type httpVector struct {
	Name     string `json:"name"`
	Request  string `json:"request"`
	Response struct {
		Status   int               `json:"status"`
		Headers  map[string]string `json:"headers"`
		Body     string            `json:"body"`
		Upgraded bool              `json:"upgraded"`
	} `json:"response"`
	Events []json.RawMessage `json:"server_events"`
}

// httpDifferences is what this server does otherwise on purpose.
var httpDifferences = map[string]struct {
	reason string
	alter  func(*httpVector)
}{
	"put-with-sid": {"500 blames the server for the client's mistake", func(v *httpVector) {
		v.Response.Status = 405
		v.Response.Headers = map[string]string{"content-type": "application/json"}
		v.Response.Body = `{"code":3,"message":"Method Not Allowed"}`
	}},
	"upgrade-unknown-transport": {"text that a client can influence is never HTML", plainText},
	"upgrade-unknown-sid":       {"text that a client can influence is never HTML", plainText},
	"upgrade-eio-3": {"refused before the 101, not after it", func(v *httpVector) {
		v.Response.Status, v.Response.Upgraded = 400, false
		v.Response.Body = "Unsupported protocol version"
		plainText(v)
	}},
	"upgrade-bad-version": {"RFC 6455, section 4.4, wants 426", func(v *httpVector) {
		v.Response.Status = 426
		v.Response.Headers = map[string]string{"sec-websocket-version": "13"}
		v.Response.Body = "Upgrade Required"
	}},
}

func plainText(v *httpVector) {
	v.Response.Headers = map[string]string{"content-type": "text/plain; charset=utf-8"}
}

func loadHTTPVectors(t *testing.T) (http []httpVector, upgrade, clientPing []map[string]json.RawMessage) {
	t.Helper()
	data, err := os.ReadFile("testdata/engineio-payloads.json")
	if err != nil {
		t.Fatal(err)
	}
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(data, &parts); err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(strings.NewReader(string(parts["http"])))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&http); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]*[]map[string]json.RawMessage{
		"websocket_upgrade": &upgrade, "websocket_client_ping": &clientPing,
	} {
		if err := json.Unmarshal(parts[name], to); err != nil {
			t.Fatal(err)
		}
	}
	return http, upgrade, clientPing
}

// vectorRun plays the recorded requests. Some entries go on with the session of the one before.
type vectorRun struct {
	*fixture
	p      *poller
	parked <-chan response
}

func (v *vectorRun) fresh() *poller { v.p = v.openPolling(); return v.p }

// play maps each entry to the request it describes.
var play = map[string]func(*vectorRun) response{
	"handshake":    func(v *vectorRun) response { return v.must("GET", "EIO=4&transport=polling", "") },
	"post-message": func(v *vectorRun) response { return v.fresh().post("4echo") },
	"poll-message": func(v *vectorRun) response { v.p.rec.Send(text("echo")); return v.p.poll() },
	"post-two-and-binary": func(v *vectorRun) response {
		return v.fresh().post("4a\x1ebAQID\x1e4bin")
	},
	"poll-binary": func(v *vectorRun) response {
		v.p.rec.Send(text("bin"))
		v.p.rec.Send(blob("\x01\x02"))
		return v.p.poll()
	},
	"transport-unknown":         func(v *vectorRun) response { return v.must("GET", "EIO=4&transport=nope", "") },
	"transport-missing":         func(v *vectorRun) response { return v.must("GET", "EIO=4", "") },
	"sid-unknown":               func(v *vectorRun) response { return v.must("GET", "EIO=4&transport=polling&sid=unknown", "") },
	"post-without-sid":          func(v *vectorRun) response { return v.must("POST", "EIO=4&transport=polling", "") },
	"put-without-sid":           func(v *vectorRun) response { return v.must("PUT", "EIO=4&transport=polling", "") },
	"websocket-without-upgrade": func(v *vectorRun) response { return v.must("GET", "EIO=4&transport=websocket", "") },
	"websocket-sid-without-upgrade": func(v *vectorRun) response {
		return v.must("GET", "EIO=4&transport=websocket&sid="+v.fresh().sid, "")
	},
	"eio-3":       func(v *vectorRun) response { return v.must("GET", "EIO=3&transport=polling", "") },
	"eio-missing": func(v *vectorRun) response { return v.must("GET", "transport=polling", "") },
	"put-with-sid": func(v *vectorRun) response {
		p := v.fresh()
		return p.must("PUT", p.query(), "")
	},
	"post-octet-stream": func(v *vectorRun) response {
		p := v.fresh()
		return p.must("POST", p.query(), "4a", "Content-Type", "application/octet-stream")
	},
	"post-too-big":     func(v *vectorRun) response { return v.fresh().post("4" + strings.Repeat("a", 100)) },
	"post-exactly-max": func(v *vectorRun) response { return v.fresh().post("4" + strings.Repeat("a", 99)) },
	"overlapping-polls-second": func(v *vectorRun) response {
		v.parked = v.fresh().parked()
		return v.p.poll()
	},
	"overlapping-polls-first": func(v *vectorRun) response { return <-v.parked },
	"after-overlap":           func(v *vectorRun) response { return v.p.poll() },
	"post-parse-error":        func(v *vectorRun) response { return v.fresh().post("9bad") },
	"after-parse-error":       func(v *vectorRun) response { return v.p.poll() },
	"post-client-ping":        func(v *vectorRun) response { return v.fresh().post("2") },
	"after-client-ping":       func(v *vectorRun) response { return v.p.poll() },
	"post-close":              func(v *vectorRun) response { return v.fresh().post("1") },
	"after-close":             func(v *vectorRun) response { return v.p.poll() },
	"post-empty-body":         func(v *vectorRun) response { return v.fresh().post("") },
	"after-empty-body":        func(v *vectorRun) response { return v.p.poll() },
	"server-close-pending-poll": func(v *vectorRun) response {
		v.parked = v.fresh().parked()
		v.p.rec.Close()
		return <-v.parked
	},
	"upgrade-unknown-transport": func(v *vectorRun) response { return v.rawUpgrade(upgradeRequest("EIO=4&transport=polling")) },
	"upgrade-unknown-sid": func(v *vectorRun) response {
		return v.rawUpgrade(upgradeRequest("EIO=4&transport=websocket&sid=unknown"))
	},
	"upgrade-eio-3": func(v *vectorRun) response { return v.rawUpgrade(upgradeRequest("EIO=3&transport=websocket")) },
	"upgrade-bad-version": func(v *vectorRun) response {
		return v.rawUpgrade(strings.Replace(upgradeRequest("EIO=4&transport=websocket"), "Version: 13", "Version: 5", 1))
	},
}

func (f *fixture) rawUpgrade(request string) response {
	f.t.Helper()
	c, res := f.raw(request)
	defer c.Close()
	var body strings.Builder
	if res.StatusCode != 101 {
		defer res.Body.Close()
		buf := make([]byte, 4096)
		n, _ := res.Body.Read(buf)
		body.Write(buf[:n])
	}
	return response{res.StatusCode, res.Header, body.String()}
}

// Proves T-05, T-09, T-18, T-31, J-05, J-06, J-07.
func TestVectorsHTTP(t *testing.T) {
	entries, _, _ := loadHTTPVectors(t)
	run := &vectorRun{fixture: serve(t, engineio.Config{MaxPayload: 100, PingInterval: 600 * time.Second}, overTCP, nil)}
	seen := map[string]bool{}
	for _, v := range entries {
		request, ok := play[v.Name]
		if !ok {
			t.Errorf("entry %q is not understood", v.Name)
			continue
		}
		seen[v.Name] = true
		if d, ok := httpDifferences[v.Name]; ok {
			d.alter(&v)
		}
		checkHTTP(t, v, request(run))
		checkEvents(t, v, run)
	}
	for _, name := range slices.Sorted(maps.Keys(play)) {
		if !seen[name] {
			t.Errorf("no entry %q any more", name)
		}
	}
}

var (
	sidPattern = regexp.MustCompile(`"sid":"[A-Za-z0-9_-]+"`)
	// varying says which headers depend on more than the protocol.
	varying = []string{"date", "connection", "keep-alive", "transfer-encoding"}
)

func checkHTTP(t *testing.T, v httpVector, got response) {
	t.Helper()
	if got.status != v.Response.Status {
		t.Errorf("%s: status %d, want %d", v.Name, got.status, v.Response.Status)
	}
	want := sidPattern.ReplaceAllString(v.Response.Body, `"sid":"x"`)
	if body := sidPattern.ReplaceAllString(got.body, `"sid":"x"`); body != want {
		t.Errorf("%s: body %q, want %q", v.Name, body, want)
	}
	for name, value := range v.Response.Headers {
		if !slices.Contains(varying, name) && got.header.Get(name) != value {
			t.Errorf("%s: header %s: %q, want %q", v.Name, name, got.header.Get(name), value)
		}
	}
}

// checkEvents compares what the application saw: messages, and the end of the session.
func checkEvents(t *testing.T, v httpVector, run *vectorRun) {
	t.Helper()
	for _, raw := range v.Events {
		var event struct {
			Closed string `json:"closed"`
			Bytes  string `json:"$bytes"`
		}
		var message string
		switch {
		case json.Unmarshal(raw, &message) == nil:
			run.p.rec.expectMessage(t, message)
		case json.Unmarshal(raw, &event) == nil && event.Closed != "":
			if r := run.p.rec.waitClosed(t); string(r) != event.Closed {
				t.Errorf("%s: closed %q, want %q", v.Name, r, event.Closed)
			}
		case event.Bytes == "010203":
			run.p.rec.expectMessage(t, "\x01\x02\x03")
		default:
			t.Errorf("%s: event %s is not understood", v.Name, raw)
		}
	}
}

func TestVectorsUpgrade(t *testing.T) {
	_, steps, _ := loadHTTPVectors(t)
	f := serve(t, engineio.Config{MaxPayload: 100}, overTCP, nil)
	p := f.openPolling()
	parked := p.parked()
	w := f.upgrade("EIO=4&transport=websocket&sid=" + p.sid)
	for i, step := range steps {
		if len(step) != 1 {
			t.Fatalf("step %d is not understood: %v", i, step)
		}
		for what, raw := range step {
			var value string
			_ = json.Unmarshal(raw, &value)
			switch what {
			case "ws_sent":
				w.send(value)
				if value == "5" {
					p.rec.Send(text("hi"))
					p.rec.Send(blob("\x01\x02"))
				}
			case "ws_received":
				if value == "" {
					var want struct {
						Bytes string `json:"$bytes"`
					}
					_ = json.Unmarshal(raw, &want)
					if op, data := w.frame(); op != opBinary || fmt.Sprintf("%x", data) != want.Bytes {
						t.Errorf("step %d: received %d %x, want %s", i, op, data, raw)
					}
					continue
				}
				w.expect(value)
			case "poll_answered":
				if res := <-parked; res.body != value {
					t.Errorf("parked poll = %q, want %q", res.body, value)
				}
			case "poll_after_upgrade":
				var want httpVector
				if err := json.Unmarshal(raw, &want.Response); err != nil {
					t.Fatal(err)
				}
				want.Name = what
				checkHTTP(t, want, p.poll())
			case "ws_close_code":
				p.rec.Close()
				checkCode(t, w, raw)
			default:
				t.Errorf("step %d is not understood: %s", i, what)
			}
		}
	}
}

func TestVectorsClientPing(t *testing.T) {
	_, _, steps := loadHTTPVectors(t)
	f := serve(t, engineio.Config{MaxPayload: 100, PingInterval: 600 * time.Second}, overTCP, nil)
	w := f.upgrade("EIO=4&transport=websocket")
	for i, step := range steps {
		for what, raw := range step {
			var value string
			_ = json.Unmarshal(raw, &value)
			switch what {
			case "ws_received":
				_, data := w.frame()
				got := sidPattern.ReplaceAllString(string(data), `"sid":"x"`)
				if want := sidPattern.ReplaceAllString(value, `"sid":"x"`); got != want {
					t.Errorf("step %d: received %q, want %q", i, got, want)
				}
			case "ws_sent":
				w.send(value)
			case "ws_close_code":
				checkCode(t, w, raw)
			default:
				t.Errorf("step %d is not understood: %s", i, what)
			}
		}
	}
	if r := f.session().waitClosed(t); r != engineio.ReasonTransportError {
		t.Errorf("reason %q, want transport error", r)
	}
}

func checkCode(t *testing.T, w *wsClient, raw json.RawMessage) {
	t.Helper()
	var want int
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	if got := w.closeCode(); got != want {
		t.Errorf("close code %d, want %d", got, want)
	}
}
