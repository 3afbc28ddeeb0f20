package nemesis

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// client is a Socket.IO client in the namespace "/" that speaks just enough of
// the protocol, over WebSocket, and takes the end of its connection for an event
// like others. It does not reconnect.
type client struct {
	conn  net.Conn
	event func(name string, args []json.RawMessage)
	ended chan struct{} // closed when the connection has ended

	mu   sync.Mutex // guards the following, and writing
	acks map[int]func()
	next int
}

const dialTimeout = 5 * time.Second

// dial connects and joins the namespace. event is called for each event that
// arrives, on the goroutine that reads.
func dial(ctx context.Context, addr string, event func(string, []json.RawMessage)) (*client, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(dialTimeout))
	c := &client{conn: conn, event: event, ended: make(chan struct{}), acks: make(map[int]func())}
	in := bufio.NewReader(conn)
	if err := c.handshake(in, addr); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("connect to %s: %w", addr, err)
	}
	_ = conn.SetDeadline(time.Time{})
	// Ends with the connection; Close waits for it.
	go c.read(in)
	return c, nil
}

func (c *client) handshake(in *bufio.Reader, addr string) error {
	_, err := fmt.Fprintf(c.conn, "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\n"+
		"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", addr)
	if err != nil {
		return err
	}
	response, err := http.ReadResponse(in, nil)
	if err != nil {
		return err
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("status %s", response.Status)
	}
	for _, want := range []string{"0{", "40{"} {
		text, err := readFrame(in)
		if err != nil {
			return err
		}
		if !strings.HasPrefix(text, want) {
			return fmt.Errorf("received %.80q, want %s…", text, want)
		}
		if want == "0{" {
			if err := c.write("40"); err != nil {
				return err
			}
		}
	}
	return nil
}

// readFrame returns the payload of the next data frame.
func readFrame(in *bufio.Reader) (string, error) {
	for {
		var head [2]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return "", err
		}
		n := uint64(head[1] & 0x7f)
		var long [8]byte
		switch n {
		case 126:
			if _, err := io.ReadFull(in, long[6:]); err != nil {
				return "", err
			}
			n = binary.BigEndian.Uint64(long[:])
		case 127:
			if _, err := io.ReadFull(in, long[:]); err != nil {
				return "", err
			}
			n = binary.BigEndian.Uint64(long[:])
		}
		if n > 1<<20 {
			return "", fmt.Errorf("frame of %d bytes", n)
		}
		payload := make([]byte, n)
		if _, err := io.ReadFull(in, payload); err != nil {
			return "", err
		}
		switch op := head[0] & 0xf; op {
		case 1:
			return string(payload), nil
		case 8:
			return "", errors.New("closed by the server")
		}
	}
}

// write sends a text frame. The mask is zero, which leaves the payload as it is.
func (c *client) write(text string) error {
	frame := []byte{0x81}
	if n := len(text); n < 126 {
		frame = append(frame, 0x80|byte(n))
	} else {
		frame = append(frame, 0x80|126, byte(n>>8), byte(n))
	}
	frame = append(append(frame, 0, 0, 0, 0), text...)
	_, err := c.conn.Write(frame)
	return err
}

func (c *client) read(in *bufio.Reader) {
	defer close(c.ended)
	defer c.conn.Close()
	for {
		text, err := readFrame(in)
		if err != nil {
			return
		}
		switch {
		case text == "2":
			c.mu.Lock()
			err = c.write("3")
			c.mu.Unlock()
		case strings.HasPrefix(text, "42["):
			err = c.received(text[2:])
		case strings.HasPrefix(text, "43"):
			c.answered(text[2:])
		case strings.HasPrefix(text, "1"), strings.HasPrefix(text, "41"):
			return
		}
		if err != nil {
			return
		}
	}
}

func (c *client) received(text string) error {
	var args []json.RawMessage
	var name string
	if err := json.Unmarshal([]byte(text), &args); err != nil {
		return err
	}
	if err := json.Unmarshal(args[0], &name); err != nil {
		return err
	}
	c.event(name, args[1:])
	return nil
}

func (c *client) answered(text string) {
	digits, _, _ := strings.Cut(text, "[")
	id, err := strconv.Atoi(digits)
	c.mu.Lock()
	settle := c.acks[id]
	delete(c.acks, id)
	c.mu.Unlock()
	if err == nil && settle != nil {
		settle()
	}
}

// emit sends an event; a non-nil settle is called with its acknowledgement.
func (c *client) emit(settle func(), event string, args ...any) error {
	text, err := json.Marshal(append([]any{event}, args...))
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	id := ""
	if settle != nil {
		id = strconv.Itoa(c.next)
		c.acks[c.next] = settle
		c.next++
	}
	_ = c.conn.SetWriteDeadline(time.Now().Add(dialTimeout))
	return c.write("42" + id + string(text))
}

// ask emits an event and waits for its acknowledgement.
func (c *client) ask(ctx context.Context, event string, args ...any) error {
	done := make(chan struct{})
	if err := c.emit(func() { close(done) }, event, args...); err != nil {
		return err
	}
	select {
	case <-done:
		return nil
	case <-c.ended:
		return errors.New("the connection ended")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close ends the connection and waits for the reading goroutine.
func (c *client) Close() {
	_ = c.conn.Close()
	<-c.ended
}
