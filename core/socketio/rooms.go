package socketio

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/dunlin-io/dunlin/core/cluster"
)

// rooms is the two-way index between a namespace's sockets and their rooms. It
// holds connected sockets only. Each socket's own id is a room without an
// entry: it is found through byID.
type rooms struct {
	mu     sync.RWMutex // guards the following, and every Socket's in, at, heard and past
	byID   map[string]*Socket
	byName map[string]*room
	all    room
	closed bool

	// position is that of the latest event that has been handed out; nil
	// without recovery.
	position func() position
	// watch and unwatch follow which rooms have members here, sockets' ids
	// included; either both are nil or neither. They only note what is wanted and so run under mu.
	watch   func(room string) (ready <-chan struct{})
	unwatch func(room string)

	// marks guards every Socket's mark. It is taken after mu and held while a
	// selection over several rooms is made, never while it is used.
	marks sync.Mutex
	mark  uint64
}

// room is a set of sockets. members changes in place; snapshot is an immutable
// copy that lives until the next change, so that a broadcast walks it without
// a lock.
type room struct {
	name     string
	ready    <-chan struct{} // closed when the other nodes' messages arrive; nil: nothing to wait for
	members  []*Socket
	snapshot atomic.Pointer[[]*Socket]
}

// membership is a socket's place in a room: rm.members[at] is the socket.
type membership struct {
	rm    *room
	at    int
	since position // when it began; zero without recovery
}

func newRooms() *rooms {
	return &rooms{byID: make(map[string]*Socket), byName: make(map[string]*room)}
}

func (r *room) add(s *Socket) int {
	r.members = append(r.members, s)
	r.snapshot.Store(nil)
	return len(r.members) - 1
}

// remove takes out the member at i and returns the socket that took its place,
// or nil.
func (r *room) remove(i int) (moved *Socket) {
	last := len(r.members) - 1
	if i != last {
		moved = r.members[last]
		r.members[i] = moved
	}
	r.members[last] = nil
	r.members = r.members[:last]
	if cap(r.members) > 64 && len(r.members) < cap(r.members)/4 {
		r.members = slices.Clip(slices.Clone(r.members))
	}
	r.snapshot.Store(nil)
	return moved
}

// list returns the members as an immutable slice. The caller holds rooms.mu,
// for reading at least.
func (r *room) list() []*Socket {
	if p := r.snapshot.Load(); p != nil {
		return *p
	}
	l := slices.Clone(r.members)
	r.snapshot.Store(&l)
	return l
}

// Why insert fails.
var (
	errIDTaken     = errors.New("socketio: the id belongs to another socket")
	errRoomsClosed = errors.New("socketio: namespace deleted")
)

// insert adds a socket with its rooms and returns the rooms that are new.
func (r *rooms) insert(s *Socket, names []string) (created []string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, errRoomsClosed
	}
	if _, taken := r.byID[s.id]; taken {
		return nil, errIDTaken
	}
	r.byID[s.id] = s
	s.at = r.all.add(s)
	if r.watch != nil {
		s.heard = r.watch(s.id)
	}
	return r.join(s, names), nil
}

// close lets nobody in any more and returns who is there.
func (r *rooms) close() []*Socket {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	return r.all.list()
}

// delete takes a socket out of everything and returns the names of the rooms it
// was in and of those that are gone.
func (r *rooms) delete(s *Socket) (left, gone []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byID[s.id] != s {
		return nil, nil
	}
	delete(r.byID, s.id)
	if r.unwatch != nil {
		r.unwatch(s.id)
	}
	if moved := r.all.remove(s.at); moved != nil {
		moved.at = s.at
	}
	for len(s.in) > 0 {
		name := s.in[len(s.in)-1].rm.name
		left = append(left, name)
		if r.leave(s, len(s.in)-1) {
			gone = append(gone, name)
		}
	}
	slices.Reverse(left)
	return left, gone
}

// Join adds the socket to the named rooms and returns the rooms that are new.
// It is all or nothing: a socket that is not in the index, or would be in more
// than limit rooms, joins none.
func (r *rooms) Join(s *Socket, names []string, limit int) (created []string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byID[s.id] != s {
		return nil, ErrDisconnected
	}
	if len(s.in)+len(names) > limit && len(s.in)+r.additional(s, names) > limit {
		return nil, errTooManyRooms
	}
	return r.join(s, names), nil
}

// additional counts the rooms among names that the socket is not in.
func (r *rooms) additional(s *Socket, names []string) int {
	seen := make(map[string]bool, len(names))
	for _, name := range names {
		if name != s.id && s.place(r.byName[name]) < 0 {
			seen[name] = true
		}
	}
	return len(seen)
}

func (r *rooms) join(s *Socket, names []string) (created []string) {
	for _, name := range names {
		rm := r.byName[name]
		if name == s.id || s.place(rm) >= 0 {
			continue
		}
		if rm == nil {
			rm = &room{name: name}
			r.byName[name] = rm
			if r.watch != nil {
				rm.ready = r.watch(name)
			}
			created = append(created, name)
		}
		m := membership{rm: rm, at: rm.add(s)}
		if r.position != nil {
			m.since = r.position()
		}
		s.in = append(s.in, m)
	}
	return created
}

// Leave takes the socket out of the named rooms and returns the rooms that are
// gone. A socket cannot leave its own id.
func (r *rooms) Leave(s *Socket, names []string) (gone []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range names {
		i := s.place(r.byName[name])
		if i < 0 {
			continue
		}
		if r.position != nil {
			if s.past == nil {
				s.past = &presence{}
			}
			s.past.remember(stay{room: name, joined: s.in[i].since, left: forever})
		}
		if r.leave(s, i) {
			gone = append(gone, name)
		}
	}
	return gone
}

