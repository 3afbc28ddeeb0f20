package siotest

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
)

// polling is the transport over HTTP long-polling.
type polling struct {
	s    *Session
	stop chan struct{} // closed by Upgrade: no GET begins after it
	done chan struct{} // closed when no GET is open any more
}

// separator stands between the packets of a body.
const separator = "\x1e"

func (s *Session) openPolling(ctx context.Context) (writer, error) {
	ps, err := s.get(ctx)
	if err != nil {
		return nil, err
	}
	if len(ps) == 0 {
		return nil, fmt.Errorf("%w: no open packet", errRefused)
	}
	if err := s.opened(ps[0]); err != nil {
		return nil, err
	}
	p := &polling{s: s, stop: make(chan struct{}), done: make(chan struct{})}
	s.mu.Lock()
	s.polling = p
	s.mu.Unlock()
	// poll ends with the session or by an upgrade; whoever made the session
	// waits for it.
	s.running.Go(func() { p.poll(ps[1:]) })
	return p, nil
}

func (p *polling) poll(ps []packet) {
	defer close(p.done)
	for {
		for _, got := range ps {
			p.s.received(got)
		}
		select {
		case <-p.stop:
			return
		case <-p.s.ctx.Done():
			return
		default:
		}
		var err error
		if ps, err = p.s.get(p.s.ctx); err != nil {
			p.s.end("transport error")
			return
		}
	}
}

// get sends one GET and returns the packets of the answer.
func (s *Session) get(ctx context.Context) ([]packet, error) {
	body, err := s.request(ctx, http.MethodGet, nil)
	if err != nil {
		return nil, err
	}
	var ps []packet
	for part := range strings.SplitSeq(body, separator) {
		switch {
		case part == "":
			return nil, fmt.Errorf("empty packet in %q", body)
		case part[0] == 'b':
			data, err := base64.StdEncoding.DecodeString(part[1:])
			if err != nil {
				return nil, fmt.Errorf("binary packet %q: %w", part, err)
			}
			ps = append(ps, packet{binary: true, data: data})
		default:
			ps = append(ps, packet{kind: part[0], data: []byte(part[1:])})
		}
	}
	return ps, nil
}

// write posts packets, as many at once as the server allows.
func (p *polling) write(ps []packet) error {
	var body bytes.Buffer
	post := func() error {
		if body.Len() == 0 {
			return nil
		}
		answer, err := p.s.request(p.s.ctx, http.MethodPost, bytes.NewReader(body.Bytes()))
		body.Reset()
		if err == nil && answer != "ok" {
			return fmt.Errorf("POST was answered %q", answer)
		}
		return err
	}
	for _, one := range ps {
		text := one.text()
		if body.Len() > 0 && body.Len()+1+len(text) > p.s.open.MaxPayload {
			if err := post(); err != nil {
				return err
			}
		}
		if body.Len() > 0 {
			body.WriteString(separator)
		}
		body.WriteString(text)
	}
	if err := post(); err != nil {
		return err
	}
	if len(ps) > 0 && ps[len(ps)-1].kind == kindClose {
		p.s.end(forced)
	}
	return nil
}

// text is the packet's form in a body.
func (p packet) text() string {
	if p.binary {
		return "b" + base64.StdEncoding.EncodeToString(p.data)
	}
	return string(p.kind) + string(p.data)
}

func (s *Session) request(ctx context.Context, method string, body io.Reader) (string, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.url(Polling), body)
	if err != nil {
		return "", err
	}
	maps.Copy(req.Header, s.opts.Header)
	if body != nil {
		req.Header.Set("Content-Type", "text/plain;charset=UTF-8")
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%w: %s: %s", errRefused, resp.Status, text)
	}
	return string(text), nil
}
