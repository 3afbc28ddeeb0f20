package cluster

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/dunlin-io/dunlin/core/parser"
)

// Answers to a broadcast that another node asked for are awaited this long
// when the request does not say, and never longer than the maximum.
const (
	defaultAckTimeout = time.Minute
	maxAckTimeout     = time.Hour
)

// AckAnswer is the acknowledgement of one socket. Node and SocketID are empty
// where the answer did not say.
type AckAnswer struct {
	Node     NodeID
	SocketID string
	Args     parser.Args
}

// BroadcastWithAck sends a packet to the target's sockets, here and on the
// other nodes, and collects their acknowledgements until ctx ends. The error is
// a *PartialError when one is missing. A socket that leaves without answering
// is missing, but is not waited for.
func (m *Member) BroadcastWithAck(ctx context.Context, t Target, p *parser.Packet) ([]AckAnswer, error) {
	var members Members
	var membersErr error
	if !t.Local {
		members, membersErr = m.members(ctx)
	}
	c := &collection{self: m.cfg.Self, single: t.Single, roll: newRoll(members)}
	c.roll.named[m.cfg.Self] = true // this node counts its sockets as the others do
	c.roll.owed++
	id, err := m.pending.add(c)
	if err != nil {
		return nil, err
	}
	defer m.pending.remove(id)

	n, forget := m.cfg.Local.DeliverWithAck(&t, p, func(socket string, args parser.Args, gone bool) {
		c.answer(m.cfg.Self, AckReply{SocketID: socket, Args: args, Gone: gone})
	})
	defer forget()
	c.answer(m.cfg.Self, AckCount{Count: n})

	if membersErr == nil && members.Len() > 0 {
		membersErr = m.say(Broadcast{Target: t, Packet: p, RequestID: id})
	}
	if membersErr != nil {
		c.degrade(membersErr)
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		c.fail(context.Cause(ctx))
	}
	return c.result()
}

func (m *Member) members(ctx context.Context) (Members, error) {
	ctx, cancel := context.WithTimeout(ctx, m.cfg.RequestTimeout)
	defer cancel()
	return m.link.Members(ctx)
}

// collection collects the acknowledgements of one broadcast: first each node
// says how many sockets it reached, then their answers come, in any order.
type collection struct {
	self   NodeID
	single bool

	mu      sync.Mutex     // guards the following
	roll    roll           // nodes that have not sent their count
	due     map[NodeID]int // negative while acknowledgements have overtaken their count
	waiting int            // how many of due are positive
	settled map[settled]struct{}
	sockets int // sum of all counts
	gone    int
	answers []AckAnswer
	err     error
	ended   bool

	doneOnce
}

// settled names a socket whose acknowledgement is in, or will not come.
type settled struct {
	node   NodeID
	socket string
}

func (c *collection) answer(from NodeID, b Body) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	switch b := b.(type) {
	case AckCount:
		if b.Count < 0 || !c.roll.owes(from) {
			return
		}
		c.roll.tick(from)
		c.owe(from, b.Count)
		c.sockets += b.Count
	case AckReply:
		if c.repeated(from, b.SocketID) {
			return
		}
		c.owe(from, -1)
		if b.Gone {
			c.gone++
			break
		}
		c.answers = append(c.answers, AckAnswer{Node: from, SocketID: b.SocketID, Args: b.Args})
	case Broadcast, Join, Leave, Disconnect, FetchSockets, Rooms, Emit, Leaving, Where, Said, Again, Repeated,
		SocketsReply, RoomsReply, EmitReply, Applied:
		return
	}
	c.check()
}

// owe adds to what a node owes.
func (c *collection) owe(n NodeID, answers int) {
	if c.due == nil {
		c.due = make(map[NodeID]int)
	}
	before := c.due[n]
	after := before + answers
	c.due[n] = after
	if before <= 0 && after > 0 {
		c.waiting++
	}
	if before > 0 && after <= 0 {
		c.waiting--
	}
}

// repeated reports whether a socket of another node has been settled before: a
// message may arrive twice, but each socket counts once. Node.js nodes do not
// name the socket.
func (c *collection) repeated(n NodeID, socket string) bool {
	if socket == "" || n == c.self {
		return false
	}
	if c.settled == nil {
		c.settled = make(map[settled]struct{})
	}
	_, again := c.settled[settled{n, socket}]
	c.settled[settled{n, socket}] = struct{}{}
	return again
}

func (c *collection) left(n NodeID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.roll.strike(n)
	if due := c.due[n]; due > 0 { // its sockets went with it
		c.gone += due
		c.owe(n, -due)
	}
	c.check()
}

// check ends the collection when nothing is due any more.
func (c *collection) check() {
	if c.roll.complete() && c.waiting == 0 || c.single && len(c.answers) > 0 {
		c.ended = true
		c.finish()
	}
}

