package integration_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	redisadapter "github.com/dunlin-io/dunlin/adapter/redis"
	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/cluster/clustertest"
)

// Proves T-109, T-120, J-73, J-76.
func TestClassicConformance(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	var bus atomic.Int64
	for name, o := range map[string]redisadapter.Options{"Extension": {}, "NoExtension": {NoExtension: true, SharedAnswers: true}} {
		t.Run(name, func(t *testing.T) {
			clustertest.Run(t, func(t *testing.T) clustertest.Bus {
				o.Prefix = fmt.Sprintf("bus%d", bus.Add(1))
				return func() cluster.Adapter { return openAdapter(t, r, o) }
			})
		})
	}
}

// pair joins two nodes to "/".
func pair(t *testing.T, r *redisServer) (a, b *node) {
	t.Helper()
	a = join(openAdapter(t, r, redisadapter.Options{}), "/", "a")
	b = join(openAdapter(t, r, redisadapter.Options{}), "/", "b")
	return a.ready(t), b.ready(t)
}

func TestBroadcastsFlowAgainAfterRedisRestarts(t *testing.T) {
	r := startRedis(t)
	a, b := pair(t, r)
	talk := startTalking(t, a, 0)
	eventually(t, "the first events", func() error { return atLeast(b.numbers(t), 10) })
	for round := range 3 {
		r.Kill(t)
		b.waitAway(t)
		before := len(b.numbers(t))
		r.Start(t)
		begin := time.Now()
		eventually(t, "events after the restart", func() error { return atLeast(b.numbers(t), before+10) })
		t.Logf("round %d: events again %v after Redis was ready", round, time.Since(begin))
	}
	last := talk.quiet()
	a.tell(t, last)
	heard := b.expectLast(t, last)
	t.Logf("%d of %d events heard over three restarts", len(heard), last+1)
	if got := b.resumptions(); got < 3 {
		t.Errorf("told of %d interruptions, want 3", got)
	}
	expectOneSubscriptionEach(t, r, 2)
}

func atLeast(is []int, n int) error {
	if len(is) < n {
		return fmt.Errorf("%d of %d", len(is), n)
	}
	return nil
}

// waitAway waits until a node knows that Redis is away: requests fail fast then.
func (n *node) waitAway(t testing.TB) {
	t.Helper()
	eventually(t, "the node knows", func() error {
		_, err := n.Members(within(t))
		if err == nil {
			return errors.New("members are still counted")
		}
		return nil
	})
}

func expectOneSubscriptionEach(t *testing.T, r *redisServer, nodes int64) {
	t.Helper()
	c := r.Client(t)
	eventually(t, "one subscription for each node", func() error {
		if n := numSub(t, c, "socket.io-request#/#"); n != nodes {
			return fmt.Errorf("%d subscribers of the request channel, want %d", n, nodes)
		}
		return nil
	})
}

// Proves J-71.
func TestMessagesWaitWhileRedisIsAway(t *testing.T) {
	r := startRedis(t)
	adapter := openAdapter(t, r, redisadapter.Options{})
	a := join(adapter, "/", "a").ready(t)
	b := join(openAdapter(t, r, redisadapter.Options{}), "/", "b").ready(t)
	a.tell(t, 0)
	b.expectLast(t, 0)
	eventually(t, "a has counted b", func() error {
		if n := adapter.Stats().Nodes; n != 2 {
			return fmt.Errorf("%d nodes", n)
		}
		return nil
	})
	r.Kill(t)
	a.waitAway(t)
	for i := 1; i <= 500; i++ {
		a.tell(t, i)
	}
	if s := adapter.Stats(); s.Queued != 500 || s.Published != 1 {
		t.Errorf("without Redis %d are queued and %d published, want 500 and 1", s.Queued, s.Published)
	}
	r.Start(t)
	if heard := b.expectLast(t, 500); len(heard) != 501 {
		t.Errorf("%d events heard, want 501", len(heard))
	}
	if s := adapter.Stats(); len(s.Dropped) > 0 {
		t.Errorf("dropped: %v", s.Dropped)
	}
}

func TestMessagesDoNotWaitForNodesThatDoNotComeBack(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	adapter := openAdapter(t, r, redisadapter.Options{})
	a := join(adapter, "/", "a").ready(t)
	b := join(openAdapter(t, r, redisadapter.Options{}), "/", "b").ready(t)
	dead := openAdapter(t, r, redisadapter.Options{})
	join(dead, "/", "dead").ready(t)
	eventually(t, "a has counted the others", func() error {
		if n := adapter.Stats().Nodes; n != 3 {
			return fmt.Errorf("%d nodes", n)
		}
		return nil
	})
	r.Kill(t)
	if err := dead.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	a.waitAway(t)
	a.tell(t, 1)
	r.Start(t)
	b.expectLast(t, 1)
}

