package main

import (
	"bytes"

	"github.com/dunlin-io/dunlin/core/engineio"
)

// echo sends every message back.
type echo struct{ session *engineio.Session }

func newEcho(s *engineio.Session) engineio.Handler { return echo{s} }

// HandleMessage implements engineio.Handler.
func (e echo) HandleMessage(m engineio.Message) {
	m.Data = bytes.Clone(m.Data)
	_ = e.session.Send(engineio.NewBatch(m)) // the session closes when it cannot
}

// HandleClose implements engineio.Handler.
func (e echo) HandleClose(engineio.Reason, error) {}
