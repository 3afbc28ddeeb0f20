package nemesis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// Faults are what a Proxy does to the bytes of one direction. The zero value
// passes them on as they come.
type Faults struct {
	Hold  bool          // nothing passes; nothing is lost either, and it passes when Hold ends
	Delay time.Duration // each piece is passed on that much later
	// Jitter is added to Delay, at random. Order is kept all the same.
	Jitter time.Duration
	// BytesPerSecond throttles; 0 does not.
	BytesPerSecond int
	// Slice passes pieces of at most that many bytes; 0 does not.
	Slice int
	// FlipOneIn flips a bit of one byte in so many, at random; 0 flips none.
	FlipOneIn int
	// CutAfter resets a connection when so many bytes have passed since the
	// faults were set; 0 does not.
	CutAfter int
}

// Direction is one of a connection's two.
type Direction int

// Directions.
const (
	Up   Direction = iota // from who dialled to the target
	Down                  // from the target
)

// Proxy passes TCP connections on to a target and disturbs them. It is safe for
// concurrent use.
type Proxy struct {
	target   string
	listener net.Listener
	ctx      context.Context
	stop     context.CancelFunc
	wg       sync.WaitGroup

	mu      sync.Mutex // guards the following
	faults  [2]Faults
	changed chan struct{} // closed when faults are set
	refuse  bool
	conns   map[*net.TCPConn]struct{}
	random  *rand.Rand
}

// NewProxy listens on a loopback port. Random faults follow from the seed. Close
// ends it.
func NewProxy(target string, seed uint64) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("fault proxy: %w", err)
	}
	p := &Proxy{
		target: target, listener: l, changed: make(chan struct{}), conns: make(map[*net.TCPConn]struct{}),
		random: rand.New(rand.NewPCG(seed, seed)),
	}
	p.ctx, p.stop = context.WithCancel(context.Background())
	// Ends with the listener; Close waits.
	p.wg.Go(p.accept)
	return p, nil
}

// Addr is where to connect instead of the target.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Set sets the faults of one direction, for connections that stand as well.
func (p *Proxy) Set(d Direction, f Faults) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults[d] = f
	close(p.changed)
	p.changed = make(chan struct{})
}

// Heal ends all faults and takes connections again.
func (p *Proxy) Heal() {
	p.Refuse(false)
	p.Set(Up, Faults{})
	p.Set(Down, Faults{})
}

// Refuse resets new connections at once, or stops doing so.
func (p *Proxy) Refuse(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = on
}

// Reset resets the connections that stand and returns how many there were.
func (p *Proxy) Reset() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.conns) / 2
	for c := range p.conns {
		reset(c)
	}
	clear(p.conns)
	return n
}

// Close resets what is left and waits until the proxy has ended.
func (p *Proxy) Close() error {
	p.stop()
	err := p.listener.Close()
	p.Reset()
	p.wg.Wait()
	return err
}

func reset(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close()
}

func (p *Proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		// Ends when the connection does; Close resets it and waits.
		p.wg.Go(func() { p.serve(c.(*net.TCPConn)) })
	}
}

func (p *Proxy) serve(client *net.TCPConn) {
	p.mu.Lock()
	refuse := p.refuse
	p.mu.Unlock()
	if refuse || p.ctx.Err() != nil {
		reset(client)
		return
	}
	var d net.Dialer
	c, err := d.DialContext(p.ctx, "tcp", p.target)
	if err != nil {
		reset(client)
		return
	}
	server := c.(*net.TCPConn)
	p.mu.Lock()
	p.conns[client], p.conns[server] = struct{}{}, struct{}{}
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { p.pump(Up, client, server) })
	both.Go(func() { p.pump(Down, server, client) })
	both.Wait()
	p.mu.Lock()
	delete(p.conns, client)
	delete(p.conns, server)
	p.mu.Unlock()
	reset(client)
	reset(server)
}

// pump passes bytes on until either side ends. A side that has only finished
// writing is half-closed, so that what is under way arrives.
func (p *Proxy) pump(d Direction, from, to *net.TCPConn) {
	buf := make([]byte, 16<<10)
	passed, since := 0, (<-chan struct{})(nil)
	for {
		n, err := from.Read(buf)
		for piece := buf[:n]; len(piece) > 0; {
			f, changed := p.wait(d)
			if changed != since {
				passed, since = 0, changed
			}
			cut := f.CutAfter > 0 && passed >= f.CutAfter
			if cut || p.ctx.Err() != nil {
				reset(from)
				reset(to)
				return
			}
			out := piece[:p.portion(f, len(piece), passed)]
			p.flip(f, out)
			p.pause(f, len(out))
			if _, err := to.Write(out); err != nil {
				reset(from)
				return
			}
			passed += len(out)
			piece = piece[len(out):]
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				_ = to.CloseWrite()
			} else {
				reset(to)
			}
			return
		}
	}
}

// wait returns the faults of a direction once it is not held.
func (p *Proxy) wait(d Direction) (Faults, <-chan struct{}) {
	for {
		p.mu.Lock()
		f, changed := p.faults[d], p.changed
		p.mu.Unlock()
		if !f.Hold {
			return f, changed
		}
		select {
		case <-changed:
		case <-p.ctx.Done():
			return f, changed
		}
	}
}

func (p *Proxy) portion(f Faults, n, passed int) int {
	if f.Slice > 0 {
		n = min(n, f.Slice)
	}
	if f.BytesPerSecond > 0 {
		n = min(n, max(1, f.BytesPerSecond/50))
	}
	if f.CutAfter > 0 {
		n = min(n, f.CutAfter-passed)
	}
	return n
}

func (p *Proxy) flip(f Faults, b []byte) {
	if f.FlipOneIn <= 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range b {
		if p.random.IntN(f.FlipOneIn) == 0 {
			b[i] ^= 1 << p.random.IntN(8)
		}
	}
}

func (p *Proxy) pause(f Faults, n int) {
	d := f.Delay
	if f.Jitter > 0 {
		p.mu.Lock()
		d += time.Duration(p.random.Int64N(int64(f.Jitter)))
		p.mu.Unlock()
	}
	if f.BytesPerSecond > 0 {
		d += time.Duration(n) * time.Second / time.Duration(f.BytesPerSecond)
	}
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-p.ctx.Done():
	}
}
