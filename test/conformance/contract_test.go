package main

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/dunlin-io/dunlin/core/parser"
	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// object is JSON as a client sends and sees it.
type object = map[string]any

// nodes starts a cluster that keeps the contract.
func nodes(t *testing.T, n int) *siotest.Cluster {
	t.Helper()
	c := siotest.NewCluster(t, n)
	for i, srv := range c.Servers() {
		serveNamespaces(srv.Server, string(siotest.NodeID(i)))
	}
	return c
}

// enter joins a namespace and takes the auth event.
func enter(c *siotest.Cluster, node int, namespace string) *siotest.Client {
	client := c.Dial(node, siotest.Options{Namespace: namespace})
	client.Expect("auth", object{})
	return client
}

func TestNamespaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := nodes(t, 1)
		client := c.Dial(0, siotest.Options{Auth: object{"a": 1}})
		client.Expect("auth", object{"a": 1})
		client.Join("/custom").Expect("auth", object{})
		client.Join("/dyn-7", object{"b": 2}).Expect("auth", object{"b": 2})
		client.Join("/playground").ExpectNothing(time.Second)
		client.Join("/guarded", object{"token": "let-me-in"}).ExpectNothing(time.Second)
		for _, name := range []string{"/nowhere", "/dyn-", "/dyn-1x", "/x/dyn-1"} {
			client.Try(name).ExpectConnectError("Invalid namespace")
		}
		for _, auth := range []any{nil, object{"token": "wrong"}, object{"token": 1}} {
			srv := c.Server(0)
			srv.Try(siotest.Options{Namespace: "/guarded", Auth: auth}).
				ExpectConnectError("not authorized", object{"code": "E_AUTH"})
		}
	})
}

func TestEvents(t *testing.T) {
	for _, namespace := range []string{"/", "/dyn-1"} {
		synctest.Test(t, func(t *testing.T) {
			c := nodes(t, 2)
			a, b := enter(c, 0, namespace), enter(c, 1, namespace)
			a.Emit("message", 1, []byte{2}, nil)
			a.Expect("message-back", 1, []byte{2}, nil)
			a.EmitWithAck("message-with-ack", "x", []byte{2}).Expect("x", []byte{2})
			a.EmitWithAck("echo").Expect()
			a.EmitWithAck("echo", int64(9007199254740991), object{"k": []int{1}}).Expect(int64(9007199254740991), object{"k": []int{1}})
			a.Emit("bcast", []byte{1})
			a.Expect("msg", []byte{1})
			b.Expect("msg", []byte{1})
			b.EmitWithAck("join", "r").Expect()
			a.Emit("room", "r", "hi")
			b.Expect("msg", "hi")
			b.EmitWithAck("whoami").Expect(object{"id": b.ID(), "node": "node-1", "rooms": []string{b.ID(), "r"}, "recovered": false})
			b.EmitWithAck("leave", "r").Expect()
			a.Emit("room", "r", "nobody")
			b.EmitWithAck("set-data", object{"name": "ada"}).Expect()
			start := time.Now()
			a.EmitWithAck("slow", 1500).Expect(1500)
			if took := time.Since(start); took != 1500*time.Millisecond {
				t.Errorf("slow took %v", took)
			}
			a.Answer("sum", func(args parser.Args) []any { return append(args.Values(), "more") })
			a.EmitWithAck("ask-me", "sum", 3, 4).Expect(object{"reply": 3})
			var failed struct{ Error string }
			if err := a.EmitWithAck("ask-me", "silence").Args().Scan(&failed); err != nil || failed.Error == "" {
				t.Errorf("ask-me without answer: %+v, %v", failed, err)
			}
			a.Expect("silence")
			a.ExpectNothing(time.Second)
			b.ExpectNothing(time.Second)
		})
	}
}

func TestPlaygroundHasItsEventsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := nodes(t, 1)
		client := c.Dial(0, siotest.Options{Namespace: "/playground"})
		client.EmitWithAck("echo", 1).Expect(1)
		client.EmitWithAck("op", object{"kind": "emit", "event": "x"}).ExpectNothing(time.Minute)
		client.ExpectNothing(time.Second)
	})
}

func TestPanicEndsOnlyItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t, socketio.Config{})
		serveNamespaces(srv.Server, "go-1")
		client := srv.Dial()
		client.Expect("auth", object{})
		client.Emit("panic")
		client.EmitWithAck("echo", "alive").Expect("alive")
	})
}

