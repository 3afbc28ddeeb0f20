package siotest_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/core/engineio"
	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

// attempts cuts a client off from a server that refuses for a while, and
// returns how long it waited before each attempt to come back.
func attempts(t *testing.T, o siotest.Options) (waits []time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		io, err := socketio.New(socketio.Config{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = io.Shutdown(context.Background()) })
		var mu sync.Mutex
		var at []time.Time
		refuse := false
		app := siotest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			at = append(at, time.Now())
			if len(at) > 8 {
				refuse = false
			}
			refused := refuse
			mu.Unlock()
			if refused {
				http.Error(w, "no", http.StatusServiceUnavailable)
				return
			}
			io.ServeHTTP(w, r)
		}))
		o.Reconnect = true
		c := app.Dial(o)
		mu.Lock()
		at, refuse = []time.Time{time.Now()}, true
		mu.Unlock()
		c.Cut()
		c.ExpectDisconnect("transport error")
		time.Sleep(time.Minute)
		c.ExpectConnect()
		mu.Lock()
		defer mu.Unlock()
		for i := range at[1:] {
			waits = append(waits, at[i+1].Sub(at[i]))
		}
	})
	return waits
}

func TestReconnectWaitsLikeTheJavaScriptClient(t *testing.T) {
	waits := attempts(t, siotest.Options{})
	bounds := [][2]int64{{500, 1500}, {1000, 3000}, {2000, 5000}, {4000, 5000}, {5000, 5000}, {5000, 5000}, {5000, 5000}, {5000, 5000}}
	if len(waits) != len(bounds) {
		t.Fatalf("waited %v, want %d times", waits, len(bounds))
	}
	for i, b := range bounds {
		if ms := waits[i].Milliseconds(); ms < b[0] || ms > b[1] {
			t.Errorf("wait %d was %v, want %v ms", i, waits[i], b)
		}
	}
	if again := attempts(t, siotest.Options{}); !slices.Equal(again, waits) {
		t.Errorf("waited %v, and %v the second time", waits, again)
	}
	long := attempts(t, siotest.Options{ReconnectDelay: 10 * time.Second, ReconnectDelayMax: 2 * time.Second})
	if slices.Max(long) > 2*time.Second {
		t.Errorf("waited %v, want 2 s at most", long)
	}
}

func TestReconnectKeepsWhatIsEmittedMeanwhile(t *testing.T) {
	for _, transport := range []siotest.Transport{siotest.WebSocket, siotest.Polling, siotest.Upgrade} {
		t.Run(string(transport), func(t *testing.T) {
			everywhere(t, func(t *testing.T) {
				srv := siotest.NewServer(t, socketio.Config{Engine: engineio.Config{CloseTimeout: 10 * time.Millisecond}})
				srv.On("n", func(ev *socketio.Event) { _ = ev.Socket.Emit("n", ev.Values()...) })
				srv.On("ack", func(ev *socketio.Event) { _ = ev.Ack("yes") })
				srv.On("never", func(*socketio.Event) {})
				c := srv.Dial(siotest.Options{Transport: transport, Reconnect: true, ReconnectDelay: 10 * time.Millisecond})
				before := c.ID()
				lost := c.EmitWithAck("never")
				c.Session().Flush()
				c.Cut()
				c.ExpectDisconnect("transport error")
				lost.ExpectNothing(0)
				c.Emit("n", 1)
				c.Emit("n", 2, []byte("binary"))
				if c.EmitVolatile("n", "volatile") {
					t.Error("a client that is away sent a volatile event")
				}
				answer := c.EmitWithAck("ack")
				c.ExpectConnect()
				c.Emit("n", 3)
				c.Expect("n", 1)
				c.Expect("n", 2, []byte("binary"))
				answer.Expect("yes")
				c.Expect("n", 3)
				if c.ID() == before || c.Recovered() {
					t.Errorf("came back as %s, recovered %v", c.ID(), c.Recovered())
				}
			})
		})
	}
}

