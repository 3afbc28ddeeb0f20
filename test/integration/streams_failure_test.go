package integration_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	redisadapter "github.com/dunlin-io/dunlin/adapter/redis"
	"github.com/dunlin-io/dunlin/core/cluster"
)

// badEntries returns entries that no member should write; some of them end the
// hearing of Node.js nodes for good.
func badEntries(t *testing.T) [][]string {
	t.Helper()
	bad := [][]string{
		{"uid", "z", "nsp", "/", "type", "3", "data", "{}"},
		{"uid", "z", "nsp", "/", "type", "3"},
		{"uid", "z", "nsp", "/", "type", "4", "data", `{"rooms":[]}`},
		{"uid", "z", "nsp", "/", "data", "{}"},
		{"uid", "z", "nsp", "/", "type", "3", "data", `{"packet":`},
		{"uid", "z", "nsp", "/", "type", "3", "data", "3f////8="}, // an array of four billion
		{"nothing", "at all"},
		{"nsp", ""},
	}
	text, err := os.ReadFile("../../adapter/redis/testdata/redis-streams.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Name   string            `json:"name"`
		Fields map[string]string `json:"fields"`
	}
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	recorded := 0
	for _, v := range vectors {
		if len(v.Name) > 11 && v.Name[:11] == "bad-entries" {
			bad = append(bad, []string{"uid", v.Fields["uid"], "nsp", v.Fields["nsp"], "type", v.Fields["type"], "data", v.Fields["data"]})
			recorded++
		}
	}
	if recorded == 0 {
		t.Fatal("no bad entries are recorded")
	}
	return bad
}

// Proves J-72.
func TestStreamsSkipBadEntries(t *testing.T) {
	r := startRedis(t)
	a, b := streamPair(t, r, redisadapter.StreamOptions{})
	c := r.Client(t)
	bad := badEntries(t)
	for _, fields := range bad {
		add(t, c, "socket.io", fields...)
	}
	a.tell(t, 1)
	b.expectLast(t, 1)
	for _, n := range []streamNode{a, b} {
		if got := n.adapter.Stats().Dropped[redisadapter.DropMalformed]; got != uint64(len(bad)) {
			t.Errorf("%s has counted %d malformed messages, want %d", n.id, got, len(bad))
		}
	}
	// Nobody reads them again: at most one XREAD for each entry, and the next.
	if reads := commandCalls(t, c, "xread"); reads > 2*(len(bad)+4) {
		t.Errorf("%d times XREAD by two nodes for %d entries", reads, len(bad)+1)
	}
}

