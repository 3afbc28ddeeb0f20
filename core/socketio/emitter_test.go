package socketio_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/parser"
	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

func newEmitter(t *testing.T, a cluster.Adapter) *socketio.Emitter {
	t.Helper()
	e := socketio.NewEmitter(a)
	t.Cleanup(func() { emit(t, e.Close()) })
	return e
}

// Proves T-108.
func TestEmitterReachesTheSelectedSocketsOfAllNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := siotest.NewCluster(t, 2)
		e := newEmitter(t, c.Hub())
		a, b, d := c.Dial(0), c.Dial(1), c.Dial(1)
		socketOf(t, c.Server(0), a).Join("r")
		socketOf(t, c.Server(1), b).Join("r", "s")

		for _, step := range []struct {
			name string
			do   func(name string) error
			want []*siotest.Client
		}{
			{"all", func(n string) error { return e.Emit(n, 1, "x", []byte{2}) }, []*siotest.Client{a, b, d}},
			{"room", func(n string) error { return e.To("r").Emit(n, 1, "x", []byte{2}) }, []*siotest.Client{a, b}},
			{"rooms", func(n string) error { return e.To("r").In("s").Emit(n, 1, "x", []byte{2}) }, []*siotest.Client{a, b}},
			{"id", func(n string) error { return e.In(d.ID()).Emit(n, 1, "x", []byte{2}) }, []*siotest.Client{d}},
			{"except", func(n string) error { return e.Except("s").Emit(n, 1, "x", []byte{2}) }, []*siotest.Client{a, d}},
			{"room except", func(n string) error { return e.To("r").Except(b.ID()).Emit(n, 1, "x", []byte{2}) }, []*siotest.Client{a}},
			{"flags", func(n string) error { return e.Volatile().Compress(false).Emit(n, 1, "x", []byte{2}) }, []*siotest.Client{a, b, d}},
			{"message", func(string) error { return e.To("s").Send(1, "x", []byte{2}) }, []*siotest.Client{b}},
			{"nobody", func(n string) error { return e.To().Emit(n) }, nil},
			{"nobody but", func(n string) error { return e.To([]string{}...).Except("s").Emit(n) }, nil},
		} {
			emit(t, step.do(step.name))
			pass(time.Second)
			for _, client := range []*siotest.Client{a, b, d} {
				got := client.Received()
				if !slices.Contains(step.want, client) {
					if len(got) != 0 {
						t.Errorf("%s: a client that was not selected received %q", step.name, got[0].Name)
					}
					continue
				}
				if len(got) != 1 || got[0].Name != step.name {
					t.Errorf("%s: %d events, want one", step.name, len(got))
					continue
				}
				var n int
				var text string
				var data []byte
				if err := got[0].Scan(&n, &text, &data); err != nil || n != 1 || text != "x" || !slices.Equal(data, []byte{2}) {
					t.Errorf("%s: arguments %d %q %v, %v", step.name, n, text, data, err)
				}
			}
		}
	})
}

// Proves T-108.
func TestEmitterMovesAndDisconnectsSockets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := siotest.NewCluster(t, 2)
		e := newEmitter(t, c.Hub())
		a, b := c.Dial(0), c.Dial(1)
		sa, sb := socketOf(t, c.Server(0), a), socketOf(t, c.Server(1), b)
		rooms := func(want ...[]string) {
			t.Helper()
			synctest.Wait()
			for i, s := range []*socketio.Socket{sa, sb} {
				if got := s.Rooms(); !slices.Equal(got, append([]string{s.ID()}, want[i]...)) {
					t.Errorf("Rooms() of socket %d = %q, want its id and %q", i, got, want[i])
				}
			}
		}
		emit(t, e.SocketsJoin("r", "s", "r"))
		rooms([]string{"r", "s"}, []string{"r", "s"})
		emit(t, e.Except(a.ID()).SocketsLeave("s"))
		rooms([]string{"r", "s"}, []string{"r"})
		emit(t, e.To().SocketsLeave("r"))
		emit(t, e.SocketsLeave())
		emit(t, e.SocketsJoin())
		rooms([]string{"r", "s"}, []string{"r"})

		emit(t, e.To().DisconnectSockets())
		emit(t, e.To("s").DisconnectSockets())
		a.ExpectDisconnect("io server disconnect")
		b.ExpectNothing(time.Minute)
		a.Join("/") // the connection under it is there
		other := c.Server(0).Of("/other")
		kept := a.Join("/other")
		emit(t, e.DisconnectConns())
		b.ExpectDisconnect("io server disconnect")
		kept.ExpectDisconnect("io server disconnect")
		if n := len(slices.Collect(other.Sockets())); n != 0 {
			t.Errorf("%d sockets are left on a closed connection", n)
		}
	})
}

func TestEmitterKeepsNamespacesApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := siotest.NewCluster(t, 1)
		c.Server(0).Of("/chat")
		e := newEmitter(t, c.Hub())
		root := c.Dial(0)
		chat := root.Join("/chat")
		if e.Of("chat") != e.Of("/chat") || e.Of("/") != e.EmitterNamespace || e.Of("chat").Name() != "/chat" {
			t.Error("a namespace without its leading slash is another one")
		}
		emit(t, e.Of("chat").Emit("a"))
		emit(t, e.Emit("b"))
		chat.Expect("a")
		root.Expect("b")
		chat.ExpectNothing(time.Minute)
		root.ExpectNothing(time.Minute)
		for name, want := range map[string]int{"/": 1, "/chat": 1, "/none": 0} {
			if n, err := e.Of(name).Nodes(t.Context()); n != want || err != nil {
				t.Errorf("Nodes of %s = %d, %v, want %d", name, n, err, want)
			}
		}
	})
}

