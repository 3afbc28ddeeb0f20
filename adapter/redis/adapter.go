package redisadapter

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/dunlin-io/dunlin/core/cluster"
)

// closeGrace is how long Close waits for Redis to take what is queued.
const closeGrace = time.Second

// readTimeout is how long a published batch waits for Redis to answer before it
// counts as lost: a Redis that only stood still for a while has taken it.
const readTimeout = 10 * time.Second

// Adapter carries the messages of one server over Redis. It implements
// [cluster.Adapter]; each server needs one of its own, since nodes are counted
// by their connections. Safe for concurrent use.
type Adapter struct {
	client  redis.UniversalClient
	owned   bool
	opts    Options
	report  *reporter
	pub     *publisher
	sub     *subscriber
	streams *streams    // nil but in the mode Streams
	allowed atomic.Bool // what check tries

	mu     sync.Mutex // guards the following
	links  map[*link]struct{}
	closed bool
}

var _ cluster.Adapter = (*Adapter)(nil)

// New returns an adapter that uses the caller's client as it is configured, for
// publishing and for one subscribing connection, and never closes it. Close the
// adapter after the server was shut down, and the client after that.
//
// A client that retries commands (MaxRetries other than -1, which go-redis does
// by default) may publish a message twice when a connection breaks; [Open] does
// not. A *redis.Ring is refused: its shards know nothing of each other. So is a
// *redis.ClusterClient in the mode [Sharded].
func New(client redis.UniversalClient, o Options) (*Adapter, error) {
	switch client.(type) {
	case nil:
		return nil, errors.New("redis adapter: no client")
	case *redis.Ring:
		return nil, errors.New("redis adapter: a ring cannot carry messages between nodes: its shards know nothing of each other")
	}
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if _, clustered := client.(*redis.ClusterClient); clustered && o.shardChannels() {
		return nil, errors.New("redis adapter: shard channels do not spread over a Redis Cluster yet: use the classic mode or streams, or a single Redis")
	}
	a := &Adapter{client: client, opts: o, report: newReporter(&o), links: make(map[*link]struct{})}
	a.sub = newSubscriber(client, o.shardChannels(), a.report)
	if o.Mode == Streams {
		a.streams = newStreams(client, &a.opts.Streams, a.report)
	}
	a.pub = newPublisher(client, &a.opts, a.report, a.gate)
	return a, nil
}

// gate is nil when there is sense in publishing, or a channel that is closed when
// that may have changed.
func (a *Adapter) gate() <-chan struct{} {
	if gate := a.sub.standing(); gate != nil || a.streams == nil {
		return gate
	}
	return a.streams.gate()
}

// Open returns an adapter with connections of its own, made from ro, which Close
// closes. Whatever ro says, publishing is not retried, so that nothing arrives
// twice, and the connections do not introduce themselves with CLIENT SETINFO,
// whose late answer has mixed up replies. Redis need not be there yet.
func Open(ro *redis.UniversalOptions, o Options) (*Adapter, error) {
	own := redis.UniversalOptions{}
	if ro != nil {
		own = *ro
	}
	own.MaxRetries = -1
	own.DisableIdentity = true
	own.ContextTimeoutEnabled = true
	own.DialerRetries = 1 // the adapter waits between attempts by itself
	if own.MaintNotificationsConfig == nil {
		own.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	}
	if own.ReadTimeout == 0 {
		own.ReadTimeout = readTimeout
	}
	client := redis.NewUniversalClient(&own)
	a, err := New(client, o)
	if err != nil {
		_ = client.Close()
		return nil, err
	}
	a.owned = true
	return a, nil
}

// Open implements [cluster.Adapter]. A namespace that is open already is not
// opened a second time, unless only to publish: all methods of that link fail.
func (a *Adapter) Open(namespace string, self cluster.NodeID, r cluster.Receiver) cluster.Link {
	l := newLink(a, a.opts.dialect(namespace, self, r), r)
	if r != nil {
		l.own = l.dialect.personal(self)
	}
	a.admit(l)
	switch {
	case l.refused != nil || r == nil:
		return l
	case l.recording != nil:
		l.recording.begin()
		return recordedLink{l}
	}
	if d, ok := l.dialect.(router); ok && a.opts.Routing != Static {
		return roomLink{l, d}
	}
	return l
}

// admit subscribes to a link's topics, unless it has to refuse it.
func (a *Adapter) admit(l *link) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		l.refused = cluster.ErrClosed
		return
	}
	if l.receiver != nil {
		l.group, l.refused = a.sub.add(l, l.dialect.topics(), l.dialect.counted())
	}
	if l.refused == nil {
		a.links[l] = struct{}{}
	}
}

func (a *Adapter) forget(l *link) {
	a.mu.Lock()
	delete(a.links, l)
	a.mu.Unlock()
}

// Stats returns the adapter's counters.
func (a *Adapter) Stats() Stats {
	s := a.report.stats()
	s.Queued, s.QueuedBytes = a.pub.queued()
	a.sub.stats(&s)
	return s
}

// Close closes the links that are still open, publishes what is queued for up
// to a second if Redis is there, and ends the adapter's goroutines. A command
// that Redis does not answer keeps it waiting for the client's timeout. A client
// that was given to [New] stays open. What could not be published any more is a
// *[cluster.LostError].
func (a *Adapter) Close() error {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return nil
	}
	a.closed = true
	links := make([]*link, 0, len(a.links))
	for l := range a.links {
		links = append(links, l)
	}
	a.mu.Unlock()
	for _, l := range links {
		l.end() // the connection takes its subscriptions with it
	}
	var err error
	if lost, cause := a.pub.close(closeGrace); lost > 0 {
		err = &cluster.LostError{Messages: lost, Err: lossError(DropClosed, cause)}
	}
	a.sub.stop()
	if a.streams != nil {
		a.streams.close()
	}
	if a.owned {
		err = errors.Join(err, a.client.Close())
	}
	a.sub.close()
	return err
}
