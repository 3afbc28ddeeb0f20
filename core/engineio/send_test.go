package engineio_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/core/engineio"
)

func TestSendFramesOfEverySize(t *testing.T) {
	eachDriver(t, func(t *testing.T, over option) {
		f := serve(t, engineio.Config{}, over, nil)
		w, rec := f.openWebSocket()
		for _, n := range []int{0, 1, 124, 125, 126, 65534, 65535, 65536, 300_000} {
			data := strings.Repeat("x", n)
			sent := make(chan error, 1)
			go func() {
				sent <- rec.Send(engineio.NewBatch(engineio.Message{Data: []byte(data)}, engineio.Message{Binary: true, Data: []byte(data)}))
			}() // Send never blocks
			w.expect("4" + data)
			if op, got := w.frame(); op != opBinary || string(got) != data {
				t.Errorf("%d bytes: opcode %d, %d bytes", n, op, len(got))
			}
			if err := <-sent; err != nil {
				t.Errorf("Send = %v", err)
			}
		}
	})
}

func TestSendKeepsOrderBehindASlowReader(t *testing.T) {
	eachDriver(t, func(t *testing.T, over option) {
		f := serve(t, engineio.Config{MaxPending: 64 << 20}, over, nil)
		w, rec := f.openWebSocket()
		sizes := []int{10, 5000, 100_000, 1, 70_000, 300}
		const rounds = 60 // some 10 MB: more than the kernel keeps
		for i := range rounds * len(sizes) {
			b := text(fmt.Sprintf("%d:%s", i, strings.Repeat("x", sizes[i%len(sizes)])))
			if err := rec.Send(b); err != nil {
				t.Fatalf("Send %d: %v", i, err)
			}
		}
		if rec.Pending() == 0 {
			t.Error("Pending() = 0 though the client has read nothing")
		}
		if rec.SendVolatile(text("volatile")) {
			t.Error("volatile message sent though others are pending")
		}
		for i := range rounds * len(sizes) {
			want := fmt.Sprintf("4%d:", i)
			if _, data := w.frame(); !bytes.HasPrefix(data, []byte(want)) || len(data) != len(want)+sizes[i%len(sizes)] {
				t.Fatalf("frame %d is %.20q of %d bytes", i, data, len(data))
			}
		}
		if err := rec.Drained(context.Background()); err != nil || rec.Pending() != 0 {
			t.Errorf("Drained = %v, Pending = %d", err, rec.Pending())
		}
	})
}

func TestSendFromManyGoroutinesKeepsEachOnesOrder(t *testing.T) {
	eachDriver(t, func(t *testing.T, over option) {
		f := serve(t, engineio.Config{MaxPending: 64 << 20}, over, nil)
		w, rec := f.openWebSocket()
		const senders, each = 8, 500
		var group sync.WaitGroup
		for s := range senders {
			group.Go(func() {
				for i := range each {
					// Two messages of a batch are adjacent.
					err := rec.Send(engineio.NewBatch(
						engineio.Message{Data: fmt.Appendf(nil, "%d %d", s, i)}, engineio.Message{Binary: true, Data: fmt.Appendf(nil, "%d %d", s, i)},
					))
					if err != nil {
						t.Errorf("Send: %v", err)
						return
					}
				}
			})
		}
		var next [senders]int
		for range senders * each {
			_, a := w.frame()
			op, b := w.frame()
			if op != opBinary || string(a[1:]) != string(b) {
				t.Fatalf("batch of %q and %q", a, b)
			}
			var s, i int
			if _, err := fmt.Sscan(string(b), &s, &i); err != nil || next[s] != i {
				t.Fatalf("sender %d: message %d after %d", s, i, next[s]-1)
			}
			next[s]++
		}
		group.Wait()
	})
}

