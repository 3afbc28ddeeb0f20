package engineio

import (
	"context"
	"sync"
	"time"
)

// polling is the transport over HTTP long-polling: the client always has one GET open, which is answered when there is
// something to send, and posts what it sends itself.
type polling struct {
	s *Session

	mu      sync.Mutex // guards the following
	queue   []queuedBatch
	size    int           // bytes of the queue, as framed for WebSocket
	getting bool          // a GET is open: parked, or about to take the queue
	wake    chan struct{} // closed to answer the parked GET; nil if none is parked
	posting chan struct{} // closed when the POST in progress is handled; nil without one
	arrival chan struct{} // closed when a GET arrives; nil while nobody waits for that
	probing bool          // a WebSocket is being tried: GETs are not kept waiting
	idle    chan struct{} // closed when the queue is empty again; nil while nobody waits for that
	phase   pollPhase
	last    *Batch // what a GET still open is told when phase is pollOver
}

type pollPhase uint8

const (
	pollOpen pollPhase = iota
	pollShut           // the session closes as soon as the queue is taken
	pollMoved
	pollOver
)

// queuedBatch is a batch of which the first sent packets are gone.
type queuedBatch struct {
	*Batch
	sent int
}

// wire returns what is left, as WebSocket frames.
func (q queuedBatch) wire(base64 bool) []byte {
	wire := q.Batch.wire
	if base64 {
		wire = q.textWire()
	}
	for range q.sent {
		_, wire = splitFrame(wire)
	}
	return wire
}

// probeHold is how long a GET that arrives during a probe waits for something to send. The client stops polling when it
// has heard of the probe's success; until then it must not spin.
const probeHold = 100 * time.Millisecond

func (p *polling) name() string { return transportPolling }

func (p *polling) send(b *Batch) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.phase != pollOpen {
		return ErrClosed
	}
	if p.size > 0 && p.size+b.Len() > p.s.srv.cfg.MaxPending {
		return ErrSlowConsumer
	}
	p.push(b)
	return nil
}

func (p *polling) trySend(b *Batch) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.phase != pollOpen || p.wake == nil || len(p.queue) > 0 {
		return false, nil
	}
	p.push(b)
	return true, nil
}

// push is called with mu held.
func (p *polling) push(b *Batch) {
	if b.count == 0 {
		return
	}
	p.queue = append(p.queue, queuedBatch{Batch: b})
	p.size += b.Len()
	p.answer()
}

// answer wakes the parked GET. It is called with mu held.
func (p *polling) answer() {
	if p.wake != nil {
		close(p.wake)
		p.wake = nil
	}
}

func (p *polling) waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.size
}

func (p *polling) drained() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 && p.phase != pollOver {
		return closedChan
	}
	if p.idle == nil {
		p.idle = make(chan struct{})
	}
	return p.idle
}

// settle is called with mu held after the queue was shortened.
func (p *polling) settle() {
	if len(p.queue) == 0 && p.idle != nil {
		close(p.idle)
		p.idle = nil
	}
}

// excuse holds while a post is open: the client sends one at a time, so its pong waits behind it.
func (p *polling) excuse() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.posting != nil
}

// shut leaves a session without an open GET to the next one, or to the timer of Session.Close.
func (p *polling) shut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.phase == pollOpen {
		p.phase = pollShut
		p.answer()
	}
}

func (p *polling) abort(reason Reason, _ error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.phase == pollOver {
		return
	}
	p.phase, p.last = pollOver, closePacket
	if reason == ReasonTransportClose {
		p.last = noopPacket // the client closed; it needs no telling
	}
	p.queue, p.size = nil, 0
	p.answer()
}

// probe says whether a WebSocket is being tried. The parked GET is released at once, since the client waits for it.
func (p *polling) probe(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.probing = on
	if on {
		p.answer()
	}
}

// handOver gives away the queue and releases the parked GET: with a noop, or if it came while the WebSocket was probed,
// like one that comes after the switch. A client that goes by the protocol has none open when it sends the upgrade
// packet, and one it sends right behind that packet may overtake it.
func (p *polling) handOver() []queuedBatch {
	p.mu.Lock()
	defer p.mu.Unlock()
	queue := p.queue
	p.phase = pollMoved
	p.queue, p.size = nil, 0
	p.settle()
	p.answer()
	return queue
}

// closeHold is how long a close packet waits for a GET to tell of it, see awaitGet.
const closeHold = 50 * time.Millisecond

