package socketio_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/dunlin-io/dunlin/core/socketio"
)

// poll is a namespace in which people vote: state, and methods that handle its
// events.
type poll struct {
	mu    sync.Mutex // guards the following
	votes map[string]string
}

// register puts the poll's handlers on a namespace.
func (p *poll) register(ns *socketio.Namespace) {
	ns.Use(p.admit)
	socketio.Handle(ns, "vote", p.vote)
	ns.On("results", p.results)
	ns.OnDisconnect(p.left)
}

func (p *poll) admit(s *socketio.Socket) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.votes) >= 100 {
		return &socketio.ConnectError{Message: "the poll is full"}
	}
	return nil
}

func (p *poll) vote(_ context.Context, s *socketio.Socket, choice string) (total int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.votes[s.ID()] = choice
	return len(p.votes), nil
}

func (p *poll) results(ev *socketio.Event) {
	p.mu.Lock()
	votes := slices.Sorted(maps.Values(p.votes))
	p.mu.Unlock()
	_ = ev.Ack(votes)
}

func (p *poll) left(s *socketio.Socket, _ socketio.Reason) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.votes, s.ID())
}

// A namespace with state of its own: a struct whose methods are the handlers.
// It can be registered on any number of namespaces, each with a value of its
// own, and tested without a server.
func Example_struct() {
	for _, name := range []string{"/lunch", "/dinner"} {
		p := &poll{votes: make(map[string]string)}
		p.register(srv.Of(name))
		fmt.Println(srv.Of(name).Listeners().Events)
	}
	// Output:
	// map[results:1 vote:1]
	// map[results:1 vote:1]
}
