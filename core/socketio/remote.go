package socketio

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"net/url"

	"github.com/dunlin-io/dunlin/core/cluster"
)

// RemoteSocket describes a socket of any node as it was when it was fetched.
// Its methods act on the socket wherever it is; they do nothing when it has
// left.
type RemoteSocket struct {
	ID        string
	Node      cluster.NodeID // empty when a Node.js server reported it
	Handshake Handshake
	Rooms     []string

	data json.RawMessage
	op   BroadcastOperator
}

func (n *Namespace) remote(node cluster.NodeID, in *cluster.SocketInfo) *RemoteSocket {
	op := n.operator.To(in.ID)
	op.target.Single = true
	return &RemoteSocket{
		ID: in.ID, Node: node, Handshake: fromInfo(&in.Handshake), Rooms: in.Rooms, data: in.Data, op: op,
	}
}

// ScanData decodes what Socket.SetData had stored. Without data, dst stays as
// it is.
func (r *RemoteSocket) ScanData(dst any) error {
	if len(r.data) == 0 {
		return nil
	}
	return json.Unmarshal(r.data, dst)
}

// Emit sends an event to the socket.
func (r *RemoteSocket) Emit(event string, args ...any) error { return r.op.Emit(event, args...) }

// EmitWithAck sends an event and waits for the acknowledgement, like
// Socket.EmitWithAck. When the socket has left, the error is ErrDisconnected.
func (r *RemoteSocket) EmitWithAck(ctx context.Context, event string, args ...any) (Args, error) {
	replies, err := r.op.EmitWithAck(ctx, event, args...)
	if len(replies) > 0 {
		return replies[0].Args, nil
	}
	if err == nil || errors.Is(err, cluster.ErrGone) {
		return Args{}, ErrDisconnected
	}
	return Args{}, err
}

// Join makes the socket join rooms.
func (r *RemoteSocket) Join(rooms ...string) error { return r.op.SocketsJoin(rooms...) }

// Leave makes the socket leave rooms.
func (r *RemoteSocket) Leave(rooms ...string) error { return r.op.SocketsLeave(rooms...) }

// Disconnect does Socket.Disconnect.
func (r *RemoteSocket) Disconnect() error { return r.op.DisconnectSockets() }

// DisconnectConn does Socket.DisconnectConn.
func (r *RemoteSocket) DisconnectConn() error { return r.op.DisconnectConns() }

// parseURL reads a handshake's URL from another node; what is none is empty.
func parseURL(s string) *url.URL {
	u, err := url.Parse(s)
	if err != nil {
		return &url.URL{}
	}
	return u
}

// parseAddr reads an address as Node.js servers write it, without a port.
func parseAddr(s string) netip.AddrPort {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(a.Unmap(), 0)
}
