package redisadapter

import (
	"context"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/dunlin-io/dunlin/core/cluster"
)

// copyField marks the second copy of a message that is written to two streams.
// Who reads both takes the one in the log.
const copyField = "copy"

// streamed is the dialect of the streams adapter: what must not be lost is an
// entry of a stream, requests and answers are published.
type streamed struct {
	codec  family
	names  streamNames
	opts   *StreamOptions
	public string // the channel that all members hear
}

var _ dialect = (*streamed)(nil)

func newStreamed(o *Options, namespace string, self cluster.NodeID, r cluster.Receiver) *streamed {
	extension := !o.NoExtension
	return &streamed{
		codec: family{
			namespace: namespace, self: self, extension: extension,
			emitter: r == nil, limits: o.limits(),
		},
		names:  o.Streams.names(namespace),
		opts:   &o.Streams,
		public: o.Prefix + "#" + namespace + "#",
	}
}

// topics ends with the counted channel, so that a node which is counted as a
// member hears answers.
func (s *streamed) topics() []topic {
	return []topic{{s.personal(s.codec.self), false}, {s.public, false}}
}

func (s *streamed) counted() string { return s.public }

func (s *streamed) personal(id cluster.NodeID) string { return s.public + string(id) + "#" }

func (s *streamed) encode(m *cluster.Message) (outgoing, error) {
	if s.recorded(m.Body) {
		e, err := s.codec.entry(m, s.opts.Plaintext)
		if err != nil {
			return outgoing{}, err
		}
		return outgoing{
			command: addEntry, channel: s.names.log, payload: []byte(e.data),
			entry: &streamEntry{entry: e, copies: s.names.copies, maxLen: int64(s.opts.MaxLen)},
		}, nil
	}
	payload, err := s.codec.appendMsgpack(newBuffer(m), m)
	if _, leaving := m.Body.(cluster.Leaving); leaving && !s.codec.extension {
		return outgoing{}, nil // others find out by themselves
	}
	return outgoing{command: s.command(), channel: s.public, payload: payload}, err
}

// recorded reports whether a message goes into the stream.
func (s *streamed) recorded(b cluster.Body) bool {
	switch b := b.(type) {
	case cluster.Broadcast:
		return b.RequestID == ""
	case cluster.Join, cluster.Leave, cluster.Disconnect:
		return true
	case cluster.Emit:
		return s.codec.emitter && b.RequestID == "" // as the JavaScript emitter does
	case cluster.FetchSockets, cluster.Rooms, cluster.Leaving, cluster.AckCount, cluster.AckReply,
		cluster.SocketsReply, cluster.RoomsReply, cluster.EmitReply, cluster.Applied, cluster.Again,
		cluster.Repeated, cluster.Said, cluster.Where:
	}
	return false
}

func (s *streamed) command() command {
	if s.opts.ShardedPubSub {
		return shardPublish
	}
	return publish
}

func (s *streamed) answer(to cluster.ReplyTo, m *cluster.Message) (outgoing, error) {
	m.ReplyTo = to
	o := outgoing{command: s.command(), channel: s.public}
	if uid, _ := asker(to); uid != "" {
		o.channel = s.personal(cluster.NodeID(uid))
	}
	payload, err := s.codec.appendMsgpack(newBuffer(m), m)
	o.payload = payload
	return o, err
}

func (s *streamed) decode(_, payload string) (m cluster.Message, named bool, err error) {
	if strings.HasPrefix(payload, "{") {
		return m, false, errMalformed // JavaScript nodes do not read JSON here
	}
	m, err = s.codec.decode(payload)
	return m, namesItself(&m), err
}

// namesItself reports whether a sender is known by name: all members sign what
// they send, and emitters do not number it.
func namesItself(m *cluster.Message) bool { return m.ReplyTo != "" || m.Seq != 0 }

// streamEntry is what an entry has beside its stream.
type streamEntry struct {
	entry  entry
	copies string // a second stream, or empty
	maxLen int64
	log    *streamReader // of the stream; nil for who only publishes
}

func (e *streamEntry) uid() string { return e.entry.uid }

// append adds XADD to a batch. If there is a copy, its reply is not looked at. It
// is signed as the original is, so that it cannot pass for another.
func (e *streamEntry) append(ctx context.Context, batch redis.Pipeliner, stream string, s *signer) redis.Cmder {
	signed := e.entry
	if s != nil {
		signed.sig = s.sealEntry(stream, &signed)
	}
	fields := signed.fields()
	if e.copies != "" {
		marked := append(fields[:len(fields):len(fields)], copyField, "1")
		batch.XAdd(ctx, &redis.XAddArgs{Stream: e.copies, MaxLen: e.maxLen, Approx: true, Values: marked})
	}
	return batch.XAdd(ctx, &redis.XAddArgs{Stream: stream, MaxLen: e.maxLen, Approx: true, Values: fields})
}

// streams are the readers of an adapter, one for each stream that a namespace of
// its needs.
type streams struct {
	client redis.UniversalClient
	opts   *StreamOptions
	report *reporter
	ctx    context.Context // ends the readers
	stop   context.CancelFunc

	mu      sync.Mutex // guards the following
	readers map[string]*streamReader
	closed  bool
}

func newStreams(client redis.UniversalClient, o *StreamOptions, r *reporter) *streams {
	s := &streams{client: client, opts: o, report: r, readers: make(map[string]*streamReader)}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// reader returns the reader of a stream.
func (s *streams) reader(stream string) *streamReader {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.readers[stream]
	if r == nil {
		r = newStreamReader(stream, s.client, s.opts, s.report)
		s.readers[stream] = r
		if s.closed {
			close(r.done)
			return r
		}
		// run ends with ctx; close cancels it and waits for it.
		go r.run(s.ctx)
	}
	return r
}

func (s *streams) all() []*streamReader {
	s.mu.Lock()
	defer s.mu.Unlock()
	rs := make([]*streamReader, 0, len(s.readers))
	for _, r := range s.readers {
		rs = append(rs, r)
	}
	return rs
}

// gate is nil while all readers would hear what is written, or a channel that is
// closed when that may have changed.
func (s *streams) gate() <-chan struct{} {
	for _, r := range s.all() {
		if gate := r.gate(); gate != nil {
			return gate
		}
	}
	return nil
}

// close ends the readers.
func (s *streams) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.stop()
	for _, r := range s.all() {
		<-r.done
	}
}
