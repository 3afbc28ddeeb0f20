package engineio

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// FuzzPayload: decoding never panics, never yields more than it was given, and what it yields encodes and decodes to
// itself.
func FuzzPayload(f *testing.F) {
	for _, s := range []string{"", "4", "4a\x1e4b", "bAQID\x1e4x", "4a\x1e9\x1e4b", "bAQ*I D@BA=", "2probe", "b__79", "b\x1e\x1e", "4\xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		total, count := 0, 0
		var again [][]byte
		for p, err := range packets(bytes.Clone(body)) {
			if err != nil {
				if p.data != nil {
					t.Errorf("data %q beside error %v", p.data, err)
				}
				break
			}
			count++
			total += len(p.data)
			if !p.binary && !utf8.Valid(p.data) {
				t.Errorf("text %q is not UTF-8", p.data)
			}
			b := newPacket(p.kind, string(p.data))
			if p.kind == packetMessage {
				b = NewBatch(Message{p.binary, bytes.Clone(p.data)})
			}
			q, err := decodePacket(bytes.Clone(b.packet(0)))
			if err != nil || q.kind != p.kind || q.binary != p.binary || !bytes.Equal(q.data, p.data) {
				t.Errorf("%+v encodes to %q and decodes to %+v, %v", p, b.packet(0), q, err)
			}
			again = append(again, b.packet(0))
		}
		if total > len(body) || count > len(body)+1 {
			t.Errorf("%d packets of %d bytes out of %d", count, total, len(body))
		}
		n := 0
		for range packets(bytes.Join(again, []byte{separator})) {
			n++
		}
		if len(again) > 0 && n != count {
			t.Errorf("%d packets became %d", count, n)
		}
	})
}

// sinkLog is a frameSink that notes what it gets.
type sinkLog struct {
	log   bytes.Buffer
	total int
}

func (s *sinkLog) message(binary bool, data []byte) error {
	s.total += len(data)
	s.log.WriteString(map[bool]string{false: "text ", true: "binary "}[binary])
	s.log.Write(data)
	s.log.WriteByte('\n')
	return nil
}

var errSinkClosed = errors.New("close frame")

func (s *sinkLog) control(op ws.OpCode, data []byte) error {
	s.total += len(data)
	s.log.WriteByte(byte('0' + op))
	s.log.Write(data)
	s.log.WriteByte('\n')
	if op == ws.OpClose {
		return errSinkClosed
	}
	return nil
}

// FuzzFrames: reading never panics, holds no more than its limit, and finds the same however the input is cut.
func FuzzFrames(f *testing.F) {
	mask := "\x01\x02\x03\x04"
	for _, s := range []string{
		"\x81\x81" + mask + "5", "\x82\x83" + mask + "abc\x81\x80" + mask, "\x01\x80" + mask + "\x80\x80" + mask,
		"\x89\x81" + mask + "x\x88\x80" + mask, "\x82\xff\x80\x00\x00\x00\x00\x00\x00\x01" + mask + "a",
		"\x82\xff\x00\x00\x00\x00\x40\x00\x00\x00" + mask, "\xa1\x81" + mask + "3", "\x81\x00", "\x82\xfe\x00\x7e" + mask + strings.Repeat("x", 126),
	} {
		f.Add([]byte(s), uint8(3))
	}
	const limit = 1 << 16
	f.Fuzz(func(t *testing.T, input []byte, cut uint8) {
		run := func(size int) (*sinkLog, error) {
			r := frameReader{limit: limit, maxFragments: 100}
			sink := new(sinkLog)
			for rest := bytes.Clone(input); len(rest) > 0; {
				n := min(size, len(rest))
				if err := r.feed(rest[:n], sink); err != nil {
					return sink, err
				}
				if cap(r.payload) > 4*len(input)+1024 || len(r.payload) > limit || len(r.partial) > 125 {
					t.Fatalf("holds %d bytes of %d", cap(r.payload), len(input))
				}
				rest = rest[n:]
			}
			return sink, nil
		}
		whole, err1 := run(len(input) + 1)
		pieces, err2 := run(int(cut) + 1)
		if !bytes.Equal(whole.log.Bytes(), pieces.log.Bytes()) {
			t.Errorf("whole:\n%q\nin pieces of %d:\n%q", whole.log.Bytes(), int(cut)+1, pieces.log.Bytes())
		}
		if (err1 == nil) != (err2 == nil) || err1 != nil && err1.Error() != err2.Error() {
			t.Errorf("whole: %v, in pieces: %v", err1, err2)
		}
		if whole.total > len(input) {
			t.Errorf("%d bytes out of %d", whole.total, len(input))
		}
	})
}

// FuzzHandshake: whatever request net/http lets through, there is one answer, and 101 only with a session behind it.
func FuzzHandshake(f *testing.F) {
	for _, s := range []string{
		"GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
		"GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\nOrigin: http://b\r\n\r\n",
		"POST /engine.io/?EIO=4&transport=polling&sid=x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n4a",
		"OPTIONS /engine.io/?transport=%zz&EIO=4&EIO=3 HTTP/1.1\r\nHost: a\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(input)))
		if err != nil {
			return
		}
		srv, err := New(Config{MaxPayload: 1 << 16}, func(*Session) Handler { return noHandler{} })
		if err != nil {
			t.Fatal(err)
		}
		client, server := net.Pipe()
		defer client.Close()
		go func() { // ends when the client end is closed
			buf := make([]byte, 4096)
			for {
				if _, err := client.Read(buf); err != nil {
					return
				}
			}
		}()
		w := &hijackRecorder{ResponseRecorder: httptest.NewRecorder(), conn: server}
		srv.ServeHTTP(w, r)
		sessions := srv.Len()
		switch {
		case w.hijacked && sessions != 1:
			t.Errorf("%d sessions behind a 101", sessions)
		case !w.hijacked && w.Code == 200 && r.Method == http.MethodGet && sessions != 1:
			t.Errorf("%d sessions after a handshake", sessions)
		case w.Code >= 400 && sessions != 0:
			t.Errorf("%d sessions after status %d", sessions, w.Code)
		}
		for s := range srv.Sessions() {
			h := s.Handshake()
			if h.URL == nil || h.Header.Get("Host") != r.Host {
				t.Errorf("handshake %+v of %q", h, input)
			}
			s.CloseNow(ReasonForcedClose, nil)
		}
		client.Close()
		srv.running.Wait()
	})
}

type hijackRecorder struct {
	*httptest.ResponseRecorder
	conn     net.Conn
	hijacked bool
}

func (w *hijackRecorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.hijacked = true
	return w.conn, bufio.NewReadWriter(bufio.NewReader(w.conn), bufio.NewWriter(w.conn)), nil
}
