package socketio_test

import (
	"context"
	"errors"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

// Proves T-44, J-30.
func TestPatternMatchesWholeNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		srv.OfPattern(regexp.MustCompile(`/dyn-\d+`))
		srv.OfPattern(regexp.MustCompile(`/a|/ab`))
		c := srv.Dial()
		for _, name := range []string{"/dyn-1", "/dyn-22", "/a", "/ab"} {
			c.Join(name)
		}
		for _, name := range []string{"/dyn-", "/dyn-1x", "/x/dyn-1", "/abc"} {
			c.Try(name).ExpectConnectError("Invalid namespace")
		}
	})
}

// Proves T-45.
func TestFamiliesAreAskedInOrderAndWithTheHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		var log journal
		family := func(name string, answer bool, err error) *socketio.ParentNamespace {
			return srv.OfFunc(func(_ context.Context, asked string, h *socketio.Handshake) (bool, error) {
				log.note(name + " " + asked + " " + scan[struct{ Token string }](t, h.Auth).Token)
				return answer, err
			})
		}
		family("first", false, nil)
		second := family("second", true, nil)
		family("third", true, nil)
		c := srv.Dial()
		c.Join("/x", map[string]string{"token": "T"})
		log.expect(t, "first /x T", "second /x T")
		names := func() (names []string) {
			for n := range second.Namespaces() {
				names = append(names, n.Name())
			}
			return names
		}
		if got := names(); !slices.Equal(got, []string{"/x"}) {
			t.Errorf("Namespaces() = %q", got)
		}
		// A namespace that exists asks no more.
		srv.Dial().Join("/x", map[string]string{"token": "U"})
		log.expect(t)
	})
}

// Proves J-32, J-33.
func TestErrorOfAFamilyRefusesWithoutAskingFurther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t, socketio.Config{Logger: quiet()})
		refusal := &socketio.ConnectError{Message: "not you", Data: 7}
		srv.OfFunc(func(_ context.Context, name string, _ *socketio.Handshake) (bool, error) {
			switch name {
			case "/error":
				return false, refusal
			case "/panic":
				panic("secret")
			case "/exit":
				runtime.Goexit()
			}
			return false, nil
		})
		srv.OfFunc(func(context.Context, string, *socketio.Handshake) (bool, error) { return true, nil })
		c := srv.Dial()
		c.Try("/error").ExpectConnectError("not you", 7)
		c.Try("/panic").ExpectConnectError("internal error")
		c.Try("/exit").ExpectConnectError("internal error")
		c.Join("/other")
	})
}

// Proves T-45.
func TestWaitingFamilyLetsOthersGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		ended := make(chan error, 1)
		srv.OfFunc(func(ctx context.Context, name string, _ *socketio.Handshake) (bool, error) {
			if name == "/never" {
				<-ctx.Done()
				ended <- context.Cause(ctx)
				return true, nil
			}
			time.Sleep(time.Minute)
			return true, nil
		})
		c := srv.Dial(siotest.Options{Transport: siotest.Polling})
		c.Try("/never")
		slow := c.Try("/slow")
		srv.On("echo", func(ev *socketio.Event) { _ = ev.Ack() })
		c.EmitWithAck("echo").Expect()
		pass(time.Minute)
		slow.ExpectConnect()

		c.Cut()
		if err := <-ended; !errors.Is(err, socketio.ErrDisconnected) {
			t.Errorf("the function's context ended with %v", err)
		}
	})
}

// Proves T-46, T-76, J-34.
func TestDynamicNamespaceEndsWithItsLastSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log journal
		srv := siotest.NewServer(t, socketio.Config{Hooks: socketio.Hooks{
			OnNamespace: func(name string, created bool) {
				if created {
					log.note("+" + name)
				} else {
					log.note("-" + name)
				}
			},
		}})
		family := srv.OfPattern(regexp.MustCompile(`/dyn-\d+`))
		family.Use(func(s *socketio.Socket) error {
			if scan[struct{ No bool }](t, s.Handshake().Auth).No {
				return errors.New("no")
			}
			return nil
		})
		log.expect(t, "+/")
		a, b := srv.Dial(), srv.Dial()
		a1, b1 := a.Join("/dyn-1"), b.Join("/dyn-1")
		log.expect(t, "+/dyn-1")
		a1.Disconnect()
		log.expect(t)
		b1.Cut()
		log.expect(t, "-/dyn-1")
		if st := srv.Stats(); st.Namespaces != 1 {
			t.Errorf("Namespaces = %d", st.Namespaces)
		}
		// A middleware that refuses the only socket leaves none behind.
		a.Try("/dyn-2", map[string]bool{"no": true}).ExpectConnectError("no")
		log.expect(t, "+/dyn-2", "-/dyn-2")
		// It comes back, with what is registered on the family.
		a.Join("/dyn-1").Disconnect()
		log.expect(t, "+/dyn-1", "-/dyn-1")
		// One that the application asked for stays.
		srv.Of("/dyn-3")
		a.Join("/dyn-3").Disconnect()
		log.expect(t, "+/dyn-3")
	})
}