func TestBurstsOfManyGoroutinesKeepEachOnesOrder(t *testing.T) {
	eachDriver(t, func(t *testing.T, over option) {
		f := serve(t, engineio.Config{MaxPending: 64 << 20}, over, nil)
		const clients, senders, each = 4, 8, 300
		var ws [clients]*wsClient
		var sessions [clients]*recorder
		for i := range clients {
			ws[i], sessions[i] = f.openWebSocket()
		}
		var group sync.WaitGroup
		for s := range senders {
			group.Go(func() {
				for i := range each {
					burst := sessions[s%clients].Burst()
					if s%2 == 0 {
						burst = f.Burst() // the first is left to its end by time
					}
					for _, session := range sessions {
						if err := session.Send(text(fmt.Sprintf("%d %d", s, i))); err != nil {
							t.Errorf("Send: %v", err)
						}
					}
					if i%5 > 0 {
						burst.End()
					}
				}
			})
		}
		for _, w := range ws {
			var next [senders]int
			for range senders * each {
				_, data := w.frame()
				var s, i int
				if _, err := fmt.Sscan(string(data[1:]), &s, &i); err != nil || next[s] != i {
					t.Fatalf("sender %d: message %d after %d", s, i, next[s]-1)
				}
				next[s]++
			}
		}
		group.Wait()
	})
}

// Proves T-32, J-14.
func TestSlowConsumerIsBoundedInBytes(t *testing.T) {
	eachDriver(t, func(t *testing.T, over option) {
		const limit = 1 << 20
		f := serve(t, engineio.Config{MaxPending: limit}, over, nil)
		_, rec := f.openWebSocket()
		b := text(strings.Repeat("x", 100_000))
		var err error
		for range 1000 { // more than the kernel and the limit take
			if err = rec.Send(b); err != nil {
				break
			}
			if n := rec.Pending(); n > limit {
				t.Fatalf("%d bytes pending, limit %d", n, limit)
			}
		}
		if !errors.Is(err, engineio.ErrSlowConsumer) {
			t.Fatalf("Send = %v, want ErrSlowConsumer", err)
		}
		if r := rec.waitClosed(t); r != engineio.ReasonTransportError || !errors.Is(rec.err, engineio.ErrSlowConsumer) {
			t.Errorf("closed %q %v", r, rec.err)
		}
		if err := rec.Send(b); !errors.Is(err, engineio.ErrClosed) {
			t.Errorf("Send after that = %v, want ErrClosed", err)
		}
		if n := f.Stats().SlowConsumers; n != 1 {
			t.Errorf("SlowConsumers = %d", n)
		}
	})
}

// Proves J-14.
func TestSlowConsumerIsBoundedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, engineio.Config{}, overPipe, nil)
		_, rec := f.openWebSocket()
		began := time.Now()
		rec.Send(text("nobody reads this"))
		<-rec.closed
		if d := time.Since(began); d != 10*time.Second || !errors.Is(rec.err, engineio.ErrSlowConsumer) {
			t.Errorf("closed %q %v after %v, want a slow consumer after 10s", rec.reason, rec.err, d)
		}
	})
}

func TestSlowConsumerOnASocketIsBoundedInTime(t *testing.T) {
	f := serve(t, engineio.Config{StallTimeout: 50 * time.Millisecond, MaxPending: 256 << 20}, overTCP, nil)
	_, rec := f.openWebSocket()
	for range 200 {
		if rec.Send(text(strings.Repeat("x", 100_000))) != nil {
			break
		}
	}
	if r := rec.waitClosed(t); r != engineio.ReasonTransportError || !errors.Is(rec.err, engineio.ErrSlowConsumer) {
		t.Errorf("closed %q %v", r, rec.err)
	}
}

func TestSteadySlowReaderIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, engineio.Config{PingInterval: time.Hour}, overPipe, nil)
		w, rec := f.openWebSocket()
		data := strings.Repeat("x", 10_000)
		rec.Send(text(data))
		_ = w.SetReadDeadline(time.Time{})
		got := 0
		for got < len(data) { // 100 bytes each 3 seconds: 5 minutes in all
			n, err := w.Conn.Read(make([]byte, 100)) // past the client's own buffer
			if err != nil {
				t.Fatalf("after %d bytes: %v", got, err)
			}
			got += n
			time.Sleep(3 * time.Second)
		}
		select {
		case <-rec.closed:
			t.Errorf("closed %q %v", rec.reason, rec.err)
		default:
		}
	})
}

