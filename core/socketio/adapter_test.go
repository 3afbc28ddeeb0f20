package socketio_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

// broken is an adapter that can do nothing.
type broken struct{ err error }

func (b broken) Open(string, cluster.NodeID, cluster.Receiver) cluster.Link { return brokenLink(b) }

type brokenLink broken

func (l brokenLink) Ready(context.Context) error                 { return l.err }
func (l brokenLink) Publish(cluster.Message) error               { return l.err }
func (l brokenLink) Send(cluster.ReplyTo, cluster.Message) error { return l.err }
func (l brokenLink) Members(context.Context) (cluster.Members, error) {
	return cluster.Members{}, l.err
}
func (l brokenLink) Close() error { return nil }

// Proves T-99, T-100, J-59.
func TestLocalSocketsDoNotDependOnTheAdapter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("no bus")
		srv := siotest.NewServer(t, socketio.Config{Adapter: broken{cause}})
		a, b := srv.Dial(), srv.Dial()
		failed := func(what string, err error) {
			t.Helper()
			if !errors.Is(err, socketio.ErrNotPropagated) || !errors.Is(err, cause) {
				t.Errorf("%s = %v, want ErrNotPropagated with the cause", what, err)
			}
		}
		failed("Emit", srv.Emit("x", 1))
		a.Expect("x", 1)
		b.Expect("x", 1)
		failed("SocketsJoin", srv.SocketsJoin("r"))
		failed("SocketsLeave", srv.To(a.ID()).SocketsLeave("r"))
		if got := socketOf(t, srv, b).Rooms(); !slices.Contains(got, "r") {
			t.Errorf("Rooms() = %q", got)
		}
		failed("ServerSideEmit", srv.ServerSideEmit("x"))
		emit(t, srv.Local().Emit("local"))
		a.Expect("local")
		b.Expect("local")

		// What is known here is returned, with the cause, at once.
		start := time.Now()
		found, err := srv.FetchSockets(t.Context())
		if len(found) != 2 || !errors.Is(err, cause) {
			t.Errorf("FetchSockets: %d sockets, %v", len(found), err)
		}
		if found, err := srv.Local().FetchSockets(t.Context()); len(found) != 2 || err != nil {
			t.Errorf("FetchSockets of this node: %d sockets, %v", len(found), err)
		}
		answer(a, "q", 1)
		answer(b, "q", 2)
		replies, err := srv.EmitWithAck(t.Context(), "q")
		if len(replies) != 2 || !errors.Is(err, cause) {
			t.Errorf("EmitWithAck: %d replies, %v", len(replies), err)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("a broken bus was waited for: %v", took)
		}
		failed("DisconnectSockets", srv.DisconnectSockets())
		a.ExpectDisconnect("io server disconnect")
	})
}

func TestReadyWaitsForEveryNamespace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := siotest.NewCluster(t, 2)
		c.Interrupt(0)
		srv := c.Server(0)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := srv.Ready(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Ready = %v", err)
		}
		// A socket is in its rooms even when nobody knows who hears them.
		s := socketOf(t, srv, srv.Dial())
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.JoinWait(ctx, "r"); !errors.Is(err, context.DeadlineExceeded) || !slices.Contains(s.Rooms(), "r") {
			t.Errorf("JoinWait = %v, Rooms() = %q", err, s.Rooms())
		}
		time.AfterFunc(time.Hour, func() { c.Resume(0) })
		start := time.Now()
		if err := srv.Ready(t.Context()); err != nil || time.Since(start) != time.Hour {
			t.Errorf("Ready = %v after %v", err, time.Since(start))
		}
	})
}

// mute is a receiver that answers nothing.
type mute struct{}

func (mute) Receive(cluster.Message) {}
func (mute) HasRoom(string) bool     { return false }
func (mute) Subscribed(bool)         {}

func TestInterruptionsOfTheBusAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log journal
		c := siotest.NewCluster(t, 1, socketio.Config{Hooks: socketio.Hooks{
			OnGap: func(namespace string, g cluster.Gap) { log.note(fmt.Sprint(namespace, " ", g.Missed)) },
		}})
		c.Server(0).Of("/chat")
		for _, namespace := range []string{"/", "/chat"} { // who does not number what it says
			l := c.Hub().Open(namespace, "other", mute{})
			defer l.Close()
		}
		log.expect(t) // the beginning is no interruption
		c.Interrupt(0)
		log.expect(t)
		c.Resume(0)
		time.Sleep(time.Minute)
		synctest.Wait()
		slices.Sort(log.lines) // namespaces hear it by themselves
		log.expect(t, "/ 0", "/chat 0")
		if n := c.Server(0).Stats().Gaps; n != 2 {
			t.Errorf("Gaps = %d", n)
		}
	})
}
