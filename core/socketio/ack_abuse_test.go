package socketio_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

// What a client sends of acknowledgements, while the server waits for one that
// has the id 0. Ids are whole numbers up to 2^53-1; others are violations of
// the protocol.
func TestF34AckAbuse(t *testing.T) {
	for name, test := range map[string]struct {
		packets []string
		ends    bool   // the connection
		left    bool   // only the namespace
		answer  string // what the server's question gets; empty: nothing
	}{
		"right":                    {packets: []string{`30["yes"]`}, answer: "yes"},
		"unknown":                  {packets: []string{`31["no"]`, `312345["no"]`}},
		"unknown, then right":      {packets: []string{`31["no"]`, `30["yes"]`}, answer: "yes"},
		"twice":                    {packets: []string{`30["yes"]`, `30["no"]`, `30["no"]`}, answer: "yes"},
		"with zeros before":        {packets: []string{`300["yes"]`}, answer: "yes"}, // the same number
		"without id":               {packets: []string{`3["no"]`}},
		"highest":                  {packets: []string{`39007199254740991["no"]`}},
		"2^53":                     {packets: []string{`39007199254740992["no"]`}, ends: true},
		"2^53+1":                   {packets: []string{`39007199254740993["no"]`}, ends: true},
		"2^64, which is 0 again":   {packets: []string{`318446744073709551616["no"]`}, ends: true},
		"400 digits":               {packets: []string{`3` + strings.Repeat("9", 400) + `["no"]`}, ends: true},
		"an exponent":              {packets: []string{`30e0["no"]`}, ends: true},
		"1e400":                    {packets: []string{`31e400["no"]`}, ends: true},
		"negative":                 {packets: []string{`3-1["no"]`}, ends: true},
		"negative zero":            {packets: []string{`3-0["no"]`}, ends: true},
		"a fraction":               {packets: []string{`30.0["no"]`}, ends: true},
		"NaN":                      {packets: []string{`3NaN["no"]`}, ends: true},
		"nothing":                  {packets: []string{`30`}, answer: "no argument"}, // as with the JavaScript server
		"no array":                 {packets: []string{`30{"a":1}`}, ends: true},
		"huge numbers as argument": {packets: []string{`30["yes",1e400,-1e400,9007199254740993]`}, answer: "yes"},
		"after leaving":            {packets: []string{`1`, `30["no"]`}, left: true},
		"in another namespace":     {packets: []string{`3/other,0["no"]`}},
		"where the client is not":  {packets: []string{`3/nowhere,0["no"]`}, ends: true},
		"binary that never comes":  {packets: []string{`61-0[{"_placeholder":true,"num":0}]`, `30["no"]`}, ends: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := siotest.NewServer(t)
				srv.Of("/other")
				srv.On("echo", func(ev *socketio.Event) { _ = ev.Ack(ev.Values()...) })
				c, witness := srv.Dial(), srv.Dial()
				c.Join("/other")
				s := socketOf(t, srv, c)
				settled := make(chan error, 1)
				var answer string
				go func() {
					args, err := s.Timeout(5*time.Second).EmitWithAck(t.Context(), "q")
					switch {
					case err != nil:
					case args.Len() == 0:
						answer = "no argument"
					default:
						answer = scan[string](t, args)
					}
					settled <- err
				}()
				c.Expect("q")
				for _, p := range test.packets {
					c.Session().Send(p)
				}
				switch err := <-settled; {
				case test.answer != "":
					if err != nil || answer != test.answer {
						t.Errorf("answer %q, %v; want %q", answer, err, test.answer)
					}
				case test.ends || test.left:
					if !errors.Is(err, socketio.ErrDisconnected) {
						t.Errorf("error %v", err)
					}
				case !errors.Is(err, context.DeadlineExceeded):
					t.Errorf("error %v", err)
				}
				switch {
				case test.ends:
					c.ExpectDisconnect("transport close")
				case test.left:
					c.Session().Send(`0`)
					c.ExpectConnect()
				default:
					c.EmitWithAck("echo", 1).Expect(1)
				}
				witness.EmitWithAck("echo", 2).Expect(2)
			})
		})
	}
}

// The ids that clients choose for their own events.
func TestF34AckIDsOfClients(t *testing.T) {
	for id, answer := range map[string]string{ // empty: the connection ends
		"0":                    `430["x"]`,
		"007":                  `437["x"]`,
		"9007199254740991":     `439007199254740991["x"]`,
		"9007199254740992":     "",
		"9007199254740993":     "", // the JavaScript server answers 2^53, which nobody waits for
		"1e400":                "",
		"-1":                   "",
		"0x10":                 "",
		"99999999999999999999": "",
	} {
		synctest.Test(t, func(t *testing.T) {
			srv := siotest.NewServer(t)
			srv.On("echo", func(ev *socketio.Event) { _ = ev.Ack(ev.Values()...) })
			s := srv.Open()
			s.Send("0")
			s.Next()
			s.Send("2" + id + `["echo","x"]`)
			if answer == "" {
				s.ExpectEnd("transport close")
				return
			}
			s.Expect(answer[1:])
		})
	}
}

// Another client, the same one in another namespace, and the client itself
// after it has come back must not answer in a socket's place.
func TestF34AcksOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := siotest.NewCluster(t, 2)
		for _, srv := range c.Servers() {
			srv.Of("/other")
		}
		asked := c.Dial(0)
		elsewhere := asked.Join("/other")
		neighbour, remote := c.Dial(0), c.Dial(1)
		var calls sync.WaitGroup
		for _, ask := range []func() error{
			func() error {
				_, err := socketOf(t, c.Server(0), asked).Timeout(5*time.Second).EmitWithAck(t.Context(), "q")
				return err
			},
			func() error {
				replies, err := c.Server(1).To(asked.ID()).Timeout(5*time.Second).EmitWithAck(t.Context(), "q")
				if len(replies) != 0 {
					t.Errorf("replies %v", replies)
				}
				return err
			},
		} {
			calls.Go(func() {
				if err := ask(); err == nil || errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("error %v, want that the client left", err)
				}
			})
		}
		first, second := asked.Expect("q"), asked.Expect("q")
		for _, other := range []*siotest.Client{elsewhere, neighbour, remote} {
			for id := range uint64(100) {
				other.SendAck(id, "forged")
			}
		}
		asked.Cut()
		asked.Resume()
		first.Ack("too late")
		second.Ack("too late")
		for id := range uint64(100) {
			asked.SendAck(id, "too late")
		}
		calls.Wait()
		asked.ExpectNothing(time.Second)
	})
}

// A client that never answers costs what Limits.PendingAcks says, and nothing
// when the time is up.
func TestF34UnansweredAcksLeaveNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 1000
		srv := siotest.NewServer(t, socketio.Config{Limits: socketio.Limits{PendingAcks: limit}})
		c := srv.Dial()
		s := socketOf(t, srv, c)
		batch := func(n int) {
			var all sync.WaitGroup
			for range n {
				all.Go(func() {
					if _, err := s.Timeout(time.Second).EmitWithAck(t.Context(), "q"); !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("EmitWithAck = %v", err)
					}
				})
			}
			all.Wait()
			c.Received()
		}
		heap := func() uint64 {
			runtime.GC()
			runtime.GC() // what pools held
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		batch(limit)
		before := heap()
		for range 100 {
			batch(limit)
		}
		if after := heap(); after > before+2<<20 {
			t.Errorf("100,000 questions without an answer left %d bytes", after-before)
		}
	})
}
