package integration_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	redisadapter "github.com/dunlin-io/dunlin/adapter/redis"
	"github.com/dunlin-io/dunlin/core/cluster"
)

// lockedText is a log.
type lockedText struct {
	mu sync.Mutex // guards the following
	b  bytes.Buffer
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// startOwnRedis starts a Redis with settings that containers do not have.
func startOwnRedis(t *testing.T, args ...string) *redisServer {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		const message = "install redis-server (apt-get install redis-server)"
		if os.Getenv("CI") == "true" {
			t.Fatal(message)
		}
		t.Skip(message)
	}
	r := startProcess(t, path, freeAddr(t), args...)
	r.waitReady(t)
	return r
}

// refusal is a state in which Redis refuses what nodes want.
type refusal struct {
	reason redisadapter.Refusal
	code   string // with which its answers begin
	modes  []redisadapter.Mode
	begin  func(t *testing.T, c *redis.Client)
	end    func(t *testing.T, c *redis.Client)
	mend   string // what the log says
}

var (
	allModes    = []redisadapter.Mode{redisadapter.Classic, redisadapter.Sharded, redisadapter.Streams}
	streamsOnly = []redisadapter.Mode{redisadapter.Streams}
)

func do(args ...any) func(*testing.T, *redis.Client) {
	return func(t *testing.T, c *redis.Client) {
		t.Helper()
		if err := c.Do(within(t), args...).Err(); err != nil {
			t.Fatalf("%v: %v", args, err)
		}
	}
}

func passing() []refusal {
	return []refusal{
		{
			redisadapter.OutOfMemory, "OOM", streamsOnly,
			do("CONFIG", "SET", "maxmemory", 1), do("CONFIG", "SET", "maxmemory", 0), "maxmemory",
		},
		{
			redisadapter.ReadOnly, "READONLY", streamsOnly,
			do("REPLICAOF", "127.0.0.1", "1"), do("REPLICAOF", "NO", "ONE"), "connect to the master",
		},
		{
			redisadapter.Unauthenticated, "NOAUTH", allModes,
			func(t *testing.T, c *redis.Client) {
				do("CONFIG", "SET", "requirepass", "secret")(t, c)
				do("CLIENT", "KILL", "TYPE", "pubsub")(t, c)
				do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")(t, c)
			},
			do("CONFIG", "SET", "requirepass", ""), "right user and password",
		},
	}
}

// TestMessagesWaitWhileRedisRefuses has Redis refuse for a while: what is said
// meanwhile comes later, in order, and Redis is asked at a bounded rate.
func TestMessagesWaitWhileRedisRefuses(t *testing.T) {
	for _, f := range passing() {
		for _, mode := range f.modes {
			t.Run(fmt.Sprintf("%v/%v", f.reason, mode), func(t *testing.T) {
				t.Parallel()
				waitsOut(t, startOwnRedis(t), f, mode)
			})
		}
	}
}

func waitsOut(t *testing.T, r *redisServer, f refusal, mode redisadapter.Mode) {
	t.Helper()
	var log lockedText
	var typed sync.Map // of reasons
	o := redisadapter.Options{Mode: mode, OnDrop: func(d redisadapter.Drop) { t.Logf("dropped: %+v", d) }, Logger: slog.New(slog.NewTextHandler(&log, nil)), OnError: func(err error) {
		if refused := (*redisadapter.RefusedError)(nil); errors.As(err, &refused) {
			typed.Store(refused.Reason, true)
		}
	}}
	adapters := []*redisadapter.Adapter{openAdapter(t, r, o), openAdapter(t, r, o)}
	a, b := join(adapters[0], "/", "a").ready(t), join(adapters[1], "/", "b").ready(t)
	a.tell(t, 0)
	b.expectLast(t, 0)

	c := r.Client(t)
	if err := c.Ping(within(t)).Err(); err != nil { // so that it has a connection already
		t.Fatal(err)
	}
	before := errorReplies(t, c, f.code)
	since := time.Now()
	f.begin(t, c)
	const said = 300 // more than one batch
	for i := range said {
		a.tell(t, i+1)
	}
	eventually(t, "Redis refuses", func() error {
		if n := adapters[0].Stats().Refused[f.reason]; n < 5 {
			return fmt.Errorf("%d times", n)
		}
		return nil
	})
	// A batch has up to 256 messages, and of two nodes each asks at most as often
	// as the shortest pauses between attempts allow; without any it is thousands.
	if n, most := errorReplies(t, c, f.code)-before, 256*12+int(200*time.Since(since).Seconds()); n > most {
		t.Errorf("Redis has refused %d times in %v, want at most %d", n, time.Since(since), most)
	}
	f.end(t, c)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("a: %+v\nb: %+v\n%s", adapters[0].Stats(), adapters[1].Stats(), log.String())
		}
	})
	b.expectLast(t, said)
	if is := b.numbers(t); len(is) != said+1 {
		t.Errorf("%d of %d events were heard", len(is), said+1)
	}
	if d := adapters[0].Stats().Dropped; len(d) > 0 {
		t.Errorf("dropped %v", d)
	}
	if _, ok := typed.Load(f.reason); !ok {
		t.Errorf("OnError was not given a RefusedError of %v", f.reason)
	}
	if text := log.String(); !strings.Contains(text, f.mend) {
		t.Errorf("the log does not say %q:\n%s", f.mend, text)
	}
	if err := a.Ready(within(t)); err != nil {
		t.Errorf("Ready() = %v", err)
	}
}