// Proves J-35.
func TestDynamicNamespaceOutlivesTheSocketsStillInMiddleware(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		family := srv.OfPattern(regexp.MustCompile(`/d`))
		proceed := make(chan struct{})
		family.Use(func(s *socketio.Socket) error {
			if scan[struct{ Wait bool }](t, s.Handshake().Auth).Wait {
				<-proceed
			}
			return nil
		})
		a, b := srv.Dial().Join("/d"), srv.Dial().Try("/d", map[string]bool{"wait": true})
		synctest.Wait()
		a.Disconnect()
		synctest.Wait()
		close(proceed)
		b.ExpectConnect()
		c := srv.Dial().Join("/d")
		synctest.Wait()
		emit(t, family.Emit("all"))
		b.Expect("all")
		c.Expect("all")
	})
}

func TestDynamicNamespaceEndsWhateverItsListenersDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t, socketio.Config{Logger: quiet()})
		family := srv.OfPattern(regexp.MustCompile(`/d`))
		family.OnDisconnecting(func(*socketio.Socket, socketio.Reason) { panic("on purpose") })
		family.OnDisconnect(func(*socketio.Socket, socketio.Reason) { runtime.Goexit() })
		c := srv.Dial()
		c.Join("/d").Disconnect()
		synctest.Wait()
		if st := srv.Stats(); st.Namespaces != 1 {
			t.Errorf("Namespaces = %d, want 1", st.Namespaces)
		}
	})
}

func TestManyClientsRaceForOneDynamicNamespace(t *testing.T) {
	var mu sync.Mutex
	created := 0
	srv := siotest.NewServer(t, socketio.Config{Hooks: socketio.Hooks{OnNamespace: func(name string, on bool) {
		if on && strings.HasPrefix(name, "/d") {
			mu.Lock()
			created++
			mu.Unlock()
		}
	}}})
	family := srv.OfPattern(regexp.MustCompile(`/d`))
	var clients []*siotest.Client
	for range 20 {
		clients = append(clients, srv.Dial())
	}
	var all sync.WaitGroup
	joined := make([]*siotest.Client, len(clients))
	for i, c := range clients {
		all.Go(func() { joined[i] = c.Try("/d") })
	}
	all.Wait()
	for _, c := range joined {
		c.ExpectConnect()
	}
	if created != 1 {
		t.Errorf("%d namespaces were created", created)
	}
	for n := range family.Namespaces() {
		if n.Len() != len(clients) {
			t.Errorf("Len() = %d", n.Len())
		}
	}
}

// Proves J-31, J-36.
func TestFamilyReachesItsNamespacesOnAllNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := siotest.NewCluster(t, 2)
		var families []*socketio.ParentNamespace
		for _, srv := range c.Servers() {
			f := srv.OfPattern(regexp.MustCompile(`/dyn-\d+`))
			f.On("who", func(ev *socketio.Event) { _ = ev.Ack(ev.Socket.Namespace().Name()) })
			families = append(families, f)
		}
		a, b := c.Dial(0).Join("/dyn-1"), c.Dial(1).Join("/dyn-1")
		other := c.Dial(0).Join("/dyn-2")
		outside := c.Dial(0)
		synctest.Wait()
		emit(t, families[0].Emit("news", 1))
		for _, x := range []*siotest.Client{a, b, other} {
			x.Expect("news", 1)
			x.ExpectNothing(time.Second)
		}
		outside.ExpectNothing(time.Second)
		// What is registered late holds for namespaces that exist.
		families[0].On("late", func(ev *socketio.Event) { _ = ev.Ack("yes") })
		a.EmitWithAck("late").Expect("yes")
		a.EmitWithAck("who").Expect("/dyn-1")
		other.EmitWithAck("who").Expect("/dyn-2")
	})
}
