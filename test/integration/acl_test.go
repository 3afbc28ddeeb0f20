package integration_test

import (
	"context"
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	redisadapter "github.com/dunlin-io/dunlin/adapter/redis"
	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

// aclPage has, for each mode, the line that makes a user of Redis who may do what
// a node needs, and nothing else. The test takes the lines from there.
const aclPage = "../../docs/adapters.md"

var aclLine = regexp.MustCompile(`(?m)^ACL SETUSER (\S+) (.*)$`)

// aclLines returns the rules on the page by user. A line may go on after a
// backslash.
func aclLines(t *testing.T) map[string][]string {
	t.Helper()
	page, err := os.ReadFile(aclPage)
	if err != nil {
		t.Fatal(err)
	}
	lines := make(map[string][]string)
	for _, m := range aclLine.FindAllStringSubmatch(strings.ReplaceAll(string(page), "\\\n", " "), -1) {
		lines[m[1]] = strings.Fields(m[2])
	}
	return lines
}

// TestNodesNeedWhatTheirACLLineAllowsAndNothingElse has nodes do all that a
// cluster can do, as the user of their mode's line: nothing is refused, and no
// command stands in the line that was not used.
func TestNodesNeedWhatTheirACLLineAllowsAndNothingElse(t *testing.T) {
	modes := map[string]redisadapter.Options{
		"classic":         {},
		"classic-dynamic": {Routing: redisadapter.Dynamic},
		"sharded":         {Mode: redisadapter.Sharded},
		"streams":         {Mode: redisadapter.Streams},
	}
	lines := aclLines(t)
	for user, rules := range lines {
		o, known := modes[user]
		if emitter, ok := strings.CutPrefix(user, "emitter-"); ok {
			o, known = modes[emitter]
		}
		if !known {
			t.Errorf("%s has a line for %s, which is not tested", aclPage, user)
			continue
		}
		t.Run(user, func(t *testing.T) {
			a := newRestricted(t, user, rules, o)
			if nodes, ok := strings.CutPrefix(user, "emitter-"); ok {
				a.emit(t, lines[nodes])
			} else {
				a.serve(t)
				a.expectUsed(t)
			}
			a.expectNothingRefused(t)
			a.expectRefusals(t)
		})
	}
	for mode := range modes {
		if lines[mode] == nil || lines["emitter-"+mode] == nil && mode != "classic-dynamic" {
			t.Errorf("%s has no line for the nodes, or for emitters, of mode %s", aclPage, mode)
		}
	}
}

// restricted is a Redis whose default user the nodes do not use.
type restricted struct {
	redis   *redisServer
	admin   *redis.Client
	options redisadapter.Options
	user    string
	allowed []string // commands
}

func newRestricted(t *testing.T, user string, rules []string, o redisadapter.Options) *restricted {
	t.Helper()
	a := &restricted{redis: startRedis(t), options: o, user: user}
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
	adapter, err := redisadapter.Open(&redis.UniversalOptions{Addrs: []string{a.redis.addr}, Username: user, Password: "secret"}, a.options)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { _ = adapter.Close() })
	return adapter
}

// duo is two servers with a client each.
type duo struct {
	servers [2]*siotest.Server
	clients [2]*siotest.Client
}

func (a *restricted) duo(t *testing.T, user string) *duo {
	t.Helper()
	var d duo
	for i := range d.servers {
		cfg := socketio.Config{Adapter: a.open(t, user), NodeID: cluster.NodeID("node-" + string(rune('a'+i)))}
		if a.options.Mode == redisadapter.Streams {
			cfg.Recovery.MaxDisconnection = time.Minute
		}
		d.servers[i] = siotest.NewServer(t, cfg)
		d.servers[i].Of("/chat")
		d.servers[i].OnServerSide("who", func(ev *socketio.ServerEvent) { _ = ev.Ack(i) })
	}
	for i, s := range d.servers {
		must(t, s.Ready(patient(t)))
		d.clients[i] = s.Dial()
		d.clients[i].Answer("who", func(socketio.Args) []any { return []any{i} })
		d.join(t, i, "room", d.clients[i].ID())
	}
	return &d
}

func (d *duo) join(t *testing.T, i int, rooms ...string) {
	t.Helper()
	s, ok := d.servers[i].Socket(d.clients[i].ID())
	if !ok {
		t.Fatalf("client %d has no socket", i)
	}
	must(t, s.JoinWait(patient(t), rooms...))
}

