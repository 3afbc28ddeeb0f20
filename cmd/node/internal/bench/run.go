// Package bench measures a Socket.IO server from outside, and checks what it
// delivers: that everything arrives, once and in order.
//
// It drives the events of the playground (echo, bcast, join, room) over
// WebSocket, in one process: a client is a goroutine that reads, and in the
// scenarios in which it emits one more, with 10 to 20 KB of memory.
package bench

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dunlin-io/dunlin/cmd/node/internal/config"
)

// Run measures what cfg says, until ctx ends, and writes a report. The error
// also tells when something was not delivered as it should.
func Run(ctx context.Context, cfg *config.Bench, stdout io.Writer) error {
	report, err := measure(ctx, cfg, nil)
	if err != nil {
		return err
	}
	write := report.Text
	if cfg.JSON {
		write = report.JSON
	}
	if err := write(stdout); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return report.Err()
}

func measure(ctx context.Context, cfg *config.Bench, secure *tls.Config) (*Report, error) {
	r, err := newRun(cfg, secure)
	if err != nil {
		return nil, err
	}
	defer r.close()
	switch cfg.Scenario {
	case "connect":
		err = r.connects(ctx)
	case "idle":
		r.idle = true
		if err = r.connect(ctx, noRoom); err == nil {
			r.rest(ctx)
		}
	default:
		if err = r.connect(ctx, r.room); err == nil {
			err = r.converse(ctx)
		}
	}
	if err != nil {
		return nil, err
	}
	r.close()
	return r.report(), nil
}

// run is one measurement.
type run struct {
	cfg     *config.Bench
	targets []*url.URL
	secure  *tls.Config // nil: the system's
	format  *format
	id      uint32
	idle    bool
	epoch   time.Time

	clients []*client
	streams []*stream
	shards  []shard
	opened  histogram     // what it took to connect
	opening time.Duration // all of them

	// What arrives from, and before to, is measured; since the epoch.
	from, to atomic.Int64

	unheard  atomic.Int64 // streams that a receiver has not heard
	allHeard chan struct{}

	ending  atomic.Bool // the end of a connection is ours
	readers sync.WaitGroup
	whole   context.Context // ends when a connection has ended too early
	breakUp context.CancelFunc

	mu       sync.Mutex // guards the following
	lost     int        // connections that ended too early
	firstEnd error      // why the first one did
}

// shard counts for some of the clients: counting must not become what they wait
// for.
type shard struct {
	arrived atomic.Uint64 // all, measured or not
	latency histogram
	far     histogram // of those in latency: from a client at another address
}

func newRun(cfg *config.Bench, secure *tls.Config) (*run, error) {
	id := rand.Uint32() //nolint:gosec // tells runs apart
	r := &run{
		cfg: cfg, secure: secure, id: id, format: newFormat(id, cfg.Size), epoch: time.Now(),
		shards: make([]shard, min(cfg.Clients, 2*runtime.GOMAXPROCS(0))), allHeard: make(chan struct{}),
	}
	r.whole, r.breakUp = context.WithCancel(context.Background())
	for _, text := range cfg.URLs {
		u, err := url.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("address %q: %w", text, err)
		}
		u.Path, u.RawQuery = cfg.Path, "EIO=4&transport=websocket"
		r.targets = append(r.targets, u)
	}
	return r, nil
}

func (r *run) shard(c *client) *shard { return &r.shards[c.index%len(r.shards)] }

// count measures an arrival, far when it comes from another address.
func (r *run) count(c *client, at, latency time.Duration, far bool) {
	if int64(at) < r.from.Load() || int64(at) >= r.to.Load() {
		return
	}
	s := r.shard(c)
	s.latency.add(latency)
	if far {
		s.far.add(latency)
	}
}

// window says what is measured: from the end of the warm-up on, which begins
// now. It returns when that is over.
func (r *run) window() (end time.Time) {
	now := time.Now()
	end = now.Add(r.cfg.Warmup + r.cfg.Duration)
	r.to.Store(int64(end.Sub(r.epoch)))
	r.from.Store(int64(now.Add(r.cfg.Warmup).Sub(r.epoch)))
	return end
}

// maxDialing bounds how many clients are being connected at once.
const maxDialing = 64

// connect opens all clients, each in the room that roomOf says, and lets them
// read.
func (r *run) connect(ctx context.Context, roomOf func(client int) string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	clients := make([]*client, r.cfg.Clients)
	var next atomic.Int64
	var dialing sync.WaitGroup
	begin := time.Now()
	for range min(maxDialing, len(clients)) {
		// They end when nobody is left to connect, or with ctx; connect waits.
		dialing.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(clients) && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				start := time.Now()
				c, err := r.open(ctx, i, roomOf(i))
				if err != nil {
					cancel(err)
					return
				}
				clients[i] = c
				r.opened.add(time.Since(start))
			}
		})
	}
	dialing.Wait()
	r.opening = time.Since(begin)
	for _, c := range clients {
		if c != nil {
			r.clients = append(r.clients, c)
		}
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	r.layOut()
	for _, c := range r.clients {
		// It ends with the connection, which close closes and waits for.
		r.readers.Go(func() { r.ended(c, c.read()) })
	}
	return nil
}

