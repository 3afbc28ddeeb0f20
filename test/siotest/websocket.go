package siotest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/gobwas/ws"
)

// maxFrame bounds what the client accepts in one frame; servers do not
// fragment.
const maxFrame = 64 << 20

// websocket is the transport over one WebSocket connection.
type websocket struct {
	s    *Session
	conn net.Conn
	in   io.Reader
}

func (s *Session) openWebSocket(ctx context.Context) (writer, error) {
	w, err := s.dialWebSocket(ctx)
	if err != nil {
		return nil, err
	}
	first, err := w.read()
	if err != nil {
		return nil, fmt.Errorf("read open packet: %w", err)
	}
	if err := s.opened(first); err != nil {
		return nil, err
	}
	// readAll ends with the connection; whoever made the session waits for it.
	s.running.Go(w.readAll)
	return w, nil
}

func (s *Session) dialWebSocket(ctx context.Context) (*websocket, error) {
	d := ws.Dialer{
		NetDial:   func(ctx context.Context, _, addr string) (net.Conn, error) { return s.dial(ctx, addr) },
		Header:    ws.HandshakeHeaderHTTP(s.opts.Header),
		TLSConfig: s.opts.TLS,
	}
	c, early, _, err := d.Dial(ctx, s.url(WebSocket))
	if err != nil {
		var status ws.StatusError
		if errors.As(err, &status) {
			return nil, fmt.Errorf("%w: %d", errRefused, int(status))
		}
		return nil, err
	}
	w := &websocket{s: s, conn: c, in: bufio.NewReader(c)}
	if early != nil { // frames that came along with the handshake
		rest := make([]byte, early.Buffered())
		_, _ = io.ReadFull(early, rest) // they are buffered
		w.in = io.MultiReader(bytes.NewReader(rest), w.in)
		ws.PutReader(early)
	}
	return w, nil
}

func (w *websocket) readAll() {
	for {
		p, err := w.read()
		if err != nil {
			reason := "transport error"
			if errors.Is(err, io.EOF) {
				reason = "transport close"
			}
			w.s.end(reason)
			return
		}
		w.s.received(p)
	}
}

// read returns the next packet. The server's goodbye is io.EOF.
func (w *websocket) read() (packet, error) {
	for {
		h, err := ws.ReadHeader(w.in)
		if err != nil {
			return packet{}, err
		}
		if h.Length > maxFrame || !h.Fin || h.Masked {
			return packet{}, fmt.Errorf("unexpected frame: %+v", h)
		}
		data := make([]byte, h.Length)
		if _, err := io.ReadFull(w.in, data); err != nil {
			return packet{}, err
		}
		switch h.OpCode {
		case ws.OpBinary:
			return packet{binary: true, data: data}, nil
		case ws.OpText:
			if len(data) == 0 {
				return packet{}, errors.New("empty packet")
			}
			return packet{kind: data[0], data: data[1:]}, nil
		case ws.OpClose:
			return packet{}, io.EOF
		}
	}
}

// write sends packets. A close packet is WebSocket's own goodbye, as the
// JavaScript client says it.
func (w *websocket) write(ps []packet) error {
	var buf bytes.Buffer
	for _, p := range ps {
		var f ws.Frame
		switch {
		case p.binary:
			f = ws.NewBinaryFrame(bytes.Clone(p.data))
		case p.kind == kindClose:
			f = ws.NewCloseFrame(nil)
		default:
			f = ws.NewTextFrame([]byte(string(p.kind) + string(p.data)))
		}
		if err := ws.WriteFrame(&buf, ws.MaskFrameInPlace(f)); err != nil {
			return err
		}
	}
	if buf.Len() == 0 {
		return nil
	}
	_, err := w.conn.Write(buf.Bytes())
	return err
}

// Upgrade moves a session from polling to WebSocket and returns when it has
// moved.
func (s *Session) Upgrade() {
	s.t.Helper()
	if err := s.upgrade(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *Session) upgrade() error {
	s.mu.Lock()
	poll := s.polling
	s.polling = nil
	s.mu.Unlock()
	if poll == nil {
		return errors.New("upgrade: the session is not polling")
	}
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	w, err := s.dialWebSocket(ctx)
	if err != nil {
		return fmt.Errorf("upgrade: %w", err)
	}
	if err := w.write([]packet{{kind: kindPing, data: []byte("probe")}}); err != nil {
		return fmt.Errorf("upgrade: send probe: %w", err)
	}
	switch p, err := w.read(); {
	case err != nil:
		return fmt.Errorf("upgrade: read answer to probe: %w", err)
	case p.String() != "3probe":
		return fmt.Errorf("upgrade: the probe was answered %s", p)
	}
	close(poll.stop)
	if err := s.await(poll.done, "the last poll"); err != nil {
		return err
	}
	sent := make(chan struct{})
	s.put(outgoing{to: w})
	s.put(outgoing{packet: packet{kind: kindUpgrade}, sent: sent})
	if err := s.await(sent, "the upgrade"); err != nil {
		return err
	}
	// readAll ends with the connection; whoever made the session waits for it.
	s.running.Go(w.readAll)
	return nil
}
