package redisadapter

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/parser"
)

// goldenFamily is a file of recorded messages of the family.
type goldenFamily struct {
	file        string
	count       int
	differences map[string]difference
	refused     map[string]error  // what must not be understood
	ignored     map[string]string // what is understood to be of no interest, and why
	silent      map[string]string // operations that publish nothing, and why
}

const (
	notBytes = "socket data is JSON, in which a Buffer is an object"
	notEmpty = "@msgpack/msgpack loses an ArrayBuffer, so that nothing binary is left"
	notBye   = "the JavaScript adapters of today say no goodbye, so without the extension neither do we"
)

var (
	silentFamily = map[string]string{
		"local/NOTHING_PUBLISHED":        "local target",
		"ack-local/NOTHING_PUBLISHED":    "local target",
		"fetch-local/NOTHING_PUBLISHED":  "local target",
		"join-local/NOTHING_PUBLISHED":   "local target",
		"socket-emit/NOTHING_PUBLISHED":  "one local socket: not a cluster operation",
		"all-sockets/NOTHING_PUBLISHED":  "local by definition",
		"all-rooms/NOTHING_PUBLISHED":    "unknown there; with the extension Go nodes ask each other",
		"server-count/NOTHING_PUBLISHED": "counts subscriptions only",
	}
	// The date and the Buffer that the recordings have in several places, as
	// they are and as JSON.
	dateSwap = []string{"\xd7\xff\x1dSS\x00eS\xf1\x00", "\xb82023-11-14T22:13:20.123Z"}
	dataSwap = []string{"\xc4\x02\xde\xad", "\x82\xa4type\xa6Buffer\xa4data\x92\xcc\xde\xcc\xad"}
	nanSwap  = []string{"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00", "\xc0\xc0"}
)

// Proves T-107, J-74.
func TestGoldenSharded(t *testing.T) {
	silent := maps.Clone(silentFamily)
	silent["subscribe-on-join/NOTHING_PUBLISHED"] = "subscribes only"
	silent["close-adapter/NOTHING_PUBLISHED"] = "unsubscribes only"
	goldenFamily{
		file: "redis-sharded.json", count: 197, silent: silent,
		differences: map[string]difference{
			"emit-date-with-binary/BROADCAST":     {notDates, dateSwap},
			"emit-buffer-numbers/BROADCAST":       {notNaN, nanSwap},
			"to-numeric-room/BROADCAST":           {notNumber, []string{`"rooms":[7]`, `"rooms":["7"]`}},
			"fetch-all/FETCH_SOCKETS_RESPONSE":    {why: notBytes},
			"fetch-except/FETCH_SOCKETS_RESPONSE": {notNumber, []string{`,7],"data"`, `,"7"],"data"`}},
		},
	}.run(t)
}

// Proves T-107, J-74.
func TestGoldenStreams(t *testing.T) {
	silent := maps.Clone(silentFamily)
	for _, v := range []string{"restore-on-other-node", "restore-binary-data", "restore-twice", "restore-bad-offset"} {
		silent["csr/"+v+"/NOTHING_PUBLISHED"] = "reads only"
	}
	silent["csr/client-disconnect-not-persisted/NOTHING_PUBLISHED"] = "no such session is kept"
	silent["sharded-pubsub/server-count/NOTHING_PUBLISHED"] = "counts subscriptions only"
	socketSwap := append([]string{"\x07\xa4data\x83\xa4name", "\xa17\xa4data\x83\xa4name", "\x07\xa6r2only", "\xa17\xa6r2only"}, dataSwap...)
	goldenFamily{
		file: "redis-streams.json", count: 212, silent: silent,
		refused: map[string]error{"bad-entries/BROADCAST": errMalformed},
		ignored: map[string]string{
			"legacy-0.2-heartbeats/INITIAL_HEARTBEAT": "nodes are counted otherwise",
			"legacy-0.2-heartbeats/HEARTBEAT":         "nodes are counted otherwise",
			"bad-entries/UNKNOWN":                     "unknown type",
		},
		differences: map[string]difference{
			"emit-date-with-binary/BROADCAST":           {notDates, dateSwap},
			"emit-buffer-numbers/BROADCAST":             {notNaN, nanSwap},
			"emit-arraybuffer/BROADCAST":                {why: notEmpty},
			"sse-args/SERVER_SIDE_EMIT":                 {notDates, []string{"\xd6\xff\x00\x00\x00\x00", "\xb81970-01-01T00:00:00.000Z"}},
			"to-numeric-room/BROADCAST":                 {notNumber, []string{`"rooms":[7]`, `"rooms":["7"]`}},
			"fetch-all/FETCH_SOCKETS_RESPONSE":          {notBytes, socketSwap},
			"fetch-except/FETCH_SOCKETS_RESPONSE":       {notNumber, socketSwap},
			"legacy-0.2-fetch/FETCH_SOCKETS_RESPONSE#2": {notNumber, socketSwap},
			"legacy-0.2-heartbeats/ADAPTER_CLOSE":       {why: notBye},
			"csr/persist-binary-data/SESSION_SET":       {notBytes, append(dataSwap, dateSwap...)},
		},
	}.run(t)
}

