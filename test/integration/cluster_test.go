package integration_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	redisadapter "github.com/dunlin-io/dunlin/adapter/redis"
	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

// trio is three servers on one real Redis, with one client each.
type trio struct {
	servers [3]*siotest.Server
	clients [3]*siotest.Client
}

func newTrio(t *testing.T, r *redisServer) *trio {
	t.Helper()
	return newTrioIn(t, r, redisadapter.Options{})
}

func newTrioIn(t *testing.T, r *redisServer, o redisadapter.Options) *trio {
	t.Helper()
	var c trio
	for i := range c.servers {
		c.servers[i] = siotest.NewServer(t, socketio.Config{
			Adapter: openAdapter(t, r, o),
			NodeID:  cluster.NodeID(fmt.Sprint("node-", i)),
		})
	}
	for i, s := range c.servers {
		if err := s.Ready(patient(t)); err != nil {
			t.Fatalf("Ready: %v", err)
		}
		c.clients[i] = s.Dial()
		c.join(t, i, c.id(i)) // others reach it by its id from now on
	}
	return &c
}

func patient(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func (c *trio) id(i int) string { return c.clients[i].ID() }

// join puts a client into rooms.
func (c *trio) join(t *testing.T, i int, rooms ...string) {
	t.Helper()
	s, ok := c.servers[i].Socket(c.id(i))
	if !ok {
		t.Fatalf("client %d has no socket", i)
	}
	if err := s.JoinWait(patient(t), rooms...); err != nil {
		t.Fatalf("JoinWait: %v", err)
	}
}

// flush makes every client receive a mark from each server, and with it all
// that was sent before; what comes ahead of the marks is returned by name.
func (c *trio) flush(t *testing.T) (heard [3][]string) {
	t.Helper()
	for i, s := range c.servers {
		if err := s.Emit("mark", i); err != nil {
			t.Fatalf("Emit: %v", err)
		}
	}
	for i, client := range c.clients {
		for marks := 0; marks < len(c.servers); {
			if ev := client.Next(); ev.Name == "mark" {
				marks++
			} else {
				heard[i] = append(heard[i], ev.Name)
			}
		}
		slices.Sort(heard[i])
	}
	return heard
}

func (c *trio) expectHeard(t *testing.T, want [3][]string) {
	t.Helper()
	got := c.flush(t)
	for i := range want {
		if !slices.Equal(got[i], want[i]) {
			t.Errorf("client %d heard %q, want %q", i, got[i], want[i])
		}
	}
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// Proves T-85, T-86, T-87, T-88.
func TestClusterDeliversToTheSelectedSocketsOnce(t *testing.T) {
	deliversToTheSelectedSocketsOnce(t, newTrio(t, startRedis(t)))
}

func deliversToTheSelectedSocketsOnce(t *testing.T, c *trio) {
	t.Helper()
	c.join(t, 0, "a", "b")
	c.join(t, 1, "b")
	c.join(t, 2, "b", "c")
	from := c.servers[0]
	sender, _ := from.Socket(c.id(0))
	must(t,
		from.Emit("all", []byte("binary")),
		from.To("c").Emit("one room"),
		from.To("a", "b", "c").Emit("several rooms"),
		from.Except("c").Emit("except a room"),
		from.Except(c.id(1)).Emit("except a socket"),
		from.Local().Emit("local"),
		from.To().Emit("nobody"),
		sender.Broadcast().Emit("from a socket"),
		sender.To("b").Except("c").Emit("from a socket to a room"),
		from.To(c.id(2)).Emit("private"),
	)
	c.expectHeard(t, [3][]string{
		{"all", "except a room", "except a socket", "local", "several rooms"},
		{"all", "except a room", "from a socket", "from a socket to a room", "several rooms"},
		{"all", "except a socket", "from a socket", "one room", "private", "several rooms"},
	})
}

// Proves T-95, T-97, T-98, T-102, T-103.
func TestClusterManagesSocketsOnOtherNodes(t *testing.T) {
	c := newTrio(t, startRedis(t))
	far, _ := c.servers[2].Socket(c.id(2))
	must(t, far.SetData(map[string]string{"name": "ada"}))

	must(t, c.servers[0].SocketsJoin("all"), c.servers[0].In(c.id(2)).SocketsJoin("far", "away"), c.servers[0].In(c.id(2)).SocketsLeave("away"))
	c.flush(t)
	sockets, err := c.servers[1].In("all").FetchSockets(patient(t))
	must(t, err)
	if n, err := c.servers[1].In("all").Count(patient(t)); n != 3 || err != nil {
		t.Errorf("Count() = %d, %v, want 3", n, err)
	}
	slices.SortFunc(sockets, func(a, b *socketio.RemoteSocket) int {
		return slices.Index([]string{c.id(0), c.id(1), c.id(2)}, a.ID) - slices.Index([]string{c.id(0), c.id(1), c.id(2)}, b.ID)
	})
	if len(sockets) != 3 {
		t.Fatalf("FetchSockets() = %d sockets, want 3", len(sockets))
	}
	for i, s := range sockets {
		if s.ID != c.id(i) || s.Node != cluster.NodeID(fmt.Sprint("node-", i)) {
			t.Errorf("socket %d is %s of %q, want %s", i, s.ID, s.Node, c.id(i))
		}
	}
	var data struct{ Name string }
	if err := sockets[2].ScanData(&data); err != nil || data.Name != "ada" {
		t.Errorf("data = %+v, %v", data, err)
	}
	if rooms := sockets[2].Rooms; !slices.Contains(rooms, "far") || slices.Contains(rooms, "away") {
		t.Errorf("rooms = %q, want far and not away", rooms)
	}
	rooms, err := c.servers[0].Rooms(patient(t))
	slices.Sort(rooms)
	if !slices.Contains(rooms, "far") || !slices.Contains(rooms, c.id(1)) || err != nil {
		t.Errorf("Rooms() = %q, %v", rooms, err)
	}

	must(t, c.servers[0].In(c.id(1)).DisconnectSockets(), c.servers[0].In(c.id(2)).DisconnectConns())
	c.clients[1].ExpectDisconnect("io server disconnect")
	c.clients[2].ExpectDisconnect("io server disconnect")
	left, err := c.servers[0].FetchSockets(patient(t))
	if len(left) != 1 || err != nil {
		t.Errorf("FetchSockets() = %d sockets, %v; want the one that is left", len(left), err)
	}
}

// Proves T-96, T-104, T-105.
func TestClusterCollectsAcknowledgements(t *testing.T) {
	c := newTrio(t, startRedis(t))
	for i, client := range c.clients {
		client.Answer("who?", func(args socketio.Args) []any { return []any{i, []byte{byte(i)}} })
	}
	replies, err := c.servers[1].EmitWithAck(patient(t), "who?")
	must(t, err)
	seen := make(map[string]int)
	for _, r := range replies {
		var i int
		must(t, r.Scan(&i))
		seen[string(r.Node)] += i + 1
	}
	if len(replies) != 3 || seen["node-0"] != 1 || seen["node-1"] != 2 || seen["node-2"] != 3 {
		t.Errorf("replies by node = %v, want each node's client", seen)
	}

	// A client that does not answer: what came is returned, and what is missing.
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	c.clients[0].Answer("only me", func(socketio.Args) []any { return []any{0} })
	replies, err = c.servers[1].EmitWithAck(ctx, "only me")
	var partial *socketio.PartialError
	if !errors.As(err, &partial) || partial.Expected != 3 || partial.Received != 1 || len(replies) != 1 {
		t.Errorf("%d replies, %v; want 1 of 3", len(replies), err)
	}

	far, err := c.servers[0].In(c.id(2)).FetchSockets(patient(t))
	must(t, err)
	reply, err := far[0].EmitWithAck(patient(t), "who?")
	must(t, err)
	var i int
	if must(t, reply.Scan(&i)); i != 2 {
		t.Errorf("the far socket answered %d, want 2", i)
	}
}

// Proves T-101.
func TestClusterServersTalkAmongThemselves(t *testing.T) {
	c := newTrio(t, startRedis(t))
	told := make(chan string, 10)
	for i, s := range c.servers {
		s.OnServerSide("ping", func(ev *socketio.ServerEvent) {
			var x string
			_ = ev.Scan(&x)
			if ev.WantsAck() {
				_ = ev.Ack(fmt.Sprint(i, x))
				return
			}
			told <- fmt.Sprint(i, x)
		})
	}
	replies, err := c.servers[0].ServerSideEmitWithAck(patient(t), "ping", "?")
	must(t, err)
	var got []string
	for _, r := range replies {
		var s string
		must(t, r.Scan(&s))
		got = append(got, s)
	}
	slices.Sort(got)
	if !slices.Equal(got, []string{"1?", "2?"}) {
		t.Errorf("replies = %q, want those of the others", got)
	}
	must(t, c.servers[2].ServerSideEmit("ping", "!"))
	got = []string{<-told, <-told}
	slices.Sort(got)
	if !slices.Equal(got, []string{"0!", "1!"}) {
		t.Errorf("told %q, want the others", got)
	}
}

// Proves T-99, T-100.
func TestClusterGoesOnByItselfAfterRedisWasAway(t *testing.T) {
	r := startRedis(t)
	c := newTrio(t, r)
	r.Kill(t)
	eventually(t, "an error of FetchSockets", func() error {
		_, err := c.servers[0].FetchSockets(patient(t))
		if err == nil {
			return errors.New("none")
		}
		return nil
	})
	// Local traffic does not need Redis; what the others cannot get now waits.
	must(t, c.servers[0].Emit("while away"))
	c.clients[0].Expect("while away")
	r.Start(t)
	for _, s := range c.servers {
		if err := s.Ready(patient(t)); err != nil {
			t.Fatalf("Ready after Redis came back: %v", err)
		}
	}
	for _, client := range c.clients[1:] {
		client.Expect("while away")
	}
	c.expectHeard(t, [3][]string{})
}
