package siotest_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

// verdict is a testing.TB that keeps what a test library says of a failure.
type verdict struct {
	testing.TB
	said string
}

type failed struct{}

func (v *verdict) Helper() {}
func (v *verdict) Fatalf(format string, args ...any) {
	v.said = fmt.Sprintf(format, args...)
	panic(failed{})
}
func (v *verdict) Fatal(args ...any) { v.Fatalf("%s", fmt.Sprint(args...)) }

// failure returns with what words f failed, or "".
func (v *verdict) failure(f func()) (said string) {
	v.said = ""
	defer func() {
		if _, ok := recover().(failed); ok {
			said = v.said
		}
	}()
	f()
	return ""
}

func TestExpectationsFailAndSayWhatArrived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &verdict{TB: t}
		srv := siotest.NewServer(v)
		srv.On("emit", func(ev *socketio.Event) { _ = ev.Socket.Emit("got", ev.Values()...) })
		srv.On("echo", func(ev *socketio.Event) { _ = ev.Ack(ev.Values()...) })
		srv.Of("/no").Use(func(*socketio.Socket) error { return &socketio.ConnectError{Message: "no", Data: 1} })
		srv.Of("/other")
		withRecovery := siotest.NewServer(v, socketio.Config{Recovery: socketio.Recovery{MaxDisconnection: time.Minute}})
		c := srv.Dial()
		c.Join("/other")
		raw := srv.Open()
		for _, test := range []struct {
			name string
			do   func()
			want []string
		}{
			{"nothing came", func() { c.Expect("x", 7) }, []string{`no event, want "x" [7]`, "CONNECT"}},
			{"nothing at all", func() { c.Next() }, []string{"no event", "CONNECT"}},
			{"another event", func() { c.Emit("emit", 1); c.Expect("x", 1) }, []string{`event "got" [1], want "x" [1]`, `EVENT ["got",1]`}},
			{"other arguments", func() { c.Emit("emit", 1); c.Expect("got", 2) }, []string{`want "got" [2]`}},
			{"more arguments", func() { c.Emit("emit", 1, 2); c.Expect("got", 1) }, []string{`"got" [1,2]`}},
			{"fewer arguments", func() { c.Emit("emit"); c.Expect("got", nil) }, []string{`"got" []`}},
			{"text for binary", func() { c.Emit("emit", "AQ=="); c.Expect("got", []byte{1}) }, []string{`"got"`}},
			{"something", func() { c.Emit("emit", 1); c.ExpectNothing(time.Second) }, []string{`"got" [1]`, "want nothing for 1s"}},
			{"other acknowledgement", func() { c.EmitWithAck("echo", 1).Expect(2) }, []string{`"echo"`, "[1], want [2]"}},
			{"no acknowledgement", func() { c.EmitWithAck("unknown").Expect() }, []string{`"unknown" was not acknowledged`}},
			{"an acknowledgement", func() { c.EmitWithAck("echo").ExpectNothing(time.Second) }, []string{"want nothing"}},
			{"in another namespace", func() {
				_ = srv.Of("/other").Emit("there")
				c.Expect("here")
			}, []string{`want "here" []`, "in /other arrived:", `EVENT ["there"]`, "(1 of these events not expected yet)"}},
			{"still connected", func() { c.ExpectDisconnect("transport close") }, []string{"still connected"}},
			{"resumed too early", func() { c.Resume() }, []string{"the client is connected"}},
			{"two auths", func() { c.Try("/other", 1, 2) }, []string{"at most one"}},
			{"no hub", func() {
				siotest.NewCluster(v, 1, socketio.Config{Adapter: cluster.Solo{}}).Partition(0)
			}, []string{"not a memory.Hub"}},
			{"two resume at once", func() {
				again := srv.Dial(siotest.Options{Reconnect: true})
				again.Cut()
				again.Resume()
			}, []string{"comes back by itself"}},
			{"replaced", func() {
				first := srv.Dial()
				first.Disconnect()
				first.Join("/")
				first.Resume()
			}, []string{`another client has joined "/"`}},
			{"auth for no object", func() {
				first := withRecovery.Dial()
				first.Cut()
				first.Resume("text")
			}, []string{"add pid to auth"}},
			{"refused", func() { c.Join("/no") }, []string{"CONNECT_ERROR", "want CONNECT"}},
			{"other refusal", func() { c.Try("/no").ExpectConnectError("yes") }, []string{`refused with "no"`}},
			{"other data", func() { c.Try("/no").ExpectConnectError("no", 2) }, []string{"data 1", "data 2"}},
			{"let in", func() { srv.Try().ExpectConnectError("no") }, []string{"CONNECT", `want CONNECT_ERROR "no"`}},
			{"not refused", func() { _ = srv.Refused() }, []string{"opened a session"}},
			{"no message", func() { raw.Next() }, []string{"no message came within 10s"}},
			{"no upgrade", func() { raw.Upgrade() }, []string{"not polling"}},
			{"two configurations", func() { siotest.NewServer(v, socketio.Config{}, socketio.Config{}) }, []string{"at most one"}},
			{"bad configuration", func() { siotest.NewServer(v, socketio.Config{ConnectTimeout: -1}) }, []string{"ConnectTimeout"}},
			{"session goes on", func() { c.Session().ExpectEnd("transport close") }, []string{"did not end"}},
			{"other reason", func() { c.Cut(); c.ExpectDisconnect("transport close") }, []string{`"transport error", want "transport close"`}},
			{"disconnected", func() { c.ExpectNothing(time.Second) }, []string{"the client is disconnected: transport error"}},
			{"session ended", func() { c.Session().ExpectEnd("forced close") }, []string{`"transport error", want "forced close"`}},
		} {
			said := v.failure(test.do)
			if said == "" {
				t.Errorf("%s: the expectation held", test.name)
			}
			for _, want := range test.want {
				if !strings.Contains(said, want) {
					t.Errorf("%s: said %q, want %q in it", test.name, said, want)
				}
			}
		}
	})
}
