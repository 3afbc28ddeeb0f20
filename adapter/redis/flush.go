package redisadapter

import (
	"context"
	"fmt"
	"sync"

	"github.com/dunlin-io/dunlin/core/cluster"
)

// losses are the messages of one link that were lost since they were taken last.
type losses struct {
	mu       sync.Mutex // guards the following
	messages int
	reason   DropReason // of the last
	cause    error
}

// lose tells the link that published the message.
func (o *outgoing) lose(reason DropReason, cause error) {
	l := o.losses
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.messages++
	l.reason, l.cause = reason, cause
}

func (l *losses) take() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.messages == 0 {
		return nil
	}
	lost := &cluster.LostError{Messages: l.messages, Err: lossError(l.reason, l.cause)}
	l.messages, l.cause = 0, nil
	return lost
}

func lossError(reason DropReason, cause error) error {
	if cause == nil {
		return fmt.Errorf("redis: %s", reason)
	}
	return fmt.Errorf("redis: %s: %w", reason, cause)
}

// Flush implements cluster.Flusher.
func (l *link) Flush(ctx context.Context) error {
	if l.refused != nil {
		return l.refused
	}
	err := l.adapter.pub.flush(ctx)
	if lost := l.losses.take(); lost != nil {
		return lost
	}
	return err
}

// flush waits until nothing is on its way that was put before the call.
func (p *publisher) flush(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for last := p.next; p.oldest() < last; {
		if p.progress == nil {
			p.progress = make(chan struct{})
		}
		progress := p.progress
		p.mu.Unlock()
		select {
		case <-progress:
		case <-ctx.Done():
		}
		p.mu.Lock()
		if ctx.Err() == nil {
			continue
		}
		waiting := last - p.oldest()
		if waiting == 0 {
			return nil
		}
		if p.down != nil {
			return fmt.Errorf("redis: %d messages have not left: %w: %w", waiting, ctx.Err(), p.down)
		}
		return fmt.Errorf("redis: %d messages have not left: %w", waiting, ctx.Err())
	}
	return nil
}

// oldest returns the number of the first message that has neither left nor is
// lost, or of the next one that will be put. The caller holds mu.
func (p *publisher) oldest() uint64 {
	switch {
	case p.sending != nil:
		return p.sending.number
	case p.head < len(p.queue):
		return p.queue[p.head].number
	}
	return p.next
}

// advance tells flush to look again. The caller holds mu.
func (p *publisher) advance() {
	if p.progress != nil {
		close(p.progress)
		p.progress = nil
	}
}
