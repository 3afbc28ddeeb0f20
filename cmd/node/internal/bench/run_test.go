package bench

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/cmd/node/internal/config"
	"github.com/dunlin-io/dunlin/core/socketio"
)

func TestScenariosFindNothingWrongWithTheServer(t *testing.T) {
	urls := nodes(t, 2)
	for _, scenario := range []string{"connect", "idle", "echo", "broadcast", "rooms", "cluster"} {
		talks := scenario != "connect" && scenario != "idle"
		for variant, change := range map[string]func(*config.Bench){
			"plain":     func(*config.Bench) {},
			"in flight": func(c *config.Bench) { c.InFlight = 8 },
			"rate":      func(c *config.Bench) { c.Rate = 200 },
			"binary":    func(c *config.Bench) { c.Binary, c.Size = true, 6000 },
			"namespace": func(c *config.Bench) { c.Namespace, c.Size = "/playground", 80 },
			"long":      func(c *config.Bench) { c.Size = 70_000 },
		} {
			if !talks && variant != "plain" && variant != "namespace" {
				continue // it is about messages
			}
			t.Run(scenario+"/"+variant, func(t *testing.T) {
				t.Parallel() // runs must not mind each other
				cfg := settings(scenario, urls...)
				change(cfg)
				p := mustMeasure(t, cfg)
				if err := p.Err(); err != nil || p.Operations == 0 || p.Arrived < p.Operations {
					t.Errorf("%v; report = %+v, want operations without faults", err, p)
				}
				if talks != (p.Sent > 0) {
					t.Errorf("%d messages sent", p.Sent)
				}
				if (p.OtherNode != nil) != (scenario == "broadcast" || scenario == "cluster" || scenario == "rooms") {
					t.Errorf("latency from other addresses = %v", p.OtherNode)
				}
				count := uint64(0)
				for _, bar := range p.Histogram {
					count += bar.Count
				}
				if count != p.Operations {
					t.Errorf("the histogram has %d operations, want %d", count, p.Operations)
				}
			})
		}
	}
}

func TestEverythingSentIsCounted(t *testing.T) {
	urls := nodes(t, 2)
	for scenario, receivers := range map[string]uint64{"echo": 1, "broadcast": 20, "cluster": 20} {
		cfg := settings(scenario, urls...)
		cfg.InFlight = 3
		if p := mustMeasure(t, cfg); p.Arrived != p.Sent*receivers {
			t.Errorf("%s: %d arrived of %d sent to %d each", scenario, p.Arrived, p.Sent, receivers)
		}
	}
}

func TestRunReports(t *testing.T) {
	cfg := settings("broadcast", nodes(t, 1)...)
	var out bytes.Buffer
	if err := Run(t.Context(), cfg, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"broadcast  20 clients, 128 bytes text, 1 in flight\n", cfg.URLs[0], "connected ", "measured ", "p99.9 ", "█", "each came once and in order\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report has no %q:\n%s", want, &out)
		}
	}
	out.Reset()
	cfg.JSON = true
	if err := Run(t.Context(), cfg, &out); err != nil {
		t.Fatal(err)
	}
	var fields struct {
		Operations uint64             `json:"operations"`
		Missing    *uint64            `json:"missing"`
		Latency    map[string]float64 `json:"latency"`
	}
	if err := json.Unmarshal(out.Bytes(), &fields); err != nil || bytes.Count(out.Bytes(), []byte{'\n'}) != 1 {
		t.Fatalf("not a line of JSON: %v\n%s", err, &out)
	}
	if fields.Operations == 0 || fields.Missing == nil || fields.Latency["p50_us"] == 0 {
		t.Errorf("JSON: %s", &out)
	}
}

func TestInterruptedRunReportsWhatItHas(t *testing.T) {
	cfg := settings("echo", nodes(t, 1)...)
	cfg.Duration, cfg.Warmup = time.Hour, 0
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	p, err := measure(ctx, cfg, nil)
	if err != nil || p.Err() != nil || p.Operations == 0 || p.Seconds > 60 {
		t.Errorf("measure() = %+v, %v", p, err)
	}
}

