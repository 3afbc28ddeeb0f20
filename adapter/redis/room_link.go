package redisadapter

import "github.com/dunlin-io/dunlin/core/cluster"

// router is a dialect in which rooms have topics of their own.
type router interface {
	// roomTopic is what a member subscribes to while sockets of its own are in a
	// room; false means that the room is heard without.
	roomTopic(room string) (topic, bool)
}

// roomLink is a link that subscribes room by room.
type roomLink struct {
	*link
	router
}

var _ cluster.RoomWatcher = roomLink{}

// WatchRoom implements cluster.RoomWatcher. Rooms that need no subscription of
// their own are heard when the link is ready.
func (l roomLink) WatchRoom(room string) (ready <-chan struct{}) {
	if t, ok := l.roomTopic(room); ok {
		return l.adapter.sub.watch(l.group, t)
	}
	return nil
}

// UnwatchRoom implements cluster.RoomWatcher.
func (l roomLink) UnwatchRoom(room string) {
	if t, ok := l.roomTopic(room); ok {
		l.adapter.sub.unwatch(l.group, t)
	}
}
