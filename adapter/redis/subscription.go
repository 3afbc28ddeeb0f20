package redisadapter

import (
	queue "container/list"
	"slices"
	"time"
)

// When a room's last member leaves, its subscription stays for a while: members
// that come and go need no commands then. Messages for it are dropped unread.
const (
	lingerTime   = 5 * time.Second
	maxLingering = 4096
)

// mostTopicBytes bounds what all topics of a connection cost: go-redis subscribes
// to all of them again in one command, and Redis closes a subscribing connection
// for which more than 32 MiB wait, so that a node with more would never be heard
// of again.
const (
	mostTopicBytes = 24 << 20
	topicOverhead  = 64 // of a confirmation, at most
)

// topic is a channel or a pattern.
type topic struct {
	name    string
	pattern bool
}

func (t topic) cost() int { return len(t.name) + topicOverhead }

// subscription is what is known about a topic. All fields are guarded by the
// subscriber's mu; users is not changed in place.
//
// A topic may have several users: the channel of room b in namespace /a is also
// that of namespace /a#b.
type subscription struct {
	topic
	users     []*group       // none: it lingers, or is about to go
	last      *group         // whose it was, while it lingers
	place     *queue.Element // in lingering; nil: it does not
	until     time.Time      // when that ends
	fixed     bool           // a namespace cannot do without
	queued    bool           // in todo
	sent      bool           // go-redis knows of it
	confirmed bool           // by Redis, since the connection broke
	stands    bool           // and a fence has proven it
	from      uint64         // fences from here on do
	refusals  int            // how often Redis has not confirmed it
	ready     chan struct{}  // closed when it stands; nil: nobody waits
}

func (sub *subscription) wanted() bool { return len(sub.users) > 0 || sub.place != nil }

// group is what one link is subscribed to. All fields but the first two and gone
// are guarded by the subscriber's mu.
type group struct {
	listener listener
	counted  string // the channel whose subscribers are the nodes
	fixed    []*subscription
	rooms    map[*subscription]int // how often each is watched
	from     uint64                // fences from here on prove that it is gone
	stood    bool                  // it stood before
	ready    chan struct{}         // closed while all fixed subscriptions stand
	gone     chan struct{}         // closed when nothing of it is subscribed any more
}

// stands reports whether all fixed subscriptions do.
func (g *group) stands() bool {
	return !slices.ContainsFunc(g.fixed, func(sub *subscription) bool { return !sub.stands })
}

// watch subscribes a group to a room's topic. The channel is closed once Redis
// has confirmed it; nil means that it has. It must be taken back by unwatch as
// often as it was called.
func (s *subscriber) watch(g *group, t topic) (ready <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.groups[g.counted] != g {
		return nil
	}
	sub := s.use(g, t)
	g.rooms[sub]++
	if sub.stands {
		return nil
	}
	if sub.ready == nil {
		sub.ready = make(chan struct{})
	}
	return sub.ready
}

// unwatch takes watch back. The subscription lingers if it was of use at all.
func (s *subscriber) unwatch(g *group, t topic) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub := s.topics[t]
	if sub == nil || g.rooms[sub] == 0 { // never for a group that was removed
		return
	}
	if g.rooms[sub]--; g.rooms[sub] > 0 {
		return
	}
	delete(g.rooms, sub)
	if slices.Contains(g.fixed, sub) {
		return
	}
	s.release(sub, g)
	if len(sub.users) > 0 || !sub.stands {
		return
	}
	sub.last, sub.until = g, time.Now().Add(s.linger)
	sub.place = s.lingering.PushBack(sub)
	if s.lingering.Len() > maxLingering {
		s.goAway(s.lingering.Front())
	}
}

// use is called with mu and makes a group a user of a topic.
func (s *subscriber) use(g *group, t topic) *subscription {
	sub := s.topics[t]
	if sub == nil {
		sub = &subscription{topic: t}
		s.topics[t] = sub
	}
	if sub.place != nil {
		s.lingering.Remove(sub.place)
		sub.place, sub.last = nil, nil
	}
	if !slices.Contains(sub.users, g) {
		sub.users = append(slices.Clip(sub.users), g)
	}
	if !sub.sent {
		s.enqueue(sub)
	}
	return sub
}

// release is called with mu and is the opposite of use.
func (s *subscriber) release(sub *subscription, g *group) {
	sub.users = slices.DeleteFunc(slices.Clone(sub.users), func(user *group) bool { return user == g })
	if len(sub.users) == 0 {
		s.enqueue(sub)
	}
}

// enqueue is called with mu when keep may have to do something about sub.
func (s *subscriber) enqueue(sub *subscription) {
	if sub.queued {
		return
	}
	sub.queued = true
	s.todo = append(s.todo, sub)
	s.signal()
}

// goAway is called with mu and ends the lingering of a subscription.
func (s *subscriber) goAway(e *queue.Element) {
	sub, _ := s.lingering.Remove(e).(*subscription)
	sub.place, sub.last = nil, nil
	s.enqueue(sub)
}

// endLingering is called with mu and ends that of a group's subscriptions.
func (s *subscriber) endLingering(g *group) {
	for e := s.lingering.Front(); e != nil; {
		next := e.Next()
		if sub, _ := e.Value.(*subscription); sub.last == g {
			s.goAway(e)
		}
		e = next
	}
}

// expire is called with mu and ends the lingering of those whose time is up.
func (s *subscriber) expire() {
	for now := time.Now(); ; {
		e := s.lingering.Front()
		if e == nil {
			return
		}
		if sub, _ := e.Value.(*subscription); sub.until.After(now) {
			return
		}
		s.goAway(e)
	}
}

// stand is called with mu when a fence has proven a subscription.
func (sub *subscription) stand() {
	sub.stands, sub.refusals = true, 0
	if sub.ready != nil {
		close(sub.ready)
		sub.ready = nil
	}
}
