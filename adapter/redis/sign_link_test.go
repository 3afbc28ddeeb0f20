package redisadapter_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"

	redisadapter "github.com/dunlin-io/dunlin/adapter/redis"
	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/cluster/clustertest"
)

var (
	oldSecret = []byte("an old secret of the cluster")
	newSecret = []byte("a new secret of the cluster")
)

func TestSignedConformance(t *testing.T) {
	clustertest.Run(t, func(t *testing.T) clustertest.Bus {
		m := miniredis.RunT(t)
		secrets := [][]byte{oldSecret, newSecret}
		return func() cluster.Adapter {
			secrets[0], secrets[1] = secrets[1], secrets[0] // in the middle of a change
			return open(t, m.Addr(), redisadapter.Options{Secrets: [][]byte{secrets[0], secrets[1]}})
		}
	})
}

// ofJavaScript is what a Node.js member, or an emitter, publishes in "/".
const ofJavaScript = "\x93\xa6abcdef\x83\xa4type\x02\xa4data\x91\xa1e\xa3nsp\xa1/\x83\xa5rooms\x90\xa6except\x90\xa5flags\x80"

func TestSigningNodesTrustOnlyEachOther(t *testing.T) {
	m := miniredis.RunT(t)
	spy := newSpy(t, m.Addr(), "socket.io*")
	dropped := make(chan redisadapter.Drop, 100)
	e := newEar("a", "b")
	join(t, open(t, m.Addr(), redisadapter.Options{
		Secrets: [][]byte{oldSecret}, OnDrop: func(d redisadapter.Drop) { dropped <- d },
	}), "n", e)
	refused := func(what, want string) {
		t.Helper()
		if d := <-dropped; d.Reason != redisadapter.DropUnsigned || d.Messages != 1 || !strings.Contains(fmt.Sprint(d.Err), want) {
			t.Errorf("%s: dropped %+v, want %q", what, d, want)
		}
	}

	m.Publish("socket.io#/#", ofJavaScript)
	refused("a Node.js member's broadcast", "Node.js nodes and emitters cannot")
	m.Publish("socket.io-request#/#", `{"uid":"abcdef","type":4,"opts":{"rooms":[],"except":[]},"close":true}`)
	refused("a Node.js member's request", "Node.js nodes and emitters cannot")
	m.Publish("socket.io-response#/#", `{"requestId":"1","rooms":[]}`)
	refused("an answer", "Node.js nodes and emitters cannot")
	for range 3 {
		spy.next(t)
	}

	other := open(t, m.Addr(), redisadapter.Options{Secrets: [][]byte{newSecret}}).Open("/", "", nil)
	publish(t, other, cluster.Broadcast{Packet: event(t, "e")})
	refused("a message signed with another secret", "other Options.Secrets")
	spy.next(t)

	trusted := open(t, m.Addr(), redisadapter.Options{Secrets: [][]byte{oldSecret}}).Open("/", "", nil)
	publish(t, trusted, cluster.Broadcast{Target: cluster.Target{Rooms: []string{"a"}}, Packet: event(t, "good")})
	if b, ok := e.next(t).Body.(cluster.Broadcast); !ok || b.Packet == nil {
		t.Error("what is signed well was not heard")
	}
	seen := spy.next(t)
	m.Publish(seen.Channel, seen.Payload)
	refused("a message that was repeated", "repeats it")
	m.Publish("socket.io#/#b#", seen.Payload)
	refused("a message that was moved to another room", "its signature is wrong")
	m.Publish("socket.io-request#/#", seen.Payload)
	refused("a message that was moved to another channel", "its signature is wrong")
	if len(e.heard) != 0 {
		t.Errorf("heard %+v", e.next(t))
	}
}

func TestNodeWithoutSecretsSaysThatOthersSign(t *testing.T) {
	m := miniredis.RunT(t)
	dropped := make(chan redisadapter.Drop, 100)
	e := newEar()
	plain := join(t, open(t, m.Addr(), redisadapter.Options{OnDrop: func(d redisadapter.Drop) { dropped <- d }}), "n", e)
	signing := open(t, m.Addr(), redisadapter.Options{Secrets: [][]byte{oldSecret}}).Open("/", "", nil)
	publish(t, signing, cluster.Broadcast{Packet: event(t, "e")})
	if d := <-dropped; !strings.Contains(fmt.Sprint(d.Err), "this node has no Options.Secrets") {
		t.Errorf("dropped %+v", d)
	}
	publish(t, plain, cluster.Broadcast{Packet: event(t, "own")})
	if len(e.heard) != 0 {
		t.Errorf("heard %+v", e.next(t))
	}
}

// The largest message that one node may publish is the largest that others take.
func TestSignedMessagesMayBeAsLargeAsOthers(t *testing.T) {
	m := miniredis.RunT(t)
	o := redisadapter.Options{Secrets: [][]byte{oldSecret}, MaxMessage: 4096}
	e := newEar()
	join(t, open(t, m.Addr(), o), "n", e)
	l := open(t, m.Addr(), o).Open("/", "", nil)
	largest := 0
	for size := 4096; size > 3000; size-- {
		b := cluster.Broadcast{Packet: event(t, "e", strings.Repeat("x", size))}
		if l.Publish(cluster.Message{Body: b}) == nil {
			largest = size
			break
		}
	}
	b, _ := e.next(t).Body.(cluster.Broadcast)
	if n := len(b.Packet.Payload.JSON); largest == 0 || n < largest {
		t.Errorf("heard %d bytes, want the %d that were published", n, largest)
	}
}
