package socketio_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/test/siotest"
)

// Proves T-30, T-75.
func TestClientsJoinNamespacesWithAnIdOfTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		if srv.Of("chat") != srv.Of("/chat") || srv.Of("chat").Name() != "/chat" {
			t.Error("the leading slash makes a difference")
		}
		if srv.Of("/") != srv.Namespace || srv.Of("") != srv.Namespace {
			t.Error("the server is not its default namespace")
		}
		a := srv.Dial()
		b := a.Join("/chat")
		if len(a.ID()) != 20 || len(b.ID()) != 20 || a.ID() == b.ID() {
			t.Errorf("ids %q and %q: want 20 characters each, different", a.ID(), b.ID())
		}
		if a.ID() == a.Session().ID() || b.ID() == a.Session().ID() {
			t.Error("a socket id gives the secret session id away")
		}
		synctest.Wait()
		if _, ok := srv.Socket(b.ID()); ok {
			t.Error("a socket is in a namespace that it has not joined")
		}
		s, ok := srv.Of("/chat").Socket(b.ID())
		if !ok || !s.Connected() || s.Namespace() != srv.Of("/chat") || srv.Of("/chat").Len() != 1 {
			t.Error("a socket is not in the namespace that it has joined")
		}
	})
}

// Proves T-40.
func TestUnknownNamespaceIsRefusedAndTheConnectionStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		c := srv.Dial()
		c.Try("/nowhere").ExpectConnectError("Invalid namespace")
		srv.On("echo", func(ev *socketio.Event) { _ = ev.Ack() })
		c.EmitWithAck("echo").Expect()
	})
}

// Proves T-69.
func TestHandshakeShowsTheRequestAndTheAuthPayload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		start := time.Now()
		c := srv.Dial(siotest.Options{
			Auth:   map[string]any{"token": "abc", "n": 1},
			Header: http.Header{"X-Test": {"yes"}},
			Query:  url.Values{"room": {"a", "b"}},
		})
		pass(time.Minute)
		h := socketOf(t, srv, c).Handshake()
		var auth struct {
			Token string
			N     int
		}
		if err := h.Auth.Scan(&auth); err != nil || auth.Token != "abc" || auth.N != 1 {
			t.Errorf("Auth = %+v, %v", auth, err)
		}
		if h.Header.Get("X-Test") != "yes" || len(h.Query["room"]) != 2 || h.Query.Get("EIO") != "4" {
			t.Errorf("Header %v, Query %v", h.Header, h.Query)
		}
		if !h.Time.Equal(start) || h.Secure || h.CrossOrigin || !h.RemoteAddr.Addr().IsLoopback() {
			t.Errorf("Time %v, Secure %t, CrossOrigin %t, RemoteAddr %v", h.Time, h.Secure, h.CrossOrigin, h.RemoteAddr)
		}
		if h.URL == nil || !strings.HasPrefix(h.URL.Path, "/socket.io") {
			t.Errorf("URL = %v", h.URL)
		}

		// Each namespace has the payload that was sent for it.
		srv.Of("/bare")
		bare := c.Join("/bare")
		s, _ := srv.Of("/bare").Socket(bare.ID())
		var object map[string]any
		if err := s.Handshake().Auth.Scan(&object); err != nil || object == nil || len(object) != 0 {
			t.Errorf("auth of a client that sends none: %v, %v; want an empty object", object, err)
		}
	})
}

type userKey struct{}

