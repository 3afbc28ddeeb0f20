package socketio_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

// Proves T-72, J-51.
func TestShutdownClosesTransportsSoThatClientsComeBack(t *testing.T) {
	for _, transport := range []siotest.Transport{siotest.WebSocket, siotest.Polling} {
		t.Run(string(transport), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := siotest.NewServer(t)
				srv.Of("/chat")
				var log journal
				srv.OnDisconnect(func(_ *socketio.Socket, r socketio.Reason) { log.note(string(r)) })
				c := srv.Dial(siotest.Options{Transport: transport})
				chat := c.Join("/chat")
				synctest.Wait()
				emit(t, srv.Emit("last words"))
				if err := srv.Shutdown(t.Context()); err != nil {
					t.Errorf("Shutdown = %v", err)
				}
				c.Expect("last words")
				// No DISCONNECT packet: it would keep the client from coming back.
				c.ExpectDisconnect("transport close")
				chat.ExpectDisconnect("transport close")
				log.expect(t, "server shutting down")
				if got := srv.Stats().Disconnected[socketio.ReasonServerShutdown]; got != 2 {
					t.Errorf("Disconnected = %v", srv.Stats().Disconnected)
				}
				if err := srv.Refused(); !strings.Contains(err.Error(), "503") {
					t.Errorf("a new session was refused with %v", err)
				}
			})
		})
	}
}

// Proves T-72, J-51.
func TestShutdownWaitsForHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		var log journal
		srv.On("slow", func(ev *socketio.Event) {
			time.Sleep(20 * time.Second)
			log.note("handler")
		})
		srv.OnDisconnect(func(*socketio.Socket, socketio.Reason) {
			time.Sleep(time.Second)
			log.note("disconnect")
		})
		c := srv.Dial()
		c.Emit("slow")
		synctest.Wait()
		start := time.Now()
		if err := srv.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown = %v", err)
		}
		if took := time.Since(start); took != 21*time.Second {
			t.Errorf("Shutdown took %v", took)
		}
		log.expect(t, "handler", "disconnect")
		if err := srv.Shutdown(t.Context()); err != nil {
			t.Errorf("second Shutdown = %v", err)
		}
	})
}

func TestShutdownStopsWaitingWhenItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		proceed := make(chan struct{})
		srv.On("stuck", func(*socketio.Event) { <-proceed })
		c := srv.Dial()
		s := socketOf(t, srv, c)
		c.Emit("stuck")
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		if err := srv.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown = %v", err)
		}
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("Shutdown took %v", took)
		}
		if s.Connected() || s.Context().Err() == nil {
			t.Error("the socket outlived Shutdown")
		}
		close(proceed)
	})
}

func TestShutdownEndsWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		ended := make(chan error, 3)
		srv.On("ask", func(ev *socketio.Event) {
			_, err := ev.Socket.Timeout(time.Hour).EmitWithAck(context.Background(), "q")
			ended <- err
		})
		srv.On("all", func(*socketio.Event) {
			_, err := srv.Timeout(time.Hour).EmitWithAck(context.Background(), "q")
			ended <- err
		})
		srv.Of("/door").Use(func(s *socketio.Socket) error {
			<-s.Context().Done()
			ended <- context.Cause(s.Context())
			return nil
		})
		a, b := srv.Dial(), srv.Dial()
		a.Emit("ask")
		b.Emit("all")
		b.Try("/door")
		synctest.Wait()
		start := time.Now()
		if err := srv.Shutdown(t.Context()); err != nil || time.Since(start) > time.Second {
			t.Errorf("Shutdown = %v after %v", err, time.Since(start))
		}
		for range 3 {
			if err := <-ended; err == nil {
				t.Error("somebody who waited got an answer")
			}
		}
	})
}

func TestShutdownDoesNotWaitLongForClientsThatDoNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		c := srv.Dial()
		c.Session().Stall(true)
		emit(t, srv.Emit("x", make([]byte, 200_000)))
		start := time.Now()
		if err := srv.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown = %v", err)
		}
		if took := time.Since(start); took > 15*time.Second {
			t.Errorf("Shutdown took %v", took)
		}
	})
}

// Proves T-100, J-59.
func TestAfterShutdownNothingHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := siotest.NewCluster(t, 2)
		client, other := c.Dial(0), c.Dial(1)
		s := socketOf(t, c.Server(0), client)
		if err := c.Server(0).Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.Emit("x"); !errors.Is(err, socketio.ErrDisconnected) {
			t.Errorf("Socket.Emit = %v", err)
		}
		for name, err := range map[string]error{
			"Emit":           c.Server(0).Emit("x"),
			"SocketsJoin":    c.Server(0).SocketsJoin("x"),
			"ServerSideEmit": c.Server(0).ServerSideEmit("x"),
			"new namespace":  c.Server(0).Of("/late").Emit("x"),
		} {
			if !errors.Is(err, socketio.ErrNotPropagated) || !errors.Is(err, socketio.ErrClosed) {
				t.Errorf("%s = %v, want ErrNotPropagated and ErrClosed", name, err)
			}
		}
		if _, err := c.Server(0).FetchSockets(t.Context()); err == nil {
			t.Error("FetchSockets succeeded")
		}
		if err := c.Server(0).Ready(t.Context()); err == nil {
			t.Error("Ready succeeded")
		}
		other.ExpectNothing(time.Second)
		emit(t, c.Server(1).Emit("alone"))
		other.Expect("alone")
	})
}

func TestRefuseTurnsAwayNewSessionsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		srv.Of("/chat")
		c := srv.Dial(siotest.Options{Transport: siotest.Polling})
		srv.Refuse(true)
		for _, transport := range []siotest.Transport{siotest.WebSocket, siotest.Polling} {
			if err := srv.Refused(siotest.Options{Transport: transport}); !strings.Contains(err.Error(), "503") {
				t.Errorf("%s was refused with %v", transport, err)
			}
		}
		c.Join("/chat") // those that are here go on
		c.Session().Upgrade()
		emit(t, srv.Emit("hi"))
		c.Expect("hi")
		srv.Refuse(false)
		srv.Dial()
	})
}

// Clients connect, talk and leave while the server shuts down; nothing may
// hang, leak or race.
func TestShutdownUnderLoad(t *testing.T) {
	c := siotest.NewCluster(t, 2)
	for _, srv := range c.Servers() {
		srv.On("echo", func(ev *socketio.Event) { _ = ev.Ack(ev.Values()...) })
		srv.On("all", func(ev *socketio.Event) { _ = srv.Emit("all", 1) })
	}
	var clients []*siotest.Client
	for i := range 10 {
		clients = append(clients, c.Dial(i%2))
	}
	var all sync.WaitGroup
	for i, client := range clients {
		all.Go(func() {
			for range 200 {
				client.EmitWithAck("echo", i)
				client.Emit("all")
			}
			if i%3 == 0 {
				client.Disconnect()
			}
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := c.Server(0).Shutdown(ctx); err != nil {
		t.Errorf("Shutdown = %v", err)
	}
	all.Wait()
	if n := c.Server(0).Stats().Sockets; n != 0 {
		t.Errorf("%d sockets are left", n)
	}
}
