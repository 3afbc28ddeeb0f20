package redisadapter

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/dunlin-io/dunlin/core/cluster"
)

// A batch is what has gathered, up to these.
const (
	maxBatchMessages = 256
	maxBatchBytes    = 1 << 20
)

// outgoing is a message on its way to Redis.
type outgoing struct {
	command command
	channel string
	payload []byte       // must not change any more
	entry   *streamEntry // with addEntry
	losses  *losses
	at      time.Time
	number  uint64 // in the order of put
	doubt   int    // number among the entries of its stream that Redis may have
}

// command is what carries a message.
type command uint8

const (
	publish command = iota
	shardPublish
	addEntry // to the stream that is called channel
)

// append adds the message's command to a batch, signed if there is a signer.
func (o *outgoing) append(ctx context.Context, batch redis.Pipeliner, s *signer) redis.Cmder {
	if o.command == addEntry {
		return o.entry.append(ctx, batch, o.channel, s)
	}
	payload := o.payload
	if s != nil {
		payload = s.sealed(o.channel, payload)
	}
	if o.command == shardPublish {
		return batch.SPublish(ctx, o.channel, payload)
	}
	return batch.Publish(ctx, o.channel, payload)
}

// name is the command as it is told to people.
func (o *outgoing) name() string {
	return [...]string{publish: "PUBLISH", shardPublish: "SPUBLISH", addEntry: "XADD"}[o.command] + " " + strconv.Quote(o.channel)
}

func (o *outgoing) size() int { return len(o.channel) + len(o.payload) }

// publisher publishes in order, many messages with each round trip. put never
// waits; what waits is bounded, and the oldest give way.
type publisher struct {
	client redis.UniversalClient
	key    string                 // on a Redis Cluster the master of this key gets everything, which keeps order; empty: each key its own
	gate   func() <-chan struct{} // nil, or a channel that is closed once there is sense in publishing
	report *reporter
	opts   *Options
	signer *signer // nil: nothing is signed
	wake   chan struct{}
	done   chan struct{}
	cancel context.CancelFunc

	cmds   []redis.Cmder // of the batch being published
	doubts doubts

	mu         sync.Mutex // guards the following
	queue      []outgoing // from head on
	head       int
	bytes      int
	next       uint64        // number
	sending    *outgoing     // the first of the batch being published
	progress   chan struct{} // nil, or closed when messages have left or are lost
	down       error         // why the last attempt failed
	overflowed int           // messages that gave way and were not told of yet
	closed     bool
}

func newPublisher(client redis.UniversalClient, o *Options, r *reporter, gate func() <-chan struct{}) *publisher {
	ctx, cancel := context.WithCancel(context.Background())
	p := &publisher{
		client: client, key: o.orderKey(), gate: gate, report: r, opts: o,
		wake: make(chan struct{}, 1), done: make(chan struct{}), cancel: cancel, doubts: make(doubts), signer: newSigner(o.Secrets),
	}
	// run ends when the queue is empty after close, or with ctx; close cancels it
	// and waits on done.
	go p.run(ctx)
	return p
}

// put queues a message.
func (p *publisher) put(o outgoing) error {
	o.at = time.Now()
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return cluster.ErrClosed
	}
	first := p.head == len(p.queue)
	o.number = p.next
	p.next++
	p.queue = append(p.queue, o)
	p.bytes += o.size()
	lost := p.overflow()
	p.overflowed += lost
	p.mu.Unlock()
	p.report.count(DropOverflow, lost)
	if first || lost > 0 {
		p.signal()
	}
	return nil
}

func (p *publisher) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// overflow drops the oldest messages beyond the bounds and returns how many.
func (p *publisher) overflow() (lost int) {
	for n := len(p.queue) - p.head; n > p.opts.BufferMessages || n > 1 && p.bytes > p.opts.BufferBytes; n-- {
		o := p.pop()
		o.lose(DropOverflow, p.down)
		lost++
	}
	if lost > 0 {
		p.advance()
	}
	return lost
}

func (p *publisher) pop() outgoing {
	o := p.queue[p.head]
	p.queue[p.head] = outgoing{}
	p.head++
	p.bytes -= o.size()
	switch {
	case p.head == len(p.queue):
		p.queue, p.head = p.queue[:0], 0
		if cap(p.queue) > 4*maxBatchMessages {
			p.queue = nil // grown by an outage
		}
	case p.head > maxBatchMessages && p.head > len(p.queue)/2:
		n := copy(p.queue, p.queue[p.head:])
		clear(p.queue[n:])
		p.queue, p.head = p.queue[:n], 0
	}
	return o
}

