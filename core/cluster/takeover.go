package cluster

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/dunlin-io/dunlin/core/parser"
)

// TakeOverEvent is the server-side event by which a node says that it has
// taken the session of a client that another node may still believe to be
// connected. Its arguments are that other node and the session's PID. Being a
// server-side event, it is known to every adapter, and Node.js nodes ignore it.
const TakeOverEvent = "dunlin:takeover"

// takeOverPrefix tells the event from others at a glance.
const takeOverPrefix = `["` + TakeOverEvent + `"`

// TakeOver tells node that the session with that PID continues here. The node
// ends the socket, does not save it again, and returns the session as it is
// then, which may be newer than what was saved. ok is false when the node does
// not answer before ctx ends or has no such session.
func (m *Member) TakeOver(ctx context.Context, node NodeID, pid string) (s Session, ok bool) {
	a, err := parser.MakeEvent(TakeOverEvent, string(node), pid)
	if err != nil {
		return Session{}, false
	}
	q := &query{roll: newRoll(Members{Known: []NodeID{node}}), accept: func(_ NodeID, b Body) bool {
		r, is := b.(EmitReply)
		if is {
			s, ok = sessionOf(r.Args)
		}
		return is
	}}
	id, err := m.pending.add(q)
	if err != nil {
		return Session{}, false
	}
	defer m.pending.remove(id)
	if err := m.publish(Emit{Payload: a.EventPayload(), RequestID: id}); err != nil {
		return Session{}, false
	}
	select {
	case <-q.done:
	case <-ctx.Done():
		_ = q.partial(context.Cause(ctx)) // nothing is accepted any more
	}
	return s, ok
}

// takenOver handles the event and reports whether it was one.
func (m *Member) takenOver(to ReplyTo, b *Emit) bool {
	if !bytes.HasPrefix(b.Payload.JSON, []byte(takeOverPrefix)) {
		return false
	}
	var node, pid string
	_, args, err := b.Payload.Event()
	if err != nil || m.cfg.TakenOver == nil || args.Scan(&node, &pid) != nil || node != string(m.cfg.Self) {
		return true
	}
	m.cfg.TakenOver(pid, func(s Session) {
		if answer, err := argsOf(&s); err == nil {
			m.reply(to, EmitReply{RequestID: b.RequestID, Args: answer})
		}
	})
	return true
}

// argsOf puts a session into the answer to the event; one without a PID is
// none.
func argsOf(s *Session) (parser.Args, error) {
	if s.PID == "" {
		return parser.Args{}, nil
	}
	x, err := s.Extension()
	if err != nil {
		return parser.Args{}, err
	}
	rooms := make([]string, 0, len(s.Rooms))
	for r := range s.Rooms {
		rooms = append(rooms, r)
	}
	return parser.MakeArgs(s.PID, s.Socket, rooms, json.RawMessage(x), s.Data)
}

func sessionOf(a parser.Args) (s Session, ok bool) {
	var rooms []string
	var x json.RawMessage
	if a.Len() == 0 || a.Scan(&s.PID, &s.Socket, &rooms, &x, &s.Data) != nil {
		return Session{}, false
	}
	s.Rooms = make(map[string]Offset, len(rooms))
	for _, r := range rooms {
		s.Rooms[r] = ""
	}
	if string(s.Data) == "null" {
		s.Data = nil
	}
	return s, s.SetExtension(x) == nil
}
