package bench

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // RFC 6455 wants it
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	insecure "math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// Opcodes of RFC 6455, section 11.8.
const (
	opContinuation = 0
	opText         = 1
	opBinary       = 2
	opClose        = 8
	opPing         = 9
	opPong         = 10
)

// maxMessage bounds what a server may send at once.
const maxMessage = 4 << 20

// conn is the client's end of a WebSocket. One goroutine reads; any may write.
type conn struct {
	net.Conn
	in   *bufio.Reader
	used int    // bytes of in that the last message took and that are still there
	long []byte // holds messages that are longer than in, or come in parts

	writing sync.Mutex // keeps messages whole, so it is held over a write; guards out
	out     []byte
}

// dialTCP connects to the host of an http or https address.
func dialTCP(ctx context.Context, u *url.URL) (net.Conn, error) {
	host := u.Host
	if u.Port() == "" {
		host = net.JoinHostPort(u.Hostname(), u.Scheme)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", host)
}

// newConn makes a connection into a WebSocket.
func newConn(raw net.Conn, u *url.URL, secure *tls.Config) (*conn, error) {
	if u.Scheme == "https" {
		if secure == nil {
			secure = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		secure = secure.Clone()
		secure.ServerName = u.Hostname()
		raw = tls.Client(raw, secure)
	}
	c := &conn{Conn: raw, in: bufio.NewReaderSize(raw, 4096)}
	return c, c.upgrade(u)
}

// upgrade is the opening handshake of RFC 6455, section 4.1.
func (c *conn) upgrade(u *url.URL) error {
	key := make([]byte, 16)
	_, _ = rand.Read(key) // never fails
	nonce := base64.StdEncoding.EncodeToString(key)
	_, err := fmt.Fprintf(c.Conn, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\nUser-Agent: dunlin-bench\r\n\r\n", u.RequestURI(), u.Host, nonce)
	if err != nil {
		return fmt.Errorf("ask for a WebSocket: %w", err)
	}
	res, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return fmt.Errorf("read the answer to the handshake: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusSwitchingProtocols {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 200))
		return fmt.Errorf("the server answers the handshake with %s: %.200q", res.Status, strings.TrimSpace(string(text)))
	}
	sum := sha1.Sum([]byte(nonce + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // RFC 6455 wants it
	if res.Header.Get("Sec-Websocket-Accept") != base64.StdEncoding.EncodeToString(sum[:]) {
		return errors.New("the server's answer to the handshake is not one to ours")
	}
	return nil
}

// reset ends a connection without a goodbye, so that its port is free at once:
// thousands of closed connections would hold theirs for a minute.
func reset(c net.Conn) {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = c.Close()
}

// read returns the next message; it is valid until the next call. Pings of
// WebSocket itself are answered.
func (c *conn) read() (op byte, message []byte, err error) {
	c.long = c.long[:0]
	for {
		final, code, part, err := c.readFrame()
		if err != nil {
			return 0, nil, err
		}
		switch {
		case code == opPing:
			if err := c.write(opPong, part); err != nil {
				return 0, nil, err
			}
		case code == opPong:
		case code == opClose:
			return 0, nil, closed(part)
		case code == opContinuation && op == 0 || code != opContinuation && op != 0:
			return 0, nil, errors.New("the server's frames are in disorder")
		case final && op == 0:
			return code, part, nil
		default:
			if op == 0 {
				op = code
			}
			if len(c.long)+len(part) > maxMessage {
				return 0, nil, fmt.Errorf("the server sends a message over %d bytes", maxMessage)
			}
			if c.long = append(c.long, part...); final {
				return op, c.long, nil
			}
		}
	}
}

// readFrame returns a frame whose bytes are valid until the next call.
func (c *conn) readFrame() (final bool, op byte, payload []byte, err error) {
	_, _ = c.in.Discard(c.used) // they were peeked at
	c.used = 0
	head, err := c.in.Peek(2)
	if err != nil {
		return false, 0, nil, err
	}
	final, op = head[0]&0x80 != 0, head[0]&0x0f
	length, width := uint64(head[1]&0x7f), 2
	masked := head[1]&0x80 != 0
	switch length {
	case 126:
		width += 2
	case 127:
		width += 8
	}
	if head, err = c.in.Peek(width); err != nil {
		return false, 0, nil, err
	}
	switch width {
	case 4:
		length = uint64(binary.BigEndian.Uint16(head[2:]))
	case 10:
		length = binary.BigEndian.Uint64(head[2:])
	}
	if masked || length > maxMessage {
		return false, 0, nil, fmt.Errorf("the server sends a frame that is masked, or over %d bytes", maxMessage)
	}
	_, _ = c.in.Discard(width)
	n := int(length) //nolint:gosec // at most maxMessage
	if n <= c.in.Size() {
		payload, err = c.in.Peek(n)
		c.used = len(payload)
		return final, op, payload, err
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(c.in, payload)
	return final, op, payload, err
}

func closed(payload []byte) error {
	if len(payload) < 2 {
		return errors.New("the server has closed the connection")
	}
	return fmt.Errorf("the server has closed the connection: %d %q", binary.BigEndian.Uint16(payload), payload[2:])
}

// write sends one message.
func (c *conn) write(op byte, message []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.out = appendFrame(c.out[:0], op, message)
	return c.flush()
}

// writeEvent sends a text message and, right behind it, its attachment, if any.
func (c *conn) writeEvent(text, attachment []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.out = appendFrame(c.out[:0], opText, text)
	if attachment != nil {
		c.out = appendFrame(c.out, opBinary, attachment)
	}
	return c.flush()
}

func (c *conn) flush() error {
	_, err := c.Write(c.out)
	if cap(c.out) > 4096 { // thousands of connections should not keep what few need
		c.out = nil
	}
	return err
}

// appendFrame masks, as clients must, with a mask that only has to differ.
func appendFrame(dst []byte, op byte, payload []byte) []byte {
	dst = append(dst, 0x80|op)
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, 0x80|byte(n))
	case n <= math.MaxUint16:
		dst = binary.BigEndian.AppendUint16(append(dst, 0x80|126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, 0x80|127), uint64(n))
	}
	var mask [4]byte
	binary.BigEndian.PutUint32(mask[:], insecure.Uint32()) //nolint:gosec // nobody stands between to be confused
	dst = append(dst, mask[:]...)
	start := len(dst)
	dst = append(dst, payload...)
	for i := range dst[start:] {
		dst[start+i] ^= mask[i&3]
	}
	return dst
}
