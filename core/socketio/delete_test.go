package socketio_test

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/adapter/memory"
	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

func deleteNamespace(t *testing.T, srv *siotest.Server, name string) {
	t.Helper()
	if err := srv.DeleteNamespace(t.Context(), name); err != nil {
		t.Errorf("DeleteNamespace(%q) = %v", name, err)
	}
}

// Proves T-46.
func TestDeletedNamespaceEndsItsSocketsAndFreesItsName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log journal
		srv := siotest.NewServer(t, socketio.Config{Hooks: socketio.Hooks{
			OnNamespace: func(name string, created bool) {
				if !created {
					log.note("-" + name)
				}
			},
		}})
		old := srv.Of("/room")
		old.On("who", func(ev *socketio.Event) { _ = ev.Ack("old") })
		old.OnDisconnecting(func(s *socketio.Socket, r socketio.Reason) {
			log.note("leaving " + s.Rooms()[1] + ": " + string(r))
		})
		old.OnDisconnect(func(_ *socketio.Socket, r socketio.Reason) { log.note("left: " + string(r)) })
		old.OnConnect(func(s *socketio.Socket) { s.Join("r") })
		main := srv.Dial()
		c := main.Join("/room")
		owed := make(chan error, 1)
		s, _ := old.Socket(c.ID())
		go func() {
			_, err := s.EmitWithAck(t.Context(), "question")
			owed <- err
		}()
		c.Expect("question")
		synctest.Wait()

		deleteNamespace(t, srv, "room")
		c.ExpectDisconnect("io server disconnect")
		if err := <-owed; !errors.Is(err, socketio.ErrDisconnected) {
			t.Errorf("the acknowledgement that was due ended with %v", err)
		}
		log.expect(t, "-/room", "leaving r: server namespace disconnect", "left: server namespace disconnect")
		if st := srv.Stats(); st.Namespaces != 1 || old.Len() != 0 {
			t.Errorf("%d namespaces, %d sockets in the deleted one", st.Namespaces, old.Len())
		}
		if err := old.Emit("x"); !errors.Is(err, socketio.ErrClosed) {
			t.Errorf("Emit = %v, want ErrClosed", err)
		}
		// The connection goes on, and what the client had already sent is ignored.
		c.Emit("late")
		main.Try("/room").ExpectConnectError("Invalid namespace")
		emit(t, srv.Emit("alive"))
		main.Expect("alive")

		fresh := srv.Of("/room")
		if fresh == old {
			t.Error("Of returned the deleted namespace")
		}
		fresh.On("who", func(ev *socketio.Event) { _ = ev.Ack("fresh") })
		main.Join("/room").EmitWithAck("who").Expect("fresh")
		log.expect(t)
	})
}

func TestWhatCannotBeDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		for _, name := range []string{"/", ""} {
			if err := srv.DeleteNamespace(t.Context(), name); err == nil {
				t.Errorf("DeleteNamespace(%q) succeeded", name)
			}
		}
		deleteNamespace(t, srv, "/nobody")
		srv.Dial()
		srv.Of("/x")
		if err := srv.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if err := srv.DeleteNamespace(t.Context(), "/x"); !errors.Is(err, socketio.ErrClosed) {
			t.Errorf("after Shutdown: %v, want ErrClosed", err)
		}
	})
}

func TestDeletingRefusesSocketsWhoseMiddlewareRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		proceed := make(chan struct{})
		ns := srv.Of("/slow")
		ns.Use(func(*socketio.Socket) error { <-proceed; return nil })
		ns.OnConnect(func(*socketio.Socket) { t.Error("connected to a namespace that is gone") })
		c := srv.Dial()
		waiting := c.Try("/slow")
		synctest.Wait()
		deleteNamespace(t, srv, "/slow")
		close(proceed)
		waiting.ExpectConnectError("Invalid namespace")
		srv.Of("/slow")
		c.Join("/slow")
	})
}

func TestNobodyRecoversInADeletedNamespace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t, socketio.Config{Recovery: socketio.Recovery{MaxDisconnection: time.Minute}})
		srv.Of("/room")
		away, here := srv.Dial(siotest.Options{Namespace: "/room"}), srv.Dial(siotest.Options{Namespace: "/room"})
		away.Cut()
		synctest.Wait()
		deleteNamespace(t, srv, "/room")
		here.ExpectDisconnect("io server disconnect")

		back := siotest.Options{Namespace: "/room", Auth: map[string]string{"pid": away.PID()}}
		srv.Try(back).ExpectConnectError("Invalid namespace")
		reasons := make(chan socketio.RecoveryReason, 1)
		srv.Of("/room").OnConnect(func(s *socketio.Socket) { reasons <- s.Recovery().Reason })
		if c := srv.Dial(back); c.ID() == away.ID() {
			t.Error("the client has its old id")
		}
		if got := <-reasons; got != socketio.RecoveryUnknown {
			t.Errorf("reason %q, want %q", got, socketio.RecoveryUnknown)
		}
	})
}

