package main

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/docs/examples/wiretest"
)

func TestNoticeFromOutside(t *testing.T) {
	for _, transport := range wiretest.Transports {
		t.Run(transport, func(t *testing.T) {
			sockets, err := socketio.New(socketio.Config{})
			if err != nil {
				t.Fatal(err)
			}
			url := wiretest.Serve(t, sockets, routes(sockets))
			c := wiretest.Dial(t, url, transport, nil)
			c.Join("")
			c.Send(`27["watch","kitchen"]`)
			c.Expect(`37[]`)
			for _, room := range []string{"cellar", "kitchen"} {
				resp, err := http.Post(url+"/notices/"+room, "text/plain", strings.NewReader("dinner in the "+room))
				if err != nil {
					t.Fatal(err)
				}
				if resp.Body.Close(); resp.StatusCode != http.StatusOK {
					t.Fatalf("POST was answered %s", resp.Status)
				}
			}
			c.Expect(`2["notice","dinner in the kitchen"]`)
		})
	}
}

func TestOverTLSUntilStopped(t *testing.T) {
	cert, key, web := certificate(t)
	for _, transport := range wiretest.Transports {
		t.Run(transport, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- run(ctx, l, cert, key) }()

			c := wiretest.Dial(t, "https://"+l.Addr().String(), transport, web)
			c.Join("")
			if got := c.Next(); !strings.HasPrefix(got, `2["time","`) {
				t.Errorf("the server sent %s, want the time", got)
			}
			stop()
			c.ExpectEnd()
			select {
			case err := <-ended:
				if err != nil {
					t.Errorf("run: %v", err)
				}
			case <-time.After(15 * time.Second):
				t.Fatal("the program did not end")
			}
		})
	}
}

// certificate returns the files of a certificate for example.com, and a client
// that trusts it.
func certificate(t *testing.T) (cert, key string, web *http.Client) {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	t.Cleanup(s.Close)
	der, err := x509.MarshalPKCS8PrivateKey(s.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{
		cert: {Type: "CERTIFICATE", Bytes: s.Certificate().Raw},
		key:  {Type: "PRIVATE KEY", Bytes: der},
	} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key, s.Client()
}
