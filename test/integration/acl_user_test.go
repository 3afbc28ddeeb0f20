package integration_test

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	redisadapter "github.com/dunlin-io/dunlin/adapter/redis"
	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/socketio"
)

// restricted is a Redis whose default user the nodes do not use.
type restricted struct {
	redis     *redisServer
	admin     *redis.Client
	clustered bool // it is one of a Redis Cluster
	options   redisadapter.Options
	user      string
	rules     []string
	allowed   []string // commands
}

func newRestricted(t *testing.T, user string, rules []string, o redisadapter.Options) *restricted {
	t.Helper()
	a := &restricted{redis: startRedis(t), options: o, user: user, rules: rules}
	a.admin = a.redis.Client(t)
	a.setUser(t, user, rules)
	for _, rule := range rules {
		if command, ok := strings.CutPrefix(rule, "+"); ok {
			a.allowed = append(a.allowed, command)
		}
	}
	slices.Sort(a.allowed)
	return a
}

func (a *restricted) setUser(t *testing.T, user string, rules []string) {
	t.Helper()
	args := []any{"ACL", "SETUSER", user}
	for _, rule := range rules {
		args = append(args, rule)
	}
	if err := a.admin.Do(within(t), args...).Err(); err != nil {
		t.Fatalf("ACL SETUSER %s: %v", user, err)
	}
}

func (a *restricted) open(t *testing.T, user string) *redisadapter.Adapter {
	t.Helper()
	adapter, err := redisadapter.Open(&redis.UniversalOptions{
		Addrs: []string{a.redis.addr}, Username: user, Password: "secret", IsClusterMode: a.clustered,
	}, a.options)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { _ = adapter.Close() })
	return adapter
}

// interrupt breaks the user's connections when something was sent on them that
// Redis has not done.
func (a *restricted) interrupt(t *testing.T, send func()) {
	t.Helper()
	must(t, a.admin.Do(within(t), "CLIENT", "PAUSE", 2*patience.Milliseconds(), "WRITE").Err())
	send()
	eventually(t, "a command waits", func() error {
		list, err := a.admin.ClientList(within(t)).Result()
		if !waits.MatchString(list) {
			err = errors.Join(err, errors.New("none does"))
		}
		return err
	})
	must(t, a.admin.Do(within(t), "CLIENT", "KILL", "USER", a.user).Err(), a.admin.ClientUnpause(within(t)).Err())
}

var waits = regexp.MustCompile(`(?m) flags=b .* cmd=(publish|spublish|xadd) `)

func (a *restricted) resetStats(t *testing.T) {
	t.Helper()
	must(t, a.admin.ConfigResetStat(within(t)).Err())
}

var commandStat = regexp.MustCompile(`(?m)^cmdstat_([^:]+):`)

// expectUsed wants all the allowed commands to have been used.
func (a *restricted) expectUsed(t *testing.T) {
	t.Helper()
	info, err := a.admin.Info(within(t), "commandstats").Result()
	must(t, err)
	var used []string
	for _, m := range commandStat.FindAllStringSubmatch(info, -1) {
		// Anybody may greet; the others are the test's own.
		if !slices.Contains([]string{"hello", "config|resetstat", "client|list", "client|pause", "client|unpause", "client|kill"}, m[1]) {
			used = append(used, m[1])
		}
	}
	if slices.Sort(used); !slices.Equal(used, a.allowed) {
		t.Errorf("used:    %q\nallowed: %q", used, a.allowed)
	}
}

func (a *restricted) expectNothingRefused(t *testing.T) {
	t.Helper()
	for _, r := range a.refused(t) {
		t.Errorf("%s was refused: %s of %s", r.Username, r.Reason, r.Object)
	}
}

func (a *restricted) refused(t *testing.T) []*redis.ACLLogEntry {
	t.Helper()
	log, err := a.admin.ACLLog(within(t), 100).Result()
	must(t, err)
	return log
}

func (a *restricted) emits() bool { return strings.HasPrefix(a.user, "emitter-") }

// begin has the user begin with its work in both namespaces, and does not mind
// whether it succeeds.
func (a *restricted) begin(t *testing.T) {
	t.Helper()
	adapter := a.open(t, a.user)
	emitter := socketio.NewEmitter(adapter)
	for _, name := range []string{"/", "/chat"} {
		if a.emits() {
			n := emitter.Of(name)
			must(t, n.Emit("event"), n.In("room").SocketsJoin("another"))
			continue
		}
		n := join(adapter, name, "node")
		if s, ok := n.Link.(cluster.SessionStore); ok {
			_ = s.Save(within(t), patience, cluster.Session{PID: "pid", Socket: "socket"})
		}
	}
}

func (a *restricted) expectRefusals(t *testing.T) {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: a.redis.addr, Username: a.user, Password: "secret", MaxRetries: -1, DisableIdentity: true})
	defer func() { _ = c.Close() }()
	for name, try := range map[string]func(context.Context) error{
		"SET of an application's key": func(ctx context.Context) error { return c.Set(ctx, "app:key", 1, 0).Err() },
		"GET of an application's key": func(ctx context.Context) error { return c.Get(ctx, "app:key").Err() },
		"an application's channel":    func(ctx context.Context) error { return c.Publish(ctx, "app", 1).Err() },
		"its shard channel":           func(ctx context.Context) error { return c.SPublish(ctx, "app", 1).Err() },
		"its stream": func(ctx context.Context) error {
			return c.XAdd(ctx, &redis.XAddArgs{Stream: "app", Values: []string{"k", "v"}}).Err()
		},
		"KEYS":     func(ctx context.Context) error { return c.Keys(ctx, "*").Err() },
		"FLUSHALL": func(ctx context.Context) error { return c.FlushAll(ctx).Err() },
		"EVAL":     func(ctx context.Context) error { return c.Eval(ctx, "return 1", nil).Err() },
		"CONFIG":   func(ctx context.Context) error { return c.ConfigGet(ctx, "*").Err() },
		"MONITOR":  func(ctx context.Context) error { return c.Do(ctx, "MONITOR").Err() },
		"PSUBSCRIBE to everything": func(ctx context.Context) error {
			return c.Do(ctx, "PSUBSCRIBE", "*").Err()
		},
	} {
		if err := try(within(t)); !redis.HasErrorPrefix(err, "NOPERM") {
			t.Errorf("%s: %v, want NOPERM", name, err)
		}
	}
}