func TestDeletedDynamicNamespaceComesBackWhenAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		family := srv.OfPattern(regexp.MustCompile(`/game-\d+`))
		family.On("end", func(ev *socketio.Event) { // from inside
			deleteNamespace(t, srv, ev.Socket.Namespace().Name())
		})
		srv.Of("/game-1") // also one that would have stayed
		for _, name := range []string{"/game-1", "/game-2"} {
			a, b := srv.Dial().Join(name), srv.Dial().Join(name)
			a.Emit("end")
			a.ExpectDisconnect("io server disconnect")
			b.ExpectDisconnect("io server disconnect")
			synctest.Wait()
			for n := range family.Namespaces() {
				t.Errorf("%s is left", n.Name())
			}
			again := srv.Dial().Join(name)
			emit(t, family.Emit("hello"))
			again.Expect("hello")
			again.Disconnect()
		}
		synctest.Wait()
		if st := srv.Stats(); st.Namespaces != 1 {
			t.Errorf("Namespaces = %d", st.Namespaces)
		}
	})
}

func TestDeletingIsForOneNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := siotest.NewCluster(t, 2)
		here, there := c.Server(0).Of("/x"), c.Server(1).Of("/x")
		a, b := c.Dial(0).Join("/x"), c.Dial(1).Join("/x")
		deleteNamespace(t, c.Server(0), "/x")
		a.ExpectDisconnect("io server disconnect")
		if err := here.Emit("unheard"); !errors.Is(err, socketio.ErrClosed) {
			t.Errorf("Emit = %v", err)
		}
		found, err := there.FetchSockets(t.Context())
		if len(found) != 1 || err != nil {
			t.Errorf("%d sockets, %v; want the one that is left", len(found), err)
		}
		here = c.Server(0).Of("/x")
		a = c.Dial(0).Join("/x")
		emit(t, there.Emit("to both"))
		a.Expect("to both")
		b.Expect("to both")
		emit(t, here.Emit("back"))
		b.Expect("back")
	})
}

// slowHub is a bus that takes its time to let a namespace go, and does not
// open one that is open.
type slowHub struct {
	*memory.Hub
	t     *testing.T
	takes time.Duration

	mu   sync.Mutex // guards the following
	open map[string]bool
}

func newSlowHub(t *testing.T, takes time.Duration) *slowHub {
	return &slowHub{Hub: memory.New(), t: t, takes: takes, open: make(map[string]bool)}
}

func (h *slowHub) Open(namespace string, self cluster.NodeID, r cluster.Receiver) cluster.Link {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open[namespace] {
		h.t.Errorf("%s is opened a second time", namespace)
	}
	h.open[namespace] = true
	return &slowLink{Link: h.Hub.Open(namespace, self, r), hub: h, namespace: namespace}
}

type slowLink struct {
	cluster.Link
	hub       *slowHub
	namespace string
}

func (l *slowLink) Close() error {
	time.Sleep(l.hub.takes)
	err := l.Link.Close()
	l.hub.mu.Lock()
	defer l.hub.mu.Unlock()
	l.hub.open[l.namespace] = false
	return err
}

func TestNamespaceIsOpenedAgainOnlyWhenItsLinkIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const takes = 3 * time.Second
		srv := siotest.NewServer(t, socketio.Config{Adapter: newSlowHub(t, takes)})
		family := srv.OfPattern(regexp.MustCompile(`/dyn`))
		c := srv.Dial()
		took := func(what string, want time.Duration, f func()) {
			t.Helper()
			start := time.Now()
			f()
			if got := time.Since(start); got != want {
				t.Errorf("%s took %v, want %v", what, got, want)
			}
		}
		// The last socket leaves, and another comes at once.
		c.Join("/dyn").Disconnect()
		synctest.Wait()
		took("joining again", takes, func() { c = c.Join("/dyn") })
		emit(t, family.Emit("hello"))
		c.Expect("hello")

		took("a delete with little patience", time.Second, func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if err := srv.DeleteNamespace(ctx, "/dyn"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("DeleteNamespace = %v", err)
			}
		})
		took("the second one", takes-time.Second, func() { deleteNamespace(t, srv, "/dyn") })
		srv.Of("/dyn")
		deleted := make(chan struct{})
		go func() { deleteNamespace(t, srv, "/dyn"); close(deleted) }()
		synctest.Wait()
		took("Of", takes, func() { srv.Of("/dyn") })
		<-deleted
	})
}

// However deleting, making, joining and emitting cross each other, a client is
// connected, and later disconnected, or refused.
func TestNamespacesAreDeletedAndMadeAtTheSameTime(t *testing.T) {
	srv := siotest.NewServer(t)
	srv.OfPattern(regexp.MustCompile(`/dyn`))
	var all sync.WaitGroup
	var enough atomic.Bool
	names := []string{"/static", "/dyn"}
	for _, name := range names {
		for range 2 {
			all.Go(func() {
				for !enough.Load() {
					_ = srv.Of(name).Emit("x") // a deleted one says ErrClosed
					deleteNamespace(t, srv, name)
				}
			})
		}
	}
	connected := 0
	for i := range 200 {
		name := names[i%2]
		session := srv.Open()
		session.Send("0" + name + ",")
		for ended := false; !ended; {
			switch text := string(session.Next().Data); {
			case strings.HasPrefix(text, "0"):
				connected++
			case strings.HasPrefix(text, "1"), strings.HasPrefix(text, "4"):
				ended = true
			case text != "2"+name+`,["x"]`:
				t.Fatalf("the server sent %q", text)
			}
		}
	}
	enough.Store(true)
	all.Wait()
	if connected == 0 {
		t.Error("no client was ever connected: nothing was tested")
	}
	if st := srv.Stats(); st.Namespaces != 1 || st.Sockets != 0 {
		t.Errorf("%d namespaces with %d sockets are left", st.Namespaces, st.Sockets)
	}
}
