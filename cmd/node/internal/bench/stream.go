package bench

import (
	"context"
	"sync/atomic"
	"time"
)

// stream is a sequence of messages, numbered from 1, that one client emits and
// that the same clients should all receive.
type stream struct {
	id        uint32
	run       *run
	from      *client
	receivers int
	head      string // what stands before the payload: see appendPacket
	ack       bool   // the answer to the event is what is received

	sent    atomic.Uint64 // the last number
	unheard atomic.Int64  // receivers that have not heard message 0

	// slots are as many messages as may be in flight: message n uses slot
	// n modulo their number. None when messages leave at fixed times.
	slots []slot

	payload, text []byte // for emit
}

// slot is a message in flight. state is its number and, in the last leftBits,
// how many receivers are still without it.
type slot struct {
	state atomic.Uint64
	done  chan struct{} // has a token when the slot is free
}

const leftBits = 20

// limit lets n messages be in flight.
func (s *stream) limit(n int) {
	s.slots = make([]slot, n)
	for i := range s.slots {
		s.slots[i].done = make(chan struct{}, 1)
		s.slots[i].done <- struct{}{}
	}
}

// settle notes that one more receiver has message seq.
func (s *stream) settle(seq uint64) {
	if len(s.slots) == 0 {
		return
	}
	slot := &s.slots[seq%uint64(len(s.slots))]
	for {
		state := slot.state.Load()
		if state>>leftBits != seq || state&(1<<leftBits-1) == 0 {
			return // given up
		}
		if !slot.state.CompareAndSwap(state, state-1) {
			continue
		}
		if (state-1)&(1<<leftBits-1) == 0 {
			select {
			case slot.done <- struct{}{}:
			default:
			}
		}
		return
	}
}

// speak emits messages until ctx ends: as fast as the slots allow, or every
// interval from start.
func (s *stream) speak(ctx context.Context, start time.Time, interval time.Duration) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for seq := uint64(1); ; seq++ {
		var due time.Time
		if interval > 0 {
			due = start.Add(time.Duration(seq-1) * interval) //nolint:gosec // far from 1<<63 in a day
			if !sleep(ctx, timer, time.Until(due)) {
				return
			}
		} else {
			if !s.reserve(ctx, timer, seq) {
				return
			}
			due = time.Now()
		}
		s.sent.Store(seq)
		if s.emit(seq, due) != nil {
			return // the reader says why
		}
	}
}

// reserve waits until message seq may be in flight. What takes longer than the
// timeout is missing, and makes room.
func (s *stream) reserve(ctx context.Context, timer *time.Timer, seq uint64) bool {
	slot := &s.slots[seq%uint64(len(s.slots))]
	select {
	case <-slot.done:
	default:
		timer.Reset(s.run.cfg.Timeout)
		select {
		case <-slot.done:
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	slot.state.Store(seq<<leftBits | uint64(s.receivers)) //nolint:gosec // a count
	return ctx.Err() == nil
}

// emit sends one message. Calls come one at a time.
func (s *stream) emit(seq uint64, due time.Time) error {
	cfg := s.run.cfg
	s.payload = s.run.format.append(s.payload[:0], stamp{s.id, seq, due.Sub(s.run.epoch)})
	s.text = appendPacket(s.text[:0], cfg.Namespace, seq, s.ack, s.head, s.payload, cfg.Binary)
	if !cfg.Binary {
		return s.from.conn.writeEvent(s.text, nil)
	}
	return s.from.conn.writeEvent(s.text, s.payload)
}

// sleep waits for d with a timer of its own and reports whether ctx goes on.
func sleep(ctx context.Context, timer *time.Timer, d time.Duration) bool {
	if d > 0 {
		timer.Reset(d)
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	return ctx.Err() == nil
}