// Proves T-108.
func TestGoldenStreamsEmitter(t *testing.T) {
	goldenFamily{
		file: "emitter-streams.json", count: 35,
		silent: map[string]string{
			"redis-streams-emitter/reserved/NOTHING_PUBLISHED": "refused by the core",
			"redis-streams-emitter/sse-ack/NOTHING_PUBLISHED":  "refused by the core",
		},
		differences: map[string]difference{
			"redis-streams-emitter/emit-date-with-binary/BROADCAST": {notDates, dateSwap},
		},
	}.run(t)
}

func (g goldenFamily) run(t *testing.T) {
	vs := readVectors(t, g.file)
	if len(vs) != g.count {
		t.Fatalf("%d entries, want %d", len(vs), g.count)
	}
	same, known := 0, make(map[string]bool)
	for _, v := range vs {
		known[v.Name] = true
		t.Run(v.Name, func(t *testing.T) {
			if v.Command == "" {
				if g.silent[v.Name] == "" {
					t.Errorf("%s publishes nothing, and nobody knows why", v.Op)
				}
				return
			}
			if g.one(t, &v) {
				same++
			}
		})
	}
	for _, names := range []map[string]bool{
		namesIn(g.differences), namesIn(g.refused), namesIn(g.ignored), namesIn(g.silent),
	} {
		for name := range names {
			if !known[name] {
				t.Errorf("no entry has the name %q", name)
			}
		}
	}
	t.Logf("%d of %d entries are written byte for byte", same, g.count)
}

func namesIn[V any](m map[string]V) map[string]bool {
	names := make(map[string]bool)
	for name := range m {
		names[name] = true
	}
	return names
}

// one decodes an entry as another node, compares what it says with what was
// recorded, writes it as its sender and compares the bytes. It returns whether
// they are the same.
func (g *goldenFamily) one(t *testing.T, v *vector) bool {
	f := family{namespace: v.namespace(t), self: "other", limits: (&Options{MaxMessage: defaultMaxMessage}).limits()}
	if v.Command == "SET" {
		return g.session(t, &f, v)
	}
	m, err := f.read(t, v)
	if want := g.refused[v.Name]; want != nil {
		if !errors.Is(err, want) {
			t.Errorf("read: %+v, %v, want %v", m, err, want)
		}
		return false
	}
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	if m.Namespace != f.namespace {
		t.Errorf("namespace = %q, want %q", m.Namespace, f.namespace)
	}
	if g.ignored[v.Name] != "" {
		if m.Body != nil {
			t.Errorf("read: %+v, although %s", m, g.ignored[v.Name])
		}
		return false
	}
	want := familyRecorded(t, v)
	if got := familyView(t, &m, v); !reflect.DeepEqual(got, want) {
		t.Errorf("read\n %v, want\n %v", got, want)
	}
	sender := f
	sender.self, sender.emitter = m.From, v.Emitter != nil
	written := sender.written(t, v, &m)
	if written == nil {
		return g.compare(t, v, nil)
	}
	if m, err = f.read(t, written); err != nil {
		t.Fatalf("read what was written: %v", err)
	}
	if got := familyView(t, &m, v); !reflect.DeepEqual(got, want) {
		t.Errorf("read again\n %v, want\n %v", got, want)
	}
	return g.compare(t, v, written)
}

// namespace tells the namespace of an entry.
func (v *vector) namespace(t *testing.T) string {
	t.Helper()
	switch v.Command {
	case "XADD":
		return v.Fields["nsp"]
	case "SET":
		return "/"
	case "PUBLISH", "SPUBLISH":
		ns, _ := v.channels(t, "other")
		return ns
	}
	t.Fatalf("command %q is not understood", v.Command)
	return ""
}

func (f *family) read(t *testing.T, v *vector) (cluster.Message, error) {
	t.Helper()
	if v.Command != "XADD" {
		return f.decode(string(v.payload(t)))
	}
	values := make(map[string]any)
	for name, value := range v.Fields {
		values[name] = value
	}
	return f.fromEntry(entryOf(values))
}

