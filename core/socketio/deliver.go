package socketio

import (
	"slices"

	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/parser"
)

// delivery is the namespace as the cluster sees it: the half that lives here.
type delivery Namespace

var _ cluster.Local = (*delivery)(nil)

// deliver sends an event of another node to the target's sockets here.
func (n *Namespace) deliver(t *cluster.Target, p *parser.Packet) error {
	if n.recovery != nil {
		return n.recovery.deliver(t, p)
	}
	n.fanOut(n.rooms.Select(t), t.Volatile, p, p)
	return nil
}

// fanOut encodes once, and hands the same bytes to everyone. Listeners see
// shown, clients get wire.
func (n *Namespace) fanOut(sockets []*Socket, volatile bool, shown, wire *parser.Packet) {
	if len(sockets) == 0 {
		return
	}
	b, err := n.server.encode(wire)
	if err != nil {
		n.server.cfg.Logger.Error("encode broadcast", "namespace", n.name, "err", err)
		return
	}
	for _, s := range sockets {
		_ = s.deliver(shown, b, volatile) // a socket that has just left misses it
	}
	n.server.stats.delivered.Add(uint64(len(sockets)))
}

// gather begins a burst that ends when its goroutine gets to run: on a busy
// machine after the receive loop of an adapter has worked off what it has read
// from the network, otherwise at once. What arrives while the burst is written
// gathers in its turn.
func (s *Server) gather() {
	if s.gathering.Swap(true) {
		return
	}
	burst := s.engine.Burst()
	// The goroutine ends as soon as nothing more arrives; Shutdown waits for it.
	s.tasks.Go(func() {
		for s.engine.Flush() {
		}
		s.gathering.Store(false)
		burst.End()
	})
}

// Deliver implements cluster.Local.
func (d *delivery) Deliver(t *cluster.Target, p *parser.Packet) {
	d.server.gather()
	own := *p
	own.Namespace = d.name
	if err := (*Namespace)(d).deliver(t, &own); err != nil {
		d.server.cfg.Logger.Error("broadcast of another node dropped", "namespace", d.name, "err", err)
	}
}

// DeliverWithAck implements cluster.Local. A packet from another node carries
// that node's acknowledgement id; clients get one of this node.
func (d *delivery) DeliverWithAck(t *cluster.Target, p *parser.Packet,
	settled func(id string, args parser.Args, gone bool),
) (int, func()) {
	sockets := d.rooms.Select(t)
	if len(sockets) == 0 {
		return 0, func() {}
	}
	own := *p
	own.Namespace, own.ID, own.HasID = d.name, d.acks.Add(1)-1, true
	b, err := d.server.encode(&own)
	if err != nil {
		d.server.cfg.Logger.Error("encode broadcast", "namespace", d.name, "err", err)
		return 0, func() {}
	}
	d.server.gather()
	send := func(s *Socket) {
		settle := func(args parser.Args, err error) {
			settled(s.id, args, err != nil)
		}
		err := s.expect(own.ID, settle)
		if err == nil {
			if err = s.deliver(&own, b, t.Volatile); err == nil || !s.unexpect(own.ID) {
				return
			}
		}
		settle(parser.Args{}, err)
	}
	(*Namespace)(d).inOrder(func() {
		for _, s := range sockets {
			send(s)
		}
	})
	forget := func() {
		for _, s := range sockets {
			s.unexpect(own.ID)
		}
	}
	return len(sockets), forget
}

// Join implements cluster.Local.
func (d *delivery) Join(t *cluster.Target, rooms []string) int {
	sockets := d.rooms.Select(t)
	for _, s := range sockets {
		s.Join(rooms...)
	}
	return len(sockets)
}

// Leave implements cluster.Local.
func (d *delivery) Leave(t *cluster.Target, rooms []string) int {
	sockets := d.rooms.Select(t)
	for _, s := range sockets {
		s.Leave(rooms...)
	}
	return len(sockets)
}

// Disconnect implements cluster.Local.
func (d *delivery) Disconnect(t *cluster.Target, closeConn bool) int {
	sockets := d.rooms.Select(t)
	for _, s := range sockets {
		if closeConn {
			s.DisconnectConn()
		} else {
			s.Disconnect()
		}
	}
	return len(sockets)
}

// Sockets implements cluster.Local.
func (d *delivery) Sockets(t *cluster.Target, idsOnly bool) []cluster.SocketInfo {
	sockets := d.rooms.Select(t)
	infos := make([]cluster.SocketInfo, 0, len(sockets))
	for _, s := range sockets {
		in := cluster.SocketInfo{ID: s.id}
		if !idsOnly {
			in.Rooms = d.rooms.Of(s)
			in.Handshake = s.Handshake().info()
			s.mu.Lock()
			in.Data = slices.Clone(s.data)
			s.mu.Unlock()
		}
		infos = append(infos, in)
	}
	return infos
}

// Rooms implements cluster.Local.
func (d *delivery) Rooms() []string { return d.rooms.Names() }

// HasRoom implements cluster.Local.
func (d *delivery) HasRoom(room string) bool { return d.rooms.Has(room) }

// ServerSide implements cluster.Local.
func (d *delivery) ServerSide(from cluster.NodeID, p parser.Payload, reply func(parser.Args)) {
	d.serial.push(from, p, reply)
}
