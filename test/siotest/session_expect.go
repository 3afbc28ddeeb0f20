package siotest

import (
	"fmt"
	"slices"
	"time"

	"github.com/dunlin-io/dunlin/core/parser"
)

// Expect takes the next message and compares it.
func (s *Session) Expect(text string) {
	s.t.Helper()
	if got := s.Next(); got.Binary || string(got.Data) != text {
		s.t.Fatalf("message %s, want %q", show(got), text)
	}
}

// ExpectBinary takes the next message and compares it.
func (s *Session) ExpectBinary(data []byte) {
	s.t.Helper()
	if got := s.Next(); !got.Binary || !slices.Equal(got.Data, data) {
		s.t.Fatalf("message %s, want binary %x", show(got), data)
	}
}

// Next takes the next message.
func (s *Session) Next() parser.Frame {
	s.t.Helper()
	got, ok := s.in.take(patience)
	if !ok {
		s.t.Fatalf("no message came within %v%s", patience, s.obituary())
	}
	return got
}

// ExpectNothing fails when a message comes within d, or the session ends.
func (s *Session) ExpectNothing(d time.Duration) {
	s.t.Helper()
	if got, ok := s.in.take(d); ok {
		s.t.Fatalf("message %s, want nothing for %v", show(got), d)
	}
	if r := s.Ended(); r != "" {
		s.t.Fatalf("the session ended: %s; want nothing for %v", r, d)
	}
}

// ExpectEnd waits until the session ends and compares why: "transport close"
// when the server ended it, "transport error" when the connection broke,
// "forced close" after Close.
func (s *Session) ExpectEnd(reason string) {
	s.t.Helper()
	over := make(chan string, 1)
	s.onEnd(func(r string) { over <- r })
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case got := <-over:
		if got != reason {
			s.t.Fatalf("the session ended with %q, want %q", got, reason)
		}
	case <-timer.C:
		s.t.Fatalf("the session did not end within %v", patience)
	}
}

func (s *Session) obituary() string {
	if r := s.Ended(); r != "" {
		return "; the session ended: " + r
	}
	return ""
}

func show(f parser.Frame) string {
	if f.Binary {
		return fmt.Sprintf("binary %x", f.Data)
	}
	return fmt.Sprintf("%q", f.Data)
}
