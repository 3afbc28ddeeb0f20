package redisadapter

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/dunlin-io/dunlin/core/cluster"
)

const (
	// replyGrace is how long Redis may be late with an answer before the reading
	// connection is given up.
	replyGrace = 5 * time.Second
	// comfortable is how many bytes a reader likes to get at a time: with large
	// entries it asks for fewer.
	comfortable = 8 << 20
)

// streamListener is one namespace's side of a stream. Calls from one stream come
// one at a time and must not block on anything but memory.
type streamListener interface {
	// entry takes an entry of the namespace.
	entry(stream, id string, fields map[string]any)
	// subscribed tells that entries will come from now on; resumed means that
	// some before that may be missing.
	subscribed(resumed bool)
}

// streamReader reads one stream, on a connection of its own, for all namespaces.
// It resolves once where the stream ends and goes on from there; its position
// outlives connections, so nothing is missed as long as Redis keeps its data.
type streamReader struct {
	stream string
	client redis.UniversalClient
	opts   *StreamOptions
	report *reporter
	done   chan struct{} // closed when run has ended

	// The following belong to run.
	at     cluster.Offset // where reading goes on: the last entry that was read, or where reading began
	began  cluster.Offset // where it did in this stream
	former cluster.Offset // where it ended in the one that was lost
	count  int            // how many entries to ask for

	mu        sync.Mutex // guards the following
	listeners map[string]*streamSeat
	aligned   chan struct{} // closed while the position is known to be right
	isAligned bool
	standing  bool // entries reach the listeners
	position  cluster.Offset
	epoch     uint64
	cause     error // why the stream cannot be read at present
}

// streamSeat is a namespace at a stream. Its fields are guarded by the reader's
// mu.
type streamSeat struct {
	listener streamListener
	stood    bool
	ready    chan struct{} // closed when it stands for the first time
}

func newStreamReader(stream string, client redis.UniversalClient, o *StreamOptions, r *reporter) *streamReader {
	return &streamReader{
		stream: stream, client: client, opts: o, report: r, count: o.ReadCount,
		done: make(chan struct{}), aligned: make(chan struct{}), listeners: make(map[string]*streamSeat),
	}
}

// add lets a namespace hear the stream. standing says that it does; else it is
// told later.
func (r *streamReader) add(namespace string, l streamListener) (seat *streamSeat, standing bool) {
	seat = &streamSeat{listener: l, ready: make(chan struct{})}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.listeners[namespace] = seat
	if r.standing {
		seat.stood = true
		close(seat.ready)
	}
	return seat, r.standing
}

func (r *streamReader) remove(namespace string, seat *streamSeat) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.listeners[namespace] == seat {
		delete(r.listeners, namespace)
	}
}

// err returns why the stream cannot be read at present.
func (r *streamReader) err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cause
}

// gate is nil while the reader will hear what is written now, or a channel that
// is closed once it does.
func (r *streamReader) gate() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.isAligned {
		return nil
	}
	return r.aligned
}

// where returns up to where the listeners have heard the stream, and how often
// they may have missed something.
func (r *streamReader) where() (position cluster.Offset, epoch uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.position, r.epoch
}

// run reads until ctx ends. Whoever starts it waits on done.
func (r *streamReader) run(ctx context.Context) {
	defer close(r.done)
	var retry backoff
	for ctx.Err() == nil {
		err := r.follow(ctx, &retry)
		if ctx.Err() != nil {
			return
		}
		r.lost(err)
		retry.wait(ctx, err)
	}
}

// follow reads over one connection until that fails.
func (r *streamReader) follow(ctx context.Context, retry *backoff) error {
	c, err := dedicated(ctx, r.client, r.stream)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	for aligned := false; ; {
		if !aligned {
			err = r.align(ctx, c)
		}
		var entries []redis.XMessage
		if err == nil {
			entries, err = r.read(ctx, c)
		}
		switch {
		case err == nil:
			retry.reset()
			r.pass(entries)
			aligned = len(entries) > 0 // silence may mean that the stream is another one
		case ctx.Err() != nil || !isReply(err) || elsewhere(err):
			return err
		default:
			r.lost(err)
			retry.wait(ctx, err)
			aligned, err = false, nil
		}
	}
}