// leave ends the socket's i-th membership and reports whether the room is gone.
func (r *rooms) leave(s *Socket, i int) bool {
	m := s.in[i]
	if moved := m.rm.remove(m.at); moved != nil {
		moved.in[moved.place(m.rm)].at = m.at
	}
	s.in = slices.Delete(s.in, i, i+1)
	if len(m.rm.members) > 0 {
		return false
	}
	delete(r.byName, m.rm.name)
	if r.unwatch != nil {
		r.unwatch(m.rm.name)
	}
	return true
}

// place returns the index of the socket's membership in the room, or -1.
func (s *Socket) place(rm *room) int {
	for i := range s.in {
		if s.in[i].rm == rm {
			return i
		}
	}
	return -1
}

// Of returns the names of a socket's rooms, its id first.
func (r *rooms) Of(s *Socket) []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.byID[s.id] != s {
		return nil
	}
	names := make([]string, 0, len(s.in)+1)
	names = append(names, s.id)
	for i := range s.in {
		names = append(names, s.in[i].rm.name)
	}
	return names
}

// In reports whether the socket is in the room.
func (r *rooms) In(s *Socket, name string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.byID[s.id] == s && (name == s.id || s.place(r.byName[name]) >= 0)
}

// Presence returns since when a socket has been in its rooms, and where it was
// before.
func (r *rooms) Presence(s *Socket) presence {
	r.mu.RLock()
	defer r.mu.RUnlock()
	p := presence{id: s.id, rooms: make(map[string]position, len(s.in))}
	for i := range s.in {
		p.rooms[s.in[i].rm.name] = s.in[i].since
	}
	if s.past != nil {
		p.stays, p.unknown = slices.Clone(s.past.stays), s.past.unknown
	}
	return p
}

// backdate says that a recovered socket has been in its rooms for longer, and
// where it was before.
func (r *rooms) backdate(s *Socket, earlier *presence) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range s.in {
		if since, ok := earlier.rooms[s.in[i].rm.name]; ok {
			s.in[i].since = since
		}
	}
	if len(earlier.stays) > 0 || earlier.unknown != (position{}) {
		s.past = &presence{stays: slices.Clone(earlier.stays), unknown: earlier.unknown}
	}
}

// settle says what the latest event was when the socket left the rooms that it
// has left.
func (r *rooms) settle(s *Socket, at position) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.past == nil {
		return
	}
	for i := range s.past.stays {
		if s.past.stays[i].left == forever {
			s.past.stays[i].left = at
		}
	}
	if s.past.unknown == forever {
		s.past.unknown = at
	}
}

// restart says that positions begin anew: whoever is in a room has always been
// there.
func (r *rooms) restart() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.byID {
		s.past = nil
		for i := range s.in {
			s.in[i].since = position{}
		}
	}
}

// Watched returns what to wait for until the named rooms are heard.
func (r *rooms) Watched(names []string) (ready []<-chan struct{}) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, name := range names {
		if rm := r.byName[name]; rm != nil && rm.ready != nil {
			ready = append(ready, rm.ready)
		}
		if s := r.byID[name]; s != nil && s.heard != nil {
			ready = append(ready, s.heard)
		}
	}
	return ready
}

// Names returns every room with a member, sockets' ids included.
func (r *rooms) Names() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	names := make([]string, 0, len(r.byName)+len(r.byID))
	for n := range r.byName {
		names = append(names, n)
	}
	for id := range r.byID {
		if _, also := r.byName[id]; !also {
			names = append(names, id)
		}
	}
	return names
}

// Has reports whether the room has a member.
func (r *rooms) Has(name string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if _, ok := r.byName[name]; ok {
		return true
	}
	_, ok := r.byID[name]
	return ok
}

// Socket returns the socket with that id.
func (r *rooms) Socket(id string) (*Socket, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	s, ok := r.byID[id]
	return s, ok
}

// Len returns how many sockets there are.
func (r *rooms) Len() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.byID)
}

// Select returns the sockets that t selects, each once. The slice is immutable
// and stays valid.
func (r *rooms) Select(t *cluster.Target) []*Socket {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if len(t.Except) == 0 {
		switch len(t.Rooms) {
		case 0:
			return r.all.list()
		case 1:
			if members, only := r.single(t.Rooms[0]); only {
				return members
			}
		}
	}
	return r.selectMarked(t)
}

// single returns the members of a room that need no merging: those of a plain
// room, or the socket whose id it is.
func (r *rooms) single(name string) (members []*Socket, only bool) {
	rm, s := r.byName[name], r.byID[name]
	switch {
	case rm == nil && s == nil:
		return nil, true
	case rm == nil:
		return []*Socket{s}, true
	case s == nil:
		return rm.list(), true
	}
	return nil, false
}

// selectMarked marks who is out, then who was taken, with a number of its own.
func (r *rooms) selectMarked(t *cluster.Target) []*Socket {
	r.marks.Lock()
	defer r.marks.Unlock()
	r.mark++
	mark := r.mark
	for _, name := range t.Except {
		if s := r.byID[name]; s != nil {
			s.mark = mark
		}
		if rm := r.byName[name]; rm != nil {
			for _, s := range rm.members {
				s.mark = mark
			}
		}
	}
	var selected []*Socket
	take := func(s *Socket) {
		if s.mark != mark {
			s.mark = mark
			selected = append(selected, s)
		}
	}
	if len(t.Rooms) == 0 {
		selected = make([]*Socket, 0, len(r.all.members))
		for _, s := range r.all.members {
			take(s)
		}
		return selected
	}
	for _, name := range t.Rooms {
		if s := r.byID[name]; s != nil {
			take(s)
		}
		if rm := r.byName[name]; rm != nil {
			for _, s := range rm.members {
				take(s)
			}
		}
	}
	return selected
}
