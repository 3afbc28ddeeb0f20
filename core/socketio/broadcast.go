package socketio

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/parser"
)

// PartialError says which answers are missing; see cluster.PartialError.
type PartialError = cluster.PartialError

// BroadcastOperator acts on the sockets of a namespace, on all nodes. It is an
// immutable value: each modifier returns another one, so that an operator can
// be kept and used from any goroutine. The methods of the zero value return
// ErrClosed.
type BroadcastOperator struct{ operator }

// operator is what namespaces embed. It is no alias of BroadcastOperator, so
// that the documentation of each type that has its methods lists them.
type operator struct {
	ns      *Namespace
	target  cluster.Target
	scoped  bool // To was called: no rooms means nobody
	timeout time.Duration
}

// To narrows to the members of any of the rooms; several calls add up, and
// each socket is reached once. An operator that was given only empty lists
// reaches nobody.
func (o operator) To(rooms ...string) BroadcastOperator {
	o.target.Rooms = union(o.target.Rooms, rooms)
	o.scoped = true
	return BroadcastOperator{o}
}

// In is To.
func (o operator) In(rooms ...string) BroadcastOperator { return o.To(rooms...) }

// Except leaves out the members of the rooms. A socket's id is a room.
func (o operator) Except(rooms ...string) BroadcastOperator {
	o.target.Except = union(o.target.Except, rooms)
	return BroadcastOperator{o}
}

// Local keeps to the sockets of this node.
func (o operator) Local() BroadcastOperator {
	o.target.Local = true
	return BroadcastOperator{o}
}

// Volatile lets a socket miss an event that its connection cannot take at
// once.
func (o operator) Volatile() BroadcastOperator {
	o.target.Volatile = true
	return BroadcastOperator{o}
}

// Compress says whether events may be compressed.
func (o operator) Compress(on bool) BroadcastOperator {
	o.target.Compress = &on
	return BroadcastOperator{o}
}

// Timeout bounds the waiting for acknowledgements.
func (o operator) Timeout(d time.Duration) BroadcastOperator {
	o.timeout = d
	return BroadcastOperator{o}
}

// union returns a new slice with what is in a or b, each once.
func union(a, b []string) []string {
	out := slices.Clip(a)
	for _, x := range b {
		if !slices.Contains(out, x) {
			out = append(out, x)
		}
	}
	return out
}

// nobody reports whether the operator selects no socket at all.
func (o operator) nobody() bool { return o.scoped && len(o.target.Rooms) == 0 }

// Emit sends an event to the selected sockets. The sockets of this node have
// it queued when Emit returns, or get it when it comes back from the adapter's
// log (Recovery). It does not wait for the other nodes: an error that wraps
// ErrNotPropagated says that they will not get it.
func (o operator) Emit(event string, args ...any) error {
	p, err := o.packet(event, args)
	if err != nil || o.nobody() {
		return err
	}
	if r := o.ns.recovery; r != nil {
		return r.broadcast(&o.target, p)
	}
	o.ns.fanOut(o.ns.rooms.Select(&o.target), o.target.Volatile, p, p)
	return propagated(o.ns.member.Broadcast(o.target, p))
}

// Send emits "message".
func (o operator) Send(args ...any) error { return o.Emit("message", args...) }

// Reply is one socket's acknowledgement of a broadcast. Node and SocketID are
// empty when a Node.js server reported it.
type Reply struct {
	SocketID string
	Node     cluster.NodeID
	Args
}

