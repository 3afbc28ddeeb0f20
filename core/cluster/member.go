package cluster

import (
	"context"
	"sync"
	"time"

	"github.com/dunlin-io/dunlin/core/parser"
)

// MemberConfig describes one namespace's membership. Namespace, Self and Local
// are required.
type MemberConfig struct {
	Namespace string
	Self      NodeID
	Local     Local
	// RequestTimeout bounds the waiting for other nodes when the caller's
	// context ends later or never; 0 means 5 s.
	RequestTimeout time.Duration
	// OnSubscribed is told when the link begins to hear the others, and again
	// (resumed) after an interruption.
	OnSubscribed func(resumed bool)
	// Opened is called once, before anything of Local is.
	Opened func(*Member)
	// Recorded, when it is set, is given what a SessionStore records and has an
	// Offset, this node's own messages too, in the place of Local. It must not
	// block on anything but memory.
	Recorded func(Message)
	// TakenOver, when it is set, is told that another node has taken the session
	// with that PID (Member.TakeOver). It must not block, and may call reply
	// once, from any goroutine.
	TakenOver func(pid string, reply func(Session))
	// OnGap is told when messages of other nodes are lost, or may be: after an
	// interruption, if there are nodes that do not number their messages.
	OnGap func(Gap)
}

// Member is a namespace's side of the conversation with the other nodes. Its
// methods may be called concurrently.
type Member struct {
	cfg      MemberConfig
	link     Link
	opened   chan struct{} // closed once link is set: a link may call Receive before Open returned to us
	numbers  *numbering    // nil: the link loses nothing by itself, and nothing is numbered
	repair   repair
	pending  requests
	answered answering
	tasks    sync.WaitGroup
	ctx      context.Context // ends the tasks
	stop     context.CancelFunc
	close    sync.Once
}

// Open joins the conversation of cfg.Namespace through a.
func Open(a Adapter, cfg MemberConfig) *Member {
	if cfg.RequestTimeout <= 0 {
		cfg.RequestTimeout = 5 * time.Second
	}
	m := &Member{cfg: cfg, opened: make(chan struct{})}
	m.ctx, m.stop = context.WithCancel(context.Background())
	m.repair.ask = func(q Again) { _ = m.publish(q) }
	m.repair.dispatch = m.dispatch
	m.repair.lost = m.gap
	m.link = a.Open(cfg.Namespace, cfg.Self, m)
	if !m.lossless() {
		m.numbers = newNumbering(func(msg Message) error {
			msg.From, msg.Namespace = cfg.Self, cfg.Namespace
			return m.link.Publish(msg)
		})
	}
	if cfg.Opened != nil {
		cfg.Opened(m)
	}
	close(m.opened)
	return m
}

// lossless reports whether there is nobody to lose messages to, or a log that
// keeps them.
func (m *Member) lossless() bool {
	switch m.link.(type) {
	case *soloLink, SessionStore:
		return true
	}
	return false
}

// Ready returns when what other ready nodes send from now on arrives here.
func (m *Member) Ready(ctx context.Context) error { return m.link.Ready(ctx) }

// Close says goodbye, ends what waits for answers with ErrClosed and leaves.
func (m *Member) Close() error {
	var err error
	m.close.Do(func() {
		if m.numbers != nil {
			m.numbers.close()
		}
		_ = m.publish(Leaving{}) // a courtesy: others notice by themselves, only later
		m.pending.close()
		m.answered.close()
		err = m.link.Close()
		m.repair.close()
		m.stop()
		m.tasks.Wait()
	})
	return err
}

// WatchesRooms reports whether the link subscribes room by room.
func (m *Member) WatchesRooms() bool {
	_, ok := m.link.(RoomWatcher)
	return ok
}

// WatchRoom tells links that subscribe room by room that the room has a local
// member. The channel is closed once nothing published afterwards is missed;
// nil means that there is nothing to wait for.
func (m *Member) WatchRoom(room string) <-chan struct{} {
	if w, ok := m.link.(RoomWatcher); ok {
		return w.WatchRoom(room)
	}
	return nil
}

// UnwatchRoom takes WatchRoom back.
func (m *Member) UnwatchRoom(room string) {
	if w, ok := m.link.(RoomWatcher); ok {
		w.UnwatchRoom(room)
	}
}

// Broadcast sends a packet to the target's sockets on the other nodes; the
// caller has delivered it here.
func (m *Member) Broadcast(t Target, p *parser.Packet) error {
	if t.Local {
		return nil
	}
	return m.say(Broadcast{Target: t, Packet: p})
}

