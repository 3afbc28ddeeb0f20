package cluster

import (
	"context"
	"sync/atomic"
)

// Solo is the adapter of a server that is alone.
type Solo struct{}

// Open returns a link without others; it never calls the receiver's Receive.
func (Solo) Open(_ string, _ NodeID, r Receiver) Link {
	if r != nil {
		r.Subscribed(false)
	}
	return &soloLink{}
}

type soloLink struct{ closed atomic.Bool }

func (l *soloLink) err() error {
	if l.closed.Load() {
		return ErrClosed
	}
	return nil
}

func (l *soloLink) Ready(context.Context) error              { return l.err() }
func (l *soloLink) Publish(Message) error                    { return l.err() }
func (l *soloLink) Send(ReplyTo, Message) error              { return l.err() }
func (l *soloLink) Members(context.Context) (Members, error) { return Members{}, l.err() }
func (l *soloLink) Close() error                             { l.closed.Store(true); return nil }