func TestSubscriptionsComeBackAfterClientKill(t *testing.T) {
	r := startRedis(t)
	a, b := pair(t, r)
	c := r.Client(t)
	talk := startTalking(t, a, 0)
	for range 5 {
		before := b.resumptions()
		if err := c.Do(within(t), "CLIENT", "KILL", "TYPE", "pubsub").Err(); err != nil {
			t.Fatalf("CLIENT KILL: %v", err)
		}
		eventually(t, "the node resumes", func() error {
			if b.resumptions() == before {
				return errors.New("not told")
			}
			return nil
		})
		heard := len(b.numbers(t))
		eventually(t, "events flow", func() error { return atLeast(b.numbers(t), heard+5) })
	}
	last := talk.quiet()
	a.tell(t, last)
	b.expectLast(t, last)
	expectOneSubscriptionEach(t, r, 2)
}

func TestPausedRedisDelaysAndLosesNothing(t *testing.T) {
	r := startRedis(t)
	a, b := pair(t, r)
	a.tell(t, 0)
	b.expectLast(t, 0)
	r.Pause(t)
	for i := 1; i <= 1000; i++ {
		a.tell(t, i)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	if _, err := a.Members(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Members() = %v, want the deadline", err)
	}
	r.Resume(t)
	if heard := b.expectLast(t, 1000); len(heard) != 1001 {
		t.Errorf("%d events heard, want 1001", len(heard))
	}
}

func TestRedisAbsentAtStart(t *testing.T) {
	r := absentRedis(t)
	a := join(openAdapter(t, r, redisadapter.Options{}), "/", "a")
	b := join(openAdapter(t, r, redisadapter.Options{}), "/", "b")
	a.tell(t, 1) // waits; b may miss it
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := a.Ready(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Ready() without Redis = %v, want the deadline", err)
	}
	a.waitAway(t)
	r.Start(t)
	a.ready(t)
	b.ready(t)
	a.tell(t, 2)
	b.expectLast(t, 2)
}

func TestNothingIsLeftSubscribedAfterClose(t *testing.T) {
	r := startRedis(t)
	a := openAdapter(t, r, redisadapter.Options{})
	c := r.Client(t)
	for _, namespaces := range []int{1, 200} {
		var nodes []*node
		for i := range namespaces {
			nodes = append(nodes, join(a, fmt.Sprintf("/dyn-%d", i), "a"))
		}
		for _, n := range nodes {
			n.ready(t)
		}
		channels, patterns := subscriptions(t, c)
		if len(channels) != 3*namespaces || patterns != int64(namespaces) {
			t.Errorf("%d namespaces: %d channels and %d patterns, want 3 and 1 each", namespaces, len(channels), patterns)
		}
		for _, n := range nodes {
			if err := n.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}
		if channels, patterns := subscriptions(t, c); len(channels) != 0 || patterns != 0 {
			t.Errorf("left after Close: %q and %d patterns", channels, patterns)
		}
	}
}

func subscriptions(t *testing.T, c *redis.Client) (channels []string, patterns int64) {
	t.Helper()
	channels, err := c.PubSubChannels(within(t), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	patterns, err = c.PubSubNumPat(within(t)).Result()
	if err != nil {
		t.Fatal(err)
	}
	return channels, patterns
}

func TestNamespaceCanBeOpenedAgainAtOnce(t *testing.T) {
	r := startRedis(t)
	adapter := openAdapter(t, r, redisadapter.Options{})
	b := join(openAdapter(t, r, redisadapter.Options{}), "/x", "b").ready(t)
	for i := range 50 {
		n := join(adapter, "/x", fmt.Sprint("a", i))
		if i%2 == 0 {
			n.ready(t)
			b.tell(t, i)
			n.expectLast(t, i)
		}
		_ = n.Close()
	}
	c := r.Client(t)
	if n := numSub(t, c, "socket.io-request#/x#"); n != 1 {
		t.Errorf("%d subscribers of the request channel, want 1", n)
	}
}

// hostile are the inputs of which several end a whole cluster of Node.js servers.
var hostile = []string{
	"\xc1", "\x93\xa1", "\xdd\xff\xff\xff\xff", "\xdd\xff\xff\xff\xff\x01", "\xc6\xff\xff\xff\xff\x01", "\x01",
	strings.Repeat("\x91", 100_000), "\x93\xa1z\x83\xa4type\x02\xa4data\x91\xa1e\xa3nsp\xa1/\xc0",
	"{{{", `{"type":5,"requestId":"a"}`, `{"type":6,"uid":"z"}`, "\xc0", `{"requestId":"unknown","sockets":[]}`, "",
	strings.Repeat("[", 1_000_000), `{"type":2,"opts":{"rooms":[` + strings.Repeat("[", 100_000),
	`{"type":4,"uid":"z","opts":{"rooms":null,"except":[]},"close":true}`,
}

// Proves J-72.
func TestHostileMessagesAreDropped(t *testing.T) {
	r := startRedis(t)
	a, b := pair(t, r)
	c := r.Client(t)
	channels := []string{
		"socket.io#/#", "socket.io#/#room#", "socket.io#/##", "socket.io#/#x", "socket.io-request#/#",
		"socket.io-response#/#", "socket.io-response#/#b#",
	}
	for _, channel := range channels {
		for _, message := range append(hostile, string(bytes.Repeat([]byte{0xff}, 1<<20))) {
			if err := c.Publish(within(t), channel, message).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	a.tell(t, 1)
	b.expectLast(t, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.heard[:len(b.heard)-1] {
		switch m.Body.(type) {
		case cluster.SocketsReply: // well formed: an answer to nobody
		default:
			t.Errorf("made of hostile bytes: %+v", m)
		}
	}
}

func TestUsersClientIsNotClosed(t *testing.T) {
	r := startRedis(t)
	c := r.Client(t)
	a, err := redisadapter.New(c, redisadapter.Options{})
	if err != nil {
		t.Fatal(err)
	}
	n := join(a, "/", "a").ready(t)
	n.tell(t, 1)
	if err := a.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := c.Ping(within(t)).Err(); err != nil {
		t.Errorf("the user's client after Close: %v", err)
	}
	if got := a.Stats().Published; got != 1 {
		t.Errorf("%d messages published by Close, want 1", got)
	}
	if err := n.Publish(cluster.Message{Body: cluster.Rooms{RequestID: "x"}}); !errors.Is(err, cluster.ErrClosed) {
		t.Errorf("Publish after Close = %v, want ErrClosed", err)
	}
}

func TestMonitorSeesTheClassicCommands(t *testing.T) {
	r := startRedis(t)
	m := startMonitor(t, r)
	a, b := pair(t, r)
	a.tell(t, 1)
	b.expectLast(t, 1)
	if _, err := a.Members(within(t)); err != nil {
		t.Fatal(err)
	}
	// Redis tells a monitor a little later.
	for _, want := range [][]string{
		{"PSUBSCRIBE", "socket.io#/#*"},
		{"PUBLISH", "socket.io#/#"},
		{"PUBSUB", "numsub", "socket.io-request#/#"},
	} {
		eventually(t, fmt.Sprint(want), func() error {
			if len(m.commands(want...)) == 0 {
				return errors.New("not seen")
			}
			return nil
		})
	}
	if got := m.commands("PUBLISH", "socket.io#/#"); len(got) != 1 || !strings.HasPrefix(got[0][2], "\x93\xa1a\x83") {
		t.Errorf("published %q, want the broadcast alone", got)
	}
	if got := m.commands("PSUBSCRIBE"); len(got) != 2 {
		t.Errorf("subscribed to %q, want one pattern for each node", got)
	}
}

func TestRefusedSubscriptionIsAskedForAgain(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	c := r.Client(t)
	rule := func(channels ...any) {
		t.Helper()
		args := append([]any{"ACL", "SETUSER", "node", "on", ">secret", "resetchannels", "+@all"}, channels...)
		if err := c.Do(within(t), args...).Err(); err != nil {
			t.Fatalf("ACL SETUSER: %v", err)
		}
	}
	rule("&socket.io#*") // broadcasts, but neither requests nor answers
	refused := make(chan error, 100)
	a, err := redisadapter.Open(
		&redis.UniversalOptions{Addrs: []string{r.addr}, Username: "node", Password: "secret"},
		redisadapter.Options{OnError: func(err error) {
			select {
			case refused <- err:
			default:
			}
		}},
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	n := join(a, "/", "a")
	if err := <-refused; !redis.HasErrorPrefix(err, "NOPERM") {
		t.Errorf("OnError(%v), want NOPERM", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := n.Ready(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Ready() = %v, want the deadline", err)
	}
	rule("allchannels")
	n.ready(t)
}
