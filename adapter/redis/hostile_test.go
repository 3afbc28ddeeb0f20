package redisadapter

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/parser"
)

func testCodec(t testing.TB) *codec {
	t.Helper()
	o := Options{MaxMessage: defaultMaxMessage}
	return &codec{namespace: "/", self: "me", extension: true, limits: o.limits()}
}

// hostile are messages that no member sends. Several of them end every Node.js
// member, or make a MessagePack library ask for more memory than there is.
var hostile = map[string]string{
	"empty":                   "",
	"no value":                "\xc1",
	"truncated":               "\x93\xa1",
	"array of 4 G":            "\xdd\xff\xff\xff\xff",
	"array of 4 G and 1":      "\xdd\xff\xff\xff\xff\x01",
	"map of 4 G":              "\xdf\xff\xff\xff\xff\x01",
	"map of 16 M":             "\xdf\x01\x00\x00\x00",
	"binary of 4 G":           "\xc6\xff\xff\xff\xff\x01",
	"text of 4 G":             "\xdb\xff\xff\xff\xff\x01",
	"extension of 4 G":        "\xc9\xff\xff\xff\xff\x01\x01",
	"integer":                 "\x01",
	"nil":                     "\xc0",
	"deep":                    strings.Repeat("\x91", 100_000),
	"deep in data":            "\x93\xa1z\x82\xa4type\x02\xa4data" + strings.Repeat("\x91", 100_000) + "\xc0\x82\xa5rooms\x90\xa6except\x90",
	"wide in data":            "\x93\xa1z\x82\xa4type\x02\xa4data\xdd\x7f\xff\xff\xff\x82\xa5rooms\x90\xa6except\x90",
	"opts nil":                "\x93\xa1z\x83\xa4type\x02\xa4data\x91\xa1e\xa3nsp\xa1/\xc0",
	"no opts":                 "\x92\xa1z\x82\xa4type\x02\xa4data\x91\xa1e",
	"no rooms":                "\x93\xa1z\x82\xa4type\x02\xa4data\x91\xa1e\x81\xa6except\x90",
	"no except":               "\x93\xa1z\x82\xa4type\x02\xa4data\x91\xa1e\x81\xa5rooms\x90",
	"rooms nil":               "\x93\xa1z\x82\xa4type\x02\xa4data\x91\xa1e\x82\xa5rooms\xc0\xa6except\x90",
	"rooms of 4 G":            "\x93\xa1z\x82\xa4type\x02\xa4data\x91\xa1e\x82\xa5rooms\xdd\xff\xff\xff\xff\xa6except\x90",
	"a million rooms":         "\x93\xa1z\x82\xa4type\x02\xa4data\x91\xa1e\x82\xa5rooms\xdd\x00\x0f\x42\x40" + strings.Repeat("\x01", 1_000_000) + "\xa6except\x90",
	"packet nil":              "\x93\xa1z\xc0\x82\xa5rooms\x90\xa6except\x90",
	"packet without data":     "\x93\xa1z\x81\xa4type\x02\x82\xa5rooms\x90\xa6except\x90",
	"packet without type":     "\x93\xa1z\x81\xa4data\x91\xa1e\x82\xa5rooms\x90\xa6except\x90",
	"packet of another type":  "\x93\xa1z\x82\xa4type\x03\xa4data\x91\xa1e\x82\xa5rooms\x90\xa6except\x90",
	"data is no array":        "\x93\xa1z\x82\xa4type\x02\xa4data\xa1e\x82\xa5rooms\x90\xa6except\x90",
	"data without name":       "\x93\xa1z\x82\xa4type\x02\xa4data\x90\x82\xa5rooms\x90\xa6except\x90",
	"negative id":             "\x93\xa1z\x83\xa4type\x02\xa4data\x91\xa1e\xa2id\xff\x82\xa5rooms\x90\xa6except\x90",
	"trailing bytes":          "\x93\xa1z\x82\xa4type\x02\xa4data\x91\xa1e\x82\xa5rooms\x90\xa6except\x90\x00",
	"braces":                  "{{{",
	"object":                  "{}",
	"fetch without opts":      `{"type":5,"requestId":"a"}`,
	"fetch without id":        `{"type":5,"opts":{"rooms":[],"except":[]}}`,
	"event without data":      `{"type":6,"uid":"z"}`,
	"event of wrong kind":     `{"type":6,"uid":"z","data":{"a":1}}`,
	"event without name":      `{"type":6,"uid":"z","data":[]}`,
	"join everybody by null":  `{"type":2,"uid":"z","opts":{"rooms":null,"except":[]},"rooms":["a"]}`,
	"join nothing":            `{"type":2,"uid":"z","opts":{"rooms":[],"except":[]}}`,
	"join nobody":             `{"type":2,"uid":"z","rooms":["a"]}`,
	"disconnect without opts": `{"type":4,"uid":"z","close":true}`,
	"disconnect by one room":  `{"type":4,"uid":"z","opts":{"rooms":"a","except":[]},"close":true}`,
	"unknown type":            `{"type":99,"uid":"z"}`,
	"no type":                 `{"uid":"z","requestId":"a"}`,
	"type as text":            `{"type":"5","uid":"z"}`,
	"leaving without sign":    `{"type":100,"uid":"z"}`,
	"count below zero":        `{"type":8,"requestId":"a","clientCount":-1}`,
	"no count":                `{"type":8,"requestId":"a"}`,
	"socket without id":       `{"requestId":"a","sockets":[{}]}`,
	"socket is a number":      `{"requestId":"a","sockets":[1]}`,
	"deep JSON":               `{"type":6,"data":["e",` + strings.Repeat("[", 100_000),
	"deep valid JSON":         `{"type":6,"uid":"z","data":["e",` + strings.Repeat("[", 600) + strings.Repeat("]", 600) + `]}`,
	"ack without id":          "\x82\xa4type\x09\xa6packet\x01",
	"ack truncated":           "\x83\xa4type\x09\xa9requestId\xa1a\xa6packet\xdd\xff\xff\xff\xff",
	"ask without packet":      "\x83\xa4type\x07\xa9requestId\xa1a\xa4opts\x82\xa5rooms\x90\xa6except\x90",
	"ask without opts":        "\x83\xa4type\x07\xa9requestId\xa1a\xa6packet\x82\xa4type\x02\xa4data\x91\xa1e",
	"JSON broadcast":          `["z",{"type":2,"data":["e"]}]`,
	"JSON broadcast of nils":  `["z",null,null]`,
}