// err returns why publishing fails at present.
func (p *publisher) err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.down
}

func (p *publisher) queued() (messages, bytes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.queue) - p.head, p.bytes
}

// close publishes what is queued, as long as Redis takes it and grace lasts. It
// returns how many messages could not be, and why if that is known.
func (p *publisher) close(grace time.Duration) (lost int, cause error) {
	p.mu.Lock()
	p.closed = true
	hopeless := p.down != nil
	p.mu.Unlock()
	p.signal()
	if !hopeless && p.gate() == nil {
		t := time.NewTimer(grace)
		defer t.Stop()
		select {
		case <-p.done:
		case <-t.C:
		}
	}
	p.cancel()
	<-p.done
	p.mu.Lock()
	for _, o := range p.queue[p.head:] {
		o.lose(DropClosed, p.down)
		lost++
	}
	p.queue, p.head, p.bytes = nil, 0, 0
	cause = p.down
	p.advance()
	p.mu.Unlock()
	p.report.drop(DropClosed, lost, cause)
	return lost, cause
}

func (p *publisher) run(ctx context.Context) {
	defer close(p.done)
	var retry backoff
	var since time.Time // when publishing began to fail
	for {
		batch := p.batch(ctx)
		if len(batch) == 0 {
			return
		}
		rest, err := p.publish(ctx, batch, !since.IsZero())
		p.settle(rest, err)
		if err == nil {
			if !since.IsZero() {
				p.report.mended("publishes again", since)
				since = time.Time{}
			}
			retry.reset()
			continue
		}
		if ctx.Err() != nil {
			return
		}
		if since.IsZero() {
			since = time.Now()
		}
		p.report.trouble("publish fails", err)
		retry.wait(ctx, err)
	}
}

// batch waits for messages and for the gate and returns some, or none when the
// publisher is to end.
func (p *publisher) batch(ctx context.Context) []outgoing {
	for ctx.Err() == nil {
		gate := p.gate()
		batch, oldest, closed := p.take(gate == nil)
		if len(batch) > 0 {
			return batch
		}
		if closed && oldest.IsZero() {
			return nil
		}
		p.idle(ctx, gate, oldest)
	}
	return nil
}

// idle waits until there may be something to do: a message, the gate, or the end
// of the oldest message's time.
func (p *publisher) idle(ctx context.Context, gate <-chan struct{}, oldest time.Time) {
	var expiry <-chan time.Time
	if !oldest.IsZero() {
		t := time.NewTimer(time.Until(oldest.Add(p.opts.BufferTime)))
		defer t.Stop()
		expiry = t.C
	}
	select {
	case <-ctx.Done():
	case <-p.wake:
	case <-gate:
	case <-expiry:
	}
}

// take drops what has waited too long, and takes a batch from the queue if the
// gate is open. oldest is when the first message that stays was queued.
func (p *publisher) take(open bool) (batch []outgoing, oldest time.Time, closed bool) {
	p.mu.Lock()
	expired := 0
	for deadline := time.Now().Add(-p.opts.BufferTime); p.head < len(p.queue) && !p.queue[p.head].at.After(deadline); {
		o := p.pop()
		o.lose(DropExpired, p.down)
		expired++
	}
	if expired > 0 {
		p.advance()
	}
	if open {
		for size := 0; p.head < len(p.queue) && len(batch) < maxBatchMessages; {
			if size += p.queue[p.head].size(); size > maxBatchBytes && len(batch) > 0 {
				break
			}
			batch = append(batch, p.pop())
		}
	}
	if len(batch) > 0 {
		p.sending = &batch[0]
	}
	if p.head < len(p.queue) {
		oldest = p.queue[p.head].at
	}
	closed = p.closed
	cause, overflowed := p.down, p.overflowed
	p.overflowed = 0
	p.mu.Unlock()
	p.report.tell(DropOverflow, overflowed, cause)
	p.report.drop(DropExpired, expired, cause)
	return batch, oldest, closed
}

