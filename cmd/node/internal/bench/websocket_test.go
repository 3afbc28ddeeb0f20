package bench

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// script is a connection on which a server says one thing.
type script struct {
	net.Conn
	in  io.Reader
	out bytes.Buffer
}

func (s *script) Read(b []byte) (int, error)       { return s.in.Read(b) }
func (s *script) Write(b []byte) (int, error)      { return s.out.Write(b) }
func (s *script) SetWriteDeadline(time.Time) error { return nil }

func scripted(said []byte) (*conn, *script) {
	s := &script{in: bytes.NewReader(said)}
	return &conn{Conn: s, in: bufio.NewReaderSize(s, 4096)}, s
}

func frame(first byte, payload string) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
	}
	return append(b, payload...)
}

func TestFramesAreRead(t *testing.T) {
	long, longer := strings.Repeat("l", 5000), strings.Repeat("m", 70_000)
	var said []byte
	for _, f := range [][]byte{
		frame(0x81, "one"), frame(0x82, long), frame(0x81, longer),
		frame(0x01, "in "), frame(0x89, "ping"), frame(0x00, "three "), frame(0x80, "parts"),
		frame(0x8a, "pong"), frame(0x81, ""), frame(0x88, "\x03\xe9bye"),
	} {
		said = append(said, f...)
	}
	c, s := scripted(said)
	for i, want := range []string{"one", long, longer, "in three parts", ""} {
		op, message, err := c.read()
		if err != nil || string(message) != want || (op == opBinary) != (want == long) {
			t.Fatalf("message %d: %d %.20q, %v", i, op, message, err)
		}
	}
	if _, _, err := c.read(); err == nil || !strings.Contains(err.Error(), `1001 "bye"`) {
		t.Errorf("end: %v", err)
	}
	pong := s.out.Bytes()
	for i := range pong[6:] {
		pong[6+i] ^= pong[2+i%4]
	}
	if pong[0] != 0x8a || pong[1] != 0x84 || string(pong[6:]) != "ping" {
		t.Errorf("answer to a ping: %x", pong)
	}
}

func TestBadFramesAreRefused(t *testing.T) {
	for name, said := range map[string][]byte{
		"masked":         {0x81, 0x81, 0, 0, 0, 0, 'x'},
		"endless":        {0x81, 127, 0xff, 0, 0, 0, 0, 0, 0, 0},
		"orphan":         frame(0x80, "x"),
		"interleaved":    append(frame(0x01, "x"), frame(0x81, "y")...),
		"cut off":        {0x81, 5, 'x'},
		"cut off length": {0x81, 126, 0},
		"long parts":     append(frame(0x01, strings.Repeat("x", maxMessage)), frame(0x80, "x")...),
	} {
		c, _ := scripted(said)
		if op, message, err := c.read(); err == nil {
			t.Errorf("%s: read %d %q", name, op, message)
		}
	}
}

func TestPingBeforeTheNamespaceIsJoinedIsInTime(t *testing.T) {
	r, err := newRun(settings("idle", "http://127.0.0.1"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.breakUp()
	c := &client{run: r}
	c.conn, _ = scripted(slices.Concat(
		frame(0x81, `0{"sid":"x","pingInterval":25000,"pingTimeout":20000}`), frame(0x81, "2"), frame(0x81, `40{"sid":"y"}`),
	))
	if err := c.greet(); err != nil || c.late != 0 {
		t.Errorf("greet() = %v, %d pings late", err, c.late)
	}
}

// What a server says must not make the client panic.
func FuzzClientReads(f *testing.F) {
	f.Add([]byte(`0{"sid":"x","pingInterval":1,"pingTimeout":1}`), []byte(`40{"sid":"y"}`), []byte(`42["msg",1]`))
	f.Add([]byte(`2`), []byte(`452-["msg",{"_placeholder":true,"num":0}]`), []byte(`431[]`))
	f.Fuzz(func(_ *testing.T, a, b, raw []byte) {
		said := append(frame(0x81, string(a)), frame(0x81, string(b))...)
		said = append(append(said, frame(0x82, string(a))...), raw...)
		r, err := newRun(settings("echo", "http://127.0.0.1"), nil)
		if err != nil {
			return
		}
		defer r.breakUp()
		c := &client{run: r}
		c.conn, _ = scripted(said)
		_ = c.greet()
		_ = c.read()
	})
}
