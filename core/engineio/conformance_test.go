package engineio_test

// Conformance with RFC 6455, against an echo session through the real transport, over both connection drivers, with the
// input whole and cut into pieces. Text carries an Engine.IO message ('4' and the text).

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/dunlin-io/dunlin/core/engineio"
)

type wsFrame struct {
	op   byte
	data []byte
}

// wsCase sends in and expects want; then a close frame with status code, or if code is 0 an open connection.
type wsCase struct {
	name string
	in   []byte
	want []wsFrame
	code int
}

const (
	codePlain    = 1005 // a close frame without status
	codeProtocol = 1002
	codeUTF8     = 1007
	codePolicy   = 1008
	codeTooBig   = 1009
)

// Limits of the server under test.
const (
	caseLimit     = 70_000
	caseFragments = 64
)

func frames(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func echoed(payload []byte, op byte) []wsFrame { return []wsFrame{{op, payload}} }

func wsCases() (all []wsCase) {
	for _, add := range []func() []wsCase{
		framingCases, pingCases, reservedCases, headerCases, fragmentCases, utf8Cases, closeCases, limitCases, engineCases,
	} {
		all = append(all, add()...)
	}
	return all
}

func framingCases() (cases []wsCase) {
	for _, n := range []int{0, 1, 2, 125, 126, 127, 128, 255, 256, 65534, 65535, 65536, caseLimit} {
		data := bytes.Repeat([]byte{0xfe}, n)
		cases = append(cases, wsCase{fmt.Sprintf("binary of %d bytes", n), clientFrame(true, opBinary, data), echoed(data, opBinary), 0})
		if n > 0 {
			data := append([]byte("4"), bytes.Repeat([]byte("*"), n-1)...)
			cases = append(cases, wsCase{fmt.Sprintf("text of %d bytes", n), clientFrame(true, opText, data), echoed(data, opText), 0})
		}
	}
	// Lengths that are not minimal pass, as they do in the reference.
	long := append([]byte{0x82, 0x80 | 126, 0, 3, 0, 0, 0, 0}, "abc"...)
	longer := append([]byte{0x82, 0x80 | 127, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0}, "abc"...)
	return append(cases,
		wsCase{"length of 3 in 16 bits", long, echoed([]byte("abc"), opBinary), 0},
		wsCase{"length of 3 in 64 bits", longer, echoed([]byte("abc"), opBinary), 0},
	)
}

func pingCases() (cases []wsCase) {
	for _, data := range []string{"", "hello", "\x00\xff\xfe\xfd\xfc\xfb\x00\xff", strings.Repeat("\xfe", 125)} {
		cases = append(cases, wsCase{
			fmt.Sprintf("ping of %d bytes", len(data)), clientFrame(true, opPing, []byte(data)), echoed([]byte(data), opPong), 0,
		})
	}
	ten, answers := []byte(nil), []wsFrame(nil)
	for i := range 10 {
		data := fmt.Appendf(nil, "ping %d", i)
		ten = append(ten, clientFrame(true, opPing, data)...)
		answers = append(answers, wsFrame{opPong, data})
	}
	return append(cases,
		wsCase{"ping of 126 bytes", clientFrame(true, opPing, make([]byte, 126)), nil, codeProtocol},
		wsCase{"pong nobody asked for", clientFrame(true, opPong, nil), nil, 0},
		wsCase{"pong with data nobody asked for", clientFrame(true, opPong, []byte("x")), nil, 0},
		wsCase{"pong of 126 bytes", clientFrame(true, opPong, make([]byte, 126)), nil, codeProtocol},
		wsCase{"ten pings", ten, answers, 0},
		wsCase{"fragmented ping", clientFrame(false, opPing, []byte("x")), nil, codeProtocol},
		wsCase{"fragmented pong", clientFrame(false, opPong, []byte("x")), nil, codeProtocol},
	)
}

func reservedCases() (cases []wsCase) {
	for bits := byte(1); bits < 8; bits++ {
		for _, op := range []byte{opText, opBinary, opPing, opPong, opClose} {
			cases = append(cases, wsCase{
				fmt.Sprintf("RSV %03b on opcode %d", bits, op), maskedFrame(0x80|bits<<4|op, 1, []byte("4")), nil, codeProtocol,
			})
		}
	}
	for _, op := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		cases = append(cases,
			wsCase{fmt.Sprintf("opcode %d", op), clientFrame(true, op, nil), nil, codeProtocol},
			wsCase{fmt.Sprintf("opcode %d with data", op), clientFrame(true, op, []byte("4x")), nil, codeProtocol},
			wsCase{fmt.Sprintf("opcode %d after a message", op), frames(
				clientFrame(true, opText, []byte("4a")), clientFrame(true, op, []byte("4x")), clientFrame(true, opPing, nil),
			), echoed([]byte("4a"), opText), codeProtocol},
		)
	}
	return cases
}