// Record is Broadcast with a number, by which the sender recognizes its message
// in the link's log.
func (m *Member) Record(t Target, p *parser.Packet, seq uint64) error {
	return m.link.Publish(Message{
		From: m.cfg.Self, Namespace: m.cfg.Namespace, Seq: seq,
		Body: Broadcast{Target: t, Packet: p},
	})
}

// Sessions returns the link's log and sessions, or nil where it has none.
func (m *Member) Sessions() SessionStore {
	s, _ := m.link.(SessionStore)
	return s
}

// JoinRooms makes the target's sockets join rooms, here at once and on the
// other nodes when they hear of it.
func (m *Member) JoinRooms(t Target, rooms []string) error {
	m.cfg.Local.Join(&t, rooms)
	if t.Local {
		return nil
	}
	return m.say(Join{Target: t, Rooms: rooms})
}

// LeaveRooms is the opposite of JoinRooms.
func (m *Member) LeaveRooms(t Target, rooms []string) error {
	m.cfg.Local.Leave(&t, rooms)
	if t.Local {
		return nil
	}
	return m.say(Leave{Target: t, Rooms: rooms})
}

// Disconnect disconnects the target's sockets everywhere.
func (m *Member) Disconnect(t Target, closeConn bool) error {
	m.cfg.Local.Disconnect(&t, closeConn)
	if t.Local {
		return nil
	}
	return m.say(Disconnect{Target: t, Close: closeConn})
}

// Emit sends a server-side event to the other nodes.
func (m *Member) Emit(p parser.Payload) error { return m.say(Emit{Payload: p}) }

// say publishes with a number, so that who misses it notices.
func (m *Member) say(b Body) error {
	if m.numbers == nil || m.selective(b) {
		return m.publish(b)
	}
	return m.numbers.say(Message{Body: b})
}

// selective reports whether a message goes only to nodes that have subscribed to
// its room: its number would be missing everywhere else.
func (m *Member) selective(b Body) bool {
	broadcast, ok := b.(Broadcast)
	return ok && broadcast.RequestID == "" && len(broadcast.Target.Rooms) == 1 && m.WatchesRooms()
}

// publish publishes without a number.
func (m *Member) publish(b Body) error {
	return m.link.Publish(Message{From: m.cfg.Self, Namespace: m.cfg.Namespace, Body: b})
}

// HasRoom implements Receiver.
func (m *Member) HasRoom(room string) bool { return m.cfg.Local.HasRoom(room) }

// Subscribed implements Receiver. After an interruption the nodes tell each
// other how far they are, and ask for what they miss.
func (m *Member) Subscribed(resumed bool) {
	if m.cfg.OnSubscribed != nil {
		m.cfg.OnSubscribed(resumed)
	}
	m.repair.begin()
	// Ends with the request timeout or with m.ctx; Close waits for it.
	m.tasks.Go(func() {
		<-m.opened
		m.introduce()
		if resumed {
			m.catchUp()
		}
	})
}

// isRecorded reports whether a message in a log belongs there. Some senders put
// others into it, too: JavaScript emitters and adapters of former releases.
func isRecorded(b Body) bool {
	switch b := b.(type) {
	case Broadcast:
		return b.RequestID == ""
	case Join, Leave, Disconnect:
		return true
	case FetchSockets, Rooms, Emit, Leaving, Where, Said, Again, AckCount, AckReply, SocketsReply, RoomsReply,
		EmitReply, Applied,
		Repeated:
	}
	return false
}

// introduce tells the others how far this node is, and asks them.
func (m *Member) introduce() {
	if m.numbers != nil {
		_ = m.publish(Where{m.numbers.position()})
	}
}

// catchUp sees to it that nothing is missing after an interruption, or tells that
// something may be.
func (m *Member) catchUp() {
	if m.numbers == nil {
		m.gap(Gap{})
		return
	}
	m.repair.resumed()
	if m.WatchesRooms() { // what was said to rooms has no number
		m.gap(Gap{})
		return
	}
	members, err := m.members(m.ctx)
	t := time.NewTimer(answerTime)
	defer t.Stop()
	select {
	case <-t.C:
	case <-m.ctx.Done():
		return
	}
	if err != nil || members.Foreign > 0 || !m.repair.knows(members.Known) {
		m.gap(Gap{})
	}
}

// answerTime is how long nodes have to answer Where. Who does not may be one
// that does not number what it says.
const answerTime = 2 * time.Second

