package wiretest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/dunlin-io/dunlin/core/socketio"
)

// Serve serves h, which leads to sockets, on loopback until the test ends.
func Serve(t *testing.T, sockets *socketio.Server, h http.Handler) (url string) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := sockets.Shutdown(ctx); err != nil {
			t.Errorf("the sockets did not end: %v", err)
		}
		server.Close()
	})
	return server.URL
}

// Hello tests the example programs whose point is the way to the sockets: they
// send "hello" back as it came, and answer other requests, too.
func Hello(t *testing.T, routes func(*socketio.Server) http.Handler) {
	t.Helper()
	for _, transport := range Transports {
		t.Run(transport, func(t *testing.T) {
			sockets, err := socketio.New(socketio.Config{})
			if err != nil {
				t.Fatal(err)
			}
			url := Serve(t, sockets, routes(sockets))
			c := Dial(t, url, transport, nil)
			c.Join("")
			for range 3 {
				c.Send(`2["hello","world",{"n":1}]`)
				c.Expect(`2["hello","world",{"n":1}]`)
			}
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				t.Errorf("GET / was answered %s", resp.Status)
			}
		})
	}
}
