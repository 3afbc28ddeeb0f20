package redisadapter

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

var (
	secretA = []byte("0123456789abcdef-A")
	secretB = []byte("0123456789abcdef-B")
)

func signerOf(secrets ...[]byte) *signer { return newSigner(secrets) }

func TestSignedMessagesAreOpened(t *testing.T) {
	from, to := signerOf(secretA), signerOf(secretA)
	for _, payload := range []string{"", "x", strings.Repeat("long", 1<<16)} {
		got, err := to.open("channel", string(from.sealed("channel", []byte(payload))), new(guard))
		if err != nil || got != payload {
			t.Errorf("open of %d bytes = %d bytes, %v", len(payload), len(got), err)
		}
	}
}

// The JavaScript adapters read an array as a broadcast and do nothing when its
// second element is no packet; as a request it has no type that they know.
func TestSignedMessagesAreHarmlessToJavaScript(t *testing.T) {
	var got []any
	if err := msgpack.Unmarshal(signerOf(secretA).sealed("c", []byte("payload")), &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != 4 || got[0] != "hmac1" || got[1] != nil || len(got[2].([]byte)) != sealSize || string(got[3].([]byte)) != "payload" {
		t.Errorf("a signed message reads as %q", got)
	}
}

func TestChangedMessagesAreNotOpened(t *testing.T) {
	from, to := signerOf(secretA), signerOf(secretB, secretA)
	message := from.sealed("channel", []byte("payload"))
	for i := range message {
		for bit := range 8 {
			changed := bytes.Clone(message)
			changed[i] ^= 1 << bit
			if got, err := to.open("channel", string(changed), new(guard)); !errors.Is(err, errDistrusted) {
				t.Errorf("with bit %d of byte %d changed: %q, %v", bit, i, got, err)
			}
		}
		if got, err := to.open("channel", string(message[:i]), new(guard)); !errors.Is(err, errDistrusted) {
			t.Errorf("cut off at %d: %q, %v", i, got, err)
		}
	}
	for what, m := range map[string]string{
		"longer":   string(message) + "x",
		"unsigned": "payload",
		"empty":    "",
	} {
		if got, err := to.open("channel", m, new(guard)); !errors.Is(err, errDistrusted) {
			t.Errorf("%s: %q, %v", what, got, err)
		}
	}
	// What ends one part and begins the next is signed, too.
	for _, channel := range []string{"channe", "channelp", "", "channel2"} {
		if _, err := to.open(channel, string(message), new(guard)); !errors.Is(err, errForged) {
			t.Errorf("moved to channel %q: %v", channel, err)
		}
	}
	if _, err := to.open("channel", string(message), new(guard)); err != nil {
		t.Errorf("unchanged: %v", err)
	}
}

func TestSecretsAreChangedOneByOne(t *testing.T) {
	stages := [][][]byte{{secretA}, {secretA, secretB}, {secretB, secretA}, {secretB}}
	for i, from := range stages {
		for j, to := range stages {
			message := string(signerOf(from...).sealed("c", []byte("x")))
			_, err := signerOf(to...).open("c", message, new(guard))
			if apart := max(i-j, j-i); apart <= 1 && err != nil {
				t.Errorf("from stage %d to %d: %v", i, j, err)
			} else if apart == 3 && !errors.Is(err, errForged) {
				t.Errorf("without a common secret: %v", err)
			}
		}
	}
}

func TestMessagesAreTakenOnceAndInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, to := signerOf(secretA), signerOf(secretA)
		var here, late guard
		first := string(from.sealed("c", []byte("1")))
		second := string(from.sealed("c", []byte("2")))
		for i, step := range []struct {
			message string
			g       *guard
			want    error
		}{
			{second, &here, nil},
			{first, &here, nil},
			{first, &here, errRepeated},
			{second, &here, errRepeated},
			{first, &late, nil}, // each place has its own
		} {
			if _, err := to.open("c", step.message, step.g); !errors.Is(err, step.want) {
				t.Errorf("step %d: %v, want %v", i, err, step.want)
			}
		}
		time.Sleep(freshness)
		var fresh guard
		if _, err := to.open("c", first, &fresh); err != nil {
			t.Errorf("after %v: %v", freshness, err)
		}
		time.Sleep(time.Millisecond)
		for _, g := range []*guard{&here, new(guard)} {
			if _, err := to.open("c", second, g); !errors.Is(err, errStale) {
				t.Errorf("after more than %v: %v", freshness, err)
			}
		}
		future := stamp{1, 1, time.Now().Add(freshness + time.Millisecond).UnixMilli()}
		if err := here.admit(future, time.Now().UnixMilli()); !errors.Is(err, errStale) {
			t.Errorf("signed in the future: %v", err)
		}
	})
}

// The guard must agree with a plain set of the numbers that it has seen.
func TestGuardTakesEachNumberOnce(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var g guard
	seen := make(map[uint64]bool)
	newest, taken := uint64(0), 0
	for range 200_000 {
		number := newest + 1
		switch draw := random.IntN(1000); {
		case draw == 0:
			number += uint64(random.IntN(3 * guardWindow))
		case draw < 500:
			number -= min(number-1, uint64(random.IntN(guardWindow+10)))
		}
		want := number > newest || newest-number < guardWindow && !seen[number]
		err := g.admit(stamp{sender: 7, number: number}, 0)
		if (err == nil) != want {
			t.Fatalf("number %d after %d: %v, want taken: %t", number, newest, err, want)
		}
		if err == nil {
			seen[number] = true
			newest = max(newest, number)
			taken++
		}
	}
	if taken < 10_000 || taken > 190_000 {
		t.Errorf("%d were taken: the test tests nothing", taken)
	}
}

