package redisadapter

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/dunlin-io/dunlin/core/cluster"
)

// vector is one message recorded from the JavaScript packages, or one operation
// that publishes nothing.
type vector struct {
	Name       string          `json:"name"`
	Op         string          `json:"op"`
	From       string          `json:"from"`
	Command    string          `json:"command"`
	Channel    string          `json:"channel"`
	Kind       string          `json:"kind"`
	Encoding   string          `json:"encoding"`
	PayloadHex string          `json:"payload_hex"`
	Decoded    json.RawMessage `json:"decoded"`
	Config     struct {
		Key      string          `json:"key"`
		Specific bool            `json:"publishOnSpecificResponseChannel"`
		Parser   json.RawMessage `json:"parser"`
		Recovery json.RawMessage `json:"connectionStateRecovery"`

		Prefix        string `json:"channelPrefix"`
		Subscriptions string `json:"subscriptionMode"`
		Stream        string `json:"streamName"`
		StreamCount   int    `json:"streamCount"`
		Sharded       bool   `json:"useShardedPubSub"`
		Plaintext     bool   `json:"onlyPlaintext"`
		MaxLen        int    `json:"maxLen"`
		ReadCount     int    `json:"readCount"`
		BlockTime     int    `json:"blockTimeInMs"`
	} `json:"config"`
	Emitter json.RawMessage `json:"emitter"`
	Result  json.RawMessage `json:"result"`
	Threw   string          `json:"threw"`
	Effects json.RawMessage `json:"effects"`

	// Of entries of a stream, and of sessions.
	EntryID     string            `json:"entry_id"`
	XAddOptions []string          `json:"xadd_options"`
	FieldOrder  []string          `json:"field_order"`
	Fields      map[string]string `json:"fields"`
	MsgpackHex  string            `json:"msgpack_hex"`
	SetOptions  []string          `json:"set_options"`

	file string
}

func readVectors(t testing.TB, file string) []vector {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var vs []vector
	if err := d.Decode(&vs); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	for i := range vs {
		vs[i].file = file
	}
	return vs
}