// expectIn waits until a client has been put into a room, and its node hears it.
func (d *duo) expectIn(t *testing.T, i int, room string) {
	t.Helper()
	eventually(t, "a room is joined", func() error {
		if s, ok := d.servers[i].Socket(d.clients[i].ID()); !ok || !s.InRoom(room) {
			return errors.New("not yet")
		}
		return nil
	})
	d.join(t, i, room)
}

func (d *duo) expect(name string) {
	for _, c := range d.clients {
		c.Expect(name)
	}
}

// serve does all that nodes do.
func (a *restricted) serve(t *testing.T) {
	t.Helper()
	a.resetStats(t)
	d := a.duo(t, a.user)
	from, far := d.servers[0], d.clients[1]
	must(t, from.Emit("all"))
	d.expect("all")
	must(t, from.To("room").Emit("room"))
	d.expect("room")
	must(t, from.To("room", "none").Emit("rooms"))
	d.expect("rooms")
	must(t, from.To(far.ID()).Emit("private"))
	far.Expect("private")

	a.interrupt(t, func() { _ = from.Emit("interrupted") })
	for _, s := range d.servers {
		must(t, s.Ready(patient(t)))
	}
	d.expect("interrupted")
	sockets, err := from.FetchSockets(patient(t))
	if must(t, err); len(sockets) != 2 {
		t.Errorf("%d sockets, want 2", len(sockets))
	}
	replies, err := from.EmitWithAck(patient(t), "who")
	if must(t, err); len(replies) != 2 {
		t.Errorf("%d acknowledgements, want 2", len(replies))
	}
	answers, err := from.ServerSideEmitWithAck(patient(t), "who")
	if must(t, err); len(answers) != 1 {
		t.Errorf("%d servers answered, want 1", len(answers))
	}
	must(t, from.In(far.ID()).SocketsJoin("other"))
	d.expectIn(t, 1, "other")
	must(t, from.To("other").Emit("joined"))
	far.Expect("joined")
	must(t, from.DeleteNamespace(patient(t), "/chat"))
	if a.options.Mode == redisadapter.Streams {
		d.recover(t)
		// As when a client has come back elsewhere: nothing of this node is kept.
		must(t, storeOf(t, join(a.open(t, a.user), "/", "third")).Forget(patient(t), "nobody's"))
	}
	must(t, from.In(far.ID()).DisconnectSockets())
	far.ExpectDisconnect("io server disconnect")
}

// recover brings a client of one server back on the other.
func (d *duo) recover(t *testing.T) {
	t.Helper()
	c := d.clients[0]
	id := c.ID()
	c.Cut()
	eventually(t, "the server notices", func() error {
		if _, there := d.servers[0].Socket(id); there {
			return errors.New("the socket is still there")
		}
		return nil
	})
	must(t, d.servers[1].To("room").Emit("missed"))
	c.Move(d.servers[1].Endpoint)
	if c.Resume(); !c.Recovered() {
		s, _ := d.servers[1].Socket(c.ID())
		t.Errorf("not recovered: %+v", s.Recovery())
	}
	c.Expect("missed")
}

// emit does what emitters do: first alone, which is counted, and then to nodes
// with a user of their own.
func (a *restricted) emit(t *testing.T, rules []string) {
	t.Helper()
	a.resetStats(t)
	e := socketio.NewEmitter(a.open(t, a.user))
	say := func(nodes int) {
		t.Helper()
		must(t, e.Emit("all"), e.To("room").Emit("room"), e.In("room").SocketsJoin("b"), e.ServerSideEmit("job"), e.Flush(patient(t)))
		if n, err := e.Nodes(patient(t)); n != nodes || err != nil {
			t.Errorf("Nodes = %d, %v, want %d", n, err, nodes)
		}
	}
	say(0)
	a.interrupt(t, func() { _ = e.Emit("interrupted") })
	_ = e.Flush(patient(t)) // which may tell that it is lost
	say(0)
	a.expectUsed(t)

	const nodes = "nodes"
	a.setUser(t, nodes, rules)
	d := a.duo(t, nodes)
	told := make(chan struct{}, len(d.servers))
	for _, s := range d.servers {
		s.OnServerSide("job", func(*socketio.ServerEvent) { told <- struct{}{} })
	}
	say(len(d.servers))
	d.expect("all")
	d.expect("room")
	for i := range d.servers {
		<-told
		d.expectIn(t, i, "b")
	}
	must(t, e.To("b").Emit("joined"), e.Flush(patient(t)))
	d.expect("joined")
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
	refused, err := a.admin.ACLLog(within(t), 100).Result()
	must(t, err)
	for _, r := range refused {
		t.Errorf("%s was refused: %s of %s", r.Username, r.Reason, r.Object)
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