func commandCalls(t *testing.T, c *redis.Client, command string) (calls int) {
	t.Helper()
	stats, err := c.InfoMap(within(t), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	line := stats["Commandstats"]["cmdstat_"+command]
	if _, err := fmt.Sscanf(line, "calls=%d,", &calls); err != nil {
		t.Fatalf("commandstats %q: %v", line, err)
	}
	return calls
}

// expectAll waits until b has heard everything that a said up to last, in order
// and each once.
func expectAll(t *testing.T, a, b streamNode, last int) {
	t.Helper()
	heard := b.expectLast(t, last)
	if lost := a.lost(); len(heard) != last+1 || lost != 0 {
		t.Errorf("%d of %d events heard, and %d counted as lost", len(heard), last+1, lost)
	}
	if gaps := b.adapter.Stats().Gaps; gaps != 0 {
		t.Errorf("%d gaps where Redis kept everything", gaps)
	}
}

func TestStreamsLoseNothingWhenConnectionsBreak(t *testing.T) {
	r := startRedis(t)
	a, b := streamPair(t, r, redisadapter.StreamOptions{})
	c := r.Client(t)
	talk := startTalking(t, a.node, 0)
	for range 5 {
		before := len(b.numbers(t))
		if err := c.Do(within(t), "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").Err(); err != nil {
			t.Fatalf("CLIENT KILL: %v", err)
		}
		eventually(t, "events flow", func() error { return atLeast(b.numbers(t), before+20) })
	}
	last := talk.quiet()
	a.tell(t, last)
	expectAll(t, a, b, last)
}

func TestStreamsLoseNothingWhenRedisIsKilled(t *testing.T) {
	r := startKeepingRedis(t)
	a, b := streamPair(t, r, redisadapter.StreamOptions{})
	a.tell(t, 0)
	talk := startTalking(t, a.node, 1)
	for range 3 {
		before := len(b.numbers(t))
		r.Restart(t)
		eventually(t, "events flow", func() error { return atLeast(b.numbers(t), before+20) })
	}
	last := talk.quiet()
	a.tell(t, last)
	expectAll(t, a, b, last)
}

func TestStreamsLoseNothingWhenRedisPauses(t *testing.T) {
	r := startRedis(t)
	a, b := streamPair(t, r, redisadapter.StreamOptions{})
	a.tell(t, 0)
	b.expectLast(t, 0)
	r.Pause(t)
	for i := 1; i <= 1000; i++ {
		a.tell(t, i)
	}
	r.Resume(t)
	expectAll(t, a, b, 1000)
}

// A node that is away for a while reads on where it was.
func TestStreamsReadOnAfterAnInterruption(t *testing.T) {
	r := startRedis(t)
	_, b := streamPair(t, r, redisadapter.StreamOptions{ReadCount: 7})
	c := r.Client(t)
	const events = 300
	for i := range events {
		if i%40 == 0 {
			_ = c.Do(within(t), "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").Err()
		}
		add(t, c, "socket.io", event("/", i)...)
	}
	if heard := b.expectLast(t, events-1); len(heard) != events {
		t.Errorf("%d of %d heard", len(heard), events)
	}
}

// Proves J-71.
func TestStreamsGoOnWhenRedisComesBackEmpty(t *testing.T) {
	r := startRedis(t)
	a, b := streamPair(t, r, redisadapter.StreamOptions{})
	a.tell(t, 0)
	b.expectLast(t, 0)
	before := b.position(t)
	for round := range uint64(3) {
		i := int(round) + 1 //nolint:gosec // three
		r.Restart(t)
		a.tell(t, i)
		b.expectLast(t, i)
		b.expectGaps(t, round+1)
		a.expectGaps(t, round+1)
	}
	if at := b.position(t); at.Compare(before) <= 0 {
		t.Errorf("at %s, which was before %s", at, before)
	}
	if _, err := b.Since(within(t), before, 10); !errors.Is(err, cluster.ErrTrimmed) {
		t.Errorf("Since(a position before the restart) = %v, want ErrTrimmed", err)
	}
}

func TestStreamsGoOnWhenTheStreamIsDeleted(t *testing.T) {
	r := startRedis(t)
	a, b := streamPair(t, r, redisadapter.StreamOptions{Block: 50 * time.Millisecond})
	a.tell(t, 0)
	b.expectLast(t, 0)
	if err := r.Client(t).FlushAll(within(t)).Err(); err != nil {
		t.Fatal(err)
	}
	b.expectGaps(t, 1)
	a.tell(t, 1)
	b.expectLast(t, 1)
}

// Ids go backwards when Redis comes back with an earlier clock.
func TestStreamsGoOnWhenIDsGoBackwards(t *testing.T) {
	r := startRedis(t)
	c := r.Client(t)
	future := &redis.XAddArgs{Stream: "socket.io", ID: "99999999999999-0", Values: event("/", -1)}
	a, b := streamPair(t, r, redisadapter.StreamOptions{})
	if err := c.XAdd(within(t), future).Err(); err != nil {
		t.Fatal(err)
	}
	b.expectLast(t, -1)
	r.Restart(t)
	a.tell(t, 0)
	a.tell(t, 1)
	expectNumbers(t, b.node, -1, 0, 1)
	expectNumbers(t, a.node, -1, 0, 1)
	b.expectGaps(t, 1)

	if at := b.position(t); at.Compare(cluster.Offset(future.ID)) >= 0 {
		t.Errorf("still at %s", at)
	}
	// The same while the connection stands.
	if err := c.XAdd(within(t), future).Err(); err != nil {
		t.Fatal(err)
	}
	expectNumbers(t, b.node, -1, 0, 1, -1)
}

func TestStreamsNoticeWhatWasTrimmedUnread(t *testing.T) {
	r := startRedis(t)
	b := newStreamNode(t, r, "/", "b", redisadapter.StreamOptions{ReadCount: 10})
	slow := &stuck{hold: make(chan struct{})}
	link := b.adapter.Open("/slow", "b", slow)
	if err := errors.Join(b.Ready(within(t)), link.Ready(within(t))); err != nil {
		t.Fatal(err)
	}
	c := r.Client(t)
	add(t, c, "socket.io", event("/slow", 0)...) // holds the reader up
	for i := range 500 {
		add(t, c, "socket.io", event("/", i)...)
	}
	if err := c.XTrimMaxLen(within(t), "socket.io", 100).Err(); err != nil {
		t.Fatal(err)
	}
	close(slow.hold)
	heard := b.expectLast(t, 499)
	if want := []int{400, 499}; !slices.Contains(heard, want[0]) || heard[len(heard)-1] != want[1] || len(heard) > 200 {
		t.Errorf("heard %d events from %d on", len(heard), heard[0])
	}
	b.expectGaps(t, 1)
}

// stuck is a receiver that holds its link up until hold is closed.
type stuck struct{ hold chan struct{} }

func (s *stuck) Receive(cluster.Message) { <-s.hold }
func (*stuck) HasRoom(string) bool       { return true }
func (*stuck) Subscribed(bool)           {}

func TestStreamsWaitForAKeyThatIsNoStream(t *testing.T) {
	r := absentRedis(t)
	var mu sync.Mutex
	var errs []error // guarded by mu
	adapter := openAdapter(t, r, redisadapter.Options{Mode: redisadapter.Streams, OnError: func(err error) {
		mu.Lock()
		errs = append(errs, err)
		mu.Unlock()
	}})
	r.Start(t)
	c := r.Client(t)
	if err := c.Set(within(t), "socket.io", "a string", 0).Err(); err != nil {
		t.Fatal(err)
	}
	n := join(adapter, "/", "a")
	eventually(t, "the error is reported", func() error {
		mu.Lock()
		defer mu.Unlock()
		if !slices.ContainsFunc(errs, func(err error) bool { return redis.HasErrorPrefix(err, "WRONGTYPE") }) {
			return fmt.Errorf("errors: %v", errs)
		}
		return nil
	})
	if err := c.Del(within(t), "socket.io").Err(); err != nil {
		t.Fatal(err)
	}
	n.ready(t).tell(t, 1)
	n.expectLast(t, 1)
}

func TestStreamsLeaveNothingBehind(t *testing.T) {
	r := startRedis(t)
	c := r.Client(t)
	for _, o := range []redisadapter.StreamOptions{{}, {Count: 4, SignedHash: true}, {ShardedPubSub: true}} {
		a, err := redisadapter.Open(&redis.UniversalOptions{Addrs: []string{r.addr}},
			redisadapter.Options{Mode: redisadapter.Streams, Streams: o})
		if err != nil {
			t.Fatal(err)
		}
		for _, ns := range []string{"/", "/dashboard", "/x"} {
			join(a, ns, "a").ready(t).tell(t, 1)
		}
		if err := a.Close(); err != nil { // while reads block
			t.Errorf("Close: %v", err)
		}
		eventually(t, "all connections are closed", func() error {
			list, err := c.ClientList(within(t)).Result()
			if err == nil && slices.Index([]byte(list), '\n') != len(list)-1 {
				err = fmt.Errorf("left: %s", list)
			}
			return err
		})
		if channels, patterns := subscriptions(t, c); len(channels) != 0 || patterns != 0 {
			t.Errorf("left: %q and %d patterns", channels, patterns)
		}
	}
}