// Proves T-20.
func TestAdmitGivesContextValuesOrRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		srv := siotest.NewServer(t, socketio.Config{Admit: func(r *http.Request) (context.Context, error) {
			asked++
			if r.Header.Get("Authorization") != "Bearer x" {
				return nil, errors.New("who are you?")
			}
			ctx, cancel := context.WithCancel(context.WithValue(r.Context(), userKey{}, "ada"))
			cancel() // the request ends; the session does not
			return ctx, nil
		}})
		c := srv.Dial(siotest.Options{Transport: siotest.Upgrade, Header: http.Header{"Authorization": {"Bearer x"}}})
		s := socketOf(t, srv, c)
		ctx := s.Context()
		if got := ctx.Value(userKey{}); got != "ada" {
			t.Errorf("value of Admit's context: %v", got)
		}
		if ctx.Err() != nil {
			t.Errorf("the socket's context ended: %v", ctx.Err())
		}
		if asked != 1 {
			t.Errorf("Admit was asked %d times for one session", asked)
		}
		err := srv.Refused(siotest.Options{Transport: siotest.Polling})
		if !strings.Contains(err.Error(), "403") || !strings.Contains(err.Error(), "who are you?") {
			t.Errorf("refused with %v", err)
		}
		if err := srv.Refused(); !strings.Contains(err.Error(), "403") {
			t.Errorf("refused with %v", err)
		}

		c.Cut()
		<-ctx.Done()
		var cause *socketio.DisconnectError
		if !errors.As(context.Cause(ctx), &cause) || cause.Reason != socketio.ReasonTransportClose {
			t.Errorf("cause of the context's end: %v", context.Cause(ctx))
		}
		if !errors.Is(cause, socketio.ErrDisconnected) {
			t.Errorf("%v is not ErrDisconnected", cause)
		}
		if late := s.Context(); !errors.Is(context.Cause(late), socketio.ErrDisconnected) {
			t.Errorf("cause of a context asked for late: %v", context.Cause(late))
		}
	})
}

// Proves T-47.
func TestConnectTimeoutEndsWhoJoinsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t, socketio.Config{ConnectTimeout: 7 * time.Second})
		srv.Of("/guarded").Use(func(*socketio.Socket) error { return errors.New("no") })
		start := time.Now()
		idle, refused := srv.Open(), srv.Open()
		refused.Send("0/guarded,")
		idle.ExpectEnd("transport close")
		if took := time.Since(start); took != 7*time.Second {
			t.Errorf("closed after %v", took)
		}
		refused.ExpectEnd("transport close") // to be refused is not to join

		// Who has joined once may leave and stay.
		c := srv.Dial()
		c.Disconnect()
		pass(time.Minute)
		if ended := c.Session().Ended(); ended != "" {
			t.Errorf("a client that left its namespace was ended: %s", ended)
		}
		if got := srv.Stats().Disconnected; len(got) != 1 || got[socketio.ReasonClientDisconnect] != 1 {
			t.Errorf("Disconnected = %v", got)
		}
	})
}

// Proves T-47.
func TestConnectTimeoutIs45SecondsByDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		start := time.Now()
		s := srv.Open()
		for s.Ended() == "" {
			time.Sleep(time.Second)
		}
		if took := time.Since(start); took < 45*time.Second || took > 46*time.Second {
			t.Errorf("closed after %v", took)
		}
	})
}

func TestConfigRefusesImpossibleValues(t *testing.T) {
	for _, test := range []struct {
		cfg  socketio.Config
		want string
	}{
		{socketio.Config{ConnectTimeout: -1}, "ConnectTimeout"},
		{socketio.Config{RequestTimeout: -1}, "RequestTimeout"},
		{socketio.Config{Limits: socketio.Limits{Rooms: -1}}, "Limits.Rooms"},
		{socketio.Config{Limits: socketio.Limits{InboxEvents: -5}}, "Limits.InboxEvents"},
		{socketio.Config{Limits: socketio.Limits{Attachments: -1}}, "Limits.Attachments"},
	} {
		if _, err := socketio.New(test.cfg); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("New: %v, want an error that names %s", err, test.want)
		}
	}
}

func TestSocketsYieldsTheSocketsOfOneMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := siotest.NewServer(t)
		for range 5 {
			srv.Dial()
		}
		synctest.Wait()
		seen := 0
		for s := range srv.Sockets() {
			seen++
			s.Disconnect() // may be called meanwhile
		}
		if seen != 5 || srv.Len() != 0 {
			t.Errorf("%d sockets were seen, %d are left", seen, srv.Len())
		}
		for range srv.Sockets() {
			t.Error("a socket that has left is yielded")
		}
	})
}