// errorReplies returns how often Redis has answered with an error.
func errorReplies(t *testing.T, c *redis.Client, code string) (n int) {
	t.Helper()
	info, err := c.Info(within(t), "errorstats").Result()
	if err != nil {
		t.Fatalf("INFO: %v", err)
	}
	_, count, found := strings.Cut(info, "errorstat_"+code+":count=")
	if !found {
		return 0
	}
	if _, err := fmt.Sscan(strings.Fields(count)[0], &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// A Redis that has much to load answers LOADING for a while after its start.
func TestMessagesWaitWhileRealRedisLoads(t *testing.T) {
	for _, mode := range allModes {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			// Each key takes 5 ms to load.
			r := startOwnRedis(t, "--rdbcompression", "no", "--key-load-delay", "5000", "--loading-process-events-interval-bytes", "1024")
			c := r.Client(t)
			pipe := c.Pipeline()
			for i := range 300 {
				pipe.Set(within(t), fmt.Sprint("key", i), strings.Repeat("x", 2000), 0)
			}
			pipe.Save(within(t))
			if _, err := pipe.Exec(within(t)); err != nil {
				t.Fatal(err)
			}
			var log lockedText
			o := redisadapter.Options{Mode: mode, Logger: slog.New(slog.NewTextHandler(&log, nil))}
			adapter := openAdapter(t, r, o)
			a, b := join(adapter, "/", "a").ready(t), join(openAdapter(t, r, o), "/", "b").ready(t)
			a.tell(t, 0)
			b.expectLast(t, 0)
			r.Kill(t)
			if err := r.start(); err != nil {
				t.Fatal(err)
			}
			said := 0
			eventually(t, "Redis loads", func() error {
				said++
				a.tell(t, said)
				if adapter.Stats().Refused[redisadapter.Loading] == 0 {
					return errors.New("it does not say so")
				}
				return nil
			})
			a.tell(t, 1_000_000)
			b.expectLast(t, 1_000_000)
			if !strings.Contains(log.String(), "wait until Redis has loaded") {
				t.Errorf("the log does not say so:\n%s", log.String())
			}
		})
	}
}

// TestAStreamThatIsNoneIsExplained proves that a key of another type is named, to
// who waits for a node and to who publishes only.
func TestAStreamThatIsNoneIsExplained(t *testing.T) {
	r := startRedis(t)
	c := r.Client(t)
	if err := c.Set(within(t), "socket.io", "a string", 0).Err(); err != nil {
		t.Fatal(err)
	}
	adapter := openAdapter(t, r, redisadapter.Options{Mode: redisadapter.Streams})
	n := join(adapter, "/", "a")
	eventually(t, "WRONGTYPE is counted", func() error {
		if adapter.Stats().Refused[redisadapter.WrongType] < 3 {
			return errors.New("not yet")
		}
		return nil
	})
	expectRefused(t, soonReady(t, n), redisadapter.WrongType, `stream socket.io`, "another name")

	emitter := openAdapter(t, r, redisadapter.Options{Mode: redisadapter.Streams}).Open("/", "", nil)
	if err := emitter.Publish(cluster.Message{Body: cluster.Disconnect{}}); err != nil {
		t.Fatal(err)
	}
	err := emitter.(cluster.Flusher).Flush(within(t))
	expectRefused(t, err, redisadapter.WrongType, `XADD "socket.io"`, "another name")
	if err := c.Del(within(t), "socket.io").Err(); err != nil {
		t.Fatal(err)
	}
	n.ready(t)
}

// soonReady gives a node a moment to become ready.
func soonReady(t *testing.T, n *node) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	return n.Ready(ctx)
}