// elsewhere reports whether a reply says to ask another server.
func elsewhere(err error) bool {
	for _, prefix := range []string{"MOVED", "READONLY", "MASTERDOWN", "UNBLOCKED"} {
		if redis.HasErrorPrefix(err, prefix) {
			return true
		}
	}
	return false
}

// read waits for entries, and returns none when there are none for a while.
func (r *streamReader) read(ctx context.Context, c *redis.Client) ([]redis.XMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, r.opts.Block+replyGrace)
	defer cancel()
	count := r.count
	streams, err := c.XRead(ctx, &redis.XReadArgs{
		Streams: []string{r.stream, string(r.at)}, Count: int64(count), Block: r.opts.Block,
	}).Result()
	if errors.Is(err, redis.Nil) || err == nil && len(streams) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	entries := streams[0].Messages
	r.adjust(entries)
	// As many as there could be: so many may have been written that what we did
	// not read yet was trimmed.
	if len(entries) >= min(count, r.opts.MaxLen) {
		return entries, r.verify(ctx, c)
	}
	return entries, nil
}

// adjust asks for fewer entries when they are large.
func (r *streamReader) adjust(entries []redis.XMessage) {
	size := 0
	for i := range entries {
		for _, v := range entries[i].Values {
			if text, ok := v.(string); ok {
				size += len(text)
			}
		}
	}
	if size > comfortable {
		r.count = max(1, r.count/2)
	} else if size < comfortable/4 {
		r.count = min(2*r.count, r.opts.ReadCount)
	}
}

// pass hands entries to the namespaces that they are for.
func (r *streamReader) pass(entries []redis.XMessage) {
	for i := range entries {
		e := &entries[i]
		namespace, _ := e.Values["nsp"].(string)
		if namespace == "" {
			r.skip(e)
			r.advance(e.ID)
			r.stand() // at an entry, with nothing missed before it
			continue
		}
		r.stand()
		r.mu.Lock()
		seat := r.listeners[namespace]
		r.mu.Unlock()
		if seat != nil {
			seat.listener.entry(r.stream, e.ID, e.Values)
		}
		r.advance(e.ID)
	}
}

// skip counts what has no namespace, unless it is a mark.
func (r *streamReader) skip(e *redis.XMessage) {
	if _, mark := e.Values[markField]; !mark {
		r.report.received.Add(1)
		r.report.drop(DropMalformed, 1, errNoNamespace)
	}
}

var errNoNamespace = errors.New("stream entry without namespace")

// advance notes that an entry was passed on or skipped.
func (r *streamReader) advance(id string) {
	r.at = cluster.Offset(id)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.standing {
		r.position = r.at
	}
}

// stand tells the listeners, if they do not know it yet, that what comes after
// the present position reaches them.
func (r *streamReader) stand() {
	r.mu.Lock()
	if r.standing {
		r.mu.Unlock()
		return
	}
	r.standing, r.position, r.began = true, r.at, r.at
	var tell []func()
	for _, seat := range r.listeners {
		resumed := seat.stood
		if !resumed {
			seat.stood = true
			close(seat.ready)
		}
		tell = append(tell, func() { seat.listener.subscribed(resumed) })
	}
	r.mu.Unlock()
	for _, subscribed := range tell {
		subscribed()
	}
}

// found notes that the position is right.
func (r *streamReader) found() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cause = nil
	if !r.isAligned {
		r.isAligned = true
		close(r.aligned)
	}
}

// lost notes that the stream cannot be read at present. The position stays.
func (r *streamReader) lost(err error) {
	err = explained("stream "+r.stream, err)
	r.mu.Lock()
	r.cause = err
	if r.isAligned {
		r.isAligned = false
		r.aligned = make(chan struct{})
	}
	r.mu.Unlock()
	r.report.trouble("stream is not read", err)
}