func headerCases() (cases []wsCase) {
	for _, length := range []uint64{caseLimit + 1, 1 << 20, 1<<31 - 1, 1 << 31, 1 << 32, 1<<63 - 1} {
		cases = append(cases, wsCase{
			fmt.Sprintf("length %#x is announced", length), maskedFrame(0x82, length, []byte("x")), nil, codeTooBig,
		})
	}
	unmasked := []byte{0x81, 2, '4', 'x'}
	return append(cases,
		wsCase{"length with its top bit set", maskedFrame(0x82, 1<<63|1, []byte("x")), nil, codeProtocol},
		wsCase{"all bits of the length set", maskedFrame(0x82, 1<<64-1, []byte("x")), nil, codeProtocol},
		wsCase{"text without a mask", unmasked, nil, codeProtocol},
		wsCase{"ping without a mask", []byte{0x89, 0}, nil, codeProtocol},
		wsCase{"close without a mask", []byte{0x88, 0}, nil, codeProtocol},
		wsCase{"ping announced with 2^32 bytes", maskedFrame(0x89, 1<<32, nil), nil, codeProtocol},
	)
}

func fragmentCases() (cases []wsCase) {
	text := func(fin bool, s string) []byte { return clientFrame(fin, opText, []byte(s)) }
	more := func(fin bool, s string) []byte { return clientFrame(fin, opContinuation, []byte(s)) }
	ping := clientFrame(true, opPing, []byte("p"))
	pong := wsFrame{opPong, []byte("p")}
	ab := echoed([]byte("4ab"), opText)
	cases = []wsCase{
		{"two text fragments", frames(text(false, "4a"), more(true, "b")), ab, 0},
		{"two binary fragments", frames(clientFrame(false, opBinary, []byte("a")), more(true, "b")), echoed([]byte("ab"), opBinary), 0},
		{"ping between fragments", frames(text(false, "4a"), ping, more(true, "b")), []wsFrame{pong, ab[0]}, 0},
		{"empty first fragment", frames(text(false, ""), more(true, "4ab")), ab, 0},
		{"empty last fragment", frames(text(false, "4ab"), more(true, "")), ab, 0},
		{"empty middle fragment", frames(text(false, "4a"), more(false, ""), more(true, "b")), ab, 0},
		{"only empty fragments of binary", frames(clientFrame(false, opBinary, nil), more(false, ""), more(true, "")), echoed(nil, opBinary), 0},
		{"continuation of nothing", more(true, "4a"), nil, codeProtocol},
		{"unfinished continuation of nothing", more(false, "4a"), nil, codeProtocol},
		{"continuation after a whole message", frames(text(true, "4a"), more(true, "b")), echoed([]byte("4a"), opText), codeProtocol},
		{"text inside a fragmented message", frames(text(false, "4a"), text(true, "4b")), nil, codeProtocol},
		{"binary inside a fragmented message", frames(text(false, "4a"), clientFrame(true, opBinary, []byte("b"))), nil, codeProtocol},
		{"two messages of fragments", frames(text(false, "4a"), more(true, "b"), text(false, "4"), more(true, "c")), []wsFrame{ab[0], {opText, []byte("4c")}}, 0},
		{"close between fragments", frames(text(false, "4a"), clientFrame(true, opClose, []byte{3, 232})), nil, 1000},
		{"fragment and silence", text(false, "4a"), nil, -1},
	}
	many := [][]byte{text(false, "4")}
	for range caseFragments - 2 {
		many = append(many, more(false, "x"))
	}
	whole := []byte("4" + strings.Repeat("x", caseFragments-1))
	cases = append(cases, wsCase{"as many fragments as allowed", frames(append(many, more(true, "x"))...), echoed(whole, opText), 0})
	return cases
}