func TestTLS(t *testing.T) {
	roots := x509.NewCertPool()
	url := serve(t, nil, withPlayground, func(s *httptest.Server) {
		s.StartTLS()
		roots.AddCert(s.Certificate())
	})
	cfg := settings("echo", url)
	if p, err := measure(t.Context(), cfg, &tls.Config{RootCAs: roots}); err != nil || p.Err() != nil || p.Operations == 0 {
		t.Errorf("measure() = %+v, %v", p, err)
	}
	if _, err := measure(t.Context(), cfg, nil); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("with an unknown certificate: %v", err)
	}
}

func TestErrorsSayWhatIsWrong(t *testing.T) {
	working := nodes(t, 1)[0]
	silent := serve(t, nil, func(io *socketio.Server) { io.Of("/") }, (*httptest.Server).Start)
	other := nodes(t, 1)[0]
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer hanging.Close()
	for name, c := range map[string]struct {
		cfg  *config.Bench
		want string
	}{
		"nobody there":         {settings("connect", gone.URL), "is the server running? (dunlin serve --playground)"},
		"no Socket.IO":         {settings("idle", plain.URL), "404"},
		"no playground":        {settings("echo", silent), "dunlin serve --playground"},
		"no rooms":             {settings("rooms", silent), "dunlin serve --playground"},
		"no broadcast":         {settings("broadcast", silent), "dunlin serve --playground"},
		"two clusters":         {settings("cluster", working, other), "are these one cluster?"},
		"no answer":            {settings("connect", hanging.URL), "--timeout"},
		"namespace that is no": {func() *config.Bench { c := settings("idle", working); c.Namespace = "/none"; return c }(), "refuses namespace /none"},
	} {
		t.Run(name, func(t *testing.T) {
			c.cfg.Timeout = time.Second
			p, err := measure(t.Context(), c.cfg, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("measure() = %v, %v, want %q", p, err, c.want)
			}
		})
	}
}

// parrots is a server whose broadcasts are what misdeeds makes of them.
func parrots(t *testing.T, misdeed func(n int, say func(payload string), payload string, s *socketio.Socket)) string {
	t.Helper()
	return serve(t, nil, func(io *socketio.Server) {
		n := 0 // one client emits, so handlers do not overlap
		socketio.On(io, "bcast", func(_ context.Context, s *socketio.Socket, payload map[string]string) error {
			say := func(stamp string) {
				// In the order of other servers' JSON, and with their spaces.
				_ = io.Emit("msg", json.RawMessage(fmt.Sprintf(`{ "stamp" : %q , "fill" : %q }`, stamp, payload["fill"])))
			}
			if strings.Contains(payload["stamp"], ":0000000000:") {
				say(payload["stamp"]) // who hears us?
				return nil
			}
			n++
			misdeed(n, say, payload["stamp"], s)
			return nil
		})
	}, (*httptest.Server).Start)
}