func TestVolatileIsSentWhenNothingIsPending(t *testing.T) {
	eachDriver(t, func(t *testing.T, over option) {
		f := serve(t, engineio.Config{}, over, nil)
		w, rec := f.openWebSocket()
		if err := rec.Drained(context.Background()); err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			for !rec.SendVolatile(text(fmt.Sprint(i))) {
				time.Sleep(time.Millisecond) // the frame before is still on its way
			}
			w.expect(fmt.Sprint("4", i))
		}
	})
}

func TestCloseFlushesFirst(t *testing.T) {
	eachDriver(t, func(t *testing.T, over option) {
		f := serve(t, engineio.Config{MaxPending: 64 << 20}, over, nil)
		w, rec := f.openWebSocket()
		const n = 50
		for i := range n {
			rec.Send(text(fmt.Sprintf("%d:%s", i, strings.Repeat("x", 100_000))))
		}
		rec.Close()
		rec.Close()
		for i := range n {
			if _, data := w.frame(); !bytes.HasPrefix(data, fmt.Appendf(nil, "4%d:", i)) {
				t.Fatalf("frame %d is %.20q", i, data)
			}
		}
		if code := w.closeCode(); code != codePlain {
			t.Errorf("close code %d", code)
		}
		if r := rec.waitClosed(t); r != engineio.ReasonForcedClose || rec.err != nil {
			t.Errorf("closed %q %v", r, rec.err)
		}
	})
}

func TestCloseGivesUpFlushingAtItsTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, engineio.Config{}, overPipe, nil)
		_, rec := f.openWebSocket()
		rec.Send(text("nobody reads this"))
		began := time.Now()
		rec.Close()
		<-rec.closed
		if d := time.Since(began); rec.reason != engineio.ReasonForcedClose || d != 5*time.Second {
			t.Errorf("closed %q after %v, want 5s", rec.reason, d)
		}
	})
}

func TestCloseNowDropsWhatIsPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, engineio.Config{}, overPipe, nil)
		w, rec := f.openWebSocket()
		rec.Send(text("on its way"))
		synctest.Wait()
		rec.Send(text("dropped"))
		cause := errors.New("enough")
		rec.CloseNow(engineio.ReasonTransportError, cause)
		w.expect("4on its way") // a frame cannot be taken back half written
		if code := w.closeCode(); code != codePlain {
			t.Errorf("close code %d", code)
		}
		if r := rec.waitClosed(t); r != engineio.ReasonTransportError || !errors.Is(rec.err, cause) {
			t.Errorf("closed %q %v", r, rec.err)
		}
	})
}

// Proves T-66.
func TestBatchIsSharedByAllTransports(t *testing.T) {
	f := serve(t, engineio.Config{}, overTCP, nil)
	b := engineio.NewBatch(engineio.Message{Data: []byte("text")}, engineio.Message{Binary: true, Data: []byte{0, 1, 2}})
	if want := 2 + 5 + 2 + 3; b.Len() != want {
		t.Errorf("Len() = %d, want %d", b.Len(), want)
	}
	w, rec := f.openWebSocket()
	p := f.openPolling()
	q := f.openPolling()
	var group sync.WaitGroup
	for _, s := range []*engineio.Session{rec.Session, p.rec.Session, q.rec.Session} {
		group.Go(func() {
			for range 10 {
				if err := s.Send(b); err != nil {
					t.Errorf("Send: %v", err)
				}
			}
		})
	}
	group.Wait()
	want := strings.TrimSuffix(strings.Repeat("4text\x1ebAAEC\x1e", 10), "\x1e")
	p.expectPoll(want)
	q.expectPoll(want)
	for range 10 {
		w.expect("4text")
		if op, data := w.frame(); op != opBinary || string(data) != "\x00\x01\x02" {
			t.Errorf("frame %d %q", op, data)
		}
	}
}

func TestEmptyBatchSendsNothing(t *testing.T) {
	eachDriver(t, func(t *testing.T, over option) {
		f := serve(t, engineio.Config{}, over, nil)
		w, rec := f.openWebSocket()
		p := f.openPolling()
		for _, r := range []*recorder{rec, p.rec} {
			if err := r.Send(engineio.NewBatch()); err != nil {
				t.Errorf("Send = %v", err)
			}
			r.Send(text("x"))
		}
		w.expect("4x")
		p.expectPoll("4x")
	})
}