func noRoom(int) string { return "" }

// ended notes the end of a client's connection.
func (r *run) ended(c *client, err error) {
	if r.ending.Load() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lost++; r.lost == 1 {
		r.firstEnd = fmt.Errorf("%v: %w", c, err)
		r.breakUp()
	}
}

// close ends all connections and waits for their readers. It may be called
// again.
func (r *run) close() {
	r.ending.Store(true)
	for _, c := range r.clients {
		reset(c.conn.Conn)
	}
	r.readers.Wait()
	r.breakUp()
}

// rest keeps the clients connected, and idle, for the time of the measurement.
func (r *run) rest(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	sleep(ctx, timer, time.Until(r.window()))
	r.stopMeasuring()
}

// stopMeasuring makes now the end of what is measured, if that is earlier.
func (r *run) stopMeasuring() {
	r.to.Store(min(r.to.Load(), int64(time.Since(r.epoch))))
}

// converse lets the streams speak, and waits for what they have said.
func (r *run) converse(ctx context.Context) error {
	if err := r.greetAll(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithDeadline(ctx, r.window())
	defer cancel()
	// Clients that are gone would be waited for again and again.
	defer context.AfterFunc(r.whole, cancel)()
	var speakers sync.WaitGroup
	start := time.Now()
	for i, s := range r.streams {
		var interval, offset time.Duration
		if r.cfg.Rate > 0 {
			interval = time.Second * time.Duration(len(r.streams)) / time.Duration(r.cfg.Rate)
			offset = interval * time.Duration(i) / time.Duration(len(r.streams))
		} else {
			s.limit(max(1, r.cfg.InFlight))
		}
		// It ends with ctx, or when its connection is closed; converse waits.
		speakers.Go(func() { s.speak(ctx, start.Add(offset), interval) })
	}
	<-ctx.Done()
	r.stopMeasuring()
	stuck := time.AfterFunc(r.cfg.Timeout, r.interrupt) // a server that reads nothing
	speakers.Wait()
	stuck.Stop()
	r.drain()
	return nil
}

// interrupt ends writes that the server does not take.
func (r *run) interrupt() {
	for _, s := range r.streams {
		_ = s.from.conn.SetWriteDeadline(time.Now())
	}
}

// greetAll says message 0 of every stream until all of its receivers have heard
// it: only from then on anything may be missing.
func (r *run) greetAll(ctx context.Context) error {
	const again = 500 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	ticker := time.NewTicker(again)
	defer ticker.Stop()
	for {
		for _, s := range r.streams {
			if s.unheard.Load() == 0 {
				continue
			}
			if err := s.emit(0, time.Now()); err != nil {
				return fmt.Errorf("%v: emit: %w", s.from, err)
			}
		}
		select {
		case <-r.allHeard:
			return nil
		case <-r.whole.Done():
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.firstEnd
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return r.deaf()
			}
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// heard notes that one more receiver hears the stream.
func (r *run) heard(s *stream) {
	if s.unheard.Add(-1) == 0 && r.unheard.Add(-1) == 0 {
		close(r.allHeard)
	}
}

// deaf says who does not hear whom, after a while.
func (r *run) deaf() error {
	r.close() // ledgers are the readers'
	for _, c := range r.clients {
		for i := range c.ledgers {
			l := &c.ledgers[i]
			switch {
			case l.heard:
			case c == l.stream.from:
				return fmt.Errorf("%v has no answer to %s…] in %v: %s", c, l.stream.head, r.cfg.Timeout, needsPlayground)
			default:
				return fmt.Errorf("%v does not hear what %v emits with %s…] in %v: are these one cluster? %s",
					c, l.stream.from, l.stream.head, r.cfg.Timeout, needsPlayground)
			}
		}
	}
	return errors.New("some client was late to hear the others: use a longer --timeout")
}

// drain waits for what is under way, as long as something comes, and then a
// moment for what should not come.
func (r *run) drain() {
	const tick, moment = 5 * time.Millisecond, 100 * time.Millisecond
	var expected uint64
	for _, s := range r.streams {
		expected += s.sent.Load() * uint64(s.receivers) //nolint:gosec // a count
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	ctx := context.Background() // it is bounded by the timeout
	before, since := uint64(0), time.Now()
	for {
		var arrived uint64
		for i := range r.shards {
			arrived += r.shards[i].arrived.Load()
		}
		if arrived != before {
			before, since = arrived, time.Now()
		}
		if arrived >= expected || time.Since(since) > r.cfg.Timeout {
			break
		}
		sleep(ctx, timer, tick)
	}
	sleep(ctx, timer, moment)
}
