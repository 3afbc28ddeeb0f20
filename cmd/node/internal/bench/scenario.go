package bench

import (
	"encoding/json"
	"fmt"
)

// room returns the room of a client: they take turns over the rooms, each room
// with members at every address.
func (r *run) room(client int) string {
	if r.cfg.Scenario != "rooms" {
		return ""
	}
	return r.roomName(r.roomOf(client))
}

func (r *run) roomOf(client int) int { return client / len(r.targets) % r.cfg.Rooms }

// roomName differs from run to run: members of an earlier one may still be
// leaving.
func (r *run) roomName(i int) string { return fmt.Sprintf("bench-%08x-%d", r.id, i) }

// layOut says who emits what to whom.
func (r *run) layOut() {
	switch r.cfg.Scenario {
	case "echo":
		for _, c := range r.clients {
			s := r.stream(c, `["echo",`)
			s.ack = true
			s.reach(c)
		}
	case "broadcast":
		r.stream(r.clients[0], `["bcast",`).reach(r.clients...)
	case "cluster":
		for i := range r.targets {
			r.stream(r.clients[i], `["bcast",`).reach(r.clients...)
		}
	case "rooms":
		members := make([][]*client, r.cfg.Rooms)
		for i, c := range r.clients {
			members[r.roomOf(i)] = append(members[r.roomOf(i)], c)
		}
		for i, m := range members {
			name, _ := json.Marshal(r.roomName(i)) // a string always has a form
			r.stream(m[i%min(len(m), len(r.targets))], fmt.Sprintf(`["room",%s,`, name)).reach(m...)
		}
	}
}

// stream adds what one client emits.
func (r *run) stream(from *client, head string) *stream {
	s := &stream{run: r, id: uint32(len(r.streams)), from: from, head: head} //nolint:gosec // no more than clients
	r.streams = append(r.streams, s)
	r.unheard.Add(1)
	return s
}

// reach says who should receive it.
func (s *stream) reach(receivers ...*client) {
	s.receivers = len(receivers)
	s.unheard.Store(int64(len(receivers)))
	for _, c := range receivers {
		c.ledgers = append(c.ledgers, ledger{stream: s})
	}
}