func (m *Member) gap(g Gap) {
	if m.cfg.OnGap != nil {
		m.cfg.OnGap(g)
	}
}

// RepairStats returns the counters of numbered messages.
func (m *Member) RepairStats() RepairStats { return m.repair.counted() }

// Receive implements Receiver.
func (m *Member) Receive(msg Message) {
	if m.cfg.Recorded != nil && msg.Offset != "" && isRecorded(msg.Body) {
		<-m.opened
		m.cfg.Recorded(msg)
		return
	}
	if msg.From != "" && msg.From == m.cfg.Self {
		return
	}
	<-m.opened
	switch b := msg.Body.(type) {
	case Where:
		m.repair.heard(msg.From, b.Position)
		if m.numbers != nil {
			m.reply(msg.ReplyTo, Said{m.numbers.position()})
		}
		return
	case Said:
		if msg.Seq != 0 {
			msg.Body = nil
			m.repair.receive(msg)
		}
		m.repair.heard(msg.From, b.Position)
		return
	case Again:
		m.sayAgain(msg.ReplyTo, b)
		return
	case Repeated:
		m.repair.repeated(msg.From, b)
		return
	case Leaving:
		m.repair.left(msg.From)
	case AckCount, AckReply, Applied, Broadcast, Disconnect, Emit, EmitReply, FetchSockets, Join, Leave, Rooms,
		RoomsReply, SocketsReply:
	}
	if msg.Seq != 0 && msg.From != "" && msg.Offset == "" { // a log has its own order
		m.repair.receive(msg)
		return
	}
	m.dispatch(msg)
}

// sayAgain answers Again.
func (m *Member) sayAgain(to ReplyTo, b Again) {
	if b.Node != m.cfg.Self || m.numbers == nil {
		return
	}
	again, end := m.numbers.repeat(b)
	for _, msg := range again {
		msg.From, msg.Namespace = m.cfg.Self, m.cfg.Namespace
		_ = m.link.Send(to, msg) // it is asked for again
	}
	m.reply(to, end)
}

// dispatch does what a message says.
func (m *Member) dispatch(msg Message) {
	switch b := msg.Body.(type) {
	case Broadcast:
		m.receiveBroadcast(msg.ReplyTo, &b)
	case Join:
		m.applied(msg.ReplyTo, b.RequestID, m.cfg.Local.Join(&b.Target, b.Rooms))
	case Leave:
		m.applied(msg.ReplyTo, b.RequestID, m.cfg.Local.Leave(&b.Target, b.Rooms))
	case Disconnect:
		m.applied(msg.ReplyTo, b.RequestID, m.cfg.Local.Disconnect(&b.Target, b.Close))
	case FetchSockets:
		m.reply(msg.ReplyTo, SocketsReply{
			RequestID: b.RequestID, IDsOnly: b.IDsOnly,
			Sockets: m.cfg.Local.Sockets(&b.Target, b.IDsOnly),
		})
	case Rooms:
		m.reply(msg.ReplyTo, RoomsReply{RequestID: b.RequestID, Rooms: m.cfg.Local.Rooms()})
	case Emit:
		m.receiveEmit(msg, b)
	case Leaving:
		m.pending.left(msg.From)
	case AckCount, AckReply, SocketsReply, RoomsReply, EmitReply, Applied:
		m.pending.answer(msg.From, b)
	case Where, Said, Again, Repeated: // Receive has seen to it
	}
}

func (m *Member) receiveEmit(msg Message, b Emit) {
	if m.takenOver(msg.ReplyTo, &b) {
		return
	}
	if b.RequestID == "" {
		m.cfg.Local.ServerSide(msg.From, b.Payload, nil)
		return
	}
	var once sync.Once
	m.cfg.Local.ServerSide(msg.From, b.Payload, func(args parser.Args) {
		once.Do(func() { m.reply(msg.ReplyTo, EmitReply{RequestID: b.RequestID, Args: args}) })
	})
}

// applied answers the requests of old Node.js adapters, which only the node
// that owns the socket does.
func (m *Member) applied(to ReplyTo, requestID string, sockets int) {
	if requestID != "" && sockets > 0 {
		m.reply(to, Applied{RequestID: requestID})
	}
}

// reply drops the link's error: whoever asked counts the answer as missing,
// and the link has counted the failure.
func (m *Member) reply(to ReplyTo, b Body) {
	_ = m.link.Send(to, Message{From: m.cfg.Self, Namespace: m.cfg.Namespace, Body: b})
}