func TestFaultsOfTheServerAreFound(t *testing.T) {
	held := ""
	for name, c := range map[string]struct {
		misdeed func(n int, say func(string), payload string, s *socketio.Socket)
		found   func(p *Report) bool
		want    string
	}{
		"none": {
			func(_ int, say func(string), payload string, _ *socketio.Socket) { say(payload) },
			func(p *Report) bool { return p.Arrived > 0 }, "",
		},
		"drops": {
			func(n int, say func(string), payload string, _ *socketio.Socket) {
				if n%10 != 0 {
					say(payload)
				}
			},
			func(p *Report) bool { return p.Missing == p.Sent/10*20 && p.Missing > 0 }, "missing",
		},
		"repeats": {
			func(n int, say func(string), payload string, _ *socketio.Socket) {
				if say(payload); n%10 == 0 {
					say(payload)
				}
			},
			func(p *Report) bool { return p.Repeated > 0 && p.Repeated+20 >= p.Sent/10*20 }, "repeated",
		},
		"swaps": {
			func(n int, say func(string), payload string, _ *socketio.Socket) {
				switch n {
				case 10:
					held = payload
				case 11:
					say(payload)
					say(held)
				default:
					say(payload)
				}
			},
			func(p *Report) bool { return p.OutOfOrder == 20 }, "out of order",
		},
		"changes": {
			func(n int, say func(string), payload string, _ *socketio.Socket) {
				if n == 10 {
					payload = payload[:20] + "!" + payload[21:]
				}
				say(payload)
			},
			func(p *Report) bool { return p.Wrong == 20 && p.Missing == 20 }, "wrong",
		},
		"invents": {
			func(n int, say func(string), payload string, _ *socketio.Socket) {
				if say(payload); n == 10 {
					say(payload[:25] + "fffffffff0" + payload[35:])
				}
			},
			func(p *Report) bool { return p.Wrong == 20 && p.Missing == 0 }, "wrong",
		},
		"disconnects": {
			func(n int, say func(string), payload string, s *socketio.Socket) {
				if say(payload); n == 10 {
					s.DisconnectConn()
				}
			},
			func(p *Report) bool { return p.Lost == 1 }, "connections lost: 1, the first: client 0 at http://127.0.0.1:",
		},
	} {
		for _, rate := range []int{0, 200} {
			t.Run(fmt.Sprintf("%s/rate=%d", name, rate), func(t *testing.T) {
				cfg := settings("broadcast", parrots(t, c.misdeed))
				cfg.Timeout, cfg.Rate = time.Second, rate
				if rate == 0 {
					cfg.InFlight, cfg.Duration = 4, 400*time.Millisecond
				}
				p := mustMeasure(t, cfg)
				if err := p.Err(); !c.found(p) || (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
					t.Errorf("report = %+v, %v, want %q", p, p.Err(), c.want)
				}
			})
		}
	}
}

func TestRunFailsWhenSomethingIsMissing(t *testing.T) {
	cfg := settings("broadcast", parrots(t, func(n int, say func(string), payload string, _ *socketio.Socket) {
		if n != 5 {
			say(payload)
		}
	}))
	cfg.Timeout, cfg.Rate = time.Second, 200
	var out bytes.Buffer
	err := Run(t.Context(), cfg, &out)
	if err == nil || err.Error() != "deliveries: 20 missing" || !strings.Contains(out.String(), "checked    deliveries: 20 missing\n") {
		t.Errorf("Run() = %v\n%s", err, &out)
	}
}

func TestWrongAnswersAreFound(t *testing.T) {
	url := serve(t, nil, func(io *socketio.Server) {
		io.On("echo", func(ev *socketio.Event) {
			var payload map[string]string
			if err := ev.Scan(&payload); err != nil || strings.Contains(payload["stamp"], ":0000000005:") {
				_ = ev.Ack()
				return
			}
			_ = ev.Ack(payload)
		})
	}, (*httptest.Server).Start)
	cfg := settings("echo", url)
	cfg.Timeout, cfg.Clients, cfg.Duration = time.Second, 1, 400*time.Millisecond
	if p := mustMeasure(t, cfg); p.Wrong != 1 || p.Missing != 1 {
		t.Errorf("report = %+v, want one wrong answer and one missing", p)
	}
}

func TestPingsThatDoNotComeAreMissing(t *testing.T) {
	r, err := newRun(settings("idle", "http://127.0.0.1"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.breakUp()
	r.idle = true
	for _, quiet := range []time.Duration{0, 29 * time.Second, 31 * time.Second} {
		r.clients = append(r.clients, &client{run: r, pingInterval: 20 * time.Second, pingTimeout: 10 * time.Second, pinged: r.epoch.Add(time.Minute - quiet)})
	}
	r.to.Store(int64(time.Minute))
	var p Report
	if r.judge(&p); p.Missing != 1 {
		t.Errorf("%d pings missing, want 1", p.Missing)
	}
}
