package socketio_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

// tracker is what the JavaScript client keeps for recovery: the secret from
// CONNECT, and the last text argument of the last event.
type tracker struct {
	pid, offset string
	names       []string
}

// read takes the next n events.
func (tr *tracker) read(c *siotest.Client, n int) {
	for range n {
		ev := c.Next()
		tr.names = append(tr.names, ev.Name)
		args := make([]any, ev.Len())
		dst := make([]any, ev.Len())
		for i := range args {
			dst[i] = &args[i]
		}
		if err := ev.Scan(dst...); err != nil {
			panic(err)
		}
		if offset, ok := args[len(args)-1].(string); ok {
			tr.offset = offset
		}
	}
}

func (tr *tracker) auth() map[string]any {
	a := map[string]any{"pid": tr.pid}
	if tr.offset != "" {
		a["offset"] = tr.offset
	}
	return a
}

// recovering starts a server; state tells how the connection with that query
// "name" was received.
func recovering(t *testing.T, r socketio.Recovery) (srv *siotest.Server, state func(name string) socketio.RecoveryState) {
	t.Helper()
	srv = siotest.NewServer(t, socketio.Config{Recovery: r})
	var states sync.Map
	srv.OnConnect(func(s *socketio.Socket) { states.Store(s.Handshake().Query.Get("name"), s.Recovery()) })
	return srv, func(name string) socketio.RecoveryState {
		synctest.Wait()
		v, _ := states.Load(name)
		state, _ := v.(socketio.RecoveryState)
		return state
	}
}

// Proves T-68, J-64.
func TestRecoveryRestoresWhatWasMissedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, state := recovering(t, socketio.Recovery{MaxDisconnection: 2 * time.Minute})
		a := srv.Dial(named("first"))
		s, _ := srv.Socket(a.ID())
		s.Join("room", "other")
		if err := s.SetData("mine"); err != nil {
			t.Fatal(err)
		}
		tr := &tracker{pid: a.PID()}
		_ = srv.Emit("one")
		tr.read(a, 1)
		a.Cut()
		synctest.Wait()
		_ = srv.To("room", "other").Emit("two", 2)
		_ = srv.To("elsewhere").Emit("not for it")
		_ = srv.Except("room").Emit("not for it either")
		_ = srv.Volatile().Emit("volatile is not kept")
		_ = srv.To(a.ID()).Emit("three", []byte("bin"))
		time.Sleep(time.Minute)

		b := srv.Dial(named("second", tr.auth()))
		if b.ID() != a.ID() || b.PID() != a.PID() {
			t.Errorf("came back as %s/%s, want %s/%s", b.ID(), b.PID(), a.ID(), a.PID())
		}
		_ = srv.To("room").Emit("four")
		tr.read(b, 3)
		if want := []string{"one", "two", "three", "four"}; !slices.Equal(tr.names, want) {
			t.Errorf("events = %q, want %q", tr.names, want)
		}
		b.ExpectNothing(time.Second)
		if got := state("second"); got != (socketio.RecoveryState{Recovered: true, Reason: socketio.RecoveryDone}) {
			t.Errorf("Recovery() = %+v", got)
		}
		s, _ = srv.Socket(b.ID())
		var data string
		if err := s.ScanData(&data); err != nil || data != "mine" {
			t.Errorf("data = %q, %v", data, err)
		}
		if rooms := s.Rooms(); !slices.Contains(rooms, "room") || !slices.Contains(rooms, "other") {
			t.Errorf("rooms = %q", rooms)
		}
	})
}

func named(name string, auth ...any) siotest.Options {
	o := siotest.Options{Query: map[string][]string{"name": {name}}}
	if len(auth) > 0 {
		o.Auth = auth[0]
	}
	return o
}

// Proves J-63.
func TestRecoveryWithoutAnOffsetBeginsAtConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, _ := recovering(t, socketio.Recovery{MaxDisconnection: time.Minute})
		_ = srv.Emit("before its time")
		c := srv.Dial()
		c.Cut()
		synctest.Wait()
		_ = srv.Emit("missed")
		c.Resume()
		c.Expect("missed")
		if !c.Recovered() || !socketOf(t, srv, c).Recovery().Recovered {
			t.Error("not recovered")
		}
		c.ExpectNothing(time.Second)
	})
}

// Proves T-68, J-65.
func TestRecoverySecretCountsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, state := recovering(t, socketio.Recovery{MaxDisconnection: time.Minute})
		a := srv.Dial(named("first"))
		tr := &tracker{pid: a.PID()}
		a.Cut()
		synctest.Wait()
		b := srv.Dial(named("second", tr.auth()))
		synctest.Wait() // it is settled there
		// Whoever comes next with it takes over from the one who is there.
		c := srv.Dial(named("third", tr.auth()))
		b.ExpectDisconnect("transport close")
		if c.ID() != a.ID() || !state("third").Recovered {
			t.Errorf("third came in as %s, %+v", c.ID(), state("third"))
		}
		c.Disconnect() // its own wish: nothing is kept
		synctest.Wait()
		d := srv.Dial(named("fourth", tr.auth()))
		if d.ID() == a.ID() || state("fourth") != (socketio.RecoveryState{Reason: socketio.RecoveryUnknown}) {
			t.Errorf("fourth came in as %s, %+v", d.ID(), state("fourth"))
		}
	})
}