// EmitWithAck sends an event and waits for the acknowledgements of all selected
// sockets, until the earlier of ctx's end and the operator's Timeout; with
// neither, 10 s. Replies come in the order of their arrival. When some are
// missing, those that came are returned with a *PartialError.
func (o operator) EmitWithAck(ctx context.Context, event string, args ...any) ([]Reply, error) {
	p, err := o.packet(event, args)
	if err != nil || o.nobody() {
		return nil, err
	}
	ctx, cancel := ackContext(ctx, o.timeout)
	defer cancel()
	if deadline, ok := ctx.Deadline(); ok {
		o.target.Timeout = max(time.Until(deadline).Round(time.Millisecond), time.Millisecond)
	}
	p.ID, p.HasID = o.ns.acks.Add(1)-1, true
	answers, err := o.ns.member.BroadcastWithAck(ctx, o.target, p)
	replies := make([]Reply, len(answers))
	for i, a := range answers {
		replies[i] = Reply{SocketID: a.SocketID, Node: a.Node, Args: a.Args}
	}
	return replies, err
}

func (o operator) packet(event string, args []any) (*parser.Packet, error) {
	if o.ns == nil {
		return nil, ErrClosed
	}
	payload, err := o.ns.server.encodeEvent(event, args)
	if err != nil {
		return nil, err
	}
	return &parser.Packet{Type: parser.Event, Namespace: o.ns.name, Payload: payload}, nil
}

// propagated marks an error of the other nodes' half.
func propagated(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, cluster.ErrClosed):
		return fmt.Errorf("%w: %w", ErrNotPropagated, ErrClosed)
	}
	return fmt.Errorf("%w: %w", ErrNotPropagated, err)
}

// SocketsJoin makes the selected sockets join rooms, those of this node at
// once.
func (o operator) SocketsJoin(rooms ...string) error {
	if o.ns == nil {
		return ErrClosed
	}
	if o.nobody() || len(rooms) == 0 {
		return nil
	}
	return propagated(o.ns.member.JoinRooms(o.target, rooms))
}

// SocketsLeave makes the selected sockets leave rooms.
func (o operator) SocketsLeave(rooms ...string) error {
	if o.ns == nil {
		return ErrClosed
	}
	if o.nobody() || len(rooms) == 0 {
		return nil
	}
	return propagated(o.ns.member.LeaveRooms(o.target, rooms))
}

// DisconnectSockets does Socket.Disconnect to the selected sockets.
func (o operator) DisconnectSockets() error { return o.disconnect(false) }

// DisconnectConns does Socket.DisconnectConn to the selected sockets.
func (o operator) DisconnectConns() error { return o.disconnect(true) }

func (o operator) disconnect(closeConn bool) error {
	if o.ns == nil {
		return ErrClosed
	}
	if o.nobody() {
		return nil
	}
	return propagated(o.ns.member.Disconnect(o.target, closeConn))
}

// FetchSockets describes the selected sockets. What has come in is returned
// also with an error, which is a *PartialError when nodes did not answer.
func (o operator) FetchSockets(ctx context.Context) ([]*RemoteSocket, error) {
	if o.ns == nil {
		return nil, ErrClosed
	}
	if o.nobody() {
		return nil, nil
	}
	if o.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.timeout)
		defer cancel()
	}
	var sockets []*RemoteSocket
	for _, in := range (*delivery)(o.ns).Sockets(&o.target, false) {
		sockets = append(sockets, o.ns.remote(o.ns.server.cfg.NodeID, &in))
	}
	found, err := o.ns.member.FetchSockets(ctx, o.target)
	for i := range found {
		sockets = append(sockets, o.ns.remote(found[i].Node, &found[i].SocketInfo))
	}
	return sockets, err
}

// Count counts the selected sockets, on all nodes: how many are in a room, or
// online. What was counted is returned also with an error, which is a
// *PartialError when nodes did not answer. It is cheaper than FetchSockets: in
// memory and in the classic mode of the Redis adapter nodes answer with ids
// alone, unless the operator excepts somebody.
func (o operator) Count(ctx context.Context) (int, error) {
	if o.ns == nil {
		return 0, ErrClosed
	}
	if o.nobody() {
		return 0, nil
	}
	if o.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.timeout)
		defer cancel()
	}
	n, err := o.ns.member.CountSockets(ctx, o.target)
	return len(o.ns.rooms.Select(&o.target)) + n, err
}
