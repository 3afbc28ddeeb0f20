package integration_test

import (
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

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

var aclModes = map[string]redisadapter.Options{
	"classic":         {},
	"classic-dynamic": {Routing: redisadapter.Dynamic},
	"sharded":         {Mode: redisadapter.Sharded},
	"streams":         {Mode: redisadapter.Streams},
}

// inACLModes runs a test for each line of the page, with a Redis that has its user.
func inACLModes(t *testing.T, test func(t *testing.T, a *restricted, lines map[string][]string)) {
	t.Helper()
	lines := aclLines(t)
	for user, rules := range lines {
		o, known := aclModes[strings.TrimPrefix(user, "emitter-")]
		if !known {
			t.Errorf("%s has a line for %s, which is not tested", aclPage, user)
			continue
		}
		t.Run(user, func(t *testing.T) { test(t, newRestricted(t, user, rules, o), lines) })
	}
	for mode := range aclModes {
		if lines[mode] == nil || lines["emitter-"+mode] == nil && mode != "classic-dynamic" {
			t.Errorf("%s has no line for the nodes, or for emitters, of mode %s", aclPage, mode)
		}
	}
}

// TestNodesNeedWhatTheirACLLineAllowsAndNothingElse has nodes do all that a
// cluster can do, as the user of their mode's line: nothing is refused, and no
// command stands in the line that was not used.
func TestNodesNeedWhatTheirACLLineAllowsAndNothingElse(t *testing.T) {
	inACLModes(t, func(t *testing.T, a *restricted, lines map[string][]string) {
		if a.emits() {
			a.emit(t, lines[strings.TrimPrefix(a.user, "emitter-")])
		} else {
			a.serve(t)
			a.expectUsed(t)
		}
		a.expectNothingRefused(t)
		a.expectRefusals(t)
	})
}

// TestEveryChannelAndKeyOfAnACLLineIsNeeded leaves out one after the other.
func TestEveryChannelAndKeyOfAnACLLineIsNeeded(t *testing.T) {
	inACLModes(t, func(t *testing.T, a *restricted, _ map[string][]string) {
		for i, rule := range a.rules {
			if !strings.HasPrefix(rule, "&") && !strings.HasPrefix(rule, "~") {
				continue
			}
			t.Run(rule, func(t *testing.T) {
				a.setUser(t, a.user, append([]string{"reset"}, slices.Delete(slices.Clone(a.rules), i, i+1)...))
				must(t, a.admin.ACLLogReset(within(t)).Err())
				a.begin(t)
				eventually(t, "a refusal", func() error {
					if len(a.refused(t)) == 0 {
						return errors.New("nothing was refused")
					}
					return nil
				})
			})
		}
	})
}

// TestACLLinesAreForTheOtherOptionsToo changes the lines as the page says.
func TestACLLinesAreForTheOtherOptionsToo(t *testing.T) {
	lines := aclLines(t)
	for _, v := range []struct {
		name, line string
		options    redisadapter.Options
		rewrite    []string // old, new
	}{
		{"single sockets", "classic-dynamic", redisadapter.Options{Routing: redisadapter.DynamicPrivate}, nil},
		{"static", "sharded", redisadapter.Options{Mode: redisadapter.Sharded, Routing: redisadapter.Static}, nil},
		{"single sockets, sharded", "sharded", redisadapter.Options{Mode: redisadapter.Sharded, Routing: redisadapter.DynamicPrivate}, nil},
		{"several streams", "streams", redisadapter.Options{
			Mode: redisadapter.Streams, Streams: redisadapter.StreamOptions{Count: 4, SignedHash: true},
		}, []string{"~socket.io", "~socket.io-*"}},
		{"streams and shard channels", "streams", redisadapter.Options{
			Mode: redisadapter.Streams, Streams: redisadapter.StreamOptions{ShardedPubSub: true},
		}, []string{
			"+publish", "+spublish", "+subscribe", "+ssubscribe", "+unsubscribe", "+sunsubscribe",
			"+pubsub|numsub", "+pubsub|shardnumsub",
		}},
	} {
		t.Run(v.name, func(t *testing.T) {
			rules := slices.Clone(lines[v.line])
			for i, rule := range rules {
				if at := slices.Index(v.rewrite, rule); at >= 0 {
					rules[i] = v.rewrite[at+1]
				}
			}
			a := newRestricted(t, v.line, rules, v.options)
			a.serve(t)
			a.expectNothingRefused(t)
		})
	}
}

// TestACLLinesNeedTwoMoreCommandsOnARedisCluster is for the modes that a Redis
// Cluster can do.
func TestACLLinesNeedTwoMoreCommandsOnARedisCluster(t *testing.T) {
	t.Parallel()
	lines := aclLines(t)
	for _, mode := range []string{"classic", "classic-dynamic", "streams"} {
		t.Run(mode, func(t *testing.T) {
			addrs := startRedisCluster(t)
			var masters []*restricted
			for _, addr := range addrs {
				a := &restricted{redis: &redisServer{addr: addr}, options: aclModes[mode], user: mode, clustered: true}
				a.admin = a.redis.Client(t)
				a.setUser(t, mode, append(slices.Clone(lines[mode]), "+cluster|slots", "+command"))
				masters = append(masters, a)
			}
			a, b := join(masters[0].open(t, mode), "/", "a").ready(t), join(masters[1].open(t, mode), "/", "b").ready(t)
			a.tell(t, 1)
			b.expectLast(t, 1)
			if m, err := b.Members(within(t)); m.Len() != 1 || err != nil {
				t.Errorf("Members = %+v, %v, want one", m, err)
			}
			if s, ok := a.Link.(cluster.SessionStore); ok {
				session := cluster.Session{PID: "pid", Socket: "socket"}
				must(t, s.Save(within(t), patience, session), s.Renew(within(t), patience, session))
				_, err := storeOf(t, b).Take(within(t), session.PID)
				must(t, err, s.Forget(within(t), session.PID))
			}
			for _, master := range masters {
				master.expectNothingRefused(t)
			}
		})
	}
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
