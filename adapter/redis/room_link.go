package redisadapter

import "github.com/dunlin-io/dunlin/core/cluster"

// roomLink is a link that subscribes room by room.
type roomLink struct{ *link }

var _ cluster.RoomWatcher = roomLink{}

// WatchRoom implements cluster.RoomWatcher. Rooms that need no subscription of
// their own are heard when the link is ready.
func (l roomLink) WatchRoom(room string) (ready <-chan struct{}) {
	if t, ok := l.dialect.roomTopic(room); ok {
		return l.adapter.sub.watch(l.group, t)
	}
	return nil
}

// UnwatchRoom implements cluster.RoomWatcher.
func (l roomLink) UnwatchRoom(room string) {
	if t, ok := l.dialect.roomTopic(room); ok {
		l.adapter.sub.unwatch(l.group, t)
	}
}
