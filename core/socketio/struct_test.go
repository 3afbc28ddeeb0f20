package socketio_test

import (
	"testing"
	"testing/synctest"

	"github.com/dunlin-io/dunlin/test/siotest"
)

// Proves T-78, J-78.
func TestStructsServeNamespacesWithTheirMethods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		for _, name := range []string{"/lunch", "/dinner"} {
			p := &poll{votes: make(map[string]string)}
			p.register(srv.Of(name))
		}
		a, b := srv.Dial(), srv.Dial()
		lunch, dinner := a.Join("/lunch"), a.Join("/dinner")
		lunch.EmitWithAck("vote", "soup").Expect(1)
		b = b.Join("/lunch")
		b.EmitWithAck("vote", "rice").Expect(2)
		lunch.EmitWithAck("results").Expect([]string{"rice", "soup"})
		dinner.EmitWithAck("results").Expect(nil)
		b.Disconnect()
		synctest.Wait()
		lunch.EmitWithAck("results").Expect([]string{"soup"})
	})
}
