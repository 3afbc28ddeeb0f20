package socketio_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/adapter/memory"
	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

// A client may come to a node that has not read yet what the client has.
func TestRecoveryByANodeThatIsBehindTheClient(t *testing.T) {
	for delay, want := range map[time.Duration]socketio.RecoveryReason{
		time.Second:      socketio.RecoveryDone,
		10 * time.Second: socketio.RecoveryStore,
	} {
		synctest.Test(t, func(t *testing.T) {
			hub := memory.NewLog(memory.Log{})
			c, _, state := recoveringCluster(t, 2, socketio.Config{Adapter: hub})
			a := c.Dial(0)
			tr := &tracker{pid: a.PID()}
			pass(time.Second)
			hub.SetFaults("", siotest.NodeID(1), memory.Faults{Delay: delay, Only: recordedOnly})
			emit(t, c.Server(0).Emit("one"))
			emit(t, c.Server(0).Emit("two"))
			tr.read(a, 2)
			a.Cut()
			b := c.Dial(1, named("again", tr.auth()))
			if got := state("again"); got.Reason != want || got.Recovered != (want == socketio.RecoveryDone) {
				t.Fatalf("%+v, want reason %q", got, want)
			}
			emit(t, c.Server(0).Emit("three"))
			for b.Next().Name != "three" {
				if want == socketio.RecoveryDone {
					t.Error("an event came twice")
				}
			}
		})
	}
}
