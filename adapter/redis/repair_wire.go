package redisadapter

import (
	"encoding/binary"

	"github.com/dunlin-io/dunlin/core/cluster"
)

// What Go nodes say to each other about messages that were missed travels in the
// extension alone; JavaScript members ignore the types.
//
//	where     {f, t}              asks for said, and says the same
//	said      {f, t}              the numbers of the sender's first and last message
//	again     {n, f, t}           asks n for its messages f to t
//	again     {n, t, d}           ... up to t, of the last d milliseconds
//	repeated  {f, e, t, l}        ends the answer: said is {f, e}, up to t nothing is kept, l are lost
//
// The messages themselves are sent once more to who asked, as they were.

// notes fills the extension of such a body.
func (x *extension) notes(b cluster.Body) {
	switch b := b.(type) {
	case cluster.Where:
		x.From, x.To = b.Origin, b.Last
	case cluster.Said:
		x.From, x.To = b.Origin, b.Last
	case cluster.Again:
		x.Node, x.From, x.To = string(b.Node), b.From, b.To
		x.Age = uint64(max(0, b.Age.Milliseconds())) //nolint:gosec // not negative
	case cluster.Repeated:
		x.From, x.Last, x.To, x.Lost = b.Origin, b.Last, b.To, b.Lost
	case cluster.AckCount, cluster.AckReply, cluster.Applied, cluster.Broadcast, cluster.Disconnect,
		cluster.Emit, cluster.EmitReply, cluster.FetchSockets, cluster.Join, cluster.Leave, cluster.Leaving,
		cluster.Rooms, cluster.RoomsReply, cluster.SocketsReply:
	}
}

func (x *extension) position() cluster.Position { return cluster.Position{Origin: x.From, Last: x.To} }

func (x *extension) repeated() cluster.Repeated {
	return cluster.Repeated{Position: cluster.Position{Origin: x.From, Last: x.Last}, To: x.To, Lost: x.Lost}
}

func (x *extension) again() cluster.Again {
	return cluster.Again{Node: cluster.NodeID(x.Node), From: x.From, To: x.To, Age: milliseconds(float64(x.Age))}
}

// onlyForGo reports whether a body has no form without the extension, and can be
// left out where it is off: JavaScript members know nothing of it.
func onlyForGo(b cluster.Body) bool {
	switch b.(type) {
	case cluster.Leaving, cluster.Where, cluster.Said, cluster.Again, cluster.Repeated:
		return true
	case cluster.AckCount, cluster.AckReply, cluster.Applied, cluster.Broadcast, cluster.Disconnect,
		cluster.Emit, cluster.EmitReply, cluster.FetchSockets, cluster.Join, cluster.Leave, cluster.Rooms,
		cluster.RoomsReply, cluster.SocketsReply:
	}
	return false
}

// statement reports whether a body is no answer: sent to one node it is said
// once more, or about what was said.
func statement(b cluster.Body) bool {
	switch b.(type) {
	case cluster.AckCount, cluster.AckReply, cluster.SocketsReply, cluster.RoomsReply, cluster.EmitReply,
		cluster.Applied:
		return false
	case cluster.Again, cluster.Broadcast, cluster.Disconnect, cluster.Emit, cluster.FetchSockets,
		cluster.Join, cluster.Leave, cluster.Leaving, cluster.Repeated, cluster.Rooms, cluster.Said,
		cluster.Where:
	}
	return true
}

// A statement on a node's own channel begins with a byte that neither JSON nor
// MessagePack begins with.
const statementMark = msgpackNever

// The number of a broadcast is always written in nine bytes, so that it can be
// read from the end of one that is not of interest otherwise.
const seqLen = 9

func appendSeq(dst []byte, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, 0xcf), seq)
}

// lastSeq returns the number of a broadcast, or 0.
func lastSeq(payload string) uint64 {
	n := len(payload)
	if n <= seqLen || payload[0] != 0x94 || payload[n-seqLen] != 0xcf {
		return 0
	}
	cur := cursor{s: payload[n-seqLen:]}
	return toSeq(cur.number())
}

// unread is a broadcast that nobody here is to get: only its number counts.
func (c *codec) unread(uid, payload string) cluster.Message {
	m := cluster.Message{Namespace: c.namespace}
	if c.extension {
		m.From, m.Seq = nodeOf(uid), lastSeq(payload)
	}
	return m
}

// statement reads what was said to this node alone, in the form in which it is
// said to all.
func (c *codec) statement(s string) (cluster.Message, error) {
	if s != "" && s[0]>>4 == 0x9 {
		return c.broadcast(s)
	}
	return c.request(s)
}
