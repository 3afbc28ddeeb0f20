package redisadapter

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/dunlin-io/dunlin/core/cluster"
)

const (
	hostileOpts = "\xa4opts\x83\xa5rooms\x90\xa6except\x90\xa5flags\x80"
	hostileTail = "\xa3uid\xa1z\xa3nsp\xa1/"
)

// hostileFamily are messages that no member sends; see also hostile, of which
// some are refused for having no namespace.
var hostileFamily = map[string]string{
	"truncated envelope":   "\x84\xa4type\x03\xa4data",
	"envelope of 4 G":      "\xdf\xff\xff\xff\xff\xa4type\x03",
	"data of 4 G":          "\x84\xa4type\x03\xa4data\xdf\xff\xff\xff\xff" + hostileTail,
	"deep data":            "\x84\xa4type\x03\xa4data" + strings.Repeat("\x91", 100_000) + "\xc0" + hostileTail,
	"deep argument":        "\x84\xa4type\x09\xa4data\x81\xa6packet\x92\xa1e" + strings.Repeat("\x91", 600) + "\xc0" + hostileTail,
	"wide argument":        "\x84\xa4type\x09\xa4data\x81\xa6packet\xdd\x7f\xff\xff\xff\xa1e" + hostileTail,
	"no data":              "\x83\xa4type\x03" + hostileTail,
	"data nil":             "\x84\xa4type\x03\xa4data\xc0" + hostileTail,
	"opts nil":             "\x84\xa4type\x03\xa4data\x82\xa6packet\x82\xa4type\x02\xa4data\x91\xa1e\xa4opts\xc0" + hostileTail,
	"no opts":              "\x84\xa4type\x03\xa4data\x81\xa6packet\x82\xa4type\x02\xa4data\x91\xa1e" + hostileTail,
	"no packet":            "\x84\xa4type\x03\xa4data\x81" + hostileOpts + hostileTail,
	"packet nil":           "\x84\xa4type\x03\xa4data\x82\xa6packet\xc0" + hostileOpts + hostileTail,
	"packet without data":  "\x84\xa4type\x03\xa4data\x82\xa6packet\x81\xa4type\x02" + hostileOpts + hostileTail,
	"packet of other type": "\x84\xa4type\x03\xa4data\x82\xa6packet\x82\xa4type\x03\xa4data\x91\xa1e" + hostileOpts + hostileTail,
	"event without name":   "\x84\xa4type\x03\xa4data\x82\xa6packet\x82\xa4type\x02\xa4data\x90" + hostileOpts + hostileTail,
	"rooms of 4 G":         "\x84\xa4type\x04\xa4data\x82" + hostileOpts + "\xa5rooms\xdd\xff\xff\xff\xff" + hostileTail,
	"a million rooms":      "\x84\xa4type\x04\xa4data\x82" + hostileOpts + "\xa5rooms\xdd\x00\x0f\x42\x40" + strings.Repeat("\x01", 1_000_000) + hostileTail,
	"trailing bytes":       "\x84\xa4type\x0b\xa4data\x82\xa9requestId\xa1r\xabclientCount\x01" + hostileTail + "\x00",
	"uid is a map":         "\x84\xa4type\x0b\xa4data\x82\xa9requestId\xa1r\xabclientCount\x01\xa3uid\x80\xa3nsp\xa1/",
	"sockets of 4 G":       "\x84\xa4type\x08\xa4data\x82\xa9requestId\xa1r\xa7sockets\xdd\xff\xff\xff\xff" + hostileTail,
	"sockets are a map":    "\x84\xa4type\x08\xa4data\x82\xa9requestId\xa1r\xa7sockets\x80" + hostileTail,
	"arguments are a map":  "\x85\xa4type\x0c\xa4data\x81\xa9requestId\xa1r" + hostileTail + "\xa1x\x81\xa1a\x80",

	"JSON cut off":             `{"type":3,"data":{"packet":{"type":2,"data":["e"]},"opts":{"rooms":[],"exc`,
	"JSON and more":            `{"type":13,"uid":"z","nsp":"/"}}`,
	"JSON of invalid UTF-8":    "{\"type\":13,\"uid\":\"\xff\",\"nsp\":\"/\"}",
	"JSON fetch without opts":  `{"type":7,"data":{"requestId":"a"},"uid":"z","nsp":"/"}`,
	"JSON fetch without id":    `{"type":7,"data":{"opts":{"rooms":[],"except":[]}},"uid":"z","nsp":"/"}`,
	"JSON event without data":  `{"type":9,"uid":"z","nsp":"/"}`,
	"JSON event of wrong kind": `{"type":9,"data":{"packet":{"a":1}},"uid":"z","nsp":"/"}`,
	"JSON data is text":        `{"type":9,"data":"packet","uid":"z","nsp":"/"}`,
	"JSON rooms null":          `{"type":4,"data":{"opts":{"rooms":null,"except":[]},"rooms":["a"]},"uid":"z","nsp":"/"}`,
	"JSON rooms are text":      `{"type":6,"data":{"opts":{"rooms":"a","except":[]},"close":true},"uid":"z","nsp":"/"}`,
	"JSON no except":           `{"type":6,"data":{"opts":{"rooms":["a"]},"close":true},"uid":"z","nsp":"/"}`,
	"JSON no rooms":            `{"type":4,"data":{"opts":{"rooms":[],"except":[]}},"uid":"z","nsp":"/"}`,
	"JSON a room is an object": `{"type":4,"data":{"opts":{"rooms":[{}],"except":[]},"rooms":["a"]},"uid":"z","nsp":"/"}`,
	"JSON type is text":        `{"type":"3","data":{},"uid":"z","nsp":"/"}`,
	"JSON deep":                `{"type":9,"data":{"packet":["e",` + strings.Repeat("[", 100_000),
	"JSON deep and valid":      `{"type":9,"data":{"packet":["e",` + strings.Repeat("[", 600) + strings.Repeat("]", 600) + `]},"uid":"z","nsp":"/"}`,
	"JSON count below zero":    `{"type":11,"data":{"requestId":"a","clientCount":-1},"uid":"z","nsp":"/"}`,
	"JSON count of a half":     `{"type":11,"data":{"requestId":"a","clientCount":0.5},"uid":"z","nsp":"/"}`,
	"JSON count of too many":   `{"type":11,"data":{"requestId":"a","clientCount":1e300},"uid":"z","nsp":"/"}`,
	"JSON answer without id":   `{"type":12,"data":{"packet":1},"uid":"z","nsp":"/"}`,
	"JSON socket without id":   `{"type":8,"data":{"requestId":"a","sockets":[{}]},"uid":"z","nsp":"/"}`,
	"JSON socket is its id":    `{"type":8,"data":{"requestId":"a","sockets":["id"]},"uid":"z","nsp":"/"}`,
	"JSON many sockets":        `{"type":8,"data":{"requestId":"a","sockets":[{}` + strings.Repeat(",{}", 1_000_000) + `]},"uid":"z","nsp":"/"}`,
	"JSON negative id":         `{"type":3,"data":{"packet":{"type":2,"data":["e"],"id":-1},"opts":{"rooms":[],"except":[]}},"uid":"z","nsp":"/"}`,
}