func TestReconnectIsForLostConnectionsOnly(t *testing.T) {
	for name, test := range map[string]struct {
		leave  func(*siotest.Client, *socketio.Socket)
		reason string
	}{
		"Close":           {func(c *siotest.Client, _ *socketio.Socket) { c.Close() }, "forced close"},
		"Disconnect":      {func(c *siotest.Client, _ *socketio.Socket) { c.Disconnect() }, "io client disconnect"},
		"by the server":   {func(_ *siotest.Client, s *socketio.Socket) { s.Disconnect() }, "io server disconnect"},
		"with connection": {func(_ *siotest.Client, s *socketio.Socket) { s.DisconnectConn() }, "io server disconnect"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := siotest.NewServer(t)
				connected := 0
				srv.OnConnect(func(*socketio.Socket) { connected++ })
				c := srv.Dial(siotest.Options{Reconnect: true})
				synctest.Wait()
				s, _ := srv.Socket(c.ID())
				test.leave(c, s)
				c.ExpectDisconnect(test.reason)
				time.Sleep(time.Hour)
				c.Cut()
				time.Sleep(time.Hour)
				if connected != 1 {
					t.Errorf("connected %d times", connected)
				}
			})
		})
	}
}

type token struct {
	Token string `json:"token"`
}

func tokenOf(s *socketio.Socket) string {
	var v token
	_ = s.Handshake().Auth.Scan(&v)
	return v.Token
}

func TestReconnectBringsNamespacesBackTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		chat, closed := srv.Of("/chat"), srv.Of("/closed")
		chat.Use(func(s *socketio.Socket) error {
			if tokenOf(s) == "expired" {
				return errors.New("expired")
			}
			return nil
		})
		srv.Of("/left")
		c := srv.Dial(siotest.Options{Reconnect: true})
		member := c.Join("/chat", func(attempt int) any { return token{[]string{"", "fresh", "fresh", "expired"}[attempt]} })
		kicked := c.Join("/closed")
		left := c.Join("/left")
		left.Disconnect()
		synctest.Wait()
		if err := closed.DisconnectSockets(); err != nil {
			t.Fatal(err)
		}
		kicked.ExpectDisconnect("io server disconnect")
		first := c.Session()
		c.Cut()
		for _, x := range []*siotest.Client{c, member} {
			x.ExpectConnect()
			if x.Session() == first {
				t.Error("still the first connection")
			}
		}
		if err := chat.Emit("hi"); err != nil {
			t.Fatal(err)
		}
		member.Expect("hi")
		if chat.Len() != 1 || closed.Len() != 0 || srv.Of("/left").Len() != 0 {
			t.Errorf("%d, %d, %d sockets", chat.Len(), closed.Len(), srv.Of("/left").Len())
		}
		c.Cut()
		c.ExpectConnect()
		member.ExpectConnectError("expired")
		c.Cut() // who was refused stays away
		c.ExpectConnect()
		time.Sleep(time.Minute)
		member.TryResume(token{"fresh"})
		member.ExpectConnect()
	})
}

func TestReconnectEndsWithTheTest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		c := srv.Dial(siotest.Options{Reconnect: true})
		srv.Refuse(true)
		c.Cut()
		time.Sleep(10 * time.Second)
	})
}

func TestVolatileEventsGoOnlyWhenNothingWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		proceed := make(chan struct{})
		var got []string
		srv.On("n", func(ev *socketio.Event) {
			<-proceed
			var s string
			_ = ev.Scan(&s)
			got = append(got, s[:1])
		})
		c := srv.Dial()
		large := make([]byte, 100<<10) // more than the network takes
		for i := range large {
			large[i] = 'x'
		}
		sent, dropped := 0, 0
		for range 30 {
			c.Emit("n", string(large))
			synctest.Wait()
			if c.EmitVolatile("n", "volatile") {
				sent++
			} else {
				dropped++
			}
			synctest.Wait()
		}
		close(proceed)
		synctest.Wait()
		if sent == 0 || dropped == 0 || len(got) != 30+sent {
			t.Errorf("%d sent and %d dropped, %d arrived", sent, dropped, len(got))
		}
	})
}