// awaitGet waits a moment for a GET if none is open. A client that closes has one under way, and it travels on another
// connection than the POST with the close packet.
func (p *polling) awaitGet() {
	p.mu.Lock()
	if p.getting || p.phase != pollOpen {
		p.mu.Unlock()
		return
	}
	arrival := make(chan struct{})
	p.arrival = arrival
	p.mu.Unlock()
	timer := time.NewTimer(closeHold)
	defer timer.Stop()
	select {
	case <-arrival:
	case <-timer.C:
	case <-p.s.Done():
	}
}

func (p *polling) moved() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.phase == pollMoved
}

// posted waits until no POST is being handled, for at most limit.
func (p *polling) posted(limit time.Duration) bool {
	p.mu.Lock()
	done := p.posting
	p.mu.Unlock()
	if done == nil {
		return true
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-p.s.Done():
	case <-timer.C:
	}
	return false
}

// park begins a GET. A nil channel means that it can be answered at once.
func (p *polling) park() (wake <-chan struct{}, hold time.Duration, refused *Error, overlap bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if refused := p.refusal(); refused != nil {
		return nil, 0, refused, false
	}
	if p.getting {
		return nil, 0, nil, true
	}
	p.getting = true
	if p.arrival != nil {
		close(p.arrival)
		p.arrival = nil
	}
	if len(p.queue) > 0 || p.phase == pollShut {
		return nil, 0, nil, false
	}
	if p.probing {
		hold = probeHold
	}
	p.wake = make(chan struct{})
	return p.wake, hold, nil, false
}

// refusal is called with mu held.
func (p *polling) refusal() *Error {
	switch p.phase {
	case pollOver:
		return refuse(CodeUnknownSession, "session just closed")
	case pollMoved:
		return refuse(CodeBadRequest, "TRANSPORT_MISMATCH")
	}
	return nil
}

// wait keeps a GET until there is something to say. It reports false if the client has left.
func (p *polling) wait(ctx context.Context, wake <-chan struct{}, hold time.Duration) bool {
	var release <-chan time.Time
	if hold > 0 {
		timer := time.NewTimer(hold)
		defer timer.Stop()
		release = timer.C
	}
	select {
	case <-wake:
	case <-release:
	case <-ctx.Done():
		return false
	}
	return true
}

// take ends a GET: it takes packets off the queue, whole ones up to the payload limit and at least one. final says that
// the session ends with this answer.
func (p *polling) take(parked bool) (out [][]byte, final bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.getting, p.wake = false, nil
	switch p.phase {
	case pollOver:
		return [][]byte{p.last.packet(0)}, false
	case pollMoved:
		return [][]byte{noopPacket.packet(0)}, false
	}
	taken := p.cut()
	p.settle()
	if len(taken) == 0 && len(p.queue) == 0 && p.phase == pollShut {
		// The close goes out in an answer of its own: the JavaScript client acts on it at once, and loses the
		// messages before it in the same payload. One that waited for this GET is preceded by a noop, as the
		// reference's is.
		if !parked {
			taken = append(taken, queuedPacket{noopPacket, 0})
		}
		taken, final = append(taken, queuedPacket{closePacket, 0}), true
	}
	if len(taken) == 0 {
		taken = append(taken, queuedPacket{noopPacket, 0})
	}
	out = make([][]byte, len(taken))
	for i, q := range taken {
		out[i] = q.batch.packet(q.index)
	}
	return out, final
}

type queuedPacket struct {
	batch *Batch
	index int
}

// cut is called with mu held.
func (p *polling) cut() (taken []queuedPacket) {
	total := 0
	for len(p.queue) > 0 {
		head := &p.queue[0]
		skip := head.sent
		for isBinary, payload := range head.frames() {
			if skip > 0 {
				skip--
				continue
			}
			n := textLen(isBinary, payload) + 1
			if len(taken) > 0 && total+n-1 > p.s.srv.cfg.MaxPayload {
				return taken
			}
			total += n
			taken = append(taken, queuedPacket{head.Batch, head.sent})
			head.sent++
		}
		p.size -= head.Len()
		p.queue[0] = queuedBatch{}
		p.queue = p.queue[1:]
	}
	p.queue = nil
	return taken
}

// leave ends a GET whose client has left.
func (p *polling) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.getting, p.wake = false, nil
}

// beginPost reserves the session for one POST; endPost frees it.
func (p *polling) beginPost() (refused *Error, overlap bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if refused := p.refusal(); refused != nil {
		return refused, false
	}
	if p.posting != nil {
		return nil, true
	}
	p.posting = make(chan struct{})
	p.s.srv.running.Add(1) // the session's own count is held while it is not over
	return nil, false
}

func (p *polling) endPost() {
	p.mu.Lock()
	close(p.posting)
	p.posting = nil
	p.mu.Unlock()
	p.s.srv.running.Done()
}
