package socketio_test

import (
	"encoding/json"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/core/parser"
	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

// Names that mean something to JavaScript objects are plain text as names of
// events, rooms, namespaces, keys, query parameters and in auth, through a
// cluster and back. That JavaScript clients get them unchanged is tested with
// those: test/interop/client-events.test.mjs, and names.mjs for rooms.
func TestF35PrototypeNames(t *testing.T) {
	names := []string{"__proto__", "constructor", "toString", "hasOwnProperty", "prototype", "__defineGetter__", "valueOf", "then"}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := siotest.NewCluster(t, 2)
				namespace := "/" + name
				object := map[string]any{name: map[string]any{"x": 1}}
				for _, srv := range c.Servers() {
					n := srv.Of(namespace)
					n.On(name, func(ev *socketio.Event) { _ = ev.Ack(ev.Values()...) })
					n.On("raw", func(ev *socketio.Event) { _ = ev.Ack(scan[json.RawMessage](t, ev)) })
				}
				o := siotest.Options{Namespace: namespace, Auth: object, Query: map[string][]string{name: {"a", "b"}}}
				a, b := c.Dial(0, o), c.Dial(1, o)

				a.EmitWithAck(name, object, name).Expect(object, name)
				a.EmitWithAck("raw", object).Expect(object)
				a.Emit("no handler has this name", object)

				n := c.Server(0).Of(namespace)
				s, _ := n.Socket(a.ID())
				s.Join(name)
				if got := s.Rooms(); !slices.Contains(got, name) {
					t.Errorf("Rooms() = %q", got)
				}
				remote := c.Server(1).Of(namespace)
				emit(t, remote.To(name).Emit(name, object))
				a.Expect(name, object)
				emit(t, remote.Except(name).Emit(name, 1))
				b.Expect(name, 1)
				a.ExpectNothing(time.Second)
				b.ExpectNothing(0)

				emit(t, s.SetData(object))
				found, err := remote.In(name).FetchSockets(t.Context())
				if err != nil || len(found) != 1 {
					t.Fatalf("%d sockets, %v", len(found), err)
				}
				var data, auth map[string]map[string]int
				if err := found[0].ScanData(&data); err != nil || data[name]["x"] != 1 {
					t.Errorf("data %v, %v", data, err)
				}
				if err := found[0].Handshake.Auth.Scan(&auth); err != nil || auth[name]["x"] != 1 {
					t.Errorf("auth %v, %v", auth, err)
				}
				if got := s.Handshake().Query[name]; !slices.Equal(got, []string{"a", "b"}) {
					t.Errorf("query %q", got)
				}
				emit(t, remote.SocketsLeave(name))
				emit(t, remote.To(name).Emit("nobody"))
				a.ExpectNothing(time.Second)
			})
		})
	}
}

// A name that nobody handles is ignored, and so it is with an acknowledgement
// wanted: no name finds something that is there by itself.
func TestF35NoNameIsMagic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		srv.On("echo", func(ev *socketio.Event) { _ = ev.Ack(ev.Values()...) })
		c := srv.Dial()
		for _, name := range []string{"__proto__", "constructor", "toString", "error", "message", "", "emit", "connection", "close", "On", "0"} {
			c.EmitWithAck(name, 1).ExpectNothing(time.Second)
			c.EmitWithAck("echo", name).Expect(name)
		}
		if n := srv.Stats().Panics; n != 0 {
			t.Errorf("Panics = %d", n)
		}
		for _, codec := range []parser.Codec{parser.JSON(), parser.Msgpack()} {
			srv := siotest.NewServer(t, socketio.Config{Parser: codec})
			srv.On("echo", func(ev *socketio.Event) { _ = ev.Ack(ev.Values()...) })
			// The text as it came, also what a Go map could not tell apart.
			odd := json.RawMessage(`{"__proto__":{"x":1},"constructor":null}`)
			srv.Dial().EmitWithAck("echo", odd).Expect(odd)
		}
	})
}
