package redisadapter

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/dunlin-io/dunlin/core/cluster"
)

// shardedAs returns the dialect of a node as a recorded one was configured.
func shardedAs(t *testing.T, prefix, subscriptions, namespace string, self cluster.NodeID) *sharded {
	t.Helper()
	o := &Options{Mode: Sharded, Prefix: prefix, NoExtension: true}
	if subscriptions != "" {
		if err := o.Routing.UnmarshalText([]byte(subscriptions)); err != nil {
			t.Fatal(err)
		}
	}
	return newSharded(testOptions(t, *o), namespace, self, newEarpiece())
}

// commandOf returns what a message is sent with.
func commandOf(t *testing.T, o *outgoing) string {
	t.Helper()
	client := redis.NewClient(&redis.Options{}) // which never connects
	defer func() { _ = client.Close() }()
	return strings.ToUpper(o.append(t.Context(), client.Pipeline(), nil).Name())
}

// TestGoldenShardedChannels sends each recorded message as its sender and
// compares where it goes. An answer goes to the node whose request it answers.
//
// Proves T-90.
func TestGoldenShardedChannels(t *testing.T) {
	vectors := readVectors(t, "redis-sharded.json")
	asker := make(map[string]string)
	id := func(v *vector) (request, uid string) {
		var m struct {
			UID  string `json:"uid"`
			Data struct {
				RequestID string `json:"requestId"`
			} `json:"data"`
		}
		if err := json.Unmarshal(v.Decoded, &m); err != nil {
			t.Fatal(err)
		}
		return m.Data.RequestID, m.UID
	}
	for _, v := range vectors {
		if v.Command != "" && strings.Count(v.Channel, "#") == 2 {
			if request, uid := id(&v); request != "" {
				asker[request] = uid
			}
		}
	}
	seen := 0
	for _, v := range vectors {
		if v.Command == "" {
			continue
		}
		seen++
		t.Run(v.Name, func(t *testing.T) {
			m, err := (&family{namespace: v.namespace(t), self: "other", limits: (&Options{MaxMessage: defaultMaxMessage}).limits()}).
				decode(string(v.payload(t)))
			if err != nil {
				t.Fatal(err)
			}
			s := shardedAs(t, v.Config.Prefix, v.Config.Subscriptions, v.namespace(t), m.From)
			var o outgoing
			switch m.Body.(type) {
			case cluster.AckCount, cluster.AckReply, cluster.SocketsReply, cluster.RoomsReply, cluster.EmitReply, cluster.Applied:
				request, _ := id(&v)
				if asker[request] == "" {
					t.Fatalf("nobody has asked %q", request)
				}
				o, err = s.answer(cluster.ReplyTo(askedPlainly+asker[request]), &m)
			default:
				o, err = s.encode(&m)
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := commandOf(t, &o); got != v.Command || o.channel != v.Channel {
				t.Errorf("sent with %s to %q, want %s to %q", got, o.channel, v.Command, v.Channel)
			}
		})
	}
	if seen != 187 {
		t.Errorf("%d messages, want 187", seen)
	}
}

// TestGoldenShardedCommands checks what the recorded nodes subscribed to and
// counted.
func TestGoldenShardedCommands(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "redis-commands.json"))
	if err != nil {
		t.Fatal(err)
	}
	var recorded map[string][]struct {
		Op      string   `json:"op_name"`
		From    string   `json:"from"`
		Command []string `json:"command"`
	}
	if err := json.Unmarshal(data, &recorded); err != nil {
		t.Fatal(err)
	}
	// The JavaScript adapter subscribes to a public room of 20 characters, to
	// whose channel no member publishes.
	const needless = "socket.io#/#abcdefghijklmnopqrst#"
	uid := regexp.MustCompile(`^[0-9a-f]{16}$`)
	for _, c := range recorded["sharded"] {
		verb, channel := c.Command[0], c.Command[1]
		if verb == "PUBSUB" {
			verb, channel = verb+" "+channel, c.Command[2]
		}
		_, rest, _ := strings.Cut(channel, "#")
		ns, rest, _ := strings.Cut(rest, "#")
		room := strings.TrimSuffix(rest, "#")
		s := shardedAs(t, "", "", ns, "self")
		if uid.MatchString(room) {
			s = shardedAs(t, "", "", ns, cluster.NodeID(room))
		}
		fixed := slices.Contains(s.topics(), topic{channel, false})
		switch verb {
		case "SSUBSCRIBE", "SUNSUBSCRIBE":
			own, ok := s.roomTopic(room)
			if !fixed && (!ok || own != topic{channel, false}) && channel != needless {
				t.Errorf("%s: we do not %s %q", c.Op, verb, channel)
			}
		case "PUBSUB SHARDNUMSUB":
			if channel != s.counted() {
				t.Errorf("%s: we do not count %q", c.Op, channel)
			}
		case "SPUBLISH":
			if !fixed {
				t.Errorf("%s: we do not publish to %q", c.Op, channel)
			}
		default:
			t.Errorf("%s: %q is not understood", c.Op, c.Command)
		}
	}
	if _, ok := shardedAs(t, "", "", "/", "self").roomTopic("abcdefghijklmnopqrst"); ok {
		t.Error("a room that is taken for a socket's id has a channel of its own")
	}
}

func TestRoomsWithChannelsOfTheirOwn(t *testing.T) {
	const id, emoji = "abcdefghijklmnopqrst", "abcdefghijklmnopqr😀" // 20 characters in JavaScript, and 22 bytes
	for _, test := range []struct {
		mode    Mode
		routing Routing
		room    string
		own     bool
	}{
		{Sharded, Static, "room", false},
		{Sharded, Dynamic, "room", true},
		{Sharded, Dynamic, "", true},
		{Sharded, Dynamic, id, false},
		{Sharded, Dynamic, id + "u", true},
		{Sharded, Dynamic, emoji, false},
		{Sharded, DynamicPrivate, id, true},
		{Classic, Dynamic, "room", true},
		{Classic, Dynamic, "", true},
		{Classic, Dynamic, id, false},
		{Classic, Dynamic, emoji, true},
		{Classic, Dynamic, "abcdefghijklmnop😀", false}, // 20 bytes, which the pattern matches
		{Classic, DynamicPrivate, id, true},
		{Classic, Static, "room", false},
	} {
		d, ok := testOptions(t, Options{Mode: test.mode, Routing: test.routing}).dialect("/", "me", newEarpiece()).(router)
		if !ok {
			t.Fatalf("%v does not route", test.mode)
		}
		if own, ok := d.roomTopic(test.room); ok != test.own || ok && own.name != "socket.io#/#"+test.room+"#" {
			t.Errorf("%v, %v: room %q has the channel %q, %v, want %v", test.mode, test.routing, test.room, own.name, ok, test.own)
		}
	}
}

func TestModesAndRoutingsHaveNames(t *testing.T) {
	for _, m := range []Mode{Classic, Sharded, Streams} {
		if got, err := ParseMode(m.String()); err != nil || got != m {
			t.Errorf("ParseMode(%q) = %v, %v", m, got, err)
		}
	}
	for _, r := range []Routing{DefaultRouting, Static, Dynamic, DynamicPrivate} {
		var got Routing
		text, _ := r.MarshalText()
		if err := got.UnmarshalText(text); err != nil || got != r {
			t.Errorf("UnmarshalText(%q) = %v, %v", text, got, err)
		}
	}
	if _, err := ParseMode("Sharded"); err == nil {
		t.Error("ParseMode(Sharded): no error")
	}
	if _, err := ParseRouting(""); err == nil {
		t.Error("ParseRouting(): no error")
	}
}