func expectRefused(t *testing.T, err error, reason redisadapter.Refusal, texts ...string) {
	t.Helper()
	var refused *redisadapter.RefusedError
	if !errors.As(err, &refused) || refused.Reason != reason {
		t.Errorf("error %v, want a RefusedError that is %v", err, reason)
		return
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error %v, want %q in it", err, text)
		}
	}
}

// TestReadyNamesWhatIsForbidden takes one thing at a time from the line of
// docs/adapters.md, and has Ready say what it was; with it back the node is ready.
func TestReadyNamesWhatIsForbidden(t *testing.T) {
	const forbidden = redisadapter.Forbidden
	type test struct{ without, want string }
	lines := aclLines(t)
	for mode, tests := range map[redisadapter.Mode][]test{
		redisadapter.Classic: {
			{"-publish", "'publish'"},
			{"-pubsub", "'pubsub|numsub'"},
			{"-subscribe", `SUBSCRIBE "socket.io-request#/#"`},
			{"-psubscribe", `PSUBSCRIBE "socket.io#/#*"`},
			{"-ping", "'ping'"},
			{"&socket.io#/#*", `PSUBSCRIBE "socket.io#/#*"`},
			{"&socket.io-request#/#", `SUBSCRIBE "socket.io-request#/#"`},
			{"&socket.io-response#/#*", `SUBSCRIBE "socket.io-response#/#"`},
		},
		redisadapter.Sharded: {
			{"-spublish", "'spublish'"},
			{"-pubsub", "'pubsub|shardnumsub'"},
			{"-ssubscribe", `SSUBSCRIBE "socket.io#/#"`},
			{"-ping", "'ping'"},
			{"&socket.io#/*", `SSUBSCRIBE "socket.io#/#"`},
		},
		redisadapter.Streams: {
			{"-publish", "'publish'"},
			{"-pubsub", "'pubsub|numsub'"},
			{"-subscribe", `SUBSCRIBE "socket.io#/#"`},
			{"-xadd", "'xadd'"},
			{"-xread", "'xread'"},
			{"-xrange", "'xrange'"},
			{"-xinfo", "'xinfo|stream'"},
			{"~socket.io", "stream socket.io"},
			{"&socket.io#/*", `SUBSCRIBE "socket.io#/#"`},
		},
	} {
		for _, test := range tests {
			t.Run(mode.String()+"/"+test.without, func(t *testing.T) {
				t.Parallel()
				r := startRedis(t)
				c := r.Client(t)
				rules := []any{"ACL", "SETUSER", "node"}
				for _, rule := range lines[mode.String()] {
					if rule != test.without {
						rules = append(rules, rule)
					}
				}
				all := slices.Clone(rules)
				if strings.HasPrefix(test.without, "-") {
					rules = append(rules, test.without)
				} else {
					all = append(all, test.without)
				}
				do(rules...)(t, c)
				adapter, err := redisadapter.Open(
					&redis.UniversalOptions{Addrs: []string{r.addr}, Username: "node", Password: "secret"}, redisadapter.Options{Mode: mode})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = adapter.Close() })
				n := join(adapter, "/", "a")
				eventually(t, "Redis forbids something, twice", func() error {
					err = soonReady(t, n)
					if adapter.Stats().Refused[forbidden] < 2 || !strings.Contains(fmt.Sprint(err), test.want) {
						return fmt.Errorf("Ready() = %w", err)
					}
					return nil
				})
				expectRefused(t, err, forbidden, "ACL SETUSER")
				do(all...)(t, c)
				n.ready(t)
			})
		}
	}
}

// Sentinels that are not there, or know nothing, are no reason to lose messages.
func TestMessagesWaitForSentinels(t *testing.T) {
	w := startWatched(t, 1)
	o := redisadapter.Options{}
	a, b := w.join(t, "a", o), w.join(t, "b", o)
	next := flows(t, "events flow", 0, a, b)
	s := redis.NewSentinelClient(&redis.Options{Addr: w.sentinels[0]})
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Remove(within(t), masterName).Err(); err != nil {
		t.Fatal(err)
	}
	c := w.servers[0].Client(t)
	do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")(t, c)
	do("CLIENT", "KILL", "TYPE", "pubsub")(t, c)
	host, port, _ := net.SplitHostPort(w.servers[0].addr)
	eventually(t, "nodes notice", func() error {
		if err := soonReady(t, a); err == nil {
			return errors.New("they are ready")
		}
		return nil
	})
	a.tell(t, next+1000)
	if err := s.Monitor(within(t), masterName, host, port, "1").Err(); err != nil {
		t.Fatal(err)
	}
	b.expectLast(t, next+1000)
}
