package siotest_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/adapter/memory"
	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

func TestResumeRecoversWhatWasMissed(t *testing.T) {
	for _, automatic := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			srv := siotest.NewServer(t, socketio.Config{Recovery: socketio.Recovery{MaxDisconnection: time.Minute}})
			emit := func(event string, args ...any) {
				t.Helper()
				if err := srv.Emit(event, args...); err != nil {
					t.Error(err)
				}
			}
			c := srv.Dial(siotest.Options{Reconnect: automatic, Auth: token{"x"}})
			id := c.ID()
			if c.Recovered() {
				t.Error("recovered at the first connect")
			}
			emit("one", 1)
			if ev := c.Expect("one", 1); ev.Offset == "" || ev.Offset != c.Offset() {
				t.Errorf("offset %q, the client's is %q", ev.Offset, c.Offset())
			}
			if err := srv.Volatile().Emit("volatile", "of text", 3); err != nil {
				t.Error(err)
			}
			if ev := c.Expect("volatile", "of text", 3); ev.Offset != "" {
				t.Errorf("offset %q of a volatile event", ev.Offset)
			}
			c.Cut()
			synctest.Wait()
			emit("two", "text")
			emit("three")
			if automatic {
				c.ExpectConnect()
			} else {
				c.Resume()
			}
			emit("four")
			c.Expect("two", "text")
			c.Expect("three")
			last := c.Expect("four")
			if c.ID() != id || !c.Recovered() || c.Offset() != last.Offset {
				t.Errorf("came back as %s, recovered %v, at %q", c.ID(), c.Recovered(), c.Offset())
			}
			s, _ := srv.Socket(id)
			if got := tokenOf(s); got != "x" {
				t.Errorf("token %q", got)
			}
			c.ExpectNothing(time.Second)
		})
	}
}

func TestResumeWithoutRecoveryIsANewBeginning(t *testing.T) {
	everywhere(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		var tokens []string
		srv.Use(func(s *socketio.Socket) error {
			tokens = append(tokens, tokenOf(s))
			if tokenOf(s) == "bad" {
				return errors.New("bad token")
			}
			return nil
		})
		srv.On("leave", func(ev *socketio.Event) { ev.Socket.Disconnect() })
		c := srv.Dial(siotest.Options{Auth: token{"first"}})
		id, session := c.ID(), c.Session()
		c.Cut()
		c.Resume()
		if c.ID() == id || c.Recovered() || c.PID() != "" || c.Session() == session {
			t.Errorf("came back as %s, recovered %v", c.ID(), c.Recovered())
		}
		session = c.Session()
		c.Emit("leave")
		c.ExpectDisconnect("io server disconnect")
		c.TryResume(token{"bad"})
		c.ExpectConnectError("bad token")
		c.Disconnect()
		c.Resume(token{"good"})
		if c.Session() != session {
			t.Error("a new connection, where the old one still was")
		}
		c.Emit("leave") // still able to
		c.ExpectDisconnect("io server disconnect")
		if got := strings.Join(tokens, " "); got != "first first bad good" {
			t.Errorf("tokens %q", got)
		}
	})
}

// The JavaScript client takes any text that stands last for an offset.
func TestOffsetIsWhatTheJavaScriptClientWouldSay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t, socketio.Config{Recovery: socketio.Recovery{MaxDisconnection: time.Minute}})
		c := srv.Dial()
		if c.Offset() != "" {
			t.Errorf("offset %q at the beginning", c.Offset())
		}
		_ = srv.Volatile().Emit("v", "text")
		c.Expect("v", "text")
		if c.Offset() != "text" {
			t.Errorf("offset %q", c.Offset())
		}
		_ = srv.Volatile().Emit("v", 1)
		c.Expect("v", 1)
		if c.Offset() != "text" {
			t.Errorf("offset %q", c.Offset())
		}
		_ = srv.Volatile().Emit("v")
		c.Expect("v")
		if c.Offset() != "v" {
			t.Errorf("offset %q", c.Offset())
		}
		c.Cut()
		synctest.Wait()
		c.Resume()
		s, _ := srv.Socket(c.ID())
		if got := s.Recovery(); got.Recovered || got.Reason != socketio.RecoveryOffset || c.Recovered() {
			t.Errorf("%+v, %v", got, c.Recovered())
		}
	})
}

func TestMoveLeadsToAnotherServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := siotest.NewCluster(t, 3, socketio.Config{
			Adapter:  memory.NewLog(memory.Log{}),
			Recovery: socketio.Recovery{MaxDisconnection: time.Minute},
		})
		by := c.Dial(0)
		itself := c.Dial(0, siotest.Options{Reconnect: true})
		_ = c.Server(2).Emit("before")
		for _, client := range []*siotest.Client{by, itself} {
			client.Expect("before")
			client.Move(c.Server(1).Endpoint)
			client.Cut()
		}
		synctest.Wait()
		_ = c.Server(2).Emit("missed")
		by.Resume()
		itself.ExpectConnect()
		for _, client := range []*siotest.Client{by, itself} {
			client.Expect("missed")
			if _, ok := c.Server(1).Socket(client.ID()); !ok || !client.Recovered() {
				t.Errorf("the client is not at the other server, or not recovered: %v", client.Recovered())
			}
		}
	})
}