// degrade notes that the other nodes cannot be asked; the sockets here still
// answer.
func (c *collection) degrade(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
	for n, owes := range c.roll.named {
		if owes && n != c.self {
			c.roll.strike(n)
		}
	}
	c.roll.foreign = 0
	c.check()
}

func (c *collection) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	c.ended, c.err = true, err
	c.finish()
}

func (c *collection) result() ([]AckAnswer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil && c.gone == 0 || c.single && len(c.answers) > 0 {
		return c.answers, nil
	}
	err := c.err
	if err == nil {
		err = ErrGone
	}
	missing := c.roll.missing()
	uncounted := 0 // sockets that answered, of nodes that did not say how many there are
	for n, due := range c.due {
		if due > 0 && n != "" && n != c.self {
			missing = append(missing, n)
		}
		uncounted += max(-due, 0)
	}
	slices.Sort(missing)
	return c.answers, &PartialError{
		Expected: c.sockets + uncounted + c.roll.owed + c.roll.foreign,
		Received: len(c.answers),
		Missing:  slices.Compact(missing),
		Err:      err,
	}
}

// receiveBroadcast delivers a broadcast of another node and, when it asks for
// acknowledgements, sends back the count and then what comes in.
func (m *Member) receiveBroadcast(to ReplyTo, b *Broadcast) {
	if b.RequestID == "" {
		m.cfg.Local.Deliver(&b.Target, b.Packet)
		return
	}
	a := &relay{member: m, to: to, requestID: b.RequestID}
	n, forget := m.cfg.Local.DeliverWithAck(&b.Target, b.Packet, a.settled)
	a.count(n)
	if n == 0 {
		forget()
		return
	}
	timeout := defaultAckTimeout
	if b.Target.Timeout > 0 {
		timeout = min(b.Target.Timeout, maxAckTimeout)
	}
	a.done = m.answered.add(timeout, forget)
	a.finish(n)
}

// relay sends one broadcast's count and acknowledgements to the node that
// asked, the count first.
type relay struct {
	member    *Member
	to        ReplyTo
	requestID string
	done      func() // forgets the broadcast; set before finish

	mu      sync.Mutex // guards the following
	counted bool
	early   []AckReply
	left    int // answers still due, once started
	started bool
	arrived int
}

func (a *relay) count(n int) {
	a.member.reply(a.to, AckCount{RequestID: a.requestID, Count: n})
	a.mu.Lock()
	early := a.early
	a.early, a.counted = nil, true
	a.mu.Unlock()
	for _, r := range early {
		a.member.reply(a.to, r)
	}
}

func (a *relay) settled(id string, args parser.Args, gone bool) {
	r := AckReply{RequestID: a.requestID, SocketID: id, Args: args, Gone: gone}
	a.mu.Lock()
	counted := a.counted
	if !counted {
		a.early = append(a.early, r)
	}
	a.arrived++
	last := a.started && a.arrived == a.left
	a.mu.Unlock()
	if counted {
		a.member.reply(a.to, r)
	}
	if last {
		a.done()
	}
}

// finish lets the last acknowledgement end the waiting.
func (a *relay) finish(n int) {
	a.mu.Lock()
	a.started, a.left = true, n
	last := a.arrived >= n
	a.mu.Unlock()
	if last {
		a.done()
	}
}

// answering is the table of broadcasts that this node answers for another.
// Each entry ends by its last answer, by its timer or with the membership.
type answering struct {
	mu      sync.Mutex // guards the following
	entries map[*answer]struct{}
	closed  bool
}

type answer struct {
	timer  *time.Timer
	forget func()
}

// add keeps forget until it is done, or calls it at once when the table is
// full or closed.
func (t *answering) add(d time.Duration, forget func()) (done func()) {
	e := &answer{forget: forget}
	done = func() { t.end(e) }
	t.mu.Lock()
	refused := t.closed || len(t.entries) >= maxRequests
	if !refused {
		if t.entries == nil {
			t.entries = make(map[*answer]struct{})
		}
		t.entries[e] = struct{}{}
		e.timer = time.AfterFunc(d, done)
	}
	t.mu.Unlock()
	if refused {
		forget()
	}
	return done
}

func (t *answering) end(e *answer) {
	t.mu.Lock()
	_, live := t.entries[e]
	delete(t.entries, e)
	t.mu.Unlock()
	if live {
		e.timer.Stop()
		e.forget()
	}
}

func (t *answering) close() {
	t.mu.Lock()
	t.closed = true
	entries := t.entries
	t.entries = nil
	t.mu.Unlock()
	for e := range entries {
		e.timer.Stop()
		e.forget()
	}
}