// Proves T-68, J-66.
func TestRecoveryRefusesWhatItCannotProve(t *testing.T) {
	for name, test := range map[string]struct {
		limits socketio.Recovery
		away   time.Duration
		auth   func(tr *tracker) map[string]any
		want   socketio.RecoveryReason
	}{
		"too late":          {away: time.Minute + time.Second, want: socketio.RecoveryUnknown},
		"made up":           {auth: func(*tracker) map[string]any { return map[string]any{"pid": "x", "offset": "y"} }, want: socketio.RecoveryUnknown},
		"a volatile's text": {auth: func(tr *tracker) map[string]any { tr.offset = "hello"; return tr.auth() }, want: socketio.RecoveryOffset},
		"from the future":   {auth: func(tr *tracker) map[string]any { tr.offset += "-0"; return tr.auth() }, want: socketio.RecoveryOffset},
		"before its time": {auth: func(tr *tracker) map[string]any {
			tr.offset, _, _ = strings.Cut(tr.offset, "-")
			tr.offset += "-0"
			return tr.auth()
		}, want: socketio.RecoveryOffset},
		"a huge offset":      {auth: func(tr *tracker) map[string]any { tr.offset += strings.Repeat("z", 10_000); return tr.auth() }, want: socketio.RecoveryOffset},
		"too many missed":    {limits: socketio.Recovery{MaxEvents: 10}, want: socketio.RecoveryTrimmed},
		"too much missed":    {limits: socketio.Recovery{MaxBytes: 100}, want: socketio.RecoveryTrimmed},
		"pid is no text":     {auth: func(*tracker) map[string]any { return map[string]any{"pid": 7} }, want: socketio.RecoveryNotAsked},
		"too many sessions":  {limits: socketio.Recovery{MaxSessions: 1}, want: socketio.RecoveryUnknown},
		"nothing is claimed": {auth: func(*tracker) map[string]any { return map[string]any{} }, want: socketio.RecoveryNotAsked},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				limits := test.limits
				limits.MaxDisconnection = time.Minute
				srv, state := recovering(t, limits)
				for range 5 {
					_ = srv.Emit("early")
				}
				a, other := srv.Dial(named("first")), srv.Dial(named("other"))
				tr := &tracker{pid: a.PID()}
				_ = srv.Emit("seen")
				tr.read(a, 1)
				a.Cut()
				synctest.Wait()
				other.Cut()
				synctest.Wait()
				for i := range 20 {
					_ = srv.Emit(fmt.Sprint("missed", i))
				}
				time.Sleep(test.away)
				auth := tr.auth()
				if test.auth != nil {
					auth = test.auth(tr)
				}
				b := srv.Dial(named("second", auth))
				if b.ID() == a.ID() || b.PID() == a.PID() {
					t.Error("the earlier socket was continued")
				}
				if got := state("second"); got != (socketio.RecoveryState{Reason: test.want}) {
					t.Errorf("Recovery() = %+v, want reason %q", got, test.want)
				}
				b.ExpectNothing(time.Second)
			})
		})
	}
}

// Proves J-62.
func TestRecoveryAsksTheMiddlewareUnlessToldOtherwise(t *testing.T) {
	for _, skip := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			srv, _ := recovering(t, socketio.Recovery{MaxDisconnection: time.Minute, SkipMiddleware: skip})
			banned := false
			srv.Use(func(*socketio.Socket) error {
				if banned {
					return &socketio.ConnectError{Message: "banned"}
				}
				return nil
			})
			a := srv.Dial()
			tr := &tracker{pid: a.PID()}
			a.Cut()
			synctest.Wait()
			banned = true
			b := srv.Try(siotest.Options{Auth: tr.auth()})
			if skip {
				b.ExpectConnect()
				return
			}
			b.ExpectConnectError("banned")
		})
	}
}

func TestRecoveryKeepsWhatWasHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, _ := recovering(t, socketio.Recovery{MaxDisconnection: time.Minute})
		srv.Use(func(s *socketio.Socket) error { return s.Emit("welcome") })
		a := srv.Dial()
		tr := &tracker{pid: a.PID()}
		a.Cut() // before it has read the welcome
		synctest.Wait()
		b := srv.Dial(siotest.Options{Auth: tr.auth()})
		tr.read(b, 2)
		if !slices.Equal(tr.names, []string{"welcome", "welcome"}) { // the missed one, and that of the new connection
			t.Errorf("events = %q", tr.names)
		}
	})
}
