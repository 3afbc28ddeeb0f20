package redisadapter

import "github.com/dunlin-io/dunlin/core/cluster"

// newBuffer returns a buffer of about the size that a message needs.
func newBuffer(m *cluster.Message) []byte {
	size := 128 + len(m.From)
	switch b := m.Body.(type) {
	case cluster.Broadcast:
		if b.Packet != nil {
			size += len(b.Packet.Payload.JSON)
			for _, a := range b.Packet.Payload.Attachments {
				size += len(a) + 8
			}
		}
		for _, r := range b.Target.Rooms {
			size += len(r) + 2
		}
		for _, r := range b.Target.Except {
			size += len(r) + 2
		}
	case cluster.Emit:
		size += len(b.Payload.JSON)
	case cluster.SocketsReply:
		size += 512 * len(b.Sockets)
	case cluster.Join, cluster.Leave, cluster.Disconnect, cluster.FetchSockets, cluster.Rooms, cluster.Leaving,
		cluster.AckCount, cluster.AckReply, cluster.RoomsReply, cluster.EmitReply, cluster.Applied,
		cluster.Again, cluster.Repeated, cluster.Said, cluster.Where:
	}
	return make([]byte, 0, size)
}