// Proves J-72.
func TestHostileMessagesAreRefused(t *testing.T) {
	c := testCodec(t)
	for name, message := range hostile {
		for way, decode := range map[string]func(string) (cluster.Message, error){
			"broadcast": c.broadcast, "request": c.request, "answer": c.answer,
		} {
			if m, err := decode(message); err == nil {
				if _, applied := m.Body.(cluster.Applied); applied && way == "answer" && strings.Contains(message, `"requestId"`) {
					continue // as an answer it is well formed, and nobody waits for it
				}
				t.Errorf("%s as %s: %+v", name, way, m)
			}
		}
	}
}

// FuzzBroadcast compares the cursor with a MessagePack library: where both can
// read a message they must agree on what it says.
func FuzzBroadcast(f *testing.F) {
	for _, v := range fuzzVectors(f) {
		f.Add(v)
	}
	for _, message := range hostile {
		if len(message) < 1000 {
			f.Add([]byte(message))
		}
	}
	c := testCodec(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := c.broadcast(string(b))
		if err != nil || len(b) > 0 && b[0] == '[' {
			return
		}
		body, _ := m.Body.(cluster.Broadcast)
		compareWithLibrary(t, b, &m, &body)
		// What was understood can be said, and is then understood the same.
		sender := codec{namespace: "/", self: m.From, extension: true, limits: c.limits}
		again, err := sender.appendBroadcast(nil, m.Seq, &body)
		if err != nil {
			t.Fatalf("encode: %v", err)
		}
		back, err := c.broadcast(string(again))
		if err != nil {
			t.Fatalf("decode what was encoded: %v", err)
		}
		if got, want := fmt.Sprintf("%+v", back.Body.(cluster.Broadcast).Target), fmt.Sprintf("%+v", body.Target); body.Target.Compress == nil && got != want {
			t.Errorf("target came back as %s, was %s", got, want)
		}
		got := back.Body.(cluster.Broadcast).Packet
		if !sameValue(t, got.Payload.JSON, body.Packet.Payload.JSON) || got.ID != body.Packet.ID {
			t.Errorf("packet came back as %s, was %s", got.Payload.JSON, body.Packet.Payload.JSON)
		}
	})
}

// sameValue compares as JavaScript would: numbers beyond 2^53 are rounded.
func sameValue(t *testing.T, a, b []byte) bool {
	t.Helper()
	var x, y any
	if err := errors.Join(json.Unmarshal(a, &x), json.Unmarshal(b, &y)); err != nil {
		t.Fatalf("payload is no JSON: %v", err)
	}
	return reflect.DeepEqual(x, y)
}

