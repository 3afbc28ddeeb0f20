package socketio_test

import (
	"maps"
	"reflect"
	"regexp"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

// What typed handlers can be registered on, and whom Call can ask.
var (
	_ socketio.Listener = (*socketio.Server)(nil)
	_ socketio.Listener = (*socketio.Namespace)(nil)
	_ socketio.Listener = (*socketio.ParentNamespace)(nil)
	_ socketio.Listener = (*socketio.Socket)(nil)
	_ socketio.Caller   = (*socketio.Socket)(nil)
	_ socketio.Caller   = socketio.SocketOperator{}
	_ socketio.Caller   = (*socketio.RemoteSocket)(nil)
)

// Proves T-51, J-77.
func TestListenersAreListedWhereTheyAreRegistered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		family := srv.OfPattern(regexp.MustCompile(`/dyn`))
		child := srv.Of("/dyn")
		c := srv.Dial().Join("/dyn")
		s, _ := child.Socket(c.ID())
		equal := func(where string, got, want socketio.Listeners) {
			t.Helper()
			sameEvents := maps.Equal(got.Events, want.Events) && maps.Equal(got.ServerSide, want.ServerSide)
			counts := got
			counts.Events, counts.ServerSide = want.Events, want.ServerSide
			if !sameEvents || !reflect.DeepEqual(counts, want) {
				t.Errorf("%s: %+v, want %+v", where, got, want)
			}
		}
		equal("a socket without any", s.Listeners(), socketio.Listeners{})

		ignore, ended := func(*socketio.Event) {}, func(*socketio.Socket, socketio.Reason) {}
		offA := s.On("a", ignore)
		offB := s.On("a", ignore)
		s.Once("b", ignore)
		s.PrependAnyIncoming(ignore)
		s.OnAnyOutgoing(ignore)
		s.Use(func(*socketio.Event) error { return nil })
		s.OnDisconnecting(ended)
		s.OnDisconnect(ended)
		equal("the socket", s.Listeners(), socketio.Listeners{
			Events: map[string]int{"a": 2, "b": 1}, AnyIncoming: 1, AnyOutgoing: 1, EventMiddleware: 1, Disconnecting: 1, Disconnect: 1,
		})
		offA()
		offA() // twice is once
		c.Emit("b")
		synctest.Wait()
		if got := slices.Collect(maps.Keys(s.Listeners().Events)); !slices.Equal(got, []string{"a"}) {
			t.Errorf("events with handlers: %q, want only a", got)
		}
		offB()
		if got := s.Listeners().Events; len(got) != 0 {
			t.Errorf("events with handlers: %v, want none", got)
		}

		family.Use(func(*socketio.Socket) error { return nil })
		family.OnConnect(func(*socketio.Socket) {})
		child.OnServerSide("reload", func(*socketio.ServerEvent) {})
		child.UseEvent(func(*socketio.Event) error { return nil })
		equal("the family", family.Listeners(), socketio.Listeners{Middleware: 1, Connect: 1})
		equal("the namespace", child.Listeners(), socketio.Listeners{
			ServerSide: map[string]int{"reload": 1}, EventMiddleware: 1,
		})
		equal("another one", srv.Listeners(), socketio.Listeners{})
	})
}
