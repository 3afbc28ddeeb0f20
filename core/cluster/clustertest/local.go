package clustertest

import (
	"slices"
	"sync"
	"time"

	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/parser"
)

// event is something a node's Local was asked to do.
type event struct {
	op     string
	target cluster.Target
	rooms  []string
	name   string // of the packet or server-side event
	text   string // first argument
	binary []byte // second argument
	close  bool
}

// local is a namespace's local half made of names: sockets with rooms, which
// record what happens to them.
type local struct {
	// answer is what the sockets here acknowledge a broadcast with: the
	// arguments, or false to keep silent. Set before use.
	answer func(id string) (arg string, ok bool)
	// serve answers server-side events. Set before use.
	serve func(name, arg string) (reply string, ok bool)

	// watch and unwatch are those of a link that subscribes room by room. Set
	// before use.
	watch   func(room string) (ready <-chan struct{})
	unwatch func(room string)

	events chan event

	mu      sync.Mutex // guards the following
	sockets map[string]map[string]bool
}

func newLocal() *local {
	return &local{
		events: make(chan event, 10_000), sockets: make(map[string]map[string]bool),
		watch: func(string) <-chan struct{} { return nil }, unwatch: func(string) {},
	}
}

var _ cluster.Local = (*local)(nil)

// add adds a socket with its rooms and waits until they are heard.
func (l *local) add(id string, rooms ...string) {
	l.mu.Lock()
	l.sockets[id] = make(map[string]bool)
	var waits []<-chan struct{}
	for _, r := range append(rooms, id) {
		if ready := l.enter(id, r); ready != nil {
			waits = append(waits, ready)
		}
	}
	l.mu.Unlock()
	for _, ready := range waits {
		select {
		case <-ready:
		case <-time.After(patience): // what is missed then fails the test
		}
	}
}

// enter is called with mu.
func (l *local) enter(id, room string) (ready <-chan struct{}) {
	if l.sockets[id][room] {
		return nil
	}
	l.sockets[id][room] = true
	return l.watch(room)
}

// exit is called with mu.
func (l *local) exit(id, room string) {
	if l.sockets[id][room] {
		delete(l.sockets[id], room)
		l.unwatch(room)
	}
}

func (l *local) rooms(id string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var rooms []string
	for r := range l.sockets[id] {
		rooms = append(rooms, r)
	}
	slices.Sort(rooms)
	return rooms
}

// match returns the ids of the target's sockets, sorted.
func (l *local) match(t *cluster.Target) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var ids []string
	for id, in := range l.sockets {
		if t.Match(func(r string) bool { return in[r] }) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func (l *local) record(op string, t *cluster.Target, p parser.Payload) {
	e := event{op: op, target: *t}
	name, args, err := p.Event()
	if err != nil {
		e.name = "undecodable: " + err.Error()
	} else {
		e.name = name
		if args.Len() > 0 {
			_ = args.Scan(&e.text)
		}
		if args.Len() > 1 {
			_ = args.Scan(nil, &e.binary)
		}
	}
	l.events <- e
}

func (l *local) Deliver(t *cluster.Target, p *parser.Packet) { l.record("deliver", t, p.Payload) }

func (l *local) DeliverWithAck(t *cluster.Target, p *parser.Packet, settled func(string, parser.Args, bool)) (int, func()) {
	l.record("deliver-ack", t, p.Payload)
	ids := l.match(t)
	for _, id := range ids {
		if l.answer == nil {
			continue
		}
		if arg, ok := l.answer(id); ok {
			args, err := parser.MakeArgs(arg)
			if err != nil {
				panic(err)
			}
			settled(id, args, false)
		}
	}
	return len(ids), func() {}
}

func (l *local) Join(t *cluster.Target, rooms []string) int {
	ids := l.match(t)
	l.mu.Lock()
	for _, id := range ids {
		for _, r := range rooms {
			l.enter(id, r)
		}
	}
	l.mu.Unlock()
	l.events <- event{op: "join", target: *t, rooms: rooms}
	return len(ids)
}

func (l *local) Leave(t *cluster.Target, rooms []string) int {
	ids := l.match(t)
	l.mu.Lock()
	for _, id := range ids {
		for _, r := range rooms {
			l.exit(id, r)
		}
	}
	l.mu.Unlock()
	l.events <- event{op: "leave", target: *t, rooms: rooms}
	return len(ids)
}

func (l *local) Disconnect(t *cluster.Target, closeConn bool) int {
	ids := l.match(t)
	l.mu.Lock()
	for _, id := range ids {
		for r := range l.sockets[id] {
			l.exit(id, r)
		}
		delete(l.sockets, id)
	}
	l.mu.Unlock()
	l.events <- event{op: "disconnect", target: *t, close: closeConn}
	return len(ids)
}

func (l *local) Sockets(t *cluster.Target, _ bool) []cluster.SocketInfo {
	var infos []cluster.SocketInfo
	for _, id := range l.match(t) {
		infos = append(infos, cluster.SocketInfo{
			ID:    id,
			Rooms: l.rooms(id),
			Data:  []byte(`{"name":"` + id + `"}`),
			Handshake: cluster.HandshakeInfo{
				Headers: map[string]string{"user-agent": "clustertest"},
				Time:    "Thu Jan 01 2026 00:00:00 GMT+0000 (Coordinated Universal Time)",
				Address: "127.0.0.1", Secure: true, Issued: 1767225600000,
				URL: "/socket.io/?EIO=4", Query: map[string]string{"EIO": "4"},
				Auth: []byte(`{"token":"x"}`),
			},
		})
	}
	return infos
}

func (l *local) Rooms() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := make(map[string]bool)
	var rooms []string
	for _, in := range l.sockets {
		for r := range in {
			if !seen[r] {
				seen[r] = true
				rooms = append(rooms, r)
			}
		}
	}
	return rooms
}

func (l *local) HasRoom(room string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, in := range l.sockets {
		if in[room] {
			return true
		}
	}
	return false
}

func (l *local) ServerSide(_ cluster.NodeID, p parser.Payload, reply func(parser.Args)) {
	l.record("serverside", &cluster.Target{}, p)
	if reply == nil || l.serve == nil {
		return
	}
	name, args, err := p.Event()
	if err != nil {
		return
	}
	var arg string
	if args.Len() > 0 {
		_ = args.Scan(&arg)
	}
	if answer, ok := l.serve(name, arg); ok {
		out, err := parser.MakeArgs(answer)
		if err != nil {
			panic(err)
		}
		reply(out)
	}
}
