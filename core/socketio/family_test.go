package socketio_test

import (
	"regexp"
	"testing"
	"testing/synctest"

	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

// A node without clients in a dynamic namespace can still address those on
// other nodes, and clients that come later find the family's handlers.
func TestOfMakesAMemberOfTheFamily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := siotest.NewCluster(t, 2)
		for _, s := range c.Servers() {
			s.OfPattern(regexp.MustCompile(`/room-\d+`)).On("hi", func(ev *socketio.Event) { _ = ev.Ack("from the family") })
		}
		far := c.Dial(1, siotest.Options{Namespace: "/room-7"})
		_ = c.Server(0).Of("/room-7").Emit("news")
		far.Expect("news")

		near := c.Dial(0, siotest.Options{Namespace: "/room-7"})
		near.EmitWithAck("hi").Expect("from the family")
		near.Close()
		synctest.Wait()
		_ = c.Server(1).Of("room-7").Emit("still there")
		far.Expect("still there")
		_ = c.Server(0).Of("/room-7").Emit("again")
		far.Expect("again")
	})
}