func TestGuardForgetsSendersThatAreGone(t *testing.T) {
	var g guard
	const most = int64(freshness / time.Millisecond)
	for i := range uint64(10 * maxSenders) { // each a process that says one thing
		at := int64(i) * 4 * most / maxSenders
		if err := g.admit(stamp{i, 1, at}, at); err != nil {
			t.Fatalf("sender %d: %v", i, err)
		}
	}
	if n := len(g.senders); n > maxSenders {
		t.Errorf("%d senders are remembered", n)
	}
	// All at once they are too many, and none of those that can be repeated is
	// forgotten for it.
	g = guard{}
	for i := range uint64(maxSenders) {
		if err := g.admit(stamp{i, 1, 0}, 0); err != nil {
			t.Fatalf("sender %d: %v", i, err)
		}
	}
	if err := g.admit(stamp{maxSenders, 1, 0}, 0); !errors.Is(err, errTooManySenders) {
		t.Errorf("one sender too many: %v", err)
	}
	if err := g.admit(stamp{0, 1, 0}, 0); !errors.Is(err, errRepeated) {
		t.Errorf("repeated: %v", err)
	}
}

func TestSignedEntries(t *testing.T) {
	from, to := signerOf(secretA), signerOf(secretB, secretA)
	e := entry{uid: "u", namespace: "/", kind: "3", data: `{"a":1}`, x: `{"s":1}`}
	e.sig = from.sealEntry("log", &e)
	now := time.Now()
	id := func(after time.Duration) string { return fmt.Sprintf("%d-0", now.Add(after).UnixMilli()) }
	for what, change := range map[string]func(*entry){
		"uid": func(e *entry) { e.uid += "x" }, "nsp": func(e *entry) { e.namespace += "x" }, "type": func(e *entry) { e.kind = "6" },
		"data": func(e *entry) { e.data = "" }, "x": func(e *entry) { e.x = "" },
		"x moved to data":     func(e *entry) { e.data, e.x = e.data+e.x, "" },
		"sig":                 func(e *entry) { e.sig = strings.Repeat("A", len(e.sig)) },
		"a short sig":         func(e *entry) { e.sig = e.sig[:8] },
		"a sig of other form": func(e *entry) { e.sig = "?" },
	} {
		changed := e
		change(&changed)
		if err := to.openEntry("log", &changed, id(0), new(guard)); !errors.Is(err, errForged) {
			t.Errorf("with another %s: %v", what, err)
		}
	}
	unsigned := e
	unsigned.sig = ""
	var g guard
	for i, step := range []struct {
		stream, id string
		e          *entry
		want       error
	}{
		{"log", id(0), &unsigned, errUnsigned},
		{"other", id(0), &e, errForged},
		{"log", "x", &e, errForged},
		{"log", id(freshness + time.Minute), &e, errStale},
		{"log", id(-freshness - time.Minute), &e, errStale},
		{"log", id(time.Second), &e, nil},
		{"log", id(2 * time.Second), &e, errRepeated},
	} {
		if err := to.openEntry(step.stream, step.e, step.id, &g); !errors.Is(err, step.want) {
			t.Errorf("step %d: %v, want %v", i, err, step.want)
		}
	}
}

func TestSignedSessions(t *testing.T) {
	from, to := signerOf(secretA), signerOf(secretB, secretA)
	const value = "gaNzaWSjYWJj"
	signed := from.sealSession("sio:session:1", value)
	for what, test := range map[string]struct {
		key, text string
		want      error
	}{
		"as it was":             {"sio:session:1", signed, nil},
		"that of another":       {"sio:session:2", signed, errForged},
		"with another value":    {"sio:session:1", "x" + signed, errForged},
		"unsigned":              {"sio:session:1", value, errUnsigned},
		"with an empty seal":    {"sio:session:1", value + ".", errUnsigned},
		"with a different seal": {"sio:session:1", value + ".AAAA", errForged},
	} {
		got, err := to.openSession(test.key, test.text)
		if !errors.Is(err, test.want) || err == nil && got != value {
			t.Errorf("%s: %q, %v, want %v", what, got, err, test.want)
		}
	}
}

func TestWeakSecretsAreRefusedAndNoneIsShown(t *testing.T) {
	const weak = "tooshort"
	_, err := Options{Secrets: [][]byte{secretA, []byte(weak)}}.withDefaults()
	if err == nil || !strings.Contains(err.Error(), "Secrets[1] has 8 bytes") || strings.Contains(err.Error(), weak) {
		t.Errorf("withDefaults() = %v", err)
	}
	var log bytes.Buffer
	o := testOptions(t, Options{Secrets: [][]byte{secretA}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	s := newSigner(o.Secrets)
	_, err = s.open("c", string(signerOf(secretB).sealed("c", []byte("x"))), new(guard))
	newReporter(o).drop(DropUnsigned, 1, err)
	if text := log.String(); !strings.Contains(text, "reason=unsigned") || strings.Contains(text, string(secretA)) {
		t.Errorf("logged %s", text)
	}
	// The caller may wipe its copy.
	mine := bytes.Clone(secretA)
	s = newSigner([][]byte{mine})
	clear(mine)
	if _, err := signerOf(secretA).open("c", string(s.sealed("c", nil)), new(guard)); err != nil {
		t.Errorf("after the caller's copy was wiped: %v", err)
	}
}

func BenchmarkSign(b *testing.B) {
	s := signerOf(secretA)
	payload := []byte(strings.Repeat("x", 200))
	b.Run("seal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.sealed("socket.io#/#", payload)
		}
	})
	b.Run("open", func(b *testing.B) {
		b.ReportAllocs()
		message := string(s.sealed("socket.io#/#", payload))
		for b.Loop() {
			_, _ = s.open("socket.io#/#", message, new(guard))
		}
	})
}