// Proves J-72.
func TestHostileFamilyMessagesAreRefused(t *testing.T) {
	f := testFamily(t)
	for _, messages := range []map[string]string{hostile, hostileFamily} {
		for name, message := range messages {
			allocated(t, name, len(message), func() {
				if m, err := f.decode(message); err == nil {
					t.Errorf("%s: %+v", name, m)
				}
			})
			for _, kind := range []int{familyBroadcast, familyJoin, familyLeave, familySockets, familyEmit} {
				e := entry{uid: "z", namespace: "/", kind: fmt.Sprint(kind), data: base64.StdEncoding.EncodeToString([]byte(message))}
				allocated(t, name, len(message), func() {
					if m, err := f.fromEntry(e); err == nil {
						t.Errorf("%s in an entry of type %d: %+v", name, kind, m)
					}
				})
			}
			allocated(t, name, len(message), func() {
				if s, err := f.session(base64.StdEncoding.EncodeToString([]byte(message))); err == nil {
					t.Errorf("%s as a session: %+v", name, s)
				}
			})
		}
	}
}

// allocated checks that reading takes memory in proportion to what is there.
func allocated(t *testing.T, name string, size int, read func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	read()
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > uint64(32*size+1<<20) {
		t.Errorf("%s: %d bytes of input take %d", name, size, n)
	}
}