// settle puts back what was not sent and notes how the attempt ended.
func (p *publisher) settle(rest []outgoing, err error) {
	p.mu.Lock()
	p.down = err
	p.sending = nil
	p.advance()
	if len(rest) > 0 {
		p.queue = append(rest, p.queue[p.head:]...)
		p.head = 0
		for i := range rest {
			p.bytes += rest[i].size()
		}
	}
	lost := p.overflow()
	p.mu.Unlock()
	p.report.drop(DropOverflow, lost, err)
}

// publish sends a batch and returns what was certainly not sent and may be
// tried again, or may have been, which can be found out then. Anything else that
// may have been sent is not sent again: at most once.
func (p *publisher) publish(ctx context.Context, batch []outgoing, check bool) (rest []outgoing, err error) {
	client, err := p.node(ctx)
	if err != nil {
		return batch, err
	}
	if check { // a batch is not risked on a connection that may not be one
		if err := client.Ping(ctx).Err(); err != nil {
			return batch, explained("PING", err)
		}
		if batch, err = p.undoubted(ctx, client, batch); err != nil {
			return batch, err
		}
	}
	pipe := client.Pipeline()
	p.cmds = p.cmds[:0]
	for i := range batch {
		p.doubts.begin(&batch[i])
		p.cmds = append(p.cmds, batch[i].append(ctx, pipe, p.signer))
	}
	_, err = pipe.Exec(ctx)
	inFlight, refused := 0, 0
	var refusal error
	for i, cmd := range p.cmds {
		e := cmd.Err()
		if e != nil {
			e = explained(batch[i].name(), e)
		}
		switch {
		case e == nil:
			p.report.published.Add(1)
			p.doubts.written(&batch[i], cmd)
		case unsent(e) && !p.overtaken(batch, i):
			rest, err = append(rest, batch[i]), e
		case isReply(e):
			refused, refusal = refused+1, e
			batch[i].lose(DropRefused, e)
		case p.doubts.add(&batch[i], e):
			rest = append(rest, batch[i])
		default:
			inFlight++
			batch[i].lose(DropInFlight, e)
		}
	}
	clear(p.cmds)
	p.report.drop(DropRefused, refused, refusal)
	p.report.drop(DropInFlight, inFlight, err)
	if inFlight == 0 && len(rest) == 0 {
		err = nil // a refused message is no reason to wait with the others
	}
	return rest, err
}

// undoubted takes out of a batch what Redis has got in spite of an earlier error.
func (p *publisher) undoubted(ctx context.Context, client redis.Cmdable, batch []outgoing) (rest []outgoing, err error) {
	rest, lost, had, err := p.doubts.settle(ctx, client, batch)
	p.report.published.Add(uint64(had)) //nolint:gosec // at most a batch
	for i := range lost {
		lost[i].lose(DropInFlight, errInDoubt)
	}
	p.report.drop(DropInFlight, len(lost), errInDoubt)
	return rest, err
}

var errInDoubt = errors.New("redis: the stream does not tell whether it has the message")

// node returns the client that publishes. Redis Cluster passes a message on to
// all nodes whichever gets it, but keeps order only if it is always the same.
// Several streams have several masters; each of them keeps its own order.
func (p *publisher) node(ctx context.Context) (redis.Cmdable, error) {
	if c, ok := p.client.(*redis.ClusterClient); ok && p.key != "" {
		return c.MasterForKey(ctx, p.key)
	}
	return p.client, nil
}

// overtaken reports whether Redis has taken a later message of the batch, so that
// this one would arrive out of order. Masters of their own keep an order each.
func (p *publisher) overtaken(batch []outgoing, i int) bool {
	for j := i + 1; j < len(batch); j++ {
		if p.cmds[j].Err() == nil && (p.key != "" || batch[j].channel == batch[i].channel) {
			return true
		}
	}
	return false
}

// unsent reports whether a command that failed with err was certainly not
// carried out, and may well be later.
func unsent(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return true
	}
	if errors.Is(err, redis.ErrPoolTimeout) || errors.Is(err, redis.ErrPoolExhausted) {
		return true
	}
	var refused *RefusedError
	if errors.As(err, &refused) {
		return refused.Reason <= Unauthenticated
	}
	for _, prefix := range []string{
		"MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY", "MOVED", "ASK", "MISCONF", "NOREPLICAS", "max number of clients reached",
	} {
		if redis.HasErrorPrefix(err, prefix) {
			return true
		}
	}
	return strings.Contains(err.Error(), "redis: all sentinels") // go-redis has no type for it
}

// isReply reports whether Redis itself answered with the error.
func isReply(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply)
}