// compareWithLibrary is called only for what the cursor has found well formed,
// so the library is safe. Where that gives up, at extensions and at keys that
// are no strings, there is nothing to compare.
func compareWithLibrary(t *testing.T, b []byte, m *cluster.Message, body *cluster.Broadcast) {
	t.Helper()
	d := msgpack.NewDecoder(bytes.NewReader(b))
	if n, err := d.DecodeArrayLen(); err != nil || n < 3 {
		t.Fatalf("library: %d elements, %v", n, err)
	}
	if uid, err := d.DecodeInterface(); err != nil {
		t.Fatalf("library: sender: %v", err)
	} else if s, ok := uid.(string); ok && nodeOf(s) != m.From {
		t.Errorf("sender %q, the library says %q", m.From, s)
	}
	if d.Skip() != nil {
		return
	}
	pairs, err := d.DecodeMapLen()
	if err != nil {
		t.Fatalf("library: opts: %v", err)
	}
	lists := make(map[string][]string)
	for range pairs {
		key, err := d.DecodeString()
		if err != nil {
			return
		}
		if key != "rooms" && key != "except" {
			if d.Skip() != nil {
				return
			}
			continue
		}
		list, err := d.DecodeSlice()
		if err != nil {
			t.Fatalf("library: %s: %v", key, err)
		}
		lists[key] = nil
		for _, v := range list {
			text := fmt.Sprint(v)
			if _, ok := v.(string); !ok {
				text = numberText(reflect.ValueOf(v).Convert(reflect.TypeFor[float64]()).Float())
			}
			lists[key] = append(lists[key], text)
		}
	}
	if !slices.Equal(lists["rooms"], body.Target.Rooms) || !slices.Equal(lists["except"], body.Target.Except) {
		t.Errorf("rooms %q except %q, the library says %q", body.Target.Rooms, body.Target.Except, lists)
	}
}

func fuzzVectors(f *testing.F) (payloads [][]byte) {
	f.Helper()
	for _, v := range readVectors(f, "redis-classic.json") {
		if v.Command != "" {
			payloads = append(payloads, v.payload(f))
		}
	}
	return payloads
}

// FuzzConversation reads anything as request and as answer: it must not panic,
// and what a request says can be said again.
func FuzzConversation(f *testing.F) {
	for _, v := range fuzzVectors(f) {
		f.Add(v)
	}
	for _, message := range hostile {
		if len(message) < 1000 {
			f.Add([]byte(message))
		}
	}
	c := testCodec(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := c.answer(string(b)); err == nil {
			if _, err := c.appendAnswer(nil, askedWithExtended, &m); err != nil {
				t.Errorf("answer %+v cannot be said again: %v", m, err)
			}
		}
		m, err := c.request(string(b))
		if err != nil || m.Body == nil {
			return
		}
		again, err := (&codec{namespace: "/", self: "other", extension: true, limits: c.limits}).appendRequest(nil, &m)
		if err != nil {
			t.Fatalf("request %+v cannot be said again: %v", m, err)
		}
		if again[0] == '{' && !json.Valid(again) {
			t.Errorf("request is no JSON: %q", again)
		}
		back, err := c.request(string(again))
		if err != nil {
			t.Fatalf("request %q is not understood: %v", again, err)
		}
		if got, want := fmt.Sprintf("%T", back.Body), fmt.Sprintf("%T", m.Body); got != want {
			t.Errorf("came back as %s, was %s", got, want)
		}
	})
}

func benchmarkPacket(b *testing.B) *cluster.Broadcast {
	b.Helper()
	args, err := parser.MakeEvent("chat message", map[string]any{
		"user": "alice", "text": "hello everybody, how are you today?", "room": "general", "at": int64(1767225600000),
	})
	if err != nil {
		b.Fatal(err)
	}
	return &cluster.Broadcast{
		Target: cluster.Target{Rooms: []string{"general"}},
		Packet: &parser.Packet{Type: parser.Event, Namespace: "/", Payload: args.EventPayload()},
	}
}

func BenchmarkEncodeBroadcast(b *testing.B) {
	c := testCodec(b)
	m := benchmarkPacket(b)
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if buf, err = c.appendBroadcast(buf[:0], 0, m); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(len(buf)))
}

func BenchmarkDecodeBroadcast(b *testing.B) {
	c := testCodec(b)
	message, err := c.appendBroadcast(nil, 0, benchmarkPacket(b))
	if err != nil {
		b.Fatal(err)
	}
	s := string(message)
	b.SetBytes(int64(len(s)))
	b.Run("own echo", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if uid, ok := sender(s); !ok || uid != "me" {
				b.Fatal(uid)
			}
		}
	})
	b.Run("outline", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			cur := cursor{s: s}
			cur.array()
			cur.text()
			readPacket(&cur)
			cur.skip()
			if cur.bad {
				b.Fatal("malformed")
			}
		}
	})
	b.Run("whole", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.broadcast(s); err != nil {
				b.Fatal(err)
			}
		}
	})
}
