package socketio_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

func TestBlockedHandlerDoesNotKeepAcksAndClosesWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		proceed := make(chan struct{})
		srv.On("block", func(*socketio.Event) { <-proceed })
		c := srv.Dial()
		answer(c, "q", 42)
		s := socketOf(t, srv, c)
		c.Emit("block")
		synctest.Wait()
		n, err := socketio.Call[int](t.Context(), s, "q")
		if err != nil || n != 42 {
			t.Errorf("Call = %d, %v", n, err)
		}
		// Pings are answered, too.
		c.ExpectNothing(time.Hour)
		c.Cut()
		<-s.Context().Done()
		close(proceed)
	})
}

func TestAckInsideAHandlerIsReadBehindQueuedEvents(t *testing.T) {
	for _, transport := range []siotest.Transport{siotest.WebSocket, siotest.Polling} {
		t.Run(string(transport), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := siotest.NewServer(t)
				handled := 0
				srv.On("n", func(*socketio.Event) { handled++ })
				result := make(chan error, 1)
				srv.On("ask", func(ev *socketio.Event) {
					time.Sleep(time.Minute) // 300 events gather; more than fit
					_, err := ev.Socket.EmitWithAck(ev.Context(), "q")
					result <- err
				})
				c := srv.Dial(siotest.Options{Transport: transport})
				c.Emit("ask")
				for range 300 {
					c.Emit("n")
				}
				answer(c, "q", "yes")
				if err := <-result; err != nil {
					t.Errorf("EmitWithAck behind 300 events: %v", err)
				}
				pass(time.Minute)
				if handled != 300 {
					t.Errorf("%d events were handled", handled)
				}
			})
		})
	}
}

// Proves J-42.
func TestFloodBehindABlockedHandlerStopsReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		proceed := make(chan struct{})
		handled := 0
		srv.On("flood", func(*socketio.Event) {
			<-proceed
			handled++
		})
		c := srv.Dial()
		const flood = 100_000
		for range flood {
			c.Emit("flood", "some bytes that cost memory")
		}
		synctest.Wait()
		if in := srv.Stats().EventsIn; in > 256 {
			t.Errorf("%d events were taken in behind a blocked handler, want at most 256", in)
		}
		// Unread bytes count as life: nobody is thrown out for them.
		pass(time.Hour)
		if ended := c.Session().Ended(); ended != "" {
			t.Errorf("the client was ended: %s", ended)
		}
		close(proceed)
		pass(time.Hour)
		if handled != flood {
			t.Errorf("%d of %d events were handled", handled, flood)
		}
	})
}

// Proves J-42.
func TestInboxIsBoundedInBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t, socketio.Config{Limits: socketio.Limits{InboxBytes: 10_000}})
		proceed := make(chan struct{})
		srv.On("big", func(*socketio.Event) { <-proceed })
		c := srv.Dial()
		for range 20 {
			c.Emit("big", make([]byte, 4000))
		}
		c.Emit("big", make([]byte, 40_000)) // more than all of the inbox; it must pass all the same
		synctest.Wait()
		if in := srv.Stats().EventsIn; in != 2 {
			t.Errorf("%d events of 4,000 bytes were taken into 10,000", in)
		}
		close(proceed)
		synctest.Wait()
		if in := srv.Stats().EventsIn; in != 21 {
			t.Errorf("%d of 21 events were taken in", in)
		}
	})
}

// Proves J-42.
func TestFloodWhileAHandlerWaitsForAnAckEndsTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t, socketio.Config{Limits: socketio.Limits{InboxEvents: 10}})
		result := make(chan error, 1)
		srv.On("ask", func(ev *socketio.Event) {
			_, err := ev.Socket.Timeout(time.Hour).EmitWithAck(ev.Context(), "q")
			result <- err
		})
		reasons := make(chan socketio.Reason, 1)
		srv.OnDisconnect(func(_ *socketio.Socket, r socketio.Reason) { reasons <- r })
		c := srv.Dial()
		s := socketOf(t, srv, c)
		c.Emit("ask")
		c.Expect("q")
		for range 19 {
			c.Emit("n")
		}
		synctest.Wait()
		if !s.Connected() {
			t.Fatal("twice the bound must fit while an acknowledgement is due")
		}
		c.Emit("n")
		if err := <-result; !errors.Is(err, socketio.ErrDisconnected) {
			t.Errorf("EmitWithAck = %v", err)
		}
		if r := <-reasons; r != socketio.ReasonTransportError {
			t.Errorf("reason %q", r)
		}
		if cause := context.Cause(s.Context()); !errors.Is(cause, socketio.ErrInboxFull) {
			t.Errorf("cause %v, want ErrInboxFull", cause)
		}
	})
}
