package socketio_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

// Proves T-103.
func TestCountCountsTheSocketsOfAllNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(t)
		srv := h.Server(0)
		for name, op := range map[string]socketio.BroadcastOperator{
			"everybody": srv.Except(), "a room": srv.To("low"), "rooms": srv.To("low", h.id(5)), "nobody": srv.To(),
			"without": srv.Except("low"), "a room without": srv.To("all").Except(h.id(0)), "local": srv.Local(),
		} {
			found, err := op.FetchSockets(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if n, err := op.Count(t.Context()); n != len(found) || err != nil {
				t.Errorf("%s: Count = %d, %v, want %d", name, n, err, len(found))
			}
		}
		if n, err := srv.Count(t.Context()); n != 6 || err != nil {
			t.Errorf("the server counts %d, %v", n, err)
		}
		h.Partition(2)
		var partial *socketio.PartialError
		n, err := srv.Timeout(time.Second).Count(t.Context())
		if n != 4 || !errors.As(err, &partial) || !slices.Equal(partial.Missing, []cluster.NodeID{siotest.NodeID(2)}) {
			t.Errorf("without a node: Count = %d, %v", n, err)
		}
	})
}

// Proves T-70, T-95, J-57.
func TestFetchSocketsDescribesAllNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(t)
		type data struct{ Name string }
		if err := h.socket(t, 5).SetData(data{"five"}); err != nil {
			t.Fatal(err)
		}
		with := h.Dial(1, siotest.Options{Auth: map[string]int{"n": 7}})
		socketOf(t, h.Server(1), with).Join("even")
		found, err := h.Server(0).Except("low").FetchSockets(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		byID := map[string]*socketio.RemoteSocket{}
		for _, s := range found {
			byID[s.ID] = s
		}
		if len(found) != 4 || len(byID) != 4 {
			t.Fatalf("%d sockets were found", len(found))
		}
		five := byID[h.id(5)]
		var d data
		if err := five.ScanData(&d); err != nil || d.Name != "five" || five.Node != siotest.NodeID(2) {
			t.Errorf("data %+v, %v, node %q", d, err, five.Node)
		}
		if !slices.Equal(five.Rooms, []string{h.id(5), "all"}) {
			t.Errorf("Rooms = %q", five.Rooms)
		}
		none := data{"untouched"}
		if err := byID[h.id(3)].ScanData(&none); err != nil || none.Name != "untouched" {
			t.Errorf("ScanData without data: %+v, %v", none, err)
		}
		remote := byID[with.ID()]
		if scan[struct{ N int }](t, remote.Handshake.Auth).N != 7 || remote.Handshake.Query.Get("EIO") != "4" {
			t.Errorf("Handshake = %+v", remote.Handshake)
		}
		if !remote.Handshake.RemoteAddr.Addr().IsLoopback() || remote.Handshake.Time.IsZero() {
			t.Errorf("Handshake = %+v", remote.Handshake)
		}
		for name, op := range map[string]socketio.BroadcastOperator{
			"local": h.Server(0).Local(), "one": h.Server(0).To(h.id(4)), "nobody": h.Server(0).To(),
		} {
			want := map[string]int{"local": 2, "one": 1, "nobody": 0}[name]
			if found, err := op.FetchSockets(t.Context()); err != nil || len(found) != want {
				t.Errorf("%s: %d sockets, %v; want %d", name, len(found), err, want)
			}
		}
	})
}

// Proves T-105.
func TestRemoteSocketActsOnItsSocketWhereverItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(t)
		fetch := func(i int) *socketio.RemoteSocket {
			found, err := h.Server(0).To(h.id(i)).FetchSockets(t.Context())
			if err != nil || len(found) != 1 {
				t.Fatalf("%d sockets, %v", len(found), err)
			}
			return found[0]
		}
		for _, i := range []int{1, 4} { // here and elsewhere
			c := h.clients[i]
			r := fetch(i)
			emit(t, r.Emit("hi", i))
			c.Expect("hi", i)
			answer(c, "q", i)
			if args, err := r.EmitWithAck(t.Context(), "q"); err != nil || scan[int](t, args) != i {
				t.Errorf("EmitWithAck = %v", err)
			}
			if n, err := socketio.Call[int](t.Context(), r, "q"); err != nil || n != i {
				t.Errorf("Call = %d, %v", n, err)
			}
			emit(t, r.Join("new", "newer"))
			emit(t, r.Leave("all", "newer"))
			synctest.Wait()
			if got := h.socket(t, i).Rooms(); !slices.Contains(got, "new") || slices.Contains(got, "newer") || slices.Contains(got, "all") {
				t.Errorf("Rooms() = %q", got)
			}
			start := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			if _, err := r.EmitWithAck(ctx, "silence"); err == nil || errors.Is(err, socketio.ErrDisconnected) || time.Since(start) != 2*time.Second {
				t.Errorf("EmitWithAck without answer: %v after %v", err, time.Since(start))
			}
			cancel()
			emit(t, r.Disconnect())
			c.ExpectDisconnect("io server disconnect")
			synctest.Wait()
			start = time.Now()
			if _, err := r.EmitWithAck(t.Context(), "q"); !errors.Is(err, socketio.ErrDisconnected) || time.Since(start) != 0 {
				t.Errorf("EmitWithAck of who has left: %v after %v", err, time.Since(start))
			}
			emit(t, r.Emit("nobody"))
		}
		emit(t, fetch(5).DisconnectConn())
		h.clients[5].Session().ExpectEnd("transport close")
	})
}

