package engineio

import (
	"errors"
	"sync/atomic"
)

// Stats is a snapshot of a server's counters. All but Sessions only grow.
type Stats struct {
	Sessions      int               // open now
	Opened        uint64            // sessions ever opened
	Closed        map[Reason]uint64 // sessions ended, by reason; other reasons than this package's under ""
	Rejected      map[Code]uint64   // requests refused, by code
	Upgrades      uint64            // sessions that moved to WebSocket
	SlowConsumers uint64            // sessions closed because of ErrSlowConsumer
	Panics        uint64            // panics recovered from accept and handlers

	MessagesIn, MessagesOut uint64 // application messages; out also counts the server's own packets
	BytesIn, BytesOut       uint64 // their payload; out as framed for WebSocket
}

type counters struct {
	opened, upgrades, slow, panics atomic.Uint64
	closed                         [len(reasons) + 1]atomic.Uint64
	rejected                       [codes]atomic.Uint64

	messagesIn, bytesIn   atomic.Uint64
	messagesOut, bytesOut atomic.Uint64
}

func (c *counters) sent(b *Batch) {
	c.messagesOut.Add(uint64(b.count))
	c.bytesOut.Add(uint64(len(b.wire)))
}

func (c *counters) received(m Message) {
	c.messagesIn.Add(1)
	c.bytesIn.Add(uint64(len(m.Data)))
}

func (c *counters) ended(reason Reason, err error) {
	at := len(reasons)
	for i, r := range reasons {
		if r == reason {
			at = i
		}
	}
	c.closed[at].Add(1)
	if errors.Is(err, ErrSlowConsumer) {
		c.slow.Add(1)
	}
}

// Stats returns the server's counters.
func (srv *Server) Stats() Stats {
	c := &srv.counters
	s := Stats{
		Sessions: srv.Len(),
		Opened:   c.opened.Load(),
		Closed:   make(map[Reason]uint64, len(c.closed)),
		Rejected: make(map[Code]uint64, len(c.rejected)),
		Upgrades: c.upgrades.Load(), SlowConsumers: c.slow.Load(), Panics: c.panics.Load(),
		MessagesIn: c.messagesIn.Load(), BytesIn: c.bytesIn.Load(),
		MessagesOut: c.messagesOut.Load(), BytesOut: c.bytesOut.Load(),
	}
	for i := range c.closed {
		if i < len(reasons) {
			s.Closed[reasons[i]] = c.closed[i].Load()
		} else if n := c.closed[i].Load(); n > 0 {
			s.Closed[""] = n
		}
	}
	for i := range c.rejected {
		s.Rejected[Code(i)] = c.rejected[i].Load()
	}
	return s
}
