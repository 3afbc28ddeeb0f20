package engineio_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/core/engineio"
)

type contextKey struct{}

func TestSessionContextCarriesAdmittedValuesButNotTheRequest(t *testing.T) {
	var ended atomic.Bool
	cfg := engineio.Config{Admit: func(r *http.Request) (context.Context, error) {
		context.AfterFunc(r.Context(), func() { ended.Store(true) })
		return context.WithValue(r.Context(), contextKey{}, "user-1"), nil
	}}
	f := serve(t, cfg, overTCP, nil)
	_, rec := f.openWebSocket()
	for !ended.Load() {
		time.Sleep(time.Millisecond)
	}
	ctx := rec.Context()
	if ctx.Value(contextKey{}) != "user-1" || ctx.Err() != nil {
		t.Errorf("context of an open session: value %v, error %v", ctx.Value(contextKey{}), ctx.Err())
	}
	rec.CloseNow(engineio.ReasonParseError, errors.New("why"))
	<-rec.Done()
	var cause *engineio.CloseError
	if !errors.As(context.Cause(ctx), &cause) || cause.Reason != engineio.ReasonParseError || !errors.Is(cause, engineio.ErrClosed) {
		t.Errorf("cause %v", context.Cause(ctx))
	}
}

func TestSessionContextAskedForAfterTheClose(t *testing.T) {
	f := serve(t, engineio.Config{}, overTCP, nil)
	_, rec := f.openWebSocket()
	rec.CloseNow(engineio.ReasonForcedClose, nil)
	rec.waitClosed(t)
	select {
	case <-rec.Done():
	default:
		t.Error("Done is open after HandleClose")
	}
}

// Proves T-20, J-06.
func TestAdmitIsAskedOncePerSession(t *testing.T) {
	var asked atomic.Int32
	cfg := engineio.Config{Admit: func(r *http.Request) (context.Context, error) {
		asked.Add(1)
		if r.URL.Query().Get("token") == "bad" {
			return nil, errors.New("token expired")
		}
		return nil, nil
	}}
	f := serve(t, cfg, overTCP, nil)
	p := f.openPolling()
	p.expectPost("4x")
	p.probe().send("5")
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times for one session", n)
	}
	res := f.must("GET", "EIO=4&transport=polling&token=bad", "")
	if res.status != 403 || res.body != `{"code":4,"message":"token expired"}` {
		t.Errorf("refused poll = %d %q", res.status, res.body)
	}
	if res := f.rawUpgrade(upgradeRequest("EIO=4&transport=websocket&token=bad")); res.status != 403 || res.body != "token expired" {
		t.Errorf("refused upgrade = %d %q", res.status, res.body)
	}
}

func TestHandshakeIsKeptWithoutTheRequest(t *testing.T) {
	f := serve(t, engineio.Config{AllowAnyOrigin: true}, overTCP, nil)
	f.upgrade("EIO=4&transport=websocket&name=j%C3%BCrgen&x=1&x=2", "X-Multi", "a", "X-Multi", "b", "Cookie", "k=v", "Origin", "https://other.test")
	h := f.session().Handshake()
	if got := h.Query["x"]; len(got) != 2 || h.Query.Get("name") != "jürgen" {
		t.Errorf("Query = %v", h.Query)
	}
	if got := h.Header["X-Multi"]; len(got) != 2 || got[0] != "a" || got[1] != "b" {
		t.Errorf("X-Multi = %v", got)
	}
	if h.Header.Get("Host") != "example.test" || h.Header.Get("Cookie") != "k=v" {
		t.Errorf("Header = %v", h.Header)
	}
	if h.URL.Path != "/engine.io/" || !h.RemoteAddr.Addr().IsLoopback() || h.Secure || !h.CrossOrigin || h.Time.IsZero() {
		t.Errorf("Handshake = %+v", h)
	}
}

func TestPanicsEndOneSessionOnly(t *testing.T) {
	for _, where := range []string{"accept", "message", "close"} {
		t.Run(where, func(t *testing.T) {
			var reported atomic.Value
			done := make(chan struct{})
			cfg := engineio.Config{OnPanic: func(_ *engineio.Session, v any, stack []byte) {
				if len(stack) > 0 {
					reported.Store(v)
				}
				close(done)
			}}
			srv, err := engineio.New(cfg, func(s *engineio.Session) engineio.Handler {
				if s.Handshake().Query.Get("panic") == "" {
					return nopHandler{}
				}
				if where == "accept" {
					panic("in accept")
				}
				return panicky{where}
			})
			if err != nil {
				t.Fatal(err)
			}
			f := serve(t, engineio.Config{}, overTCP, nil)
			f.http.Handler = srv
			defer func() { _ = srv.Shutdown(context.Background()) }()
			other := f.upgrade("EIO=4&transport=websocket")
			other.frame()
			w := f.upgrade("EIO=4&transport=websocket&panic=1")
			w.frame()
			if where == "message" {
				w.send("4x")
			}
			if where != "close" {
				w.closeCode()
			}
			w.Close()
			<-done
			if v := reported.Load(); v != "in "+where {
				t.Errorf("reported %v", v)
			}
			if n := srv.Stats().Panics; n != 1 {
				t.Errorf("Panics = %d", n)
			}
			other.write(clientFrame(true, opPing, []byte("alive?")))
			if op, _ := other.frame(); op != opPong {
				t.Error("the other session is gone")
			}
			other.write(clientFrame(true, opClose, nil))
		})
	}
}