func utf8Cases() (cases []wsCase) {
	valid := []string{
		"", "hello", "κόσμε", "Hello-µ@ßöäüàá-UTF-8!!", "\x00", "\x7f", "\u0080", "\u07ff", "\u0800", "\ufffd", "\uffff", "\U00010000",
		"\U0010ffff", "\ud7ff", "\ue000", "\ufeff", "\ufdd0", "\U0001fffe", "日本語", "😀😀😀", "a\U0001f600b", "\u2028\u2029",
	}
	invalid := []string{
		"\x80", "\xbf", "\x80\xbf", "\xc0", "\xc1\xbf", "\xc0\x80", "\xc2", "\xc2a", "\xdf", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xe0\xa0", "\xe0\xa0a",
		"\xed\xa0\x80", "\xed\xbf\xbf", "\xed\xa0\x80\xed\xb0\x80", "\xef\xbf", "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf", "\xf0\x90\x80",
		"\xf0\x90\x80a", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xf8\x88\x80\x80\x80", "\xfc\x84\x80\x80\x80\x80", "\xfe", "\xff", "\xfe\xfe\xff\xff",
		"κόσ\xed\xa0\x80με", "abc\xff", "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80edited",
	}
	for i, s := range valid {
		data := []byte("4" + s)
		cases = append(cases, wsCase{fmt.Sprintf("valid UTF-8 %d", i), clientFrame(true, opText, data), echoed(data, opText), 0})
		for cut := 1; cut < len(data); cut++ { // fragments may end inside a character
			cases = append(cases, wsCase{
				fmt.Sprintf("valid UTF-8 %d cut at %d", i, cut),
				frames(clientFrame(false, opText, data[:cut]), clientFrame(true, opContinuation, data[cut:])), echoed(data, opText), 0,
			})
		}
	}
	for i, s := range invalid {
		if utf8.ValidString(s) {
			panic("valid: " + s)
		}
		data := []byte("4" + s)
		cases = append(cases, wsCase{fmt.Sprintf("invalid UTF-8 %d", i), clientFrame(true, opText, data), nil, codeUTF8})
		for cut := 1; cut < len(data); cut++ {
			cases = append(cases, wsCase{
				fmt.Sprintf("invalid UTF-8 %d cut at %d", i, cut),
				frames(clientFrame(false, opText, data[:cut]), clientFrame(true, opContinuation, data[cut:])), nil, codeUTF8,
			})
		}
	}
	// A bad byte fails the connection at once, though the message is not at its end.
	return append(cases,
		wsCase{"bad byte in an unfinished message", clientFrame(false, opText, []byte("4a\xff")), nil, codeUTF8},
		wsCase{"bad byte in an unfinished frame", maskedFrame(0x81, 100, []byte("4a\xf4\x90")), nil, codeUTF8},
		wsCase{"anything goes in binary", clientFrame(true, opBinary, []byte("\xff\xfe\x80")), echoed([]byte("\xff\xfe\x80"), opBinary), 0},
	)
}

func closeCases() (cases []wsCase) {
	status := func(code uint16, reason string) []byte {
		return clientFrame(true, opClose, append(binary.BigEndian.AppendUint16(nil, code), reason...))
	}
	for _, code := range []uint16{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999} {
		cases = append(cases, wsCase{fmt.Sprintf("close %d", code), status(code, "bye"), nil, int(code)})
	}
	for _, code := range []uint16{0, 999, 1004, 1005, 1006, 1012, 1016, 1100, 2000, 2999, 5000, 65535} {
		cases = append(cases, wsCase{fmt.Sprintf("close %d is not allowed", code), status(code, ""), nil, codeProtocol})
	}
	return append(cases,
		wsCase{"close without status", clientFrame(true, opClose, nil), nil, codePlain},
		wsCase{"close of one byte", clientFrame(true, opClose, []byte{3}), nil, codeProtocol},
		wsCase{"close with 123 bytes of reason", status(1000, strings.Repeat("r", 123)), nil, 1000},
		wsCase{"close with 124 bytes of reason", status(1000, strings.Repeat("r", 124)), nil, codeProtocol},
		wsCase{"close with invalid UTF-8", status(1000, "a\xff"), nil, codeUTF8},
		wsCase{"two close frames", frames(status(1000, ""), status(1001, "")), nil, 1000},
		wsCase{"message after close", frames(status(1000, ""), clientFrame(true, opText, []byte("4late"))), nil, 1000},
		wsCase{"ping after close", frames(status(1000, ""), clientFrame(true, opPing, nil)), nil, 1000},
		wsCase{"message, then close", frames(clientFrame(true, opText, []byte("4x")), status(1000, "")), echoed([]byte("4x"), opText), 1000},
	)
}

