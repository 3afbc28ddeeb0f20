package integration_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	redisadapter "github.com/dunlin-io/dunlin/adapter/redis"
	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/parser"
)

// The commands are those that the JavaScript adapter was recorded with.
func TestMonitorSeesTheStreamsCommands(t *testing.T) {
	r := startRedis(t)
	m := startMonitor(t, r)
	a, b := streamPair(t, r, redisadapter.StreamOptions{})
	must(t, a.Publish(cluster.Message{From: "a", Namespace: "/", Body: cluster.FetchSockets{RequestID: "q"}}))
	eventually(t, "b is asked", func() error {
		b.mu.Lock()
		defer b.mu.Unlock()
		if len(b.heard) == 0 {
			return errors.New("not yet")
		}
		return b.Send(b.heard[0].ReplyTo, cluster.Message{From: "b", Namespace: "/", Body: cluster.SocketsReply{RequestID: "q"}})
	})
	a.tell(t, 1)
	at := b.expectLastAt(t, 1)
	must(t, a.Save(within(t), time.Minute, session("p", "a")))
	if _, err := a.Take(within(t), "p"); err != nil {
		t.Fatal(err)
	}
	for _, want := range [][]string{
		{"SUBSCRIBE", "socket.io#/#a#", "socket.io#/#"},
		{"PUBLISH", "socket.io#/#"},
		{"PUBLISH", "socket.io#/#a#"},
		{"XADD", "socket.io", "maxlen", "~", "10000", "*", "uid", "a", "nsp", "/", "type", "3", "data"},
		{"XREAD", "count", "100", "block", "5000", "streams", "socket.io", string(at)},
		{"SET", "sio:session:p"},
		{"DEL", "sio:session:p"},
	} {
		eventually(t, fmt.Sprint(want), func() error {
			if len(m.commands(want...)) == 0 {
				return errors.New("not seen")
			}
			return nil
		})
	}
	for _, args := range m.commands("XREAD") {
		if slices.Contains(args, "$") {
			t.Errorf("%q: what is written between two such reads is missed", args)
		}
	}
	if marks := m.commands("XADD", "socket.io", "maxlen", "~", "10000", "*", "dunlin"); len(marks) == 0 || len(marks) > 2 {
		t.Errorf("%d marks in a new stream, want one, or one of each node", len(marks))
	}
	if set := m.commands("SET", "sio:session:p")[0]; len(set) != 5 || !strings.EqualFold(set[3], "ex") && !strings.EqualFold(set[3], "px") {
		t.Errorf("a session is saved without an end: %q", set)
	}
}

// expectLastAt is expectLast for the message's offset.
func (n streamNode) expectLastAt(t testing.TB, last int) cluster.Offset {
	t.Helper()
	n.expectLast(t, last)
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.heard[len(n.heard)-1].Offset
}

// What JavaScript cannot tell from a Buffer arrives as one that it wrote.
func TestStreamsWritePlaintext(t *testing.T) {
	r := startRedis(t)
	m := startMonitor(t, r)
	a, b := streamPair(t, r, redisadapter.StreamOptions{Plaintext: true, MaxLen: 77, SessionPrefix: "s:"})
	must(t, a.Publish(cluster.Message{From: "a", Namespace: "/", Body: cluster.Broadcast{Packet: binaryEvent(t, []byte{1, 2})}}))
	eventually(t, "b hears it", func() error {
		b.mu.Lock()
		defer b.mu.Unlock()
		if len(b.heard) == 0 {
			return errors.New("not yet")
		}
		if p := b.heard[0].Body.(cluster.Broadcast).Packet.Payload; len(p.Attachments) != 0 {
			t.Errorf("arrived as %s with attachments", p.JSON)
		}
		return nil
	})
	adds := m.commands("XADD", "socket.io", "maxlen", "~", "77", "*", "uid")
	if len(adds) != 1 || !strings.Contains(adds[0][13], `{"type":"Buffer","data":[1,2]}`) {
		t.Errorf("written: %q", adds)
	}
	must(t, a.Save(within(t), time.Minute, session("p", "a")))
	if n := r.Client(t).Exists(within(t), "s:p").Val(); n != 1 {
		t.Errorf("%d sessions under the other prefix", n)
	}
}

func binaryEvent(t testing.TB, data []byte) *parser.Packet {
	t.Helper()
	args, err := parser.MakeEvent("bin", data)
	if err != nil {
		t.Fatal(err)
	}
	return &parser.Packet{Type: parser.Event, Namespace: "/", Payload: args.EventPayload()}
}
