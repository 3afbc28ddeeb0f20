package socketio_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/engineio"
	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

// hall is a cluster of three nodes with two clients on each, in rooms named
// after what they have in common.
type hall struct {
	*siotest.Cluster
	clients [6]*siotest.Client // i is on node i/2
}

func newHall(t *testing.T) *hall {
	t.Helper()
	h := &hall{Cluster: siotest.NewCluster(t, 3)}
	for i := range h.clients {
		h.clients[i] = h.Dial(i / 2)
		s := h.socket(t, i)
		rooms := []string{"all"}
		if i%2 == 0 {
			rooms = append(rooms, "even")
		}
		if i < 3 {
			rooms = append(rooms, "low")
		}
		s.Join(rooms...)
	}
	return h
}

func (h *hall) socket(t *testing.T, i int) *socketio.Socket {
	t.Helper()
	return socketOf(t, h.Server(i/2), h.clients[i])
}

func (h *hall) id(i int) string { return h.clients[i].ID() }

// Proves T-80, T-86, T-87, T-88, J-52.
func TestOperatorsReachWhomTheyName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(t)
		io, s := h.Server(0), h.socket(t, 0)
		everybody := []int{0, 1, 2, 3, 4, 5}
		for _, test := range []struct {
			name string
			op   socketio.BroadcastOperator
			want []int
		}{
			{"namespace", io.Except(), everybody},
			{"To", io.To("even"), []int{0, 2, 4}},
			{"In", io.In("even"), []int{0, 2, 4}},
			{"To several", io.To("even", "low"), []int{0, 1, 2, 4}},
			{"To twice", io.To("even").To("low"), []int{0, 1, 2, 4}},
			{"To and Except", io.To("all").Except("even"), []int{1, 3, 5}},
			{"Except", io.Except("low"), []int{3, 4, 5}},
			{"Except several", io.Except("low", h.id(4)), []int{3, 5}},
			{"Except twice", io.Except("low").Except(h.id(4)), []int{3, 5}},
			{"To an id", io.To(h.id(3)), []int{3}},
			{"To ids and rooms", io.To(h.id(3), "even", h.id(0)), []int{0, 2, 3, 4}},
			{"Except whom To names", io.To(h.id(3)).Except("all"), nil},
			{"To nobody", io.To(), nil},
			{"To an empty list", io.To([]string{}...), nil},
			{"To nobody, then somebody", io.To().To("low"), []int{0, 1, 2}},
			{"To an unknown room", io.To("nowhere"), nil},
			{"Local", io.Local(), []int{0, 1}},
			{"Local To", io.Local().To("even"), []int{0}},
			{"Socket.Broadcast", s.Broadcast(), []int{1, 2, 3, 4, 5}},
			{"Socket.To", s.To("even"), []int{2, 4}},
			{"Socket.In", s.In("even", "low"), []int{1, 2, 4}},
			{"Socket.To nobody", s.To(), nil},
			{"Socket.To itself", s.To(h.id(0)), nil},
			{"Socket.Except", s.Except("low"), []int{3, 4, 5}},
			{"Socket.Local", s.Local(), []int{1}},
			{"Socket.Volatile.To", s.Volatile().To("even"), []int{2, 4}},
			{"Socket.Timeout.Except", s.Timeout(time.Second).Except("low"), []int{3, 4, 5}},
			{"Socket.Compress.Local", s.Compress(true).Local(), []int{1}},
		} {
			if err := test.op.Emit("x", test.name); err != nil {
				t.Errorf("%s: %v", test.name, err)
			}
			synctest.Wait()
			var got []int
			for i, c := range h.clients {
				for range c.Received() {
					got = append(got, i)
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("%s reached %v, want %v", test.name, got, test.want)
			}
		}
	})
}

