package siotest_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/adapter/memory"
	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/engineio"
	"github.com/dunlin-io/dunlin/core/parser"
	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

// everywhere runs f in a bubble and on real time.
func everywhere(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Run("fake time", func(t *testing.T) { synctest.Test(t, f) })
	t.Run("real time", f)
}

func TestClusterOfTheDocumentation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := siotest.NewCluster(t, 3)
		a, b := c.Dial(0), c.Dial(2)
		if err := c.Server(1).Except(a.ID()).Emit("hi", "all"); err != nil {
			t.Fatal(err)
		}
		b.Expect("hi", "all")
		a.ExpectNothing(time.Minute)
	})
}

// Proves T-01.
func TestEveryTransportCarriesEventsBothWays(t *testing.T) {
	for _, transport := range []siotest.Transport{siotest.WebSocket, siotest.Polling, siotest.Upgrade} {
		t.Run(string(transport), func(t *testing.T) {
			everywhere(t, func(t *testing.T) {
				srv := siotest.NewServer(t)
				srv.On("echo", func(ev *socketio.Event) { _ = ev.Ack(ev.Values()...) })
				srv.On("back", func(ev *socketio.Event) { _ = ev.Socket.Emit("back", ev.Values()...) })
				c := srv.Dial(siotest.Options{Transport: transport})
				for i := range 50 {
					c.Emit("back", i, []byte{1, 2, byte(i)})
				}
				for i := range 50 {
					c.Expect("back", i, []byte{1, 2, byte(i)})
				}
				c.EmitWithAck("echo", "ü", map[string]any{"n": 1.5}).Expect("ü", map[string]any{"n": 1.5})
				c.Close()
				c.ExpectDisconnect("forced close")
			})
		})
	}
}

func TestUpgradeKeepsTheOrderOfWhatIsOnItsWay(t *testing.T) {
	everywhere(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		srv.On("n", func(ev *socketio.Event) { _ = ev.Socket.Emit("n", ev.Values()...) })
		c := srv.Dial(siotest.Options{Transport: siotest.Polling})
		for i := range 100 {
			if i == 50 {
				c.Session().Upgrade()
			}
			c.Emit("n", i)
		}
		for i := range 100 {
			c.Expect("n", i)
		}
		s, _ := srv.Socket(c.ID())
		if got := s.Transport(); got != "websocket" {
			t.Errorf("Transport() = %q after the upgrade", got)
		}
	})
}

func TestHeartbeatRunsOnFakeTime(t *testing.T) {
	for _, transport := range []siotest.Transport{siotest.WebSocket, siotest.Polling, siotest.Upgrade} {
		synctest.Test(t, func(t *testing.T) {
			srv := siotest.NewServer(t, socketio.Config{
				Engine: engineio.Config{PingInterval: 25 * time.Second, PingTimeout: 20 * time.Second},
			})
			gone := make(chan socketio.Reason, 1)
			srv.OnDisconnect(func(_ *socketio.Socket, r socketio.Reason) { gone <- r })
			c := srv.Dial(siotest.Options{Transport: transport})
			c.ExpectNothing(time.Hour)

			c.Session().Mute()
			start := time.Now()
			if got := <-gone; got != socketio.ReasonPingTimeout {
				t.Errorf("%s: reason %q, want ping timeout", transport, got)
			}
			if took := time.Since(start); took < 20*time.Second || took > 45*time.Second {
				t.Errorf("%s: a client that does not answer pings was given %v", transport, took)
			}
			c.ExpectDisconnect("transport close")
		})
	}
}

func TestServerSeesHowAClientLeaves(t *testing.T) {
	ways := []struct {
		name   string
		leave  func(*siotest.Client)
		reason socketio.Reason
		client string
	}{
		{"packet", (*siotest.Client).Disconnect, socketio.ReasonClientDisconnect, "io client disconnect"},
		{"close", (*siotest.Client).Close, socketio.ReasonTransportClose, "forced close"},
		{"cut", (*siotest.Client).Cut, socketio.ReasonTransportClose, "transport error"},
	}
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			everywhere(t, func(t *testing.T) {
				srv := siotest.NewServer(t)
				gone := make(chan socketio.Reason, 1)
				srv.OnDisconnect(func(_ *socketio.Socket, r socketio.Reason) { gone <- r })
				c := srv.Dial()
				way.leave(c)
				if got := <-gone; got != way.reason {
					t.Errorf("reason %q, want %q", got, way.reason)
				}
				c.ExpectDisconnect(way.client)
			})
		})
	}
}