func TestOperations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := nodes(t, 3)
		a, b, d := enter(c, 0, "/"), enter(c, 1, "/"), enter(c, 2, "/")
		ok := func(result any) object { return object{"ok": true, "result": result} }
		op := func(request object) *siotest.Answer { return a.EmitWithAck("op", request) }

		op(object{"kind": "emit", "event": "x", "args": []any{1, []byte{2}}}).Expect(ok(nil))
		for _, client := range []*siotest.Client{a, b, d} {
			client.Expect("x", 1, []byte{2})
		}
		op(object{"kind": "emit", "event": "x", "self": true, "except": []string{b.ID()}}).Expect(ok(nil))
		d.Expect("x")
		op(object{"kind": "emit", "event": "x", "local": true, "volatile": true}).Expect(ok(nil))
		a.Expect("x")
		op(object{"kind": "socketsJoin", "rooms": []string{b.ID()}, "targets": []string{"r", "notes"}}).Expect(ok(nil))
		synctest.Wait()
		op(object{"kind": "emit", "event": "x", "rooms": []string{"r", "unknown"}}).Expect(ok(nil))
		b.Expect("x")

		b.EmitWithAck("set-data", object{"n": 1}).Expect()
		op(object{"kind": "fetchSockets", "rooms": []string{"r"}}).Expect(ok([]any{object{
			"id": b.ID(), "rooms": sorted(b.ID(), "notes", "r"), "data": object{"n": 1},
			"handshake": object{"auth": object{}, "query": object{"EIO": "4", "transport": "websocket"}},
		}}))
		op(object{"kind": "allRooms"}).Expect(ok(sorted(a.ID(), b.ID(), d.ID(), "notes", "r")))

		for _, client := range []*siotest.Client{a, b, d} {
			client.Answer("q", func(args parser.Args) []any { return append(args.Values(), "second") })
		}
		op(object{"kind": "emitWithAck", "event": "q", "args": []any{7}}).Expect(ok([]any{7, 7, 7}))
		var pong struct{ Result []string }
		err := op(object{"kind": "serverSideEmitWithAck", "event": "ping", "args": []any{5}}).Args().Scan(&pong)
		if err != nil || !slices.Equal(sorted(pong.Result...), []string{"node-1:5", "node-2:5"}) {
			t.Errorf("serverSideEmitWithAck: %q, %v", pong.Result, err)
		}
		op(object{"kind": "serverSideEmit", "event": "note", "args": []any{"n", 1}}).Expect(ok(nil))
		b.Expect("note", "node-1", "n", 1)

		var failed struct {
			OK      bool
			Error   string
			Partial []any
		}
		start := time.Now()
		if err := op(object{"kind": "emitWithAck", "event": "silent", "timeoutMs": 300}).Args().Scan(&failed); err != nil {
			t.Error(err)
		}
		if failed.OK || failed.Error == "" || failed.Partial == nil || len(failed.Partial) != 0 || time.Since(start) != 300*time.Millisecond {
			t.Errorf("emitWithAck without answers: %+v after %v", failed, time.Since(start))
		}
		for _, client := range []*siotest.Client{a, b, d} {
			client.Expect("silent")
		}
		for _, request := range []object{{"kind": "unknown"}, {"kind": "emit", "event": "disconnect"}, {"kind": "emit", "nsp": "/nowhere"}} {
			failed.OK = true
			if err := op(request).Args().Scan(&failed); err != nil || failed.OK {
				t.Errorf("%v: %+v, %v", request, failed, err)
			}
		}

		op(object{"kind": "socketsLeave", "targets": []string{"r"}}).Expect(ok(nil))
		synctest.Wait()
		op(object{"kind": "emit", "event": "x", "rooms": []string{"r"}}).Expect(ok(nil))
		b.ExpectNothing(time.Second)
		op(object{"kind": "disconnectSockets", "rooms": []string{b.ID()}}).Expect(ok(nil))
		b.ExpectDisconnect("io server disconnect")
		op(object{"kind": "disconnectSockets", "rooms": []string{d.ID()}, "close": true}).Expect(ok(nil))
		d.Session().ExpectEnd("transport close")
		if ended := b.Session().Ended(); ended != "" {
			t.Errorf("close:false ended the connection: %s", ended)
		}
	})
}

func sorted(names ...string) []string {
	slices.Sort(names)
	return names
}