// written returns what the sender of a message writes, nil if nothing.
func (f *family) written(t *testing.T, v *vector, m *cluster.Message) *vector {
	t.Helper()
	out := vector{Name: v.Name, Command: v.Command, Kind: v.Kind}
	var payload []byte
	var err error
	switch {
	case v.Command == "XADD":
		var e entry
		e, err = f.entry(m, v.Config.Plaintext)
		out.Fields = make(map[string]string)
		for pair := range slices.Chunk(e.fields(), 2) {
			out.FieldOrder = append(out.FieldOrder, pair[0])
			out.Fields[pair[0]] = pair[1]
		}
	case strings.HasPrefix(v.file, "redis-streams"):
		payload, err = f.appendMsgpack(nil, m)
	default:
		payload, err = f.appendSharded(nil, m)
	}
	if errors.Is(err, errNoFamilyForm) {
		return nil
	}
	if err != nil {
		t.Fatalf("write: %v", err)
	}
	out.PayloadHex = hex.EncodeToString(payload)
	return &out
}

// raw returns the bytes of an entry, base64 undone.
func (v *vector) raw(t *testing.T) []byte {
	t.Helper()
	if v.Command != "XADD" {
		return unpacked(v.payload(t))
	}
	var fields []string
	for _, name := range v.FieldOrder {
		fields = append(fields, name, string(unpacked([]byte(v.Fields[name]))))
	}
	return []byte(strings.Join(fields, "\n"))
}

// unpacked undoes base64 of a map; other text is too short or begins with {.
func unpacked(text []byte) []byte {
	b, err := base64.StdEncoding.Strict().DecodeString(string(text))
	if err != nil || len(b) == 0 || b[0]>>4 != 0x8 {
		return text
	}
	return b
}

func (g *goldenFamily) compare(t *testing.T, v, written *vector) bool {
	t.Helper()
	d, different := g.differences[v.Name]
	if written == nil {
		if !different || d.swap != nil {
			t.Error("has no form")
		}
		return false
	}
	recorded, got := v.raw(t), written.raw(t)
	want := []byte(strings.NewReplacer(d.swap...).Replace(string(sortedSockets(t, v, recorded))))
	if identical := bytes.Equal(got, want); identical == (different && d.swap == nil) {
		t.Errorf("identical = %v (%s): written\n %q, want\n %q", identical, d.why, got, want)
	}
	identical := bytes.Equal(got, recorded)
	if identical && different {
		t.Errorf("written as recorded, although %s", d.why)
	}
	return identical
}

// sortedSockets is sortedMaps for the family.
func sortedSockets(t *testing.T, v *vector, payload []byte) []byte {
	t.Helper()
	if v.Kind != "FETCH_SOCKETS_RESPONSE" {
		return payload
	}
	p := parser.Payload{JSON: payload}
	if payload[0] != '{' {
		var err error
		if p, _, err = parser.PayloadFromMsgpack(payload, parser.Limits{}); err != nil {
			t.Fatal(err)
		}
		if again, err := parser.AppendMsgpack(nil, p); err != nil || len(p.Attachments) == 0 && !bytes.Equal(again, payload) {
			t.Fatalf("not the same again: %q, %v", again, err)
		}
	}
	var envelope struct{ Data json.RawMessage }
	if err := json.Unmarshal(p.JSON, &envelope); err != nil {
		t.Fatal(err)
	}
	p.JSON = bytes.Replace(p.JSON, envelope.Data, sortedMaps(t, &vector{Kind: "FETCH_RESPONSE"}, envelope.Data), 1)
	if payload[0] == '{' {
		return p.JSON
	}
	again, err := parser.AppendMsgpack(nil, p)
	if err != nil {
		t.Fatal(err)
	}
	return again
}

func (g *goldenFamily) session(t *testing.T, f *family, v *vector) bool {
	value := string(v.payload(t))
	s, err := f.session(value)
	if err != nil {
		t.Fatalf("session: %v", err)
	}
	rooms := []string{s.Socket}
	for room, offset := range s.Rooms {
		if rooms = append(rooms, room); offset != "" {
			t.Errorf("room %q joined at %q", room, offset)
		}
	}
	view := map[string]any{"sid": s.Socket, "pid": s.PID, "rooms": list(rooms), "data": textView(t, s.Data)}
	if want := familyRecorded(t, v); !reflect.DeepEqual(view, want) {
		t.Errorf("read\n %v, want\n %v", view, want)
	}
	if s.Start != "" || s.Node != "" {
		t.Errorf("start %q on %q in a session of JavaScript", s.Start, s.Node)
	}
	if key, ok := strings.CutPrefix(v.Channel, "sio:session:"); !ok || key != s.PID {
		t.Errorf("session %q under %q", s.PID, v.Channel)
	}
	again, err := f.sessionValue(&s)
	if err != nil {
		t.Fatalf("write session: %v", err)
	}
	return g.compare(t, v, &vector{Command: "SET", PayloadHex: hex.EncodeToString([]byte(again))})
}
