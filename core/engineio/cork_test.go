package engineio

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pad is a conn that notes each write and takes only so much without waiting.
type pad struct {
	mu     sync.Mutex // guards the following
	writes []string
	room   int // for tryWrite
	err    error
}

func (p *pad) read() ([]byte, error) { select {} }
func (p *pad) release()              {}
func (p *pad) direct() bool          { return true }
func (p *pad) close()                {}

func (p *pad) tryWrite(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := min(p.room, len(b))
	p.room -= n
	if n > 0 {
		p.writes = append(p.writes, string(b[:n]))
	}
	return n, p.err
}

func (p *pad) write(b []byte, _ time.Duration) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return 0, p.err
	}
	p.writes = append(p.writes, string(b))
	return len(b), nil
}

func (p *pad) expect(t *testing.T, want ...string) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.Equal(p.writes, want) {
		t.Errorf("written %.100q, want %.100q", p.writes, want)
	}
	p.writes = nil
}

// corked returns n outboxes of one server and their connections, which take everything.
func corked(n int) (srv *Server, out []*outbox, pads []*pad) {
	srv = new(Server)
	for range n {
		p := &pad{room: 1 << 30}
		o, _ := newTestOutbox(p)
		o.cork = &srv.cork
		out, pads = append(out, o), append(pads, p)
	}
	return srv, out, pads
}

func sends(t *testing.T, o *outbox, frames ...string) {
	t.Helper()
	for _, f := range frames {
		if err := o.send([]byte(f)); err != nil {
			t.Errorf("send %.20q: %v", f, err)
		}
	}
}

func TestBurstWritesOnceForEachConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // a burst lasts a millisecond
		srv, out, pads := corked(3)
		for range 3 { // memory of one burst serves the next
			b := srv.Burst()
			for i := range 20 {
				sends(t, out[0], fmt.Sprint(i))
			}
			sends(t, out[1], "once")
			for _, p := range pads {
				p.expect(t)
			}
			b.End()
			pads[0].expect(t, "012345678910111213141516171819")
			pads[1].expect(t, "once")
			pads[2].expect(t)
			sends(t, out[0], "no", "burst")
			pads[0].expect(t, "no", "burst")
			b.End()
			sends(t, out[0], "ended only once")
			pads[0].expect(t, "ended only once")
		}
		if out[0].queue != nil || out[0].size != 0 || srv.cork.open.Load() != 0 {
			t.Errorf("at rest: queue %v, size %d, %d bursts", out[0].queue, out[0].size, srv.cork.open.Load())
		}
	})
}

func TestEndOfAnyBurstWritesEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // a burst lasts a millisecond
		srv, out, pads := corked(2)
		a, b := srv.Burst(), srv.Burst()
		sends(t, out[0], "a")
		sends(t, out[1], "b")
		b.End()
		pads[0].expect(t, "a")
		pads[1].expect(t, "b")
		sends(t, out[0], "a is still open")
		pads[0].expect(t)
		if !srv.Flush() || srv.Flush() {
			t.Error("Flush has not told what there was")
		}
		pads[0].expect(t, "a is still open")
		sends(t, out[0], "and still")
		pads[0].expect(t)
		a.End()
		pads[0].expect(t, "and still")
	})
}

func TestNothingWaitsLongerThanAMillisecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, out, pads := corked(2)
		defer srv.cork.stop()
		b := srv.Burst()
		time.Sleep(time.Second) // nothing waits yet
		sends(t, out[0], "first")
		time.Sleep(corkTime / 2)
		sends(t, out[1], "second")
		pads[0].expect(t)
		if b.Over() {
			t.Error("over before its time")
		}
		time.Sleep(corkTime / 2)
		synctest.Wait()
		pads[0].expect(t, "first")
		pads[1].expect(t, "second")
		if !b.Over() {
			t.Error("still open after a millisecond")
		}
		sends(t, out[0], "not", "held")
		pads[0].expect(t, "not", "held")
		next := srv.Burst()
		sends(t, out[0], "of the next")
		b.End() // ends nobody else's
		sends(t, out[0], ", which is open")
		next.End()
		pads[0].expect(t, "of the next", ", which is open")
	})
}

func TestBurstThatIsOverEndsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // a burst lasts a millisecond
		srv, out, pads := corked(1)
		old := srv.Burst()
		srv.cork.expire()
		b := srv.Burst()
		old.End()
		sends(t, out[0], "1", "2")
		pads[0].expect(t)
		b.End()
		pads[0].expect(t, "12")
		if n := srv.cork.open.Load(); n != 0 {
			t.Errorf("%d bursts open", n)
		}
	})
}

// Another burst may have taken the list and be far from done with it.
func TestBurstOfASessionServesItFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // a burst lasts a millisecond
		srv, out, pads := corked(1)
		s := &Session{srv: srv}
		ws := &websocket{s: s}
		ws.out.conn, ws.out.cork, ws.out.limit = pads[0], &srv.cork, out[0].limit
		s.transport = ws
		other, b := srv.Burst(), s.Burst()
		sends(t, &ws.out, "x")
		taken := srv.cork.take()
		b.End()
		pads[0].expect(t, "x")
		srv.cork.flush(taken)
		pads[0].expect(t)
		other.End()
	})
}

func TestBurstKeepsLittleBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // a burst lasts a millisecond
		srv, out, pads := corked(1)
		b := srv.Burst()
		defer b.End()
		kilo := strings.Repeat("x", 40<<10)
		sends(t, out[0], kilo, kilo, "behind")
		pads[0].expect(t, kilo)
		huge := strings.Repeat("y", flushChunk+1)
		sends(t, out[0], huge)
		pads[0].expect(t, kilo+"behind", huge)
	})
}

func TestVolatileGoesWithWhatHasGathered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // a burst lasts a millisecond
		for _, test := range []struct {
			room int
			sent bool
			want []string // the second write is the flusher's
		}{
			{100, true, []string{"gatheredvolatile"}},
			{9, true, []string{"gatheredv", "olatile"}},
			{8, false, []string{"gathered"}},
			{7, false, []string{"gathere", "d"}},
			{0, false, []string{"gathered"}},
		} {
			srv, out, pads := corked(1)
			pads[0].room = test.room
			b := srv.Burst()
			sends(t, out[0], "gath", "ered")
			if sent, err := out[0].trySend([]byte("volatile")); sent != test.sent || err != nil {
				t.Errorf("room for %d: sent %v %v", test.room, sent, err)
			}
			out[0].owner.(*testOwner).flushers.Wait()
			pads[0].expect(t, test.want...)
			b.End()
			pads[0].expect(t)
			if out[0].waiting() != 0 || out[0].queue != nil {
				t.Errorf("room for %d: %d bytes left", test.room, out[0].waiting())
			}
		}
	})
}

// What is not send finds an outbox as if there were no bursts.
func TestEverythingElseEndsTheGathering(t *testing.T) {
	for name, test := range map[string]struct {
		do   func(o *outbox)
		want []string
	}{
		"waiting": {func(o *outbox) {
			if n := o.waiting(); n != 0 {
				t.Errorf("%d bytes wait", n)
			}
		}, []string{"ab"}},
		"drained":        {func(o *outbox) { <-o.drained() }, []string{"ab"}},
		"pong":           {func(o *outbox) { _ = o.sendPong([]byte("p")) }, []string{"abp"}},
		"finish":         {func(o *outbox) { o.finish([]byte("z"), false) }, []string{"abz"}},
		"finish discard": {func(o *outbox) { o.finish([]byte("z"), true) }, []string{"ab", "z"}},
		"kill":           {func(o *outbox) { o.kill() }, []string{"ab"}},
		"limit": {func(o *outbox) {
			o.limit = 2
			if err := o.send([]byte("c")); err != nil {
				t.Errorf("send = %v", err)
			}
			o.uncork()
		}, []string{"ab", "c"}},
	} {
		t.Run(name, func(t *testing.T) {
			srv, out, pads := corked(1)
			b := srv.Burst()
			sends(t, out[0], "a", "b")
			test.do(out[0])
			pads[0].expect(t, test.want...)
			b.End()
			pads[0].expect(t)
		})
	}
}

// A frame of which a part is written cannot be taken back.
func TestDiscardKeepsTheRestOfAFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // a burst lasts a millisecond
		srv, out, pads := corked(1)
		pads[0].room = 3
		b := srv.Burst()
		sends(t, out[0], "ab", "cd", "ef")
		out[0].finish([]byte("z"), true)
		b.End()
		out[0].owner.(*testOwner).flushers.Wait()
		if got := strings.Join(pads[0].writes, ""); got != "abcdz" {
			t.Errorf("written %q", got)
		}
	})
}

func TestErrorAtTheEndOfABurstIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // a burst lasts a millisecond
		srv, out, pads := corked(1)
		pads[0].err = errors.New("broken")
		b := srv.Burst()
		sends(t, out[0], "a", "b")
		b.End()
		owner := out[0].owner.(*testOwner)
		owner.flushers.Wait()
		if !errors.Is(owner.failed, pads[0].err) {
			t.Errorf("reported %v", owner.failed)
		}
		if err := out[0].send([]byte("c")); !errors.Is(err, ErrClosed) {
			t.Errorf("send = %v, want ErrClosed", err)
		}
	})
}

// Whatever the connection takes and whenever bursts begin and end, what was accepted is written once and in order.
func TestBurstsChangeNoOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // a burst lasts a millisecond
		for seed := range uint64(300) {
			r := rand.New(rand.NewPCG(seed, 0))
			srv, out, pads := corked(1)
			o, p := out[0], pads[0]
			p.room = r.IntN(2000)
			var want []byte
			var bursts []*Burst
			for i := range 60 {
				frame := bytes.Repeat([]byte{byte(i)}, r.IntN(50))
				switch r.IntN(6) {
				case 0:
					b := srv.Burst()
					bursts = append(bursts, &b)
				case 1:
					if len(bursts) > 0 {
						bursts[r.IntN(len(bursts))].End()
					}
				case 2:
					if sent, _ := o.trySend(frame); sent {
						want = append(want, frame...)
					}
				default:
					if err := o.send(frame); err != nil {
						t.Fatal(err)
					}
					want = append(want, frame...)
				}
				if r.IntN(8) == 0 {
					p.mu.Lock()
					p.room = r.IntN(200)
					p.mu.Unlock()
				}
			}
			for _, b := range bursts {
				b.End()
			}
			<-o.drained()
			o.owner.(*testOwner).flushers.Wait()
			if got := strings.Join(p.writes, ""); got != string(want) {
				t.Fatalf("seed %d: written %x, want %x", seed, got, want)
			}
			if o.queue != nil || o.size != 0 || o.pending != 0 || o.flushing {
				t.Fatalf("seed %d: at rest %+v", seed, o)
			}
		}
	})
}
