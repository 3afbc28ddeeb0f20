package cluster_test

import (
	"slices"
	"testing"

	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/parser"
)

// listener is a node of which only the servers' own events are of interest.
type listener struct {
	cluster.Local
	heard int
}

func (l *listener) ServerSide(cluster.NodeID, parser.Payload, func(parser.Args)) { l.heard++ }

// JavaScript emitters write servers' events into the stream.
func TestLogMayHoldWhatIsNotRecorded(t *testing.T) {
	var recorded []cluster.Offset
	var local listener
	m := cluster.Open(cluster.Solo{}, cluster.MemberConfig{
		Namespace: "/", Self: "self", Local: &local,
		Recorded: func(m cluster.Message) { recorded = append(recorded, m.Offset) },
	})
	event, err := parser.MakeEvent("note")
	if err != nil {
		t.Fatal(err)
	}
	for _, msg := range []cluster.Message{
		{Offset: "1-0", Body: cluster.Broadcast{Packet: &parser.Packet{Type: parser.Event, Payload: event.EventPayload()}}},
		{Offset: "2-0", Body: cluster.Emit{Payload: event.EventPayload()}},
		{Offset: "3-0", From: "self", Body: cluster.Emit{Payload: event.EventPayload()}},
		{Offset: "4-0", Body: cluster.Join{Rooms: []string{"red"}}},
	} {
		m.Receive(msg)
	}
	if want := []cluster.Offset{"1-0", "4-0"}; !slices.Equal(recorded, want) {
		t.Errorf("recorded %v, want %v", recorded, want)
	}
	if local.heard != 1 {
		t.Errorf("heard %d events for servers, want the one of the other", local.heard)
	}
	if err := m.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}
