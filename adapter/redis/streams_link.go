package redisadapter

import (
	"context"
	"fmt"
	"sync"

	"github.com/dunlin-io/dunlin/core/cluster"
)

// recording is what a link has of its namespace's streams.
type recording struct {
	link    *link
	codec   family // reads messages of this node, too
	streams []string
	log     *streamReader     // of the first of them
	guards  map[string]*guard // of the streams

	mu    sync.Mutex // guards the following
	seats []seat
	left  bool
}

type seat struct {
	reader *streamReader
	*streamSeat
}

// nobody is no node's id.
const nobody cluster.NodeID = "\x00"

func newRecording(l *link, d *streamed) *recording {
	r := &recording{link: l, codec: d.codec, streams: []string{d.names.log}, guards: make(map[string]*guard)}
	r.codec.self = nobody
	if d.names.copies != "" {
		r.streams = append(r.streams, d.names.copies)
	}
	for _, name := range r.streams {
		r.guards[name] = new(guard)
	}
	r.log = l.adapter.streams.reader(d.names.log)
	return r
}

// begin lets the link hear the streams.
func (r *recording) begin() {
	for _, name := range r.streams {
		r.mu.Lock()
		standing := false
		if !r.left {
			s := seat{reader: r.link.adapter.streams.reader(name)}
			s.streamSeat, standing = s.reader.add(r.codec.namespace, r)
			r.seats = append(r.seats, s)
		}
		r.mu.Unlock()
		if standing {
			r.subscribed(false)
		}
	}
}

// leave ends the hearing. A reader may be in the middle of a call.
func (r *recording) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left = true
	for _, s := range r.seats {
		s.reader.remove(r.codec.namespace, s.streamSeat)
	}
}

func (r *recording) waitReady(ctx context.Context, closed <-chan struct{}) error {
	r.mu.Lock()
	seats := r.seats
	r.mu.Unlock()
	for _, s := range seats {
		select {
		case <-s.ready:
		case <-closed:
			return nil
		case <-ctx.Done():
			if err := s.reader.err(); err != nil {
				return fmt.Errorf("%w while a stream cannot be read: %w", context.Cause(ctx), err)
			}
			return context.Cause(ctx)
		}
	}
	return nil
}

func (r *recording) subscribed(resumed bool) { r.link.subscribed(resumed) }

// entry takes an entry. One in another stream than the log has no offset: nobody
// will find it there.
func (r *recording) entry(stream, id string, fields map[string]any) {
	inLog := stream == r.streams[0]
	if _, isCopy := fields[copyField]; isCopy && !inLog {
		return
	}
	r.link.take(stream, func() (m cluster.Message, named bool, err error) {
		e := entryOf(fields)
		if n := len(e.data); n > r.link.adapter.opts.MaxMessage {
			return m, false, fmt.Errorf("entry %s: %w: %d bytes", id, cluster.ErrTooLarge, n)
		}
		if err := r.trust(&e, id, r.guards[stream]); err != nil {
			return m, false, fmt.Errorf("entry %s: %w", id, err)
		}
		m, err = r.codec.fromEntry(e)
		if err == nil && m.Body == nil && !heartbeat(e.kind) {
			err = fmt.Errorf("%w: type %.20q", errMalformed, e.kind)
		}
		if err != nil {
			return m, false, fmt.Errorf("entry %s: %w", id, err)
		}
		if inLog {
			m.Offset = cluster.Offset(id)
		}
		return m, namesItself(&m), nil
	})
}

// heartbeat reports whether a type is one of the two with which streams adapters
// up to 0.2 count their members. Theirs is another way than ours.
func heartbeat(kind string) bool { return kind == "1" || kind == "2" }

// trust checks an entry's signature if there must be one. Copies have that of the
// log's entry.
func (r *recording) trust(e *entry, id string, g *guard) error {
	s := r.link.adapter.pub.signer
	if s == nil || e.namespace != r.codec.namespace {
		return nil
	}
	return s.openEntry(r.streams[0], e, id, g)
}
