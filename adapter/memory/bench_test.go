package memory_test

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/dunlin-io/dunlin/adapter/memory"
	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/parser"
)

// counter is a Local that counts what is delivered.
type counter struct {
	here
	delivered atomic.Uint64
}

func (c *counter) Deliver(*cluster.Target, *parser.Packet) { c.delivered.Add(1) }

// speaker is a member that broadcasts to others.
type speaker struct {
	*cluster.Member
	packet *parser.Packet
	heard  []*counter
	said   uint64
}

func newSpeaker(b *testing.B, hub *memory.Hub, others int) *speaker {
	b.Helper()
	event, err := parser.MakeEvent("chat", "Hello everyone, how are you doing today?", int64(1763820000123))
	if err != nil {
		b.Fatal(err)
	}
	s := &speaker{packet: &parser.Packet{Type: parser.Event, Namespace: "/", Payload: event.EventPayload()}}
	open := func(id cluster.NodeID, local cluster.Local) *cluster.Member {
		m := cluster.Open(hub, cluster.MemberConfig{Namespace: "/", Self: id, Local: local})
		b.Cleanup(func() { _ = m.Close() })
		return m
	}
	for i := range others {
		s.heard = append(s.heard, &counter{})
		open(cluster.NodeID(fmt.Sprintf("node-%d", i)), s.heard[i])
	}
	s.Member = open("speaker", &counter{})
	s.say(b)
	s.settle()
	return s
}

func (s *speaker) say(b *testing.B) {
	b.Helper()
	if err := s.Broadcast(cluster.Target{}, s.packet); err != nil {
		b.Fatal(err)
	}
	s.said++
}

// settle waits until everybody has heard everything.
func (s *speaker) settle() {
	for _, c := range s.heard {
		for c.delivered.Load() < s.said {
			runtime.Gosched()
		}
	}
}

// BenchmarkNumbering broadcasts to other nodes: each message is numbered and
// kept, and its number looked at where it arrives.
func BenchmarkNumbering(b *testing.B) {
	for _, others := range []int{1, 5} {
		b.Run(fmt.Sprintf("nodes=%d", others), func(b *testing.B) {
			s := newSpeaker(b, memory.New(), others)
			b.ReportAllocs()
			for b.Loop() {
				s.say(b)
				if s.said%1000 == 0 { // mailboxes are bounded
					s.settle()
				}
			}
			s.settle()
		})
	}
}

// BenchmarkRepair loses the first of several messages to one node: it is found
// missing, asked for and said again, while the others wait for it.
func BenchmarkRepair(b *testing.B) {
	for _, waiting := range []int{1, 100} {
		b.Run(fmt.Sprintf("waiting=%d", waiting), func(b *testing.B) {
			hub := memory.New()
			s := newSpeaker(b, hub, 1)
			before := hub.FaultCounts().Lost
			b.ReportAllocs()
			for b.Loop() {
				hub.SetFaults("speaker", "node-0", memory.Faults{LoseNext: 1})
				for range 1 + waiting {
					s.say(b)
				}
				s.settle()
			}
			if lost := hub.FaultCounts().Lost - before; lost != uint64(b.N) {
				b.Fatalf("%d messages were lost, want %d", lost, b.N)
			}
		})
	}
}
