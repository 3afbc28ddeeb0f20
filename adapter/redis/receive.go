package redisadapter

import (
	queue "container/list"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

var (
	errConnecting = errors.New("redis: not connected yet")
	errTaken      = errors.New("redis: the namespace is open already; each server needs an adapter of its own")
)

// listener hears what comes in on its channels. Calls come one at a time.
type listener interface {
	hear(channel, payload string)
	subscribed(resumed bool)
}

// subscriber holds one subscribing connection for all namespaces. What is
// subscribed is a desired state: go-redis subscribes to it again on each new
// connection, and the subscriber finds out when that has worked.
//
// For that it writes a numbered PING behind the subscriptions, a fence. Its PONG
// comes from the connection that carries them, after their confirmations; so
// what was asked for before the fence, and is confirmed, stands. Anything that
// breaks the connection makes all fences before it worthless.
//
// Two goroutines: receive reads, and keep is the only one that writes.
type subscriber struct {
	client  redis.UniversalClient
	sharded bool // channels are shard channels
	report  *reporter
	ctx     context.Context // ends the goroutines
	stop    context.CancelFunc
	start   sync.Once
	wg      sync.WaitGroup
	kick    chan struct{} // keep has something to do

	interval  time.Duration  // of signs of life
	deafAfter time.Duration  // how long the connection may be silent then
	linger    time.Duration  // how long a room's subscription outlives its last member
	mostBytes int            // what all topics may cost
	queries   sync.WaitGroup // commands that are under way

	mu        sync.Mutex // guards the following
	pubsub    *redis.PubSub
	groups    map[string]*group   // by counted channel
	waiting   map[*group]struct{} // of these, those that do not stand
	removed   []*group            // to be unsubscribed
	leaving   []*group            // the commands for that are written
	topics    map[topic]*subscription
	todo      []*subscription            // may differ from what was written
	stale     []topic                    // to be unsubscribed, and not in topics any more
	unproven  []*subscription            // written, and no fence has come back since
	denied    map[*subscription]struct{} // to be asked for again, but not at once
	lingering queue.List                 // of *subscription, by until
	bytes     int                        // what all topics that are written cost
	fence     uint64                     // the last that was written
	valid     uint64                     // earlier ones are worthless
	asked     time.Time                  // when the oldest unanswered fence was written
	heard     time.Time                  // when anything came in
	connected bool                       // something came in since the connection broke
	cause     error                      // why there is no connection, if that is known
	refusal   error                      // what Redis refused last
	brokenAt  time.Time                  // zero: the connection stands
	mended    chan struct{}              // closed when it does
	gate      chan struct{}              // closed when publishing makes sense again; nil: it does
	stoodAt   time.Time                  // when the connection stood for the first time
	settleAt  time.Time                  // when to open the gate if no node is known to be missing
	settleBy  time.Time                  // when to open it in any case; zero: nobody is awaited
	nodes     int64                      // how many there were when they were counted last
	seen      bool                       // they included this one
}

func newSubscriber(client redis.UniversalClient, sharded bool, r *reporter) *subscriber {
	s := &subscriber{
		client: client, sharded: sharded, report: r, kick: make(chan struct{}, 1),
		groups: make(map[string]*group), waiting: make(map[*group]struct{}), topics: make(map[topic]*subscription),
		denied:   make(map[*subscription]struct{}),
		brokenAt: time.Now(), mended: make(chan struct{}), gate: make(chan struct{}),
		interval: healthInterval, deafAfter: deafAfter, linger: lingerTime, mostBytes: mostTopicBytes,
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// add subscribes to the topics of a namespace, and returns at once.
func (s *subscriber) add(l listener, topics []topic, counted string) (*group, error) {
	g := &group{
		listener: l, counted: counted, rooms: make(map[*subscription]int),
		ready: make(chan struct{}), gone: make(chan struct{}),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.groups[counted] != nil {
		return nil, errTaken
	}
	for _, t := range topics {
		sub := s.use(g, t)
		sub.fixed = true
		g.fixed = append(g.fixed, sub)
	}
	s.groups[counted] = g
	s.waiting[g] = struct{}{}
	s.start.Do(func() {
		s.pubsub = s.client.Subscribe(s.ctx)
		s.wg.Add(2)
		// Both end with ctx; close cancels it and waits for them.
		go s.receive()
		go s.keep()
	})
	s.signal()
	return g, nil
}

// remove unsubscribes. g.gone is closed when Redis has done it.
func (s *subscriber) remove(g *group) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for sub := range g.rooms {
		s.release(sub, g)
	}
	for _, sub := range g.fixed {
		s.release(sub, g)
	}
	g.rooms = nil
	s.endLingering(g)
	delete(s.groups, g.counted)
	delete(s.waiting, g)
	s.removed = append(s.removed, g)
	if len(s.groups) == 0 && s.gate != nil {
		close(s.gate) // nobody's subscriptions are waited for
		s.gate = make(chan struct{})
	}
	s.signal()
}

func (s *subscriber) signal() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// err returns why there is no connection, or nil.
func (s *subscriber) err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.brokenAt.IsZero():
		return nil
	case s.cause == nil:
		return errConnecting
	}
	return fmt.Errorf("redis is away: %w", s.cause)
}

// connection waits for the first connection, and returns err's error if there
// is trouble with it.
func (s *subscriber) connection(ctx context.Context) error {
	for {
		err := s.err()
		if !errors.Is(err, errConnecting) {
			return err
		}
		s.mu.Lock()
		mended := s.mended
		s.mu.Unlock()
		select {
		case <-mended:
		case <-time.After(mostBackoff): // the attempt may have failed
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.ctx.Done():
			return redis.ErrClosed
		}
	}
}

// waitReady waits until all of a group's subscriptions stand.
func (s *subscriber) waitReady(ctx context.Context, g *group, closed <-chan struct{}) error {
	s.mu.Lock()
	ready := g.ready
	s.mu.Unlock()
	select {
	case <-ready:
		return nil
	case <-closed:
		return nil
	case <-ctx.Done():
		s.mu.Lock()
		cause, refusal := s.cause, s.refusal
		if cause == nil && refusal != nil {
			refusal = s.missing(g, refusal)
		}
		s.mu.Unlock()
		switch {
		case cause != nil:
			return fmt.Errorf("%w while redis is away: %w", context.Cause(ctx), cause)
		case refusal != nil:
			return fmt.Errorf("%w while redis refuses subscriptions: %w", context.Cause(ctx), refusal)
		}
		return context.Cause(ctx)
	}
}

// missing is called with mu. It adds to a refusal what a group cannot do without
// and does not have: Redis itself names commands, but no channels.
func (s *subscriber) missing(g *group, refusal error) error {
	refused := (*RefusedError)(nil)
	if !errors.As(refusal, &refused) {
		return refusal
	}
	var names []string
	for _, sub := range g.fixed {
		if sub.stands || sub.refusals == 0 {
			continue
		}
		command := "SUBSCRIBE"
		switch {
		case sub.pattern:
			command = "PSUBSCRIBE"
		case s.sharded:
			command = "SSUBSCRIBE"
		}
		names = append(names, fmt.Sprintf("%s %q", command, sub.name))
	}
	return &RefusedError{Reason: refused.Reason, What: strings.Join(names, ", "), Err: refused.Err}
}

func (s *subscriber) close() {
	s.mu.Lock()
	s.stop()
	pubsub := s.pubsub
	s.mu.Unlock()
	if pubsub != nil {
		_ = pubsub.Close() // unblocks receive; that it is closed already is fine
	}
	s.wg.Wait()
	s.queries.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaving = append(s.leaving, s.removed...)
	s.removed = nil
	s.left(math.MaxUint64)
}

func (s *subscriber) current() *redis.PubSub {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pubsub
}

func (s *subscriber) receive() {
	defer s.wg.Done()
	var retry backoff
	for s.ctx.Err() == nil {
		pubsub := s.current()
		item, err := s.next(pubsub)
		switch {
		case err == nil:
			retry.reset()
			s.handle(item)
			continue
		case s.ctx.Err() != nil || pubsub != s.current():
			continue
		case isReply(err):
			s.refused(err)
		default:
			s.broke(err)
		}
		retry.wait(s.ctx, nil) // never long: nodes that were refused have to be back by settleSoon
		s.signal()             // for another fence, if one was refused
	}
}

// refused takes an error that Redis answered with, maybe to a fence. A connection
// that stands goes on; another is not there yet, and fences find out when it is:
// go-redis says nothing more on it by itself.
func (s *subscriber) refused(err error) {
	err = explained("", err)
	s.mu.Lock()
	if !s.connected {
		s.cause = err
	}
	s.refusal, s.connected = err, true
	s.heard, s.asked = time.Now(), time.Time{}
	s.mu.Unlock()
	s.report.trouble("subscription is refused", err)
}

// next returns the next thing from the connection, which go-redis makes anew
// when it has to. Replies that go-redis does not expect may make it panic.
func (s *subscriber) next(pubsub *redis.PubSub) (item any, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("redis: unexpected reply: %v\n%s", r, debug.Stack())
		}
	}()
	return pubsub.Receive(s.ctx)
}

func (s *subscriber) handle(item any) {
	switch item := item.(type) {
	case *redis.Message:
		s.message(item)
	case *redis.Subscription:
		switch item.Kind {
		case "subscribe", "ssubscribe":
			s.confirmed(topic{item.Channel, false})
		case "psubscribe":
			s.confirmed(topic{item.Channel, true})
		case "unsubscribe", "sunsubscribe":
			s.forgotten(topic{item.Channel, false})
		case "punsubscribe":
			s.forgotten(topic{item.Channel, true})
		}
	case *redis.Pong:
		s.pong(item.Payload)
	}
}

func (s *subscriber) message(m *redis.Message) {
	t := topic{m.Channel, false}
	if m.Pattern != "" {
		t = topic{m.Pattern, true}
	}
	s.mu.Lock()
	s.heard = time.Now()
	var users []*group
	if sub := s.topics[t]; sub != nil {
		users = sub.users
	}
	s.mu.Unlock()
	for _, g := range users {
		g.listener.hear(m.Channel, m.Payload)
	}
}
