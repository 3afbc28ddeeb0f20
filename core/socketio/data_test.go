package socketio_test

import (
	"sync"
	"testing"
	"testing/synctest"

	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

// Proves T-70.
func TestDataIsEncodedWhenItIsSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		s := socketOf(t, srv, srv.Dial())
		type user struct{ Name string }
		got := user{"untouched"}
		if err := s.ScanData(&got); err != nil || got.Name != "untouched" {
			t.Errorf("ScanData without data: %+v, %v", got, err)
		}
		u := &user{"ada"}
		if err := s.SetData(u); err != nil {
			t.Fatal(err)
		}
		u.Name = "changed later"
		if err := s.ScanData(&got); err != nil || got.Name != "ada" {
			t.Errorf("ScanData: %+v, %v", got, err)
		}
		if err := s.SetData(func() {}); err == nil {
			t.Error("SetData of a func succeeded")
		}
		if err := s.ScanData(&got); err != nil || got.Name != "ada" {
			t.Errorf("data after a SetData that failed: %+v, %v", got, err)
		}
		if err := s.ScanData(new(int)); err == nil {
			t.Error("ScanData into a wrong type succeeded")
		}
	})
}

func TestDataSetInMiddlewareIsThereAfterConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		key := socketio.NewKey[int]()
		srv.Use(func(s *socketio.Socket) error {
			key.Set(s, 7)
			return s.SetData("ada")
		})
		s := socketOf(t, srv, srv.Dial())
		var name string
		if err := s.ScanData(&name); err != nil || name != "ada" {
			t.Errorf("data %q, %v", name, err)
		}
		if n, ok := key.Get(s); !ok || n != 7 {
			t.Errorf("value %d, %t", n, ok)
		}
	})
}

func TestKeysAreDifferentAndTyped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		a, b := socketOf(t, srv, srv.Dial()), socketOf(t, srv, srv.Dial())
		one, two := socketio.NewKey[string](), socketio.NewKey[string]()
		one.Set(a, "1")
		two.Set(a, "2")
		one.Set(b, "3")
		one.Set(a, "4")
		for _, test := range []struct {
			key  *socketio.Key[string]
			s    *socketio.Socket
			want string
			ok   bool
		}{{one, a, "4", true}, {two, a, "2", true}, {one, b, "3", true}, {two, b, "", false}} {
			if got, ok := test.key.Get(test.s); got != test.want || ok != test.ok {
				t.Errorf("Get = %q, %t; want %q, %t", got, ok, test.want, test.ok)
			}
		}
		a.Disconnect()
		if got, ok := one.Get(a); !ok || got != "4" {
			t.Errorf("value of a socket that has left: %q, %t", got, ok)
		}
	})
}

// Every method of a socket, its namespace and its operators at once; -race is
// the test.
func TestPublicMethodsMayBeUsedConcurrently(t *testing.T) {
	c := siotest.NewCluster(t, 2)
	srv := c.Server(0)
	srv.On("echo", func(ev *socketio.Event) { _ = ev.Ack(ev.Values()...) })
	client := c.Dial(0)
	c.Dial(1)
	answer(client, "q", 1)
	s := socketOf(t, srv, client)
	key := socketio.NewKey[int]()
	ignore := func(*socketio.Event) {}
	methods := []func(){
		func() { _ = s.Emit("x", 1) },
		func() { _ = s.Volatile().Emit("x") },
		func() { _, _ = s.EmitWithAck(t.Context(), "q") },
		func() { _ = s.SetData(1) },
		func() { var n int; _ = s.ScanData(&n) },
		func() { key.Set(s, 1); key.Get(s) },
		func() { s.Join("a", "b"); s.LeaveAll() },
		func() {
			s.Rooms()
			s.Connected()
			s.ID()
			s.Namespace()
			s.Transport()
			s.Pending()
			s.Recovery()
		},
		func() { s.Handshake().Auth.Len() },
		func() { s.Context().Err() },
		func() { off := s.On("y", ignore); s.Once("z", ignore); off() },
		func() { s.OnAnyIncoming(ignore)(); s.PrependAnyIncoming(ignore)(); s.OnAnyOutgoing(ignore)() },
		func() { s.Use(func(*socketio.Event) error { return nil })() },
		func() { s.OnDisconnect(func(*socketio.Socket, socketio.Reason) {})() },
		func() { srv.On("y", ignore)(); srv.UseEvent(func(*socketio.Event) error { return nil })() },
		func() { srv.OnServerSide("e", func(*socketio.ServerEvent) {})() },
		func() { _ = srv.To("a").Except("b").Emit("x") },
		func() { _, _ = srv.FetchSockets(t.Context()) },
		func() { _, _ = srv.Rooms(t.Context()) },
		func() { _ = srv.ServerSideEmit("e") },
		func() { _, _ = c.Server(1).To(s.ID()).EmitWithAck(t.Context(), "q") },
		func() { _ = c.Server(1).SocketsJoin("remote") },
		func() { srv.Of("/other"); srv.Stats(); srv.Len() },
		func() {
			for range srv.Sockets() {
				break
			}
		},
		func() { client.Emit("echo", 1) },
	}
	var all sync.WaitGroup
	for _, method := range methods {
		all.Go(func() {
			for range 50 {
				method()
			}
		})
	}
	all.Wait()
	s.Disconnect()
	client.ExpectDisconnect("io server disconnect")
}

func TestStatsCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		srv.Of("/chat")
		srv.On("x", func(*socketio.Event) {})
		a, b := srv.Dial(), srv.Dial()
		a.Join("/chat")
		for range 5 {
			a.Emit("x")
		}
		emit(t, srv.Emit("y"))
		synctest.Wait()
		b.Disconnect()
		synctest.Wait()
		st := srv.Stats()
		if st.Namespaces != 2 || st.Sockets != 2 || st.Connected != 3 || st.EventsIn != 5 || st.Delivered != 2 {
			t.Errorf("Stats: %+v", st)
		}
		if len(st.Disconnected) != 1 || st.Disconnected[socketio.ReasonClientDisconnect] != 1 {
			t.Errorf("Disconnected = %v", st.Disconnected)
		}
		if st.Engine.Sessions != 2 {
			t.Errorf("Engine: %+v", st.Engine)
		}
	})
}