func (v *vector) payload(t testing.TB) []byte {
	t.Helper()
	b, err := hex.DecodeString(v.PayloadHex)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// channels tells the prefix and namespace of an entry, which are not recorded
// as such, and the names of its channels.
func (v *vector) channels(t *testing.T, self cluster.NodeID) (string, channels) {
	t.Helper()
	prefix := defaultPrefix
	if p, _, _ := strings.Cut(v.Channel, "#"); strings.HasPrefix(p, "my:prefix") {
		prefix = "my:prefix"
	}
	_, rest, _ := strings.Cut(v.Channel, "#")
	ns, _, ok := strings.Cut(rest, "#")
	if !ok {
		t.Fatalf("channel %q", v.Channel)
	}
	return ns, newChannels(prefix, ns, self)
}

// notPublished holds the operations of which nothing may reach Redis, and why.
var notPublished = map[string]string{
	"local/NOTHING_PUBLISHED":                  "local target",
	"ack-local/NOTHING_PUBLISHED":              "local target",
	"fetch-local/NOTHING_PUBLISHED":            "local target",
	"join-local/NOTHING_PUBLISHED":             "local target",
	"socket-emit/NOTHING_PUBLISHED":            "one local socket: not a cluster operation",
	"all-sockets/NOTHING_PUBLISHED":            "local by definition",
	"server-count/NOTHING_PUBLISHED":           "PUBSUB NUMSUB only, see TestMembers",
	"close-adapter/NOTHING_PUBLISHED":          "unsubscribes only, see TestCloseLeavesNothingSubscribed",
	"redis-emitter/reserved/NOTHING_PUBLISHED": "refused by the core",
	"redis-emitter/sse-ack/NOTHING_PUBLISHED":  "refused by the core",
}

// difference is how what we write differs from what was recorded: where the
// recording has one text we have another. Without any all of it is different.
type difference struct {
	why  string
	swap []string // recorded, ours, ...
}

const (
	notDates  = "dates are strings in JSON"
	notNumber = "rooms are text"
	notNaN    = "NaN and infinite numbers are null in JSON"
	notZero   = "notepack.io makes numbers beyond 64 bits a zero of nine bytes"
	notParser = "the option parser is understood, not sent"
	notLegacy = "made by hand: adapters up to 7"
)

var differences = map[string]difference{
	"emit-dates/BROADCAST":                          {why: notDates},
	"emit-date-with-binary/BROADCAST":               {why: notDates},
	"redis-emitter/emit-dates/BROADCAST":            {why: notDates},
	"redis-emitter/emit-date-with-binary/BROADCAST": {why: notDates},
	"emit-floats/BROADCAST": {
		notZero, []string{"\xcf\x00\x00\x00\x00\x00\x00\x00\x00", "\x00"},
	},
	"emit-unsafe-numbers/BROADCAST": {
		notZero, []string{
			"\xcf\x00\x00\x00\x00\x00\x00\x00\x00", "\x00",
			"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00\xcb\xff\xf0\x00\x00\x00\x00\x00\x00", "\xc0\xc0\xc0",
		},
	},
	"emit-buffer-numbers/BROADCAST": {
		notNaN, []string{
			"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00", "\xc0\xc0",
		},
	},
	"to-numeric-room/BROADCAST":               {notNumber, []string{"rooms\x91\x07", "rooms\x91\xa17"}},
	"all-rooms/ALL_ROOMS_RESPONSE":            {notNumber, []string{`,7,`, `,"7",`}},
	"specific/all-rooms/ALL_ROOMS_RESPONSE":   {notNumber, []string{`,7,`, `,"7",`}},
	"fetch-all/REMOTE_FETCH_RESPONSE":         {notNumber, []string{`,7],"data"`, `,"7"],"data"`}},
	"fetch-except/REMOTE_FETCH_RESPONSE":      {notNumber, []string{`,7],"data"`, `,"7"],"data"`}},
	"json-parser/emit-scalars/BROADCAST":      {why: notParser},
	"json-parser/emit-buffer/BROADCAST":       {why: notParser},
	"json-parser/ack-room/BROADCAST_WITH_ACK": {why: notParser},
	"json-parser/ack-room/BROADCAST_ACK":      {why: notParser},
	"legacy-remote-join/REMOTE_JOIN":          {why: notLegacy},
	"legacy-remote-leave/REMOTE_LEAVE":        {why: notLegacy},
}

// notUnderstood holds what must be refused.
var notUnderstood = map[string]error{
	"bad-messages/UNKNOWN":   errMalformed,
	"bad-messages/UNKNOWN#2": errMalformed,
	"bad-messages/UNKNOWN#3": errUnknownType,
}

// Proves T-107, J-74.
func TestGoldenClassic(t *testing.T) { golden(t, "redis-classic.json", 183, false) }

// Proves T-108.
func TestGoldenEmitter(t *testing.T) { golden(t, "emitter-classic.json", 35, true) }

func golden(t *testing.T, file string, count int, emitter bool) {
	vs := readVectors(t, file)
	if len(vs) != count {
		t.Fatalf("%d entries, want %d", len(vs), count)
	}
	same := 0
	known := make(map[string]bool)
	for _, v := range vs {
		known[v.Name] = true
		t.Run(v.Name, func(t *testing.T) {
			switch {
			case v.Command == "":
				if notPublished[v.Name] == "" {
					t.Errorf("%s publishes nothing, and nobody knows why", v.Op)
				}
			case v.Command != "PUBLISH":
				t.Errorf("command %q is not understood", v.Command)
			case notUnderstood[v.Name] != nil:
				goldenRefused(t, &v)
			default:
				if goldenMessage(t, &v, emitter) {
					same++
				}
			}
		})
	}
	for _, names := range []iter.Seq[string]{maps.Keys(notPublished), maps.Keys(differences), maps.Keys(notUnderstood)} {
		for name := range names {
			if strings.HasPrefix(name, "redis-emitter/") == emitter && !known[name] {
				t.Errorf("no entry has the name %q", name)
			}
		}
	}
	t.Logf("%d of %d entries are written byte for byte", same, count)
}

func goldenRefused(t *testing.T, v *vector) {
	ns, _ := v.channels(t, "other")
	c := codec{namespace: ns, self: "other", limits: (&Options{MaxMessage: defaultMaxMessage}).limits()}
	if m, err := c.request(string(v.payload(t))); !errors.Is(err, notUnderstood[v.Name]) {
		t.Errorf("request() = %+v, %v, want %v", m, err, notUnderstood[v.Name])
	}
}

// goldenMessage decodes an entry as another node, compares what it says with
// what was recorded, writes it as its sender and compares the bytes. It returns
// whether they are the same.
func goldenMessage(t *testing.T, v *vector, emitter bool) bool {
	payload := v.payload(t)
	ns, names := v.channels(t, "other")
	limits := (&Options{MaxMessage: defaultMaxMessage}).limits()
	m, err := decodeAs(&codec{namespace: ns, self: "other", limits: limits}, &names, v.Channel, payload)
	if err != nil {
		t.Fatalf("decode: %v", err)
	}
	if m.Namespace != ns {
		t.Errorf("namespace = %q, want %q", m.Namespace, ns)
	}
	if got, want := viewOf(t, &m, v), recorded(t, v); !reflect.DeepEqual(got, want) {
		t.Errorf("decoded\n %v, want\n %v", got, want)
	}
	sender := codec{namespace: ns, self: m.From, emitter: emitter, limits: limits}
	channel, written, err := encodeAs(&sender, &names, v, &m)
	if err != nil {
		t.Fatalf("encode: %v", err)
	}
	if channel != v.Channel {
		t.Errorf("channel = %q, want %q", channel, v.Channel)
	}
	want := sortedMaps(t, v, payload)
	d, different := differences[v.Name]
	want = []byte(strings.NewReplacer(d.swap...).Replace(string(want)))
	if identical := bytes.Equal(written, want); identical == (different && d.swap == nil) {
		t.Errorf("identical = %v (%s): written\n %q, want\n %q", identical, d.why, written, want)
	}
	identical := bytes.Equal(written, payload)
	if identical && different {
		t.Errorf("written as recorded, although %s", d.why)
	}
	return identical
}

func decodeAs(c *codec, names *channels, channel string, payload []byte) (cluster.Message, error) {
	switch {
	case channel == names.request:
		return c.request(string(payload))
	case strings.HasPrefix(channel, names.response):
		return c.answer(string(payload))
	}
	if _, ok := names.room(channel); !ok {
		return cluster.Message{}, fmt.Errorf("channel %q is not of %q", channel, names.broadcast)
	}
	return c.broadcast(string(payload))
}

func encodeAs(c *codec, names *channels, v *vector, m *cluster.Message) (channel string, payload []byte, err error) {
	switch b := m.Body.(type) {
	case cluster.Broadcast:
		if b.RequestID == "" {
			payload, err = c.appendBroadcast(nil, 0, &b)
			return names.of(&b.Target), payload, err
		}
	case cluster.AckCount, cluster.AckReply, cluster.SocketsReply, cluster.RoomsReply, cluster.EmitReply,
		cluster.Applied:
		payload, err = c.appendAnswer(nil, askedPlainly+"whoever", m)
		channel = names.response
		if _, always := b.(cluster.EmitReply); v.Config.Specific && !always {
			uid := strings.TrimSuffix(strings.TrimPrefix(v.Channel, names.response), "#")
			channel = names.responseOf(uid)
		}
		return channel, payload, err
	case cluster.Join, cluster.Leave, cluster.Disconnect, cluster.FetchSockets, cluster.Rooms, cluster.Emit,
		cluster.Leaving, cluster.Again, cluster.Repeated, cluster.Said, cluster.Where:
	}
	payload, err = c.appendRequest(nil, m)
	return names.request, payload, err
}

// sortedMaps returns a recorded answer with the headers and query parameters of
// sockets in alphabetical order, which is ours; all other bytes stay.
func sortedMaps(t *testing.T, v *vector, payload []byte) []byte {
	t.Helper()
	if !strings.Contains(v.Kind, "FETCH_RESPONSE") {
		return payload
	}
	var answer struct {
		Sockets []json.RawMessage `json:"sockets"`
	}
	if err := json.Unmarshal(payload, &answer); err != nil {
		t.Fatal(err)
	}
	for _, text := range answer.Sockets {
		if text[0] == '"' {
			continue
		}
		var s struct {
			Handshake struct{ Headers, Query json.RawMessage }
		}
		if err := json.Unmarshal(text, &s); err != nil {
			t.Fatal(err)
		}
		for _, object := range []json.RawMessage{s.Handshake.Headers, s.Handshake.Query} {
			var m map[string]string
			if err := json.Unmarshal(object, &m); err != nil {
				t.Fatal(err)
			}
			payload = bytes.ReplaceAll(payload, object, appendJSONMap(nil, m))
		}
	}
	return payload
}
