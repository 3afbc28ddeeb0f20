package redisadapter_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	redisadapter "github.com/dunlin-io/dunlin/adapter/redis"
	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/parser"
)

// ear is a Receiver that passes on what it hears.
type ear struct {
	rooms      []string
	heard      chan cluster.Message
	subscribed chan bool
}

func newEar(rooms ...string) *ear {
	return &ear{rooms: rooms, heard: make(chan cluster.Message, 100), subscribed: make(chan bool, 10)}
}

func (e *ear) Receive(m cluster.Message) { e.heard <- m }
func (e *ear) HasRoom(room string) bool  { return slices.Contains(e.rooms, room) }
func (e *ear) Subscribed(resumed bool)   { e.subscribed <- resumed }

func (e *ear) next(t *testing.T) cluster.Message {
	t.Helper()
	select {
	case m := <-e.heard:
		return m
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was heard")
		return cluster.Message{}
	}
}

func timeout(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func join(t *testing.T, a *redisadapter.Adapter, id cluster.NodeID, e *ear) cluster.Link {
	t.Helper()
	l := a.Open("/", id, e)
	t.Cleanup(func() { _ = l.Close() })
	if err := l.Ready(timeout(t)); err != nil {
		t.Fatalf("Ready of %s: %v", id, err)
	}
	return l
}

func event(t *testing.T, name string, args ...any) *parser.Packet {
	t.Helper()
	a, err := parser.MakeEvent(name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return &parser.Packet{Type: parser.Event, Namespace: "/", Payload: a.EventPayload()}
}

func publish(t *testing.T, l cluster.Link, b cluster.Body) {
	t.Helper()
	if err := l.Publish(cluster.Message{Body: b}); err != nil {
		t.Fatalf("Publish(%T): %v", b, err)
	}
}

func answer(t *testing.T, l cluster.Link, to cluster.ReplyTo, b cluster.Body) {
	t.Helper()
	if err := l.Send(to, cluster.Message{Body: b}); err != nil {
		t.Fatalf("Send(%T): %v", b, err)
	}
}

func TestGoNodesAreKnownByName(t *testing.T) {
	m := miniredis.RunT(t)
	ea, eb := newEar(), newEar()
	a := join(t, open(t, m.Addr(), redisadapter.Options{}), "a", ea)
	b := join(t, open(t, m.Addr(), redisadapter.Options{}), "b", eb)
	newSpy(t, m.Addr(), "nothing", "socket.io-request#/#") // a member that says nothing of itself

	if got, err := a.Members(timeout(t)); err != nil || got.Foreign != 2 || len(got.Known) != 0 {
		t.Errorf("Members() of strangers = %+v, %v", got, err)
	}
	publish(t, a, cluster.FetchSockets{RequestID: "1"})
	asked := eb.next(t)
	if asked.From != "a" {
		t.Errorf("asked by %q", asked.From)
	}
	answer(t, b, asked.ReplyTo, cluster.SocketsReply{RequestID: "1"})
	if got := ea.next(t); got.From != "b" {
		t.Errorf("answered by %q, want b", got.From)
	}
	for name, l := range map[cluster.NodeID]cluster.Link{"a": b, "b": a} {
		got, err := l.Members(timeout(t))
		if err != nil || got.Foreign != 1 || !slices.Equal(got.Known, []cluster.NodeID{name}) {
			t.Errorf("Members() = %+v, %v, want %s and a foreign one", got, err, name)
		}
	}
	_ = b.Close()
	if got, err := a.Members(timeout(t)); err != nil || got.Foreign != 1 || len(got.Known) != 0 {
		t.Errorf("Members() after b left = %+v, %v", got, err)
	}
}

// Proves J-56.
func TestAcknowledgementsBetweenGoNodesAreWhole(t *testing.T) {
	m := miniredis.RunT(t)
	ea, eb := newEar(), newEar()
	a := join(t, open(t, m.Addr(), redisadapter.Options{}), "a", ea)
	b := join(t, open(t, m.Addr(), redisadapter.Options{}), "b", eb)
	publish(t, a, cluster.Broadcast{Packet: event(t, "q"), RequestID: "1"})
	to := eb.next(t).ReplyTo
	args, err := parser.MakeArgs("one", []byte{2}, 3)
	if err != nil {
		t.Fatal(err)
	}
	answer(t, b, to, cluster.AckReply{RequestID: "1", SocketID: "s", Args: args})
	answer(t, b, to, cluster.AckReply{RequestID: "1", SocketID: "t", Gone: true})
	answer(t, b, to, cluster.EmitReply{RequestID: "2", Args: args})

	got := ea.next(t)
	ack, _ := got.Body.(cluster.AckReply)
	if got.From != "b" || ack.SocketID != "s" || ack.Gone {
		t.Errorf("first answer %+v", got)
	}
	expectArgs(t, ack.Args)
	if gone, _ := ea.next(t).Body.(cluster.AckReply); gone.SocketID != "t" || !gone.Gone {
		t.Errorf("second answer %+v, want that t is gone", gone)
	}
	emit, _ := ea.next(t).Body.(cluster.EmitReply)
	expectArgs(t, emit.Args)
}

func expectArgs(t *testing.T, args parser.Args) {
	t.Helper()
	var one string
	var two []byte
	var three int
	if err := args.Scan(&one, &two, &three); err != nil || one != "one" || string(two) != "\x02" || three != 3 {
		t.Errorf("arguments %q %v %d, %v", one, two, three, err)
	}
}

// TestExtensionIsOffByOption compares the bytes: with the extension off they
// are those of a JavaScript member, and a Go node that asks so is told no more.
func TestExtensionIsOffByOption(t *testing.T) {
	m := miniredis.RunT(t)
	spy := newSpy(t, m.Addr(), "*")
	e := newEar()
	l := join(t, open(t, m.Addr(), redisadapter.Options{NoExtension: true}), "node01", e)
	ext := join(t, open(t, m.Addr(), redisadapter.Options{}), "node02", newEar())
	say := func(l cluster.Link, b cluster.Body) string {
		t.Helper()
		if err := l.Publish(cluster.Message{Seq: 7, Body: b}); err != nil {
			t.Fatalf("Publish: %v", err)
		}
		return spy.next(t).Payload
	}
	reply := func(l cluster.Link, to cluster.ReplyTo, b cluster.Body) string {
		t.Helper()
		answer(t, l, to, b)
		return spy.next(t).Payload
	}
	for _, test := range []struct{ name, got, want string }{
		{"request", say(l, cluster.Rooms{RequestID: "r"}), `{"uid":"node01","requestId":"r","type":1}`},
		{"request", say(ext, cluster.Rooms{RequestID: "r"}), `{"uid":"node02","requestId":"r","type":1,"x":{"s":7}}`},
		{
			"broadcast", say(l, cluster.Broadcast{Packet: event(t, "e")}),
			"\x93\xa6node01\x83\xa4type\x02\xa4data\x91\xa1e\xa3nsp\xa1/\x83\xa5rooms\x90\xa6except\x90\xa5flags\x80",
		},
		{
			"broadcast", say(ext, cluster.Broadcast{Packet: event(t, "e")}),
			"\x94\xa6node02\x83\xa4type\x02\xa4data\x91\xa1e\xa3nsp\xa1/\x83\xa5rooms\x90\xa6except\x90\xa5flags\x80\xcf\x00\x00\x00\x00\x00\x00\x00\x07",
		},
		{"answer", reply(l, "-js", cluster.RoomsReply{RequestID: "r"}), `{"requestId":"r","rooms":[]}`},
		{"answer to JavaScript", reply(ext, "-js", cluster.RoomsReply{RequestID: "r"}), `{"requestId":"r","rooms":[]}`},
		{"answer to Go", reply(ext, "xgo", cluster.RoomsReply{RequestID: "r"}), `{"requestId":"r","rooms":[],"x":{"n":"node02"}}`},
		{"leaving", say(ext, cluster.Leaving{}), `{"uid":"node02","type":100,"x":{"s":7}}`},
		{"where", say(ext, cluster.Where{Position: cluster.Position{Origin: 2, Last: 9}}), `{"uid":"node02","type":101,"x":{"s":7,"f":2,"t":9}}`},
		{"again", say(ext, cluster.Again{Node: "n", From: 3, To: 5}), `{"uid":"node02","type":103,"x":{"n":"n","s":7,"f":3,"t":5}}`},
		{"said", reply(ext, "xgo", cluster.Said{Position: cluster.Position{Origin: 2, Last: 9}}), "\xc1" + `{"uid":"node02","type":102,"x":{"f":2,"t":9}}`},
		{"repeated", reply(ext, "xgo", cluster.Repeated{Position: cluster.Position{Origin: 2, Last: 9}, To: 4, Lost: 2}), "\xc1" + `{"uid":"node02","type":104,"x":{"f":2,"t":4,"l":2,"e":9}}`},
		{"once more", reply(ext, "xgo", cluster.Emit{Payload: event(t, "e").Payload}), "\xc1" + `{"uid":"node02","type":6,"data":["e"],"x":{}}`},
	} {
		if test.got != test.want {
			t.Errorf("%s is %q, want %q", test.name, test.got, test.want)
		}
	}
	answer(t, ext, "-js", cluster.AckReply{RequestID: "r", Gone: true}) // has no form, so nothing is sent
	publish(t, l, cluster.Leaving{})                                    // neither
	publish(t, l, cluster.Broadcast{Target: cluster.Target{Local: true}, Packet: event(t, "no")})
	publish(t, l, cluster.Join{Target: cluster.Target{Local: true}})
	if got := say(l, cluster.Rooms{RequestID: "end"}); !strings.Contains(got, "end") {
		t.Errorf("published %q, want nothing before the end", got)
	}
}

func TestNodeWithoutTheExtensionTakesNoOffenceAtOneThatHasIt(t *testing.T) {
	m := miniredis.RunT(t)
	e := newEar()
	join(t, open(t, m.Addr(), redisadapter.Options{
		NoExtension: true,
		OnDrop:      func(d redisadapter.Drop) { t.Errorf("dropped: %+v", d) },
	}), "a", e)
	b := join(t, open(t, m.Addr(), redisadapter.Options{}), "b", newEar())
	publish(t, b, cluster.Leaving{})
	publish(t, b, cluster.Rooms{RequestID: "r"})
	if got, ok := e.next(t).Body.(cluster.Rooms); !ok || got.RequestID != "r" {
		t.Errorf("heard %+v, want the request alone", got)
	}
}

// Proves T-108.
func TestEmitterWritesAsTheJavaScriptEmitter(t *testing.T) {
	for _, o := range []redisadapter.Options{{}, {NoExtension: true}} {
		m := miniredis.RunT(t)
		spy := newSpy(t, m.Addr(), "*")
		l := open(t, m.Addr(), o).Open("/", "", nil)
		if err := l.Ready(timeout(t)); err != nil {
			t.Errorf("Ready: %v", err)
		}
		publish(t, l, cluster.Broadcast{Packet: event(t, "e")})
		publish(t, l, cluster.Join{Target: cluster.Target{Rooms: []string{"a"}}, Rooms: []string{"b"}})
		publish(t, l, cluster.Disconnect{Target: cluster.Target{Except: []string{"a"}}, Close: true})
		publish(t, l, cluster.Emit{Payload: event(t, "e", 1).Payload})
		for _, want := range []string{
			"\x93\xa7emitter\x83\xa4type\x02\xa4data\x91\xa1e\xa3nsp\xa1/\x83\xa5rooms\x90\xa5flags\x80\xa6except\x90",
			`{"type":2,"opts":{"rooms":["a"],"except":[]},"rooms":["b"]}`,
			`{"type":4,"opts":{"rooms":[],"except":["a"]},"close":true}`,
			`{"uid":"emitter","type":6,"data":["e",1]}`,
		} {
			if got := spy.next(t).Payload; got != want {
				t.Errorf("published %q, want %q", got, want)
			}
		}
	}
}

// A node that waited for an emitter's answers would wait in vain.
func TestEmitterIsNotTakenForANode(t *testing.T) {
	m := miniredis.RunT(t)
	e := newEar()
	node := join(t, open(t, m.Addr(), redisadapter.Options{}), "n", e)
	l := open(t, m.Addr(), redisadapter.Options{}).Open("/", "", nil)
	for _, b := range []cluster.Body{
		cluster.Broadcast{Packet: event(t, "e")},
		cluster.Leave{Rooms: []string{"b"}},
		cluster.Emit{Payload: event(t, "e", 1).Payload},
	} {
		publish(t, l, b)
		if got := e.next(t); got.From != "" {
			t.Errorf("%T of an emitter is from %q", b, got.From)
		}
	}
	if got, err := node.Members(timeout(t)); err != nil || got.Len() != 0 {
		t.Errorf("Members() = %+v, %v, want none", got, err)
	}
	if got, err := l.Members(timeout(t)); err != nil || got.Len() != 1 {
		t.Errorf("the emitter counts %+v, %v, want the node", got, err)
	}
}

// Proves J-75.
func TestAnswersGoToTheRightChannel(t *testing.T) {
	m := miniredis.RunT(t)
	for _, test := range []struct {
		shared bool
		to     cluster.ReplyTo
		body   cluster.Body
		want   string
	}{
		{false, "-js", cluster.RoomsReply{RequestID: "r"}, "socket.io-response#/#js#"},
		{false, "-js", cluster.EmitReply{RequestID: "r"}, "socket.io-response#/#"},
		{false, "xgo", cluster.EmitReply{RequestID: "r"}, "socket.io-response#/#go#"},
		{false, "-", cluster.RoomsReply{RequestID: "r"}, "socket.io-response#/#"},
		{true, "-js", cluster.RoomsReply{RequestID: "r"}, "socket.io-response#/#"},
		{true, "xgo", cluster.RoomsReply{RequestID: "r"}, "socket.io-response#/#go#"},
	} {
		spy := newSpy(t, m.Addr(), "*")
		l := open(t, m.Addr(), redisadapter.Options{SharedAnswers: test.shared}).Open("/", "n", nil)
		answer(t, l, test.to, test.body)
		if got := spy.next(t).Channel; got != test.want {
			t.Errorf("shared %v: %T to %q goes to %q, want %q", test.shared, test.body, test.to, got, test.want)
		}
	}
}

func TestUninterestingMessagesAreNotDecoded(t *testing.T) {
	m := miniredis.RunT(t)
	dropped := make(chan redisadapter.Drop, 100)
	o := redisadapter.Options{OnDrop: func(d redisadapter.Drop) { dropped <- d }}
	e := newEar("here")
	l := join(t, open(t, m.Addr(), o), "me", e)
	const broken = "\x93\xa3you\xc1"
	m.Publish("socket.io#/#nowhere#", broken)   // nobody here is in the room
	m.Publish("socket.io#/#", "\x93\xa2me\xc1") // our own
	m.Publish("socket.io#/#here", broken)       // not the channel of a room
	if len(dropped) != 0 {
		t.Errorf("decoded: %v", (<-dropped).Err)
	}
	m.Publish("socket.io#/#here#", broken)
	if d := <-dropped; d.Reason != redisadapter.DropMalformed || !strings.Contains(fmt.Sprint(d.Err), "#here#") {
		t.Errorf("dropped %+v", d)
	}
	publish(t, l, cluster.Broadcast{Packet: event(t, "own")})
	publish(t, l, cluster.Rooms{RequestID: "own"})
	m.Publish("socket.io#/#", "\x93\xa3you\x83\xa4type\x02\xa4data\x91\xa1e\xa3nsp\xa2/x\x83\xa5rooms\x90\xa6except\x90\xa5flags\x80")
	m.Publish("socket.io#/#", "\x93\xa3you\x82\xa4type\x02\xa4data\x91\xa1e\x82\xa5rooms\x90\xa6except\x90")
	got := e.next(t)
	if b, ok := got.Body.(cluster.Broadcast); !ok || got.From != "you" || b.Packet.Namespace != "/" {
		t.Errorf("heard %+v, want the last alone", got)
	}
	if len(dropped) != 0 {
		t.Errorf("a message of another namespace is no malformed one: %v", (<-dropped).Err)
	}
}

func TestNamespaceIsOpenedOnce(t *testing.T) {
	m := miniredis.RunT(t)
	a := open(t, m.Addr(), redisadapter.Options{})
	first := join(t, a, "n", newEar())
	second := a.Open("/", "n2", newEar())
	for name, err := range map[string]error{
		"Ready": second.Ready(timeout(t)), "Publish": second.Publish(cluster.Message{Body: cluster.Rooms{}}),
		"Send": second.Send("-x", cluster.Message{Body: cluster.Applied{}}),
	} {
		if err == nil || !strings.Contains(err.Error(), "open already") {
			t.Errorf("%s of the second link: %v", name, err)
		}
	}
	if _, err := second.Members(timeout(t)); err == nil {
		t.Error("Members of the second link: no error")
	}
	_ = second.Close()
	if err := first.Ready(timeout(t)); err != nil {
		t.Errorf("the first link: %v", err)
	}
}

func TestTooLargeMessagesAreRefusedAtOnce(t *testing.T) {
	m := miniredis.RunT(t)
	l := open(t, m.Addr(), redisadapter.Options{MaxMessage: 1024}).Open("/", "n", nil)
	err := l.Publish(cluster.Message{Body: cluster.Broadcast{Packet: event(t, "e", strings.Repeat("x", 1024))}})
	if !errors.Is(err, cluster.ErrTooLarge) {
		t.Errorf("Publish() = %v, want ErrTooLarge", err)
	}
}

// Proves T-100.
func TestRequestsFailFastWhileRedisIsAway(t *testing.T) {
	m := miniredis.RunT(t)
	e := newEar()
	l := join(t, open(t, m.Addr(), redisadapter.Options{}), "n", e)
	if resumed := <-e.subscribed; resumed {
		t.Error("told of an interruption at first")
	}
	m.Close()
	var err error
	for err == nil || !strings.Contains(err.Error(), "redis is away") { // until the adapter has noticed
		_, err = l.Members(timeout(t))
	}
	for _, b := range []cluster.Body{
		cluster.Rooms{RequestID: "1"},
		cluster.FetchSockets{RequestID: "1"},
		cluster.Emit{Payload: event(t, "e").Payload, RequestID: "1"},
		cluster.Broadcast{Packet: event(t, "e"), RequestID: "1"},
	} {
		if err := l.Publish(cluster.Message{Body: b}); err == nil || !strings.Contains(err.Error(), "away") {
			t.Errorf("Publish(%T) = %v, want that Redis is away", b, err)
		}
	}
	publish(t, l, cluster.Broadcast{Packet: event(t, "waits")})
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := l.Ready(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "redis is away") {
		t.Errorf("Ready() = %v, want the deadline and the cause", err)
	}
	if err := m.Restart(); err != nil {
		t.Fatal(err)
	}
	if resumed := <-e.subscribed; !resumed {
		t.Error("not told of the interruption")
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, o := range []redisadapter.Options{
		{MaxMessage: -1}, {MaxMessage: 10}, {BufferMessages: -1}, {BufferBytes: 5}, {BufferTime: -time.Second}, {Prefix: "a\nb"}, {Mode: 9}, {Routing: 9},
	} {
		if a, err := redisadapter.Open(nil, o); err == nil {
			_ = a.Close()
			t.Errorf("Open(%+v): no error", o)
		}
	}
	if _, err := redisadapter.New(nil, redisadapter.Options{}); err == nil {
		t.Error("New without a client: no error")
	}
	masters := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}})
	defer func() { _ = masters.Close() }()
	if _, err := redisadapter.New(masters, redisadapter.Options{Mode: redisadapter.Sharded}); err == nil {
		t.Error("New of a Redis Cluster in the sharded mode: no error")
	}
}
