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
	// (resumed) after an interruption in which messages may have been missed.
	OnSubscribed func(resumed bool)
	// Opened is called once, before anything of Local is.
	Opened func(*Member)
	// Recorded, when it is set, is given what a SessionStore records and has an
	// Offset, this node's own messages too, in the place of Local. It must not block on anything but
	// memory.
	Recorded func(Message)
	// TakenOver, when it is set, is told that another node has taken the session
	// with that PID (Member.TakeOver). It must not block, and may call reply
	// once, from any goroutine.
	TakenOver func(pid string, reply func(Session))
}

// Member is a namespace's side of the conversation with the other nodes. Its
// methods may be called concurrently.
type Member struct {
	cfg      MemberConfig
	link     Link
	opened   chan struct{} // closed once link is set: a link may call Receive before Open returned to us
	pending  requests
	answered answering
	close    sync.Once
}

// Open joins the conversation of cfg.Namespace through a.
func Open(a Adapter, cfg MemberConfig) *Member {
	if cfg.RequestTimeout <= 0 {
		cfg.RequestTimeout = 5 * time.Second
	}
	m := &Member{cfg: cfg, opened: make(chan struct{})}
	m.link = a.Open(cfg.Namespace, cfg.Self, m)
	if cfg.Opened != nil {
		cfg.Opened(m)
	}
	close(m.opened)
	return m
}

// Ready returns when what other ready nodes send from now on arrives here.
func (m *Member) Ready(ctx context.Context) error { return m.link.Ready(ctx) }

// Close says goodbye, ends what waits for answers with ErrClosed and leaves.
func (m *Member) Close() error {
	var err error
	m.close.Do(func() {
		_ = m.publish(Leaving{}) // a courtesy: others notice by themselves, only later
		m.pending.close()
		m.answered.close()
		err = m.link.Close()
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
	return m.publish(Broadcast{Target: t, Packet: p})
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
	return m.publish(Join{Target: t, Rooms: rooms})
}

// LeaveRooms is the opposite of JoinRooms.
func (m *Member) LeaveRooms(t Target, rooms []string) error {
	m.cfg.Local.Leave(&t, rooms)
	if t.Local {
		return nil
	}
	return m.publish(Leave{Target: t, Rooms: rooms})
}

// Disconnect disconnects the target's sockets everywhere.
func (m *Member) Disconnect(t Target, closeConn bool) error {
	m.cfg.Local.Disconnect(&t, closeConn)
	if t.Local {
		return nil
	}
	return m.publish(Disconnect{Target: t, Close: closeConn})
}

// Emit sends a server-side event to the other nodes.
func (m *Member) Emit(p parser.Payload) error { return m.publish(Emit{Payload: p}) }

func (m *Member) publish(b Body) error {
	return m.link.Publish(Message{From: m.cfg.Self, Namespace: m.cfg.Namespace, Body: b})
}

// HasRoom implements Receiver.
func (m *Member) HasRoom(room string) bool { return m.cfg.Local.HasRoom(room) }

// Subscribed implements Receiver.
func (m *Member) Subscribed(resumed bool) {
	if m.cfg.OnSubscribed != nil {
		m.cfg.OnSubscribed(resumed)
	}
}

// isRecorded reports whether a message in a log belongs there. Some senders put
// others into it, too: JavaScript emitters and adapters of former releases.
func isRecorded(b Body) bool {
	switch b := b.(type) {
	case Broadcast:
		return b.RequestID == ""
	case Join, Leave, Disconnect:
		return true
	case FetchSockets, Rooms, Emit, Leaving, AckCount, AckReply, SocketsReply, RoomsReply, EmitReply, Applied:
	}
	return false
}

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