// Proves J-46.
func TestOperatorsAreValues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		a, b := srv.Dial(), srv.Dial()
		socketOf(t, srv, a).Join("a")
		socketOf(t, srv, b).Join("b")
		base := srv.To("a")
		both, without, local := base.To("b"), base.Except("a"), base.Local().Volatile().Timeout(time.Hour)
		emit(t, without.Emit("never"))
		emit(t, base.Emit("base"))
		emit(t, both.Emit("both"))
		a.Expect("base")
		a.Expect("both")
		synctest.Wait() // volatile events need an idle connection
		emit(t, local.Emit("local"))
		a.Expect("local")
		b.Expect("both")
		b.ExpectNothing(time.Second)

		// Appending to one must not show in another.
		x, y := both.To("x"), both.To("y")
		socketOf(t, srv, b).Leave("b")
		socketOf(t, srv, b).Join("x")
		emit(t, y.Except("a").Emit("y"))
		emit(t, x.Except("a").Emit("x"))
		b.Expect("x")

		var zero socketio.BroadcastOperator
		if err := zero.Emit("x"); !errors.Is(err, socketio.ErrClosed) {
			t.Errorf("zero operator: Emit = %v", err)
		}
		if _, err := zero.FetchSockets(t.Context()); !errors.Is(err, socketio.ErrClosed) {
			t.Errorf("zero operator: FetchSockets = %v", err)
		}
		if _, err := zero.EmitWithAck(t.Context(), "x"); !errors.Is(err, socketio.ErrClosed) {
			t.Errorf("zero operator: EmitWithAck = %v", err)
		}
		for _, err := range []error{zero.SocketsJoin("a"), zero.SocketsLeave("a"), zero.DisconnectSockets(), zero.DisconnectConns()} {
			if !errors.Is(err, socketio.ErrClosed) {
				t.Errorf("zero operator: %v", err)
			}
		}
	})
}

func TestBroadcastsOfOneNodeKeepTheirOrderEverywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(t)
		for i := range 500 {
			switch i % 3 {
			case 0:
				emit(t, h.Server(0).Emit("n", i))
			case 1:
				emit(t, h.Server(0).To("all").Emit("n", i))
			case 2:
				emit(t, h.Server(0).To("even", "all").Emit("n", i, []byte{1}))
			}
		}
		for _, c := range h.clients {
			for i := range 500 {
				if got := scan[int](t, c.Next()); got != i {
					t.Fatalf("event %d came as number %d", got, i)
				}
			}
		}
	})
}

func TestConcurrentBroadcastsArriveOnceEach(t *testing.T) {
	const senders, each = 8, 50
	h := newHall(t)
	var all sync.WaitGroup
	for n := range senders {
		all.Go(func() {
			for i := range each {
				_ = h.Server(n%3).To("even", "low", "all").Emit("n", n, i)
			}
		})
	}
	all.Wait()
	for _, c := range h.clients {
		next := map[int]int{}
		for range senders * each {
			var n, i int
			if err := c.Next().Scan(&n, &i); err != nil {
				t.Fatal(err)
			}
			if next[n] != i {
				t.Fatalf("sender %d: event %d came after %d", n, i, next[n]-1)
			}
			next[n]++
		}
	}
}

// Proves T-61, J-47.
func TestVolatileDropsWhatAConnectionCannotTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		slow, fast := srv.Dial(), srv.Dial()
		slow.Session().Stall(true)
		big := make([]byte, 100_000) // more than the network takes
		emit(t, srv.Emit("big", big))
		synctest.Wait()
		s := socketOf(t, srv, slow)
		if s.Pending() == 0 {
			t.Error("Pending() = 0 behind a client that does not read")
		}
		emit(t, srv.Volatile().Emit("lost"))
		emit(t, s.Volatile().Emit("lost, too"))
		emit(t, srv.Emit("kept"))
		fast.Expect("big", big)
		fast.Expect("lost")
		fast.Expect("kept")
		slow.Session().Stall(false)
		slow.Expect("big", big)
		slow.Expect("kept")
		if err := s.Drained(t.Context()); err != nil || s.Pending() != 0 {
			t.Errorf("Drained = %v, Pending = %d", err, s.Pending())
		}
		emit(t, s.Volatile().Emit("taken"))
		slow.Expect("taken")
		if n := srv.Stats().VolatileDropped; n != 2 {
			t.Errorf("VolatileDropped = %d", n)
		}
	})
}

