package siotest_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/adapter/memory"
	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

// t is that of the test in which an example stands.
var t *testing.T

// One server: a handler answers, everybody else hears of it, and a minute of
// fake time costs nothing.
func ExampleNewServer() {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		srv.On("chat", func(ev *socketio.Event) {
			_ = ev.Socket.Broadcast().Emit("chat", ev.Values()...)
			_ = ev.Ack("sent")
		})

		ada, bob := srv.Dial(), srv.Dial()
		ada.EmitWithAck("chat", "hi", []byte{1, 2}).Expect("sent")
		bob.Expect("chat", "hi", []byte{1, 2})
		ada.ExpectNothing(time.Minute)

		bob.Cut() // his cable breaks
		bob.ExpectDisconnect("transport error")
	})
}

// An application whose handler has a Socket.IO server in it, among other
// things.
func ExampleServe() {
	newApp := func() (http.Handler, func(context.Context) error) { // yours
		io, err := socketio.New(socketio.Config{})
		if err != nil {
			panic(err)
		}
		io.Use(func(s *socketio.Socket) error {
			if s.Handshake().Header.Get("Authorization") != "Bearer x" {
				return &socketio.ConnectError{Message: "who are you?"}
			}
			return s.Emit("welcome")
		})
		mux := http.NewServeMux()
		mux.Handle("/socket.io/", io)
		return mux, io.Shutdown
	}

	synctest.Test(t, func(t *testing.T) {
		handler, shutdown := newApp()
		t.Cleanup(func() { _ = shutdown(context.Background()) })
		app := siotest.Serve(t, handler)

		app.Try().ExpectConnectError("who are you?")
		ada := app.Dial(siotest.Options{
			Transport: siotest.Polling,
			Header:    http.Header{"Authorization": {"Bearer x"}},
		})
		ada.Expect("welcome")
	})
}

// Three servers, joined in memory.
func ExampleNewCluster() {
	synctest.Test(t, func(t *testing.T) {
		c := siotest.NewCluster(t, 3)
		for _, srv := range c.Servers() {
			srv.OnConnect(func(s *socketio.Socket) { s.Join("news") })
		}

		ada, bob := c.Dial(0), c.Dial(2)
		synctest.Wait() // until the servers have run OnConnect
		_ = c.Server(1).To("news").Except(ada.ID()).Emit("hi", "all")
		bob.Expect("hi", "all")
		ada.ExpectNothing(time.Minute)
	})
}

// A partition goes unnoticed: requests wait for answers in vain, and say whose.
func ExampleCluster_Partition() {
	synctest.Test(t, func(t *testing.T) {
		c := siotest.NewCluster(t, 3)
		ada, bob := c.Dial(0), c.Dial(2)

		c.Partition(0, 1) // from 2
		_ = c.Server(0).Emit("hi")
		ada.Expect("hi")
		bob.ExpectNothing(time.Minute) // longer than nodes keep what they say
		sockets, err := c.Server(0).FetchSockets(t.Context())
		var partial *socketio.PartialError
		if !errors.As(err, &partial) || !slices.Equal(partial.Missing, []cluster.NodeID{siotest.NodeID(2)}) {
			t.Errorf("%d sockets, %v", len(sockets), err)
		}

		c.Heal()
		_ = c.Server(0).Emit("again")
		bob.Expect("again")
	})
}

// A bus that is slow and unreliable, by the same chance in every run.
func ExampleCluster_Faults() {
	synctest.Test(t, func(t *testing.T) {
		c := siotest.NewCluster(t, 2)
		bob := c.Dial(1)

		c.Seed(7)
		c.Faults(memory.Faults{Delay: 100 * time.Millisecond, Jitter: time.Second, Loss: 0.1})
		for i := range 100 {
			_ = c.Server(0).Emit("n", i)
		}
		time.Sleep(time.Minute)
		for i := range 100 {
			bob.Expect("n", i) // late, but in order: the nodes repeat what was lost
		}
		if lost := c.Hub().FaultCounts().Lost; lost == 0 {
			t.Error("nothing was lost")
		}
	})
}

// Connection state recovery: a client comes back to another server and gets
// what it has missed.
func ExampleClient_Resume() {
	synctest.Test(t, func(t *testing.T) {
		c := siotest.NewCluster(t, 2, socketio.Config{
			Adapter:  memory.NewLog(memory.Log{}),
			Recovery: socketio.Recovery{MaxDisconnection: 2 * time.Minute},
		})
		ada := c.Dial(0)
		_ = c.Server(0).Emit("n", 1)
		ada.Expect("n", 1) // without the offset, one argument more

		ada.Cut()
		synctest.Wait()
		_ = c.Server(0).Emit("n", 2)
		time.Sleep(time.Minute)

		ada.Move(c.Server(1).Endpoint)
		ada.Resume()
		if !ada.Recovered() {
			t.Error("not recovered")
		}
		ada.Expect("n", 2)
	})
}

// A client that comes back by itself, each time with a new token.
func ExampleOptions_reconnect() {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		srv.Use(func(s *socketio.Socket) error {
			var auth struct{ Attempt int }
			if err := s.Handshake().Auth.Scan(&auth); err != nil {
				return err
			}
			return s.Emit("attempt", auth.Attempt)
		})
		ada := srv.Dial(siotest.Options{
			Reconnect: true,
			Auth:      func(attempt int) any { return map[string]int{"attempt": attempt} },
		})
		ada.Expect("attempt", 1)
		ada.Cut()
		ada.ExpectConnect() // after a second or so, of fake time
		ada.Expect("attempt", 2)
	})
}
