package app_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/dunlin-io/dunlin/cmd/node/internal/admin"
	"github.com/dunlin-io/dunlin/cmd/node/internal/app"
	"github.com/dunlin-io/dunlin/cmd/node/internal/config"
)

const handshake = "/socket.io/?EIO=4&transport=polling"

func TestNodeServesUntilItIsStopped(t *testing.T) {
	n := run(t)
	n.printed("admin " + n.AdminURL())
	n.printed("ready " + n.URL())
	if status, report := n.readiness(); status != http.StatusOK || report != (admin.Report{Ready: true, Node: "n", State: admin.Ready}) {
		t.Errorf("/readyz = %d %+v, want 200", status, report)
	}
	for _, url := range []string{n.URL() + "/livez", n.AdminURL() + "/livez", n.AdminURL() + "/readyz"} {
		if resp, body := n.fetch(url); resp.StatusCode != http.StatusOK {
			t.Errorf("GET %s = %d %s, want 200", url, resp.StatusCode, body)
		}
	}
	if resp, body := n.get(handshake); resp.StatusCode != http.StatusOK || !strings.HasPrefix(body, "0{") {
		t.Fatalf("handshake = %d %s, want an open packet", resp.StatusCode, body)
	}
	url := n.URL()
	if err := n.end(); err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
	if resp, err := http.Get(url + "/livez"); err == nil {
		_ = resp.Body.Close()
		t.Errorf("somebody still listens at %s", url)
	}
}

func TestDrainingNodeKeepsItsSessionsAndTakesNoNewOnes(t *testing.T) {
	n := run(t, "--drain-delay=3s")
	n.becomes(admin.Ready)
	_, body := n.get(handshake)
	var open struct{ SID string }
	if err := json.Unmarshal([]byte(body[1:]), &open); err != nil {
		t.Fatal(err)
	}
	n.stop()
	if report := n.becomes(admin.Stopping); report.Ready || report.Reason == "" {
		t.Errorf("/readyz says %+v, want not ready and a reason", report)
	}
	if resp, body := n.get(handshake); resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Errorf("a new session is answered %d %s, want 503 with Retry-After", resp.StatusCode, body)
	}
	resp, err := n.http.Post(n.URL()+handshake+"&sid="+open.SID, "text/plain", strings.NewReader("40"))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if _, body := n.get(handshake + "&sid=" + open.SID); !strings.HasPrefix(body, "40{") {
		t.Errorf("a session of a draining node gets %q, want to join its namespace", body)
	}
}