// Proves T-32, J-14.
func TestSlowConsumerIsDisconnectedAndSlowsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t, socketio.Config{Engine: engineio.Config{MaxPending: 1 << 20}})
		reasons := make(chan socketio.Reason, 1)
		srv.OnDisconnect(func(_ *socketio.Socket, r socketio.Reason) { reasons <- r })
		slow, fast := srv.Dial(), srv.Dial()
		s := socketOf(t, srv, slow)
		slow.Session().Stall(true)
		start := time.Now()
		var last error
		for range 100 {
			emit(t, srv.Emit("x", make([]byte, 50_000)))
			synctest.Wait()
			if last = s.Emit("y"); last != nil {
				break
			}
		}
		if !errors.Is(last, socketio.ErrSlowConsumer) && !errors.Is(last, socketio.ErrDisconnected) {
			t.Errorf("Emit to a slow consumer = %v", last)
		}
		if r := <-reasons; r != socketio.ReasonTransportError {
			t.Errorf("reason %q", r)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("a slow consumer kept the others waiting for %v", took)
		}
		if srv.Stats().Engine.SlowConsumers != 1 {
			t.Errorf("Stats: %+v", srv.Stats().Engine)
		}
		fast.Expect("x", make([]byte, 50_000))
	})
}

// Proves J-14.
func TestStalledClientIsDisconnectedAfterTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		var at time.Time
		srv.OnDisconnect(func(*socketio.Socket, socketio.Reason) { at = time.Now() })
		c := srv.Dial()
		c.Session().Stall(true)
		start := time.Now()
		emit(t, srv.Emit("x", make([]byte, 100_000)))
		pass(time.Minute)
		if took := at.Sub(start); took != 10*time.Second {
			t.Errorf("disconnected after %v without progress", took)
		}
	})
}

// Proves T-60, T-104, J-56.
func TestBroadcastWithAckCollectsFromAllNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(t)
		for i, c := range h.clients {
			answer(c, "q", i)
		}
		replies, err := h.Server(1).To("even", "low").EmitWithAck(t.Context(), "q", "?")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range replies {
			got = append(got, fmt.Sprintf("%d %s %s", scan[int](t, r), r.SocketID, r.Node))
		}
		var want []string
		for _, i := range []int{0, 1, 2, 4} {
			want = append(want, fmt.Sprintf("%d %s %s", i, h.id(i), siotest.NodeID(i/2)))
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("replies:\n %q, want\n %q", got, want)
		}

		local, err := h.Server(2).Local().EmitWithAck(t.Context(), "q")
		if err != nil || len(local) != 2 {
			t.Errorf("Local: %d replies, %v", len(local), err)
		}
		for name, op := range map[string]socketio.BroadcastOperator{
			"unknown room": h.Server(0).To("nowhere"), "nobody": h.Server(0).To(),
		} {
			start := time.Now()
			if replies, err := op.EmitWithAck(t.Context(), "q"); len(replies) != 0 || err != nil || time.Since(start) != 0 {
				t.Errorf("%s: %d replies, %v, after %v", name, len(replies), err, time.Since(start))
			}
		}
	})
}

// Proves T-59, J-54.
func TestBroadcastWithAckReturnsWhatCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(t)
		for _, i := range []int{0, 2, 5} {
			answer(h.clients[i], "q", i)
		}
		start := time.Now()
		replies, err := h.Server(0).Timeout(3*time.Second).EmitWithAck(t.Context(), "q")
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("took %v", took)
		}
		var partial *socketio.PartialError
		if !errors.As(err, &partial) || partial.Expected != 6 || partial.Received != 3 || len(replies) != 3 {
			t.Fatalf("%d replies, %#v", len(replies), err)
		}
		want := []cluster.NodeID{siotest.NodeID(1), siotest.NodeID(2)}
		if !slices.Equal(partial.Missing, want) {
			t.Errorf("Missing = %q, want %q", partial.Missing, want)
		}

		// Without a limit it is ten seconds.
		start = time.Now()
		if _, err := h.Server(0).EmitWithAck(t.Context(), "q"); err == nil || time.Since(start) != 10*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// Proves J-55.
func TestBroadcastWithAckDoesNotWaitForWhoHasLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(t)
		for _, c := range h.clients[:4] {
			answer(c, "q", true)
		}
		time.AfterFunc(time.Second, h.clients[4].Cut)
		time.AfterFunc(2*time.Second, h.clients[5].Disconnect)
		start := time.Now()
		replies, err := h.Server(0).Timeout(time.Minute).EmitWithAck(t.Context(), "q")
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("took %v", took)
		}
		var partial *socketio.PartialError
		if !errors.As(err, &partial) || partial.Expected != 6 || partial.Received != 4 || len(replies) != 4 {
			t.Errorf("%d replies, %v", len(replies), err)
		}
	})
}