// Proves T-108.
func TestEmitterIsNoNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := siotest.NewCluster(t, 2)
		e := newEmitter(t, c.Hub())
		var log journal
		for i, srv := range c.Servers() {
			srv.OnServerSide("job", func(ev *socketio.ServerEvent) {
				if ev.From != "" || ev.WantsAck() {
					t.Errorf("server-side event of %q, wants an answer: %t", ev.From, ev.WantsAck())
				}
				log.note(string(siotest.NodeID(i)) + scan[string](t, ev))
			})
		}
		emit(t, e.ServerSideEmit("job", "!"))
		synctest.Wait()
		slices.Sort(log.lines)
		log.expect(t, "node-0!", "node-1!")

		// Nobody waits for its answer.
		start := time.Now()
		if found, err := c.Server(0).FetchSockets(t.Context()); len(found) != 0 || err != nil || time.Since(start) != 0 {
			t.Errorf("FetchSockets: %d sockets, %v, after %v", len(found), err, time.Since(start))
		}
	})
}

func TestEmitterRefusesWhatServersRefuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := siotest.NewCluster(t, 1)
		e := newEmitter(t, c.Hub())
		client := c.Dial(0)
		for _, name := range []string{"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"} {
			if err := e.To("r").Emit(name); !errors.Is(err, socketio.ErrReservedEvent) {
				t.Errorf("Emit(%q) = %v", name, err)
			}
		}
		for _, name := range []string{"connect", "connection", "new_namespace"} {
			if err := e.ServerSideEmit(name); !errors.Is(err, socketio.ErrReservedEvent) {
				t.Errorf("ServerSideEmit(%q) = %v", name, err)
			}
		}
		if err := e.Emit("x", func() {}); err == nil {
			t.Error("a function was encoded")
		}
		eleven := make([]any, 11)
		for i := range eleven {
			eleven[i] = []byte{byte(i)}
		}
		if err := e.Emit("x", eleven...); !errors.Is(err, parser.ErrTooMany) {
			t.Errorf("Emit of 11 attachments = %v", err)
		}
		emit(t, e.Emit("x", eleven[:10]...))
		if n := client.Next().Len(); n != 10 {
			t.Errorf("%d arguments, want 10", n)
		}
		client.ExpectNothing(time.Minute)

		for _, most := range []int{11, -1} {
			loose := newEmitter(t, c.Hub())
			loose.MaxAttachments = most
			emit(t, loose.To("nobody").Emit("x", eleven...))
		}
	})
}

// The operators are values: what is derived of one does not change it.
func TestEmitterOperatorsDoNotShareRooms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := siotest.NewCluster(t, 1)
		e := newEmitter(t, c.Hub())
		a, b := c.Dial(0), c.Dial(0)
		base := e.To("x", "y", "z").Except("u")
		toA, toB := base.To(a.ID()), base.To(b.ID())
		_ = base.Except(a.ID(), b.ID())
		emit(t, toA.Emit("a"))
		emit(t, toB.Emit("b"))
		emit(t, base.Emit("nobody"))
		a.Expect("a")
		b.Expect("b")
		a.ExpectNothing(time.Minute)
		b.ExpectNothing(time.Minute)
	})
}

func TestClosedEmitterSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := siotest.NewCluster(t, 1)
		e := socketio.NewEmitter(c.Hub())
		chat := e.Of("/chat")
		emit(t, e.Close())
		emit(t, e.Close())
		_, nodes := chat.Nodes(t.Context())
		for what, err := range map[string]error{
			"Emit":              e.Emit("x"),
			"Emit elsewhere":    chat.To("r").Emit("x"),
			"Emit somewhere":    e.Of("/new").Emit("x"),
			"SocketsJoin":       e.SocketsJoin("r"),
			"SocketsLeave":      e.SocketsLeave("r"),
			"DisconnectSockets": e.DisconnectSockets(),
			"DisconnectConns":   e.DisconnectConns(),
			"ServerSideEmit":    e.ServerSideEmit("x"),
			"Nodes":             nodes,
			"zero Emit":         socketio.EmitterOperator{}.To("r").Emit("x"),
			"zero SocketsJoin":  socketio.EmitterOperator{}.SocketsJoin("r"),
			"zero Disconnect":   socketio.EmitterOperator{}.DisconnectSockets(),
		} {
			if !errors.Is(err, socketio.ErrClosed) {
				t.Errorf("%s = %v, want ErrClosed", what, err)
			}
		}
	})
}

// leaky is an adapter whose links lose what is published.
type leaky struct{ cluster.Solo }

type leakyLink struct {
	cluster.Link
	namespace string
}

func (a leaky) Open(namespace string, self cluster.NodeID, r cluster.Receiver) cluster.Link {
	return leakyLink{a.Solo.Open(namespace, self, r), namespace}
}

var errLeak = errors.New("lost on purpose")

func (l leakyLink) Flush(ctx context.Context) error {
	if l.namespace == "/slow" {
		<-ctx.Done()
		return ctx.Err()
	}
	return &cluster.LostError{Messages: 2, Err: errLeak}
}

func TestFlushTellsOfEveryNamespace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEmitter(t, leaky{})
		e.Of("/slow")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := e.Flush(ctx)
		var lost *cluster.LostError
		if !errors.As(err, &lost) || lost.Messages != 2 || !errors.Is(err, errLeak) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Flush = %v", err)
		}
		// What is not queued is there at once.
		emit(t, newEmitter(t, cluster.Solo{}).Flush(ctx))
	})
}
