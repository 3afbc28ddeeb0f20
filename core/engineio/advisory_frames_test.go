package engineio_test

// The published attacks on WebSocket implementations, one test each.

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/core/engineio"
)

// ws CVE-2016-10518: uninitialised memory in pongs and close frames.
func TestAdvisoryW1NothingUninitialisedIsSent(t *testing.T) {
	f := serve(t, engineio.Config{}, overTCP, echoes)
	w, _ := f.openWebSocket()
	w.sendBinary(strings.Repeat("\xaa", 16_000)) // fills pooled buffers
	w.frame()
	for n := range 126 {
		data := strings.Repeat("\x11", n)
		w.write(clientFrame(true, opPing, []byte(data)))
		if op, got := w.frame(); op != opPong || string(got) != data {
			t.Fatalf("pong of %d bytes is %x", n, got)
		}
	}
}

// ws CVE-2016-10542: a limit for each frame but not for their sum.
func TestAdvisoryW2SumOfFragmentsIsBounded(t *testing.T) {
	f := serve(t, engineio.Config{}, overTCP, echoes)
	w, _ := f.openWebSocket()
	part := make([]byte, 100_000)
	w.write(clientFrame(false, opBinary, part))
	for range 9 {
		w.write(clientFrame(false, opContinuation, part))
	}
	w.write(maskedFrame(0x80, 1, nil)) // the header alone is enough
	if code := w.closeCode(); code != codeTooBig {
		t.Errorf("close code %d", code)
	}
	f.alive()
}

// gobwas/ws #223: memory by announced length.
func TestAdvisoryW3AnnouncedLengthAllocatesNothing(t *testing.T) {
	f := serve(t, engineio.Config{MaxPayload: 1 << 30}, overTCP, nil)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	w, rec := f.openWebSocket()
	w.write(maskedFrame(0x82, 1<<30, []byte("x"))) // allowed here, but not there
	w2, _ := f.openWebSocket()
	w2.write(maskedFrame(0x82, 1<<30+1, nil))
	if code := w2.closeCode(); code != codeTooBig {
		t.Errorf("close code %d", code)
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 4<<20 {
		t.Errorf("%d bytes allocated", grown)
	}
	rec.CloseNow(engineio.ReasonForcedClose, nil)
}

// NATS CVE-2026-27889 and gorilla CVE-2020-27813: lengths that turn negative. The table of conformance_test.go has them
// all; this is the 15 bytes.
func TestAdvisoryW4FifteenBytes(t *testing.T) {
	f := serve(t, engineio.Config{}, overTCP, echoes)
	w, _ := f.openWebSocket()
	w.write([]byte{0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0x61})
	if code := w.closeCode(); code != codeProtocol {
		t.Errorf("close code %d", code)
	}
	f.alive()
}

// ws CVE-2026-48779: fragments without payload.
func TestAdvisoryW5EmptyFragments(t *testing.T) {
	f := serve(t, engineio.Config{}, overTCP, echoes)
	w, _ := f.openWebSocket()
	flood := clientFrame(false, opText, nil)
	for range 16_384 {
		flood = append(flood, clientFrame(false, opContinuation, nil)...)
	}
	w.write(flood)
	if code := w.closeCode(); code != codePolicy {
		t.Errorf("close code %d", code)
	}
	f.alive()
}

// ws 8.23.0: pongs queued without bound for a client that does not read.
func TestAdvisoryW6PongsAreBounded(t *testing.T) {
	eachDriver(t, func(t *testing.T, over option) {
		f := serve(t, engineio.Config{}, over, nil)
		w, rec := f.openWebSocket()
		ping := clientFrame(true, opPing, make([]byte, 125))
		flood := make([]byte, 0, len(ping)*1000)
		for range 1000 {
			flood = append(flood, ping...)
		}
		_ = w.SetWriteDeadline(time.Now().Add(20 * time.Second))
		for {
			if _, err := w.Write(flood); err != nil {
				break
			}
			select {
			case <-rec.closed:
			default:
				if n := rec.Pending(); n > 125*130+flushChunk {
					t.Fatalf("%d bytes of pongs wait", n)
				}
				continue
			}
			break
		}
		if r := rec.waitClosed(t); r != engineio.ReasonTransportError {
			t.Errorf("reason %q", r)
		}
	})
}

const flushChunk = 64 << 10

// ws GHSA-5v72-xg48-5rpm, CVE-2021-32640: extension and protocol headers.
func TestAdvisoryW8JunkInHandshakeHeaders(t *testing.T) {
	f := serve(t, engineio.Config{}, overTCP, echoes)
	for _, h := range [][2]string{
		{"Sec-WebSocket-Extensions", "constructor, __proto__; x=y, permessage-deflate; server_max_window_bits=99"},
		{"Sec-WebSocket-Extensions", strings.TrimSuffix(strings.Repeat("permessage-deflate, ", 400), ", ")},
		{"Sec-WebSocket-Protocol", "a" + strings.Repeat(" ", 8000) + "b"},
		{"Sec-WebSocket-Protocol", "constructor, \xff\xfe"},
	} {
		_, res := f.raw(upgradeRequest("EIO=4&transport=websocket", h[0], h[1]))
		if res.StatusCode != 101 || res.Header.Get("Sec-Websocket-Extensions") != "" || res.Header.Get("Sec-Websocket-Protocol") != "" {
			t.Errorf("%s: %.40s = %d %v", h[0], h[1], res.StatusCode, res.Header)
		}
	}
	f.alive()
}

// ws CVE-2024-37890: handshake headers missing, or hidden among thousands.
func TestAdvisoryW9MissingAndManyHeaders(t *testing.T) {
	f := serve(t, engineio.Config{}, overTCP, echoes)
	good := upgradeRequest("EIO=4&transport=websocket")
	for _, name := range []string{"Host", "Connection", "Upgrade", "Sec-WebSocket-Version", "Sec-WebSocket-Key"} {
		var kept []string
		for line := range strings.SplitSeq(good, "\r\n") {
			if !strings.HasPrefix(line, name+":") {
				kept = append(kept, line)
			}
		}
		if res := f.rawUpgrade(strings.Join(kept, "\r\n")); res.status != 400 {
			t.Errorf("without %s = %d, want 400", name, res.status)
		}
	}
	var many []string
	for i := range 2100 {
		many = append(many, fmt.Sprintf("X-Filler-%d", i), "x")
	}
	if res := f.rawUpgrade(upgradeRequest("EIO=4&transport=websocket", many...)); res.status != 431 {
		t.Errorf("2100 headers = %d, want 431", res.status)
	}
	f.alive()
}

// Mattermost CVE-2025-12689: invalid UTF-8.
func TestAdvisoryW11InvalidUTF8(t *testing.T) {
	f := serve(t, engineio.Config{}, overTCP, echoes)
	w, _ := f.openWebSocket()
	w.write(clientFrame(true, opText, []byte{'4', '2', 0xff, 0xfe}))
	if code := w.closeCode(); code != codeUTF8 {
		t.Errorf("close code %d", code)
	}
	f.alive()
}
