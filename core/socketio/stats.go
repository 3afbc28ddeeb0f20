package socketio

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/dunlin-io/dunlin/core/engineio"
)

// Stats is what a server has counted since it was made, and what there is now.
type Stats struct {
	Engine     engineio.Stats
	Namespaces int
	Sockets    int // connected, in all namespaces

	Connected           uint64            // sockets that joined a namespace
	Refused             uint64            // CONNECT answered with an error
	Disconnected        map[Reason]uint64 // sockets that left
	EventsIn            uint64            // events from clients
	Delivered           uint64            // broadcasts handed to sockets here, one for each socket
	VolatileDropped     uint64            // volatile events that a connection could not take
	Undecodable         uint64            // connections closed for a packet that is none
	Panics              uint64            // in handlers
	Gaps                uint64            // how often messages of other nodes were or may have been lost
	Missed              uint64            // messages of other nodes that are known to be lost
	Repaired            uint64            // messages of other nodes that came only when they were asked for again
	ServerEventsDropped uint64            // server-side events over Limits.ServerEvents

	// Recoveries counts the sockets whose clients claimed an earlier session, by
	// what came of it.
	Recoveries    map[RecoveryReason]uint64
	Unrecorded    uint64 // events that the adapter's log did not take in time, delivered without an offset
	SessionErrors uint64 // failures to save sessions in the adapter's store
}

type counters struct {
	connected, refused, eventsIn, delivered, volatileDropped atomic.Uint64
	undecodable, panics, gaps, missed, serverEventsDropped   atomic.Uint64
	unrecorded, sessionErrors                                atomic.Uint64

	mu         sync.Mutex // guards the following
	reasons    map[Reason]uint64
	recoveries map[RecoveryReason]uint64
}

func (c *counters) recovery(r RecoveryReason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.recoveries == nil {
		c.recoveries = make(map[RecoveryReason]uint64)
	}
	c.recoveries[r]++
}

func (c *counters) disconnected(r Reason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reasons == nil {
		c.reasons = make(map[Reason]uint64)
	}
	c.reasons[r]++
}

// Stats returns the server's counters.
func (s *Server) Stats() Stats {
	c := &s.stats
	st := Stats{
		Engine:              s.engine.Stats(),
		Connected:           c.connected.Load(),
		Refused:             c.refused.Load(),
		Disconnected:        make(map[Reason]uint64),
		EventsIn:            c.eventsIn.Load(),
		Delivered:           c.delivered.Load(),
		VolatileDropped:     c.volatileDropped.Load(),
		Undecodable:         c.undecodable.Load(),
		Panics:              c.panics.Load(),
		Gaps:                c.gaps.Load(),
		Missed:              c.missed.Load(),
		ServerEventsDropped: c.serverEventsDropped.Load(),
		Recoveries:          make(map[RecoveryReason]uint64),
		Unrecorded:          c.unrecorded.Load(),
		SessionErrors:       c.sessionErrors.Load(),
	}
	c.mu.Lock()
	maps.Copy(st.Disconnected, c.reasons)
	maps.Copy(st.Recoveries, c.recoveries)
	c.mu.Unlock()
	for _, n := range s.all() {
		st.Namespaces++
		st.Sockets += n.Len()
		st.Repaired += n.member.RepairStats().Repaired
	}
	return st
}
