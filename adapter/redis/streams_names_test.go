package redisadapter

import (
	"strings"
	"testing"
	"time"
)

func TestStreamNamesAreThoseOfTheJavaScriptAdapter(t *testing.T) {
	seen := 0
	for _, v := range readVectors(t, "redis-streams.json") {
		if !strings.HasPrefix(v.Name, "stream-count/") || v.Command != "XADD" {
			continue
		}
		seen++
		signed := StreamOptions{Name: "socket.io", Count: 4, SignedHash: true}
		got := signed.names(v.Fields["nsp"])
		if got.log != v.Channel {
			t.Errorf("%s: stream %q, want %q", v.Name, got.log, v.Channel)
		}
		correct := signed
		correct.SignedHash = false
		read := correct.names(v.Fields["nsp"])
		if strings.Contains(v.Channel, "--") { // where no Node.js node reads
			if got.copies != read.log || strings.Contains(read.log, "--") {
				t.Errorf("%s: copies go to %q, want %q", v.Name, got.copies, read.log)
			}
			continue
		}
		if got != read || got.copies != "" {
			t.Errorf("%s: %+v with and %+v without the signed hash", v.Name, got, read)
		}
	}
	if seen < 10 {
		t.Errorf("%d streams are recorded", seen)
	}
}

func TestStreamHashIsThatOfUTF16Units(t *testing.T) {
	for s, want := range map[string]int32{"": 0, "/": 47, "/чат": 2486794, "/😀": 1818066, "polygenelubricants": -2147483648} {
		if got := javaHash(s); got != want {
			t.Errorf("hash of %q is %d, want %d", s, got, want)
		}
	}
	// The smallest number has no positive counterpart.
	o := StreamOptions{Name: "s", Count: 3, SignedHash: true}
	if got := o.names("polygenelubricants"); got != (streamNames{log: "s--2", copies: "s-1"}) {
		t.Errorf("streams are %+v", got)
	}
	o.Count = 4 // -0
	if got := o.names("polygenelubricants"); got != (streamNames{log: "s-0"}) {
		t.Errorf("streams are %+v", got)
	}
}

func TestStreamOptionsAreChecked(t *testing.T) {
	o, err := StreamOptions{}.withDefaults()
	want := StreamOptions{
		Name: "socket.io", Count: 1, MaxLen: 10_000, ReadCount: 100, Block: 5 * time.Second, SessionPrefix: "sio:session:",
	}
	if err != nil || o != want {
		t.Errorf("defaults are %+v, %v, want %+v", o, err, want)
	}
	for _, o := range []StreamOptions{
		{Count: -1},
		{Count: 257},
		{MaxLen: -1},
		{ReadCount: 10_001},
		{Block: -1},
		{Block: time.Microsecond},
		{Block: time.Hour},
		{Name: "a\nb"},
		{SessionPrefix: "\x00"},
	} {
		if _, err := (Options{Mode: Streams, Streams: o}).withDefaults(); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
	if _, err := (Options{Mode: Streams, Routing: Dynamic}).withDefaults(); err == nil {
		t.Error("routing by rooms is accepted, which streams do not have")
	}
}