func TestNodeComesUpWithoutRedisAndJoinsByItself(t *testing.T) {
	reserved := miniredis.NewMiniRedis()
	if err := reserved.Start(); err != nil {
		t.Fatal(err)
	}
	addr := reserved.Addr()
	reserved.Close()

	n := run(t, "--redis=redis://user:secret@"+addr)
	n.printed("admin ")
	if resp, _ := n.get("/livez"); resp.StatusCode != http.StatusOK {
		t.Errorf("/livez = %d without Redis, want 200", resp.StatusCode)
	}
	status, report := n.readiness()
	for report.Reason == "starting" { // before the first check
		status, report = n.readiness()
	}
	if status != http.StatusServiceUnavailable || report.State != admin.Starting || !strings.Contains(report.Reason, addr) || !strings.Contains(report.Reason, "start Redis") {
		t.Errorf("/readyz = %d %+v, want 503 that says to start Redis at %s", status, report, addr)
	}
	if strings.Contains(report.Reason, "secret") {
		t.Errorf("/readyz shows the password: %s", report.Reason)
	}
	if resp, body := n.get(handshake); resp.StatusCode != http.StatusOK {
		t.Errorf("handshake without Redis = %d %s, want 200", resp.StatusCode, body)
	}

	server := miniredis.NewMiniRedis()
	server.RequireUserAuth("user", "secret")
	if err := server.StartAddr(addr); err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	n.printed("ready " + n.URL())
	n.becomes(admin.Ready)

	server.Close()
	if report := n.becomes(admin.Unready); !strings.Contains(report.Reason, "refused") {
		t.Errorf("/readyz says %q, want why Redis is away", report.Reason)
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	n.becomes(admin.Ready)

	server.RequireUserAuth("user", "other")
	server.Close()
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	until := time.After(patience)
	for report := n.becomes(admin.Unready); !strings.Contains(report.Reason, "right user and password"); _, report = n.readiness() {
		select {
		case <-until:
			t.Fatalf("/readyz says %q, want to correct the password", report.Reason)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestNodesFindEachOther(t *testing.T) {
	server := miniredis.RunT(t)
	a, b := run(t, "--redis=redis://"+server.Addr()), run(t, "--redis=redis://"+server.Addr(), "--node-name=m")
	a.becomes(admin.Ready)
	b.becomes(admin.Ready)
	for _, n := range []*node{a, b} {
		resp, body := n.fetch(n.AdminURL() + "/nodes")
		var peers admin.Peers
		if err := json.Unmarshal([]byte(body), &peers); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("/nodes = %d %s (%v)", resp.StatusCode, body, err)
		}
		slices.Sort(peers.Nodes)
		if !slices.Equal(peers.Nodes, []string{"m", "n"}) {
			t.Errorf("/nodes = %q, want both", peers.Nodes)
		}
	}
	if resp, _ := a.get("/nodes"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("/nodes on the main listener = %d, want 404", resp.StatusCode)
	}
}

func TestPlaygroundIsOff(t *testing.T) {
	n := run(t)
	for _, path := range []string{"/", "/playground/client.js", "/socket.io/socket.io.js", "/debug/pprof/"} {
		if resp, body := n.get(path); resp.StatusCode == http.StatusOK {
			t.Errorf("GET %s = 200 %.40s, want a refusal", path, body)
		}
	}
}

func TestOptionsReachTheServer(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "socket.io.js"), []byte("client();"), 0o600); err != nil {
		t.Fatal(err)
	}
	n := run(t, "--path=/rt", "--session-prefix=p", "--ping-interval=7s", "--ping-timeout=8s", "--max-payload=5000", "--transports=polling",
		"--client-dir="+dir, "--playground", "--origins=https://good.example", "--credentials")
	_, body := n.get("/rt?EIO=4&transport=polling")
	for _, want := range []string{`"sid":"p.`, `"upgrades":[]`, `"pingInterval":7000`, `"pingTimeout":8000`, `"maxPayload":5000`} {
		if !strings.Contains(body, want) {
			t.Errorf("open packet %s, want %s in it", body, want)
		}
	}
	if _, body := n.get("/rt/socket.io.js"); body != "client();" {
		t.Errorf("the browser client is %q, want the file", body)
	}
	if _, body := n.get("/"); !strings.Contains(body, `data-path="/rt/"`) || !strings.Contains(body, `data-official="true"`) {
		t.Errorf("the demo page does not know its server: %.200s", body)
	}
	resp, _ := n.get("/rt/?EIO=4&transport=polling", "Origin", "https://good.example")
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Access-Control-Allow-Origin") != "https://good.example" ||
		resp.Header.Get("Access-Control-Allow-Credentials") != "true" {
		t.Errorf("a page of --origins gets %d %v, want to be let in with cookies", resp.StatusCode, resp.Header)
	}
	if resp, _ := n.get("/rt/?EIO=4&transport=polling", "Origin", "https://bad.example"); resp.StatusCode != http.StatusForbidden {
		t.Errorf("a page of another origin gets %d, want 403", resp.StatusCode)
	}
}

func TestAnyOriginIsLetInWhenAskedFor(t *testing.T) {
	n := run(t, "--allow-any-origin")
	resp, _ := n.get(handshake, "Origin", "https://any.example")
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("a page gets %d %v, want to be let in", resp.StatusCode, resp.Header)
	}
}

func TestTLS(t *testing.T) {
	other := httptest.NewTLSServer(nil)
	certificate := other.TLS.Certificates[0]
	roots := other.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	other.Close()
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	n := run(t, "--tls-cert="+write("cert", "CERTIFICATE", certificate.Certificate[0]), "--tls-key="+write("key", "PRIVATE KEY", key))
	n.http.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}
	n.printed("admin http://")
	n.printed("ready https://")
	if resp, body := n.get(handshake); resp.ProtoMajor != 2 || !strings.HasPrefix(body, "0{") {
		t.Errorf("handshake over TLS: %s %s, want HTTP/2 and an open packet", resp.Proto, body)
	}
}

func TestAddressesInUseAreExplained(t *testing.T) {
	n := run(t)
	for _, flag := range []string{"--addr", "--admin-addr"} {
		cfg := &config.Serve{Addr: "127.0.0.1:0", AdminAddr: "127.0.0.1:0", Node: config.Node{Path: "/socket.io/"}}
		host := strings.TrimPrefix(n.URL(), "http://")
		if flag == "--addr" {
			cfg.Addr = host
		} else {
			cfg.AdminAddr = host
		}
		_, err := app.New(cfg, slog.New(slog.DiscardHandler), io.Discard)
		if err == nil || !strings.HasPrefix(err.Error(), flag+": ") || !strings.Contains(err.Error(), "choose another port") {
			t.Errorf("New with %s in use = %v, want an error that names it and how to mend it", flag, err)
		}
	}
}

func TestNodeThatIsNotRunLeavesNothing(t *testing.T) {
	server := miniredis.RunT(t)
	cfg := &config.Serve{Addr: "127.0.0.1:0", Node: config.Node{Bus: config.Bus{Redis: "redis://" + server.Addr()}, Path: "/socket.io/"}}
	a, err := app.New(cfg, slog.New(slog.DiscardHandler), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := a.Run(ctx); err != nil {
		t.Errorf("Run with an ended context = %v, want nil", err)
	}
}