// Proves T-97, T-98, J-70.
func TestSocketsJoinLeaveAndDisconnectOnAllNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(t)
		count := func(room string) int {
			synctest.Wait()
			found, err := h.Server(0).To(room).FetchSockets(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return len(found)
		}
		emit(t, h.Server(1).To("even").SocketsJoin("x", "y"))
		if x, y := count("x"), count("y"); x != 3 || y != 3 {
			t.Errorf("%d in x, %d in y", x, y)
		}
		emit(t, h.Server(2).Except("low").SocketsLeave("x"))
		if x := count("x"); x != 2 {
			t.Errorf("%d in x", x)
		}
		emit(t, h.Server(0).Local().SocketsJoin("here"))
		if n := count("here"); n != 2 {
			t.Errorf("%d in here", n)
		}
		emit(t, h.Server(0).SocketsJoin()) // nothing to do
		emit(t, h.Server(0).To().SocketsJoin("x"))
		emit(t, h.Server(0).To().DisconnectSockets())
		if x := count("x"); x != 2 {
			t.Errorf("%d in x", x)
		}

		// Local effects have happened when the call returns.
		emit(t, h.socket(t, 0).Broadcast().SocketsJoin("at once"))
		if !slices.Contains(h.socket(t, 1).Rooms(), "at once") {
			t.Error("a local socket has not joined when SocketsJoin returned")
		}

		emit(t, h.Server(0).To("low").DisconnectSockets())
		for i, c := range h.clients {
			if i < 3 {
				c.ExpectDisconnect("io server disconnect")
				if ended := c.Session().Ended(); ended != "" {
					t.Errorf("the connection of %d was ended: %s", i, ended)
				}
			}
		}
		emit(t, h.Server(0).DisconnectConns())
		for _, c := range h.clients[3:] {
			c.ExpectDisconnect("io server disconnect")
			c.Session().ExpectEnd("transport close")
		}
		synctest.Wait()
		for _, srv := range h.Servers() {
			if srv.Len() != 0 {
				t.Errorf("%d sockets are left", srv.Len())
			}
		}
	})
}

// Proves T-102.
func TestRoomsOfTheCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(t)
		h.socket(t, 4).Join("only there")
		names, err := h.Server(0).Rooms(t.Context())
		slices.Sort(names)
		want := []string{"all", "even", "low", "only there"}
		for i := range h.clients {
			want = append(want, h.id(i))
		}
		slices.Sort(want)
		if err != nil || !slices.Equal(names, want) {
			t.Errorf("Rooms = %q, %v; want %q", names, err, want)
		}
	})
}

func TestNodeThatLeavesIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(t)
		h.Server(2).OnServerSide("ping", func(ev *socketio.ServerEvent) {}) // never answers
		h.Server(1).OnServerSide("ping", func(ev *socketio.ServerEvent) { _ = ev.Ack() })
		time.AfterFunc(time.Second, func() { _ = h.Server(2).Shutdown(context.Background()) })
		start := time.Now()
		replies, err := h.Server(0).ServerSideEmitWithAck(t.Context(), "ping")
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %v", took)
		}
		var partial *socketio.PartialError
		if len(replies) != 1 || err != nil && !errors.As(err, &partial) {
			t.Errorf("%d replies, %v", len(replies), err)
		}
		if found, err := h.Server(0).FetchSockets(t.Context()); err != nil || len(found) != 4 {
			t.Errorf("afterwards: %d sockets, %v", len(found), err)
		}
	})
}
