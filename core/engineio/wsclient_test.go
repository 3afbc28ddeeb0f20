package engineio_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// wsClient is a WebSocket client that sees every frame.
type wsClient struct {
	net.Conn
	r *bufio.Reader
	f *fixture
}

const wsKey = "dGhlIHNhbXBsZSBub25jZQ=="

func upgradeRequest(query string, header ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "GET /engine.io/?%s HTTP/1.1\r\nHost: example.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n", query)
	fmt.Fprintf(&b, "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n", wsKey)
	for i := 0; i < len(header); i += 2 {
		fmt.Fprintf(&b, "%s: %s\r\n", header[i], header[i+1])
	}
	return b.String() + "\r\n"
}

// raw dials, sends bytes and reads an HTTP response head.
func (f *fixture) raw(request string) (*wsClient, *http.Response) {
	f.t.Helper()
	c, err := f.dial()
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { c.Close() })
	w := &wsClient{c, bufio.NewReader(c), f}
	w.write([]byte(request))
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	method, _, _ := strings.Cut(request, " ")
	res, err := http.ReadResponse(w.r, &http.Request{Method: method})
	if err != nil {
		f.t.Fatalf("read response: %v", err)
	}
	return w, res
}

// upgrade opens a WebSocket with whatever query says.
func (f *fixture) upgrade(query string, header ...string) *wsClient {
	f.t.Helper()
	w, res := f.raw(upgradeRequest(query, header...))
	if res.StatusCode != http.StatusSwitchingProtocols {
		body, _ := io.ReadAll(res.Body)
		f.t.Fatalf("upgrade = %d %s", res.StatusCode, body)
	}
	return w
}

// openWebSocket opens a session directly over WebSocket.
func (f *fixture) openWebSocket() (*wsClient, *recorder) {
	f.t.Helper()
	w := f.upgrade("EIO=4&transport=websocket")
	op, data := w.frame()
	if op != opText {
		f.t.Fatalf("first frame has opcode %d", op)
	}
	f.parseOpen(string(data))
	return w, f.session()
}

const (
	opContinuation = 0
	opText         = 1
	opBinary       = 2
	opClose        = 8
	opPing         = 9
	opPong         = 10
)

// write sends bytes without waiting for more than the peer's reading.
func (w *wsClient) write(p []byte) {
	w.f.t.Helper()
	_ = w.SetWriteDeadline(time.Now().Add(20 * time.Second))
	if _, err := w.Write(p); err != nil {
		w.f.t.Logf("write: %v", err)
	}
}

func (w *wsClient) send(s string) { w.f.t.Helper(); w.write(clientFrame(true, opText, []byte(s))) }

func (w *wsClient) sendBinary(s string) {
	w.f.t.Helper()
	w.write(clientFrame(true, opBinary, []byte(s)))
}

// frame reads one frame, which must be whole and unmasked.
func (w *wsClient) frame() (op byte, data []byte) {
	w.f.t.Helper()
	op, data, err := w.tryFrame()
	if err != nil {
		w.f.t.Fatalf("read frame: %v", err)
	}
	return op, data
}

func (w *wsClient) tryFrame() (op byte, data []byte, err error) {
	_ = w.SetReadDeadline(time.Now().Add(20 * time.Second))
	head := make([]byte, 2)
	if _, err := io.ReadFull(w.r, head); err != nil {
		return 0, nil, err
	}
	if head[0]&0xf0 != 0x80 || head[1]&0x80 != 0 {
		return 0, nil, fmt.Errorf("frame header %x of a server", head)
	}
	n := uint64(head[1])
	switch n {
	case 126:
		var b [2]byte
		_, err = io.ReadFull(w.r, b[:])
		n = uint64(binary.BigEndian.Uint16(b[:]))
	case 127:
		var b [8]byte
		_, err = io.ReadFull(w.r, b[:])
		n = binary.BigEndian.Uint64(b[:])
	}
	if err != nil {
		return 0, nil, err
	}
	data = make([]byte, n)
	_, err = io.ReadFull(w.r, data)
	return head[0] & 0xf, data, err
}

func (w *wsClient) expect(want string) {
	w.f.t.Helper()
	if op, data := w.frame(); op != opText || string(data) != want {
		w.f.t.Fatalf("received opcode %d %.200q, want text %.200q", op, data, want)
	}
}

// closeCode reads up to the close frame and returns its status: 1005 if it has none, 1006 if the connection ends
// without one.
func (w *wsClient) closeCode() int {
	w.f.t.Helper()
	for {
		op, data, err := w.tryFrame()
		var timeout net.Error
		switch {
		case errors.As(err, &timeout) && timeout.Timeout():
			w.f.t.Fatal("connection still open after 20s")
		case err != nil:
			return 1006
		case op == opClose && len(data) >= 2:
			return int(binary.BigEndian.Uint16(data))
		case op == opClose:
			return 1005
		}
	}
}

// clientFrame builds a masked frame.
func clientFrame(fin bool, op byte, payload []byte) []byte {
	first := op
	if fin {
		first |= 0x80
	}
	return maskedFrame(first, uint64(len(payload)), payload)
}

// maskedFrame builds a frame that announces length, whatever payload it has.
func maskedFrame(first byte, length uint64, payload []byte) []byte {
	f := []byte{first}
	switch {
	case length < 126:
		f = append(f, 0x80|byte(length))
	case length <= 0xffff:
		f = binary.BigEndian.AppendUint16(append(f, 0x80|126), uint16(length))
	default:
		f = binary.BigEndian.AppendUint64(append(f, 0x80|127), length)
	}
	mask := [4]byte{0x1b, 0xad, 0xca, 0xfe}
	f = append(f, mask[:]...)
	for i, b := range payload {
		f = append(f, b^mask[i%4])
	}
	return f
}