func TestSessionSpeaksInPackets(t *testing.T) {
	everywhere(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		srv.On("hi", func(ev *socketio.Event) { _ = ev.Socket.Emit("bin", []byte{7}) })
		s := srv.Open()
		s.Send("0")
		if got := s.Next(); got.Binary || len(got.Data) != len(`0{"sid":"01234567890123456789"}`) {
			t.Errorf("answer to CONNECT: %q", got.Data)
		}
		s.Send(`2["hi"]`)
		s.Expect(`51-["bin",{"_placeholder":true,"num":0}]`)
		s.ExpectBinary([]byte{7})
		s.Close()
		s.ExpectEnd("forced close")
	})
}

func TestClientAnswersEventsOfTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		c := srv.Dial()
		c.Answer("sum", func(a parser.Args) []any {
			var x, y int
			if err := a.Scan(&x, &y); err != nil {
				return nil
			}
			return []any{x + y}
		})
		s, _ := srv.Socket(c.ID())
		sum, err := socketio.Call[int](t.Context(), s, "sum", 1, 2)
		if err != nil || sum != 3 {
			t.Errorf("Call = %d, %v", sum, err)
		}
	})
}

func TestRefusedHandshakesSayWhy(t *testing.T) {
	everywhere(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		srv.Refuse(true)
		for _, transport := range []siotest.Transport{siotest.WebSocket, siotest.Polling} {
			if err := srv.Refused(siotest.Options{Transport: transport}); err == nil {
				t.Error("no error")
			}
		}
	})
}

func TestClusterFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := siotest.NewCluster(t, 3)
		all := []*siotest.Client{c.Dial(0), c.Dial(1), c.Dial(2)}
		emit := func(event string) {
			t.Helper()
			if err := c.Server(0).Emit(event); err != nil {
				t.Error(err)
			}
		}
		only := func(event string, reached ...int) {
			t.Helper()
			emit(event)
			for i, client := range all {
				if slices.Contains(reached, i) {
					client.Expect(event)
				}
			}
			synctest.Wait()
			for _, client := range all {
				client.ExpectNothing(0)
			}
		}
		// Whom an event has not reached gets it when it is missed: a second later.
		late := func(event string, i int) {
			t.Helper()
			time.Sleep(time.Second)
			all[i].Expect(event)
		}
		c.Partition(0, 1)
		only("partition", 0, 1)
		c.Heal()
		late("partition", 2)
		c.Interrupt(1)
		only("interruption", 0, 2)
		c.Resume(1)
		late("interruption", 1)
		c.FaultsBetween(0, 2, memory.Faults{LoseNext: 1, Only: isBroadcast})
		c.Seed(1)
		only("loss", 0, 1)
		late("loss", 2)
		for i, srv := range c.Servers() {
			if n := srv.Stats().Gaps; n != 0 {
				t.Errorf("node %d: Gaps = %d", i, n)
			}
		}
		c.Heal()
		c.Faults(memory.Faults{Delay: time.Second})
		start := time.Now()
		emit("delay")
		all[0].Expect("delay")
		for _, client := range all[1:] {
			client.Expect("delay")
			if took := time.Since(start); took != time.Second {
				t.Errorf("arrived after %v", took)
			}
		}
		if got := c.Hub().FaultCounts(); got != (memory.FaultCounts{Lost: 1, Cut: 2, Delayed: 2}) {
			t.Errorf("FaultCounts() = %+v", got)
		}
		c.Heal()
		only("healed", 0, 1, 2)
	})
}

func isBroadcast(m cluster.Message) bool {
	_, is := m.Body.(cluster.Broadcast)
	return is
}