func limitCases() (cases []wsCase) {
	half := make([]byte, caseLimit/2)
	over := [][]byte{clientFrame(false, opBinary, nil)}
	for range caseFragments {
		over = append(over, clientFrame(false, opContinuation, nil))
	}
	return []wsCase{
		{"fragments as long as allowed", frames(clientFrame(false, opBinary, half), clientFrame(true, opContinuation, half)), echoed(make([]byte, caseLimit), opBinary), 0},
		{"fragments one byte too long", frames(clientFrame(false, opBinary, half), clientFrame(true, opContinuation, make([]byte, len(half)+1))), nil, codeTooBig},
		{"fragment after a full message", frames(clientFrame(false, opBinary, make([]byte, caseLimit)), clientFrame(true, opContinuation, []byte{0})), nil, codeTooBig},
		{"too many empty fragments", frames(over...), nil, codePolicy},
		{"limit counts each message anew", frames(clientFrame(true, opBinary, make([]byte, caseLimit)), clientFrame(true, opBinary, make([]byte, caseLimit))), []wsFrame{{opBinary, make([]byte, caseLimit)}, {opBinary, make([]byte, caseLimit)}}, 0},
	}
}

// engineCases are rules of Engine.IO on WebSocket.
func engineCases() (cases []wsCase) {
	send := func(s string) []byte { return clientFrame(true, opText, []byte(s)) }
	for _, s := range []string{"", "7", "9", "abc", "é", " 4a", "-1"} {
		cases = append(cases, wsCase{fmt.Sprintf("packet %q", s), send(s), nil, codePlain})
	}
	for _, s := range []string{"0", "5", "6", "6x", "3", "3probe"} {
		cases = append(cases, wsCase{fmt.Sprintf("packet %q is ignored", s), send(s), nil, 0})
	}
	return append(cases,
		wsCase{"ping of a client", send("2"), nil, codePlain},
		wsCase{"probe on the open transport", send("2probe"), nil, codePlain},
		wsCase{"close packet", send("1"), nil, codePlain},
		wsCase{"binary as base64 text", send("bAQIDBA=="), echoed([]byte{1, 2, 3, 4}, opBinary), 0},
		wsCase{"message after a parse error is dropped", frames(send("9"), send("4late")), nil, codePlain},
	)
}

// Proves T-17, J-08.
func TestWebSocketConformance(t *testing.T) {
	cases := wsCases()
	if len(cases) < 290 {
		t.Fatalf("%d cases: some have gone", len(cases))
	}
	eachDriver(t, func(t *testing.T, over option) {
		f := serve(t, engineio.Config{MaxPayload: caseLimit, MaxFragments: caseFragments}, over, echoes)
		for _, pieces := range []int{0, 1, 7} {
			for _, c := range cases {
				size := pieces
				if len(c.in) > 2000 {
					size *= 997
				}
				runWSCase(t, f, c, size)
			}
		}
	})
}

// runWSCase writes the input in pieces of the given size; 0: whole.
func runWSCase(t *testing.T, f *fixture, c wsCase, size int) {
	t.Helper()
	w, _ := f.openWebSocket()
	defer w.Close()
	in := c.in
	if c.code == 0 {
		in = frames(in, clientFrame(true, opPing, []byte("alive?")))
	}
	written := make(chan struct{})
	go func() { // ends with the input, or with the connection
		defer close(written)
		if size == 0 {
			size = len(in)
		}
		for rest := in; len(rest) > 0; {
			n := min(size, len(rest))
			if _, err := w.Write(rest[:n]); err != nil {
				return
			}
			rest = rest[n:]
		}
	}()
	for i, want := range c.want {
		op, data, err := w.tryFrame()
		if err != nil || op != want.op || !bytes.Equal(data, want.data) {
			t.Errorf("%s: frame %d: opcode %d, %d bytes %.50q, %v; want opcode %d, %d bytes %.50q",
				c.name, i, op, len(data), data, err, want.op, len(want.data), want.data)
			return
		}
	}
	switch c.code {
	case -1:
	case 0:
		if op, data, err := w.tryFrame(); err != nil || op != opPong || string(data) != "alive?" {
			t.Errorf("%s: opcode %d %.50q %v; want the connection to live on", c.name, op, data, err)
		}
	default:
		op, data, err := w.tryFrame()
		code := codePlain
		if len(data) >= 2 {
			code = int(binary.BigEndian.Uint16(data))
		}
		if err != nil || op != opClose || code != c.code {
			t.Errorf("%s: opcode %d %x %v; want close with %d", c.name, op, data, err, c.code)
		}
	}
	w.Close()
	<-written
}