// Proves J-72.
func TestManySocketsTakeLittleMemory(t *testing.T) {
	sockets := `{"requestId":"a","sockets":[{"id":"b"}` + strings.Repeat(`,{"id":"b"}`, 1_000_000) + `]`
	messages := map[string]string{"classic": sockets + `}`, "family": `{"type":8,"data":` + sockets + `},"uid":"z","nsp":"/"}`}
	for name, decode := range map[string]func(string) (cluster.Message, error){
		"classic": testCodec(t).answer, "family": testFamily(t).decode,
	} {
		message := messages[name]
		allocated(t, name, len(message), func() {
			if _, err := decode(message); err == nil {
				t.Errorf("%s: %d bytes are understood", name, len(message))
			}
		})
	}
}

func TestFamilyIgnoresWhatIsNotForIt(t *testing.T) {
	f := testFamily(t)
	for name, message := range map[string]string{
		"unknown type":     `{"type":99,"uid":"z","nsp":"/"}`,
		"no type":          `{"uid":"z","nsp":"/"}`,
		"type of a half":   `{"type":3.5,"uid":"z","nsp":"/"}`,
		"heartbeat":        `{"type":2,"uid":"z","nsp":"/"}`,
		"ours without us":  `{"type":101,"data":{"requestId":"r"},"uid":"z","nsp":"/"}`,
		"own, spaced":      `{ "type" : 3 , "uid" : "` + string(f.self) + `" , "nsp" : "/" }`,
		"own, other order": `{"nsp":"/","uid":"` + string(f.self) + `","type":3}`,
	} {
		if m, err := f.decode(message); err != nil || m.Body != nil {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
	if _, err := f.decode(`{"type":13,"uid":"z","nsp":"/other"}`); err == nil || !strings.Contains(err.Error(), errOtherNamespace.Error()) {
		t.Errorf("other namespace: %v", err)
	}
}

// What is inside of a message says nothing about who has sent it.
func TestOwnMessagesAreKnownByTheirEnvelope(t *testing.T) {
	f := testFamily(t)
	tail := `","uid":"` + string(f.self) + `","nsp":"/"}`
	quoted, err := json.Marshal(tail)
	if err != nil {
		t.Fatal(err)
	}
	for _, message := range []string{
		`{"uid":"z","nsp":"/","type":9,"data":{"packet":["e"],"uid":"` + string(f.self) + `","nsp":"/"}}`,
		`{"uid":"z","nsp":"/","type":9,"data":{"packet":["e",` + string(quoted) + `]}}`,
		`{"type":9,"data":{"packet":["e"]},"uid":"z","nsp":"/","x":{"i":"` + string(f.self) + `"}}`,
		"\x84\xa4type\x09\xa4data\x81\xa6packet\x92\xa1e\xb0" + string(f.self) + hostileTail,
	} {
		if m, err := f.decode(message); err != nil || m.Body == nil || m.From != "z" {
			t.Errorf("%s: %+v, %v", message, m, err)
		}
	}
}

// goldenPayloads are all recorded payloads of the family, the data of entries
// without base64.
func goldenPayloads(tb testing.TB) (payloads [][]byte) {
	tb.Helper()
	for _, file := range []string{"redis-sharded.json", "redis-streams.json", "emitter-streams.json"} {
		for _, v := range readVectors(tb, file) {
			if v.Command == "" || v.PayloadHex == "" {
				continue
			}
			payload := v.payload(tb)
			if v.MsgpackHex != "" {
				var err error
				if payload, err = hex.DecodeString(v.MsgpackHex); err != nil {
					tb.Fatal(err)
				}
			}
			payloads = append(payloads, payload)
		}
	}
	return payloads
}

func TestFlippedBitsDoNoHarm(t *testing.T) {
	f := testFamily(t)
	understood := 0
	for n, payload := range goldenPayloads(t) {
		for i := n % 4; i < len(payload); i += 4 {
			flipped := []byte(string(payload))
			flipped[i] ^= 1 << (i / 4 % 8)
			if readAll(t, f, flipped, familyBroadcast+i%10) {
				understood++
			}
		}
	}
	if understood == 0 {
		t.Error("nothing was understood")
	}
	t.Logf("%d messages were understood nevertheless", understood)
}

// readAll reads bytes as a message, as the data of an entry and as a session,
// and checks that what is understood can be said again and is then understood
// the same.
func readAll(t *testing.T, f *family, b []byte, kind int) (understood bool) {
	t.Helper()
	if m, err := f.decode(string(b)); err == nil && m.Body != nil {
		understood = true
		sayAgain(t, f, &m)
	}
	data := string(b)
	if len(b) > 0 && b[0] != '{' {
		data = base64.StdEncoding.EncodeToString(b)
		if s, err := f.session(data); err == nil {
			sessionAgain(t, f, &s)
		}
	}
	m, err := f.fromEntry(entry{uid: "z", namespace: "/", kind: fmt.Sprint(kind), data: data})
	if err == nil && m.Body != nil {
		understood = true
		sayAgain(t, f, &m)
	}
	return understood
}

func sayAgain(t *testing.T, f *family, m *cluster.Message) {
	t.Helper()
	m.ReplyTo = askedWithExtended + "z"
	sender := *f
	sender.self = "z"
	for form, payload := range sender.forms(t, m) {
		back, err := f.decode(string(payload))
		if err != nil {
			t.Fatalf("%s: what was said again, %q, is not understood: %v", form, payload, err)
		}
		back.From, back.ReplyTo = m.From, m.ReplyTo
		// Invalid UTF-8 comes back as U+FFFD.
		got, want := show(&back), show(m)
		if payload[0] == '{' && utf8.ValidString(want) && !strings.Contains(want, `\x`) && got != want {
			t.Errorf("%s: came back as\n %s, was\n %s", form, got, want)
		}
		if got, want := fmt.Sprintf("%T", back.Body), fmt.Sprintf("%T", m.Body); got != want {
			t.Errorf("%s: came back as %s, was %s", form, got, want)
		}
	}
}

func sessionAgain(t *testing.T, f *family, s *cluster.Session) {
	t.Helper()
	value, err := f.sessionValue(s)
	if err != nil {
		t.Fatalf("session %+v: %v", s, err)
	}
	back, err := f.session(value)
	if err != nil {
		t.Fatalf("session %+v is not understood again: %v", s, err)
	}
	text := fmt.Sprintf("%+v", s)
	if utf8.ValidString(text) && (back.PID != s.PID || back.Socket != s.Socket || len(back.Rooms) != len(s.Rooms)) {
		t.Errorf("session came back as\n %+v, was\n %s", back, text)
	}
}

// FuzzFamilyDecode reads anything as a message, as the data of entries of all
// types and as a session.
func FuzzFamilyDecode(f *testing.F) {
	for _, payload := range goldenPayloads(f) {
		f.Add(payload)
	}
	for _, messages := range []map[string]string{hostile, hostileFamily} {
		for _, message := range messages {
			if len(message) < 1000 {
				f.Add([]byte(message))
			}
		}
	}
	c := testFamily(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		for kind := familyBroadcast; kind <= familyAck; kind++ {
			readAll(t, c, b, kind)
		}
	})
}