func TestPanicsInHooksLeaveNothingBehind(t *testing.T) {
	cfg := engineio.Config{Headers: func(_ http.Header, r *http.Request) {
		if r.URL.Query().Has("panic") {
			panic("in a hook")
		}
	}}
	f := serve(t, cfg, func(f *fixture) {
		f.http.ErrorLog = log.New(io.Discard, "", 0) // net/http reports the panic
		overTCP(f)
	}, nil)
	c, err := f.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, upgradeRequest("EIO=4&transport=websocket&panic=1"))
	_, _ = io.ReadAll(c)
	if n := f.Len(); n != 0 {
		t.Errorf("%d sessions left", n)
	}
	f.openWebSocket()
}

type panicky struct{ where string }

func (p panicky) HandleMessage(engineio.Message) {
	if p.where == "message" {
		panic("in message")
	}
}

func (p panicky) HandleClose(engineio.Reason, error) {
	if p.where == "close" {
		panic("in close")
	}
}

type nopHandler struct{}

func (nopHandler) HandleMessage(engineio.Message)     {}
func (nopHandler) HandleClose(engineio.Reason, error) {}

func TestSessionClosedInsideAccept(t *testing.T) {
	f := serve(t, engineio.Config{}, overTCP, func(r *recorder) {
		r.Send(text("no room"))
		r.Close()
	})
	res := f.must("GET", "EIO=4&transport=polling", "")
	p := &poller{fixture: f, sid: f.parseOpen(res.body)}
	if _, rest, _ := strings.Cut(res.body, "\x1e"); rest != "4no room" {
		t.Errorf("handshake = %q", res.body)
	}
	p.expectPoll("6\x1e1")
	if r := f.session().waitClosed(t); r != engineio.ReasonForcedClose {
		t.Errorf("reason %q", r)
	}
	w := f.upgrade("EIO=4&transport=websocket")
	w.frame()
	w.expect("4no room")
	if code := w.closeCode(); code != codePlain {
		t.Errorf("close code %d", code)
	}
	f.session().waitClosed(t)
}

func TestSessionIsRefusedByANilHandler(t *testing.T) {
	srv, err := engineio.New(engineio.Config{}, func(*engineio.Session) engineio.Handler { return nil })
	if err != nil {
		t.Fatal(err)
	}
	f := serve(t, engineio.Config{}, overTCP, nil)
	f.http.Handler = srv
	w := f.upgrade("EIO=4&transport=websocket")
	w.frame()
	if code := w.closeCode(); code != codePlain {
		t.Errorf("close code %d", code)
	}
	w.Close()
	if err := srv.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestServerListsAndCountsSessions(t *testing.T) {
	f := serve(t, engineio.Config{}, overTCP, nil)
	w, a := f.openWebSocket()
	b := f.openPolling().rec
	seen := map[string]bool{}
	for s := range f.Sessions() {
		seen[s.ID()] = true
	}
	if f.Len() != 2 || len(seen) != 2 || !seen[a.ID()] || !seen[b.ID()] {
		t.Errorf("Len %d, Sessions %v", f.Len(), seen)
	}
	if s, ok := f.Session(a.ID()); !ok || s != a.Session {
		t.Error("Session does not find an open one")
	}
	if _, ok := f.Session("nobody"); ok {
		t.Error("Session finds an unknown one")
	}
	w.send("4abc")
	a.expectMessage(t, "abc")
	w.write(clientFrame(true, opClose, nil))
	if r := a.waitClosed(t); r != engineio.ReasonTransportClose {
		t.Errorf("reason %q", r)
	}
	f.must("GET", "EIO=4&transport=nope", "")
	s := f.Stats()
	if s.Sessions != 1 || s.Opened != 2 || s.Closed[engineio.ReasonTransportClose] != 1 || s.Rejected[engineio.CodeUnknownTransport] != 1 {
		t.Errorf("Stats = %+v", s)
	}
	if s.MessagesIn != 1 || s.BytesIn != 3 {
		t.Errorf("Stats = %+v", s)
	}
}

func TestMaxSessionsAndRefuse(t *testing.T) {
	f := serve(t, engineio.Config{MaxSessions: 1}, overTCP, nil)
	_, rec := f.openWebSocket()
	if res := f.must("GET", "EIO=4&transport=polling", ""); res.status != 503 || res.header.Get("Retry-After") == "" {
		t.Errorf("over the bound = %d %v", res.status, res.header)
	}
	if res := f.rawUpgrade(upgradeRequest("EIO=4&transport=websocket")); res.status != 503 {
		t.Errorf("upgrade over the bound = %d", res.status)
	}
	rec.CloseNow(engineio.ReasonForcedClose, nil)
	rec.waitClosed(t)
	p := f.openPolling()
	f.Refuse(true)
	if res := f.must("GET", "EIO=4&transport=polling", ""); res.status != 503 {
		t.Errorf("while refusing = %d", res.status)
	}
	p.expectPost("4x")
	p.rec.expectMessage(t, "x")
	p.rec.CloseNow(engineio.ReasonForcedClose, nil)
	p.rec.waitClosed(t)
	f.Refuse(false)
	f.openPolling()
}

// Proves J-51.
func TestShutdownFlushesAndWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, engineio.Config{}, overPipe, nil)
		w, a := f.openWebSocket()
		p := f.openPolling()
		parked := p.parked()
		q := f.openPolling() // never polls again
		a.Send(text("bye"))
		began := time.Now()
		done := make(chan error, 1)
		go func() { done <- f.Shutdown(context.Background()) }() // ends with the sessions
		w.expect("4bye")
		if op, _ := w.frame(); op != opClose {
			t.Errorf("opcode %d, want a close frame", op)
		}
		w.write(clientFrame(true, opClose, nil))
		if res := <-parked; res.body != "1" {
			t.Errorf("parked poll = %q", res.body)
		}
		if res := f.must("GET", "EIO=4&transport=polling", ""); res.status != 503 {
			t.Errorf("new session during Shutdown = %d", res.status)
		}
		if err := <-done; err != nil {
			t.Errorf("Shutdown = %v", err)
		}
		if d := time.Since(began); d != 5*time.Second {
			t.Errorf("Shutdown took %v, want the close timeout of the session that does not poll", d)
		}
		for _, r := range []*recorder{a, p.rec, q.rec} {
			select {
			case <-r.closed:
			default:
				t.Error("Shutdown returned before a HandleClose")
			}
		}
	})
}

func TestShutdownIsForcedByItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, engineio.Config{}, overPipe, nil)
		_, a := f.openWebSocket()
		a.Send(text("nobody reads this"))
		_, b := f.openWebSocket() // does not answer the close frame
		p := f.openPolling()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		began := time.Now()
		if err := f.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown = %v", err)
		}
		if d := time.Since(began); d != time.Second {
			t.Errorf("Shutdown took %v, want 1s", d)
		}
		for _, r := range []*recorder{a, b, p.rec} {
			if r := r.waitClosed(t); r != engineio.ReasonForcedClose {
				t.Errorf("reason %q", r)
			}
		}
	})
}

func TestShutdownDoesNotWaitForeverForAStuckCallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		f := serve(t, engineio.Config{}, overPipe, func(r *recorder) {
			r.onMessage = func(engineio.Message) { <-release }
		})
		w, _ := f.openWebSocket()
		w.send("4stuck")
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := f.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown = %v", err)
		}
		close(release)
	})
}

func TestNoDeliveryBeginsAfterTheClose(t *testing.T) {
	eachDriver(t, func(t *testing.T, over option) {
		f := serve(t, engineio.Config{}, over, func(r *recorder) {
			r.onMessage = func(engineio.Message) {
				select {
				case <-r.closed:
					t.Error("message after HandleClose")
				default:
				}
				r.CloseNow(engineio.ReasonForcedClose, nil)
				<-r.closed
			}
		})
		w, rec := f.openWebSocket()
		w.write(frames(clientFrame(true, opText, []byte("4a")), clientFrame(true, opText, []byte("4b")), clientFrame(true, opText, []byte("4c"))))
		rec.waitClosed(t)
		w.write(clientFrame(true, opClose, nil))
	})
}

func TestBlockedHandlerStopsTheClientAndLosesNothing(t *testing.T) {
	eachDriver(t, func(t *testing.T, over option) {
		release := make(chan struct{})
		var next atomic.Int64
		f := serve(t, engineio.Config{}, over, func(r *recorder) {
			r.onMessage = func(m engineio.Message) {
				<-release
				if want := strconv.FormatInt(next.Add(1)-1, 10); !strings.HasPrefix(string(m.Data), want+" ") {
					t.Errorf("message %.10q, want %s", m.Data, want)
				}
			}
		})
		w, _ := f.openWebSocket()
		filler := strings.Repeat("x", 100_000)
		const total = 300 // 30 MB: far more than the kernel keeps
		written := make(chan struct{})
		var sent atomic.Int64
		go func() { // ends with the last message
			defer close(written)
			for i := range total {
				w.send("4" + strconv.Itoa(i) + " " + filler)
				sent.Add(1)
			}
		}()
		last := int64(-1)
		for n := sent.Load(); n != last; n = sent.Load() { // until the client makes no progress
			last = n
			time.Sleep(50 * time.Millisecond)
		}
		if n := sent.Load(); n == total {
			t.Error("all was read though the handler is blocked")
		}
		close(release)
		<-written
		for next.Load() < total {
			time.Sleep(time.Millisecond)
		}
	})
}
