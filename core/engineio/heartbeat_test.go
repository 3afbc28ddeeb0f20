package engineio_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/core/engineio"
)

// Proves T-06.
func TestHeartbeatPingsAtTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, engineio.Config{}, overPipe, nil)
		w, _ := f.openWebSocket()
		last := time.Now()
		for range 5 {
			op, data, err := readLong(w)
			if err != nil || op != opText || string(data) != "2" {
				t.Fatalf("frame = %d %q %v, want a ping", op, data, err)
			}
			if d := time.Since(last); d != 25*time.Second {
				t.Errorf("ping after %v, want 25s", d)
			}
			time.Sleep(3 * time.Second) // the interval runs from the pong
			w.send("3")
			synctest.Wait()
			last = time.Now()
		}
	})
}

// drain reads until the connection ends.
func (w *wsClient) drain() {
	for {
		if _, _, err := readLong(w); err != nil {
			return
		}
	}
}

// readLong reads a short frame, however long that takes.
func readLong(w *wsClient) (op byte, data []byte, err error) {
	_ = w.SetReadDeadline(time.Time{})
	head := make([]byte, 2)
	for i := range head {
		if head[i], err = w.r.ReadByte(); err != nil {
			return 0, nil, err
		}
	}
	data = make([]byte, head[1])
	for i := range data {
		if data[i], err = w.r.ReadByte(); err != nil {
			return 0, nil, err
		}
	}
	return head[0] & 0xf, data, nil
}

// Proves T-06.
func TestHeartbeatEndsSilentSessionsExactly(t *testing.T) {
	for _, transport := range []string{"polling", "websocket"} {
		t.Run(transport, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := serve(t, engineio.Config{}, overPipe, nil)
				began := time.Now()
				var rec *recorder
				if transport == "polling" {
					rec = f.openPolling().rec // never polls again
				} else {
					var w *wsClient
					w, rec = f.openWebSocket()
					go w.drain()
				}
				<-rec.closed
				if rec.reason != engineio.ReasonPingTimeout || time.Since(began) != 45*time.Second {
					t.Errorf("closed %q after %v, want ping timeout after 45s", rec.reason, time.Since(began))
				}
			})
		})
	}
}

// Proves J-11.
func TestHeartbeatWaitsWhileTheHandlerHoldsUpReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		f := serve(t, engineio.Config{}, overPipe, func(r *recorder) {
			r.onMessage = func(engineio.Message) {
				select {
				case <-release:
				case <-r.Done():
				}
			}
		})
		w, rec := f.openWebSocket()
		go w.drain()
		w.send("4block")
		time.Sleep(5 * time.Minute)
		select {
		case <-rec.closed:
			t.Fatalf("closed: %s, while its messages were not being read", rec.reason)
		default:
		}
		close(release)
		began := time.Now()
		<-rec.closed
		if d := time.Since(began); rec.reason != engineio.ReasonPingTimeout || d > 20*time.Second {
			t.Errorf("closed %q %v after reading went on, want ping timeout within 20s", rec.reason, d)
		}
	})
}

// Proves J-11.
func TestHeartbeatWaitsForMessageThatIsStillArriving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, engineio.Config{}, overPipe, nil)
		w, rec := f.openWebSocket()
		go w.drain()
		body := "4" + strings.Repeat("x", 99)
		frame := clientFrame(true, opText, []byte(body))
		for i := range frame { // 105 bytes, one each second: longer than interval and timeout
			_ = w.SetWriteDeadline(time.Time{})
			if _, err := w.Write(frame[i : i+1]); err != nil {
				t.Fatalf("byte %d: %v", i, err)
			}
			time.Sleep(time.Second)
		}
		if m := <-rec.messages; string(m.Data) != body[1:] {
			t.Errorf("received %q", m.Data)
		}
	})
}

func TestHeartbeatGivesTheSameMessageNoSecondChanceWithoutProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, engineio.Config{}, overPipe, nil)
		w, rec := f.openWebSocket()
		go w.drain()
		began := time.Now()
		w.write(maskedFrame(0x81, 100, []byte("4half")))
		<-rec.closed
		if d := time.Since(began); rec.reason != engineio.ReasonPingTimeout || d != 65*time.Second {
			t.Errorf("closed %q after %v, want ping timeout after 65s", rec.reason, d)
		}
	})
}

func TestHeartbeatServesManySessionsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 50
		f := serve(t, engineio.Config{PingInterval: 300 * time.Millisecond, PingTimeout: 200 * time.Millisecond}, overPipe, nil)
		began := make([]time.Time, n)
		recs := make([]*recorder, n)
		for i := range n {
			recs[i] = f.openPolling().rec
			began[i] = time.Now()
			time.Sleep(7 * time.Millisecond)
		}
		for i, r := range recs {
			<-r.closed
			if r.reason != engineio.ReasonPingTimeout {
				t.Errorf("session %d closed: %s", i, r.reason)
			}
		}
		if d := time.Since(began[n-1]); d < 499*time.Millisecond || d > 500*time.Millisecond {
			t.Errorf("the last session lived %v, want 500ms", d)
		}
	})
}

// Proves T-07.
func TestUpgradeTimeoutClosesOnlyTheCandidate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, engineio.Config{}, overPipe, nil)
		p := f.openPolling()
		w := f.upgrade("EIO=4&transport=websocket&sid=" + p.sid)
		w.send("2probe")
		w.expect("3probe")
		began := time.Now()
		if op, _, err := readLong(w); err != nil || op != opClose {
			t.Fatalf("frame %d %v, want a close frame", op, err)
		}
		if d := time.Since(began); d != 10*time.Second {
			t.Errorf("candidate closed after %v, want 10s", d)
		}
		p.rec.Send(text("still here"))
		p.expectPoll("4still here")
		if got := p.rec.Transport(); got != "polling" {
			t.Errorf("Transport() = %q, want polling", got)
		}
	})
}

// Proves J-12.
func TestUpgradeRearmsThePingWhosePongWasLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, engineio.Config{}, overPipe, nil)
		p := f.openPolling()
		p.expectPoll("2") // the pong is lost with the transport
		w := p.upgrade("EIO=4&transport=websocket&sid=" + p.sid)
		w.send("2probe")
		w.expect("3probe")
		w.send("5")
		synctest.Wait()
		began := time.Now()
		if op, data, err := readLong(w); err != nil || op != opText || string(data) != "2" {
			t.Fatalf("frame %d %q %v, want a ping", op, data, err)
		}
		if d := time.Since(began); d != 25*time.Second {
			t.Errorf("ping %v after the upgrade, want 25s", d)
		}
	})
}

// Proves J-13.
func TestCloseWaitsForThePollThenForTheTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, engineio.Config{}, overPipe, nil)
		p := f.openPolling()
		p.rec.Send(text("last"))
		p.rec.Close()
		time.Sleep(4 * time.Second)
		if res := p.poll(); res.body != "4last" {
			t.Errorf("poll = %q, want the message", res.body)
		}
		// The close comes in an answer of its own: the JavaScript client loses what
		// stands before it.
		if res := p.poll(); res.body != "6\x1e1" {
			t.Errorf("poll = %q, want a close packet", res.body)
		}
		if r := p.rec.waitClosed(t); r != engineio.ReasonForcedClose {
			t.Errorf("reason %q", r)
		}

		q := f.openPolling()
		began := time.Now()
		q.rec.Close()
		<-q.rec.closed
		if d := time.Since(began); d != 5*time.Second {
			t.Errorf("unpolled session closed after %v, want 5s", d)
		}
		if res := q.poll(); res.status != http.StatusBadRequest {
			t.Errorf("poll after the close = %d, want 400", res.status)
		}
	})
}

func TestCloseFrameIsAwaitedForCloseTimeoutOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, engineio.Config{}, overPipe, nil)
		w, rec := f.openWebSocket()
		began := time.Now()
		rec.Close()
		if code := w.closeCode(); code != 1005 {
			t.Errorf("close code %d, want none", code)
		}
		_ = w.SetReadDeadline(time.Time{})
		if _, err := w.r.ReadByte(); err == nil {
			t.Error("data after the close frame")
		}
		if d := time.Since(began); d != 5*time.Second {
			t.Errorf("connection ended after %v, want 5s", d)
		}
	})
}

func TestBodyTimeoutEndsASlowPost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, engineio.Config{}, overPipe, nil)
		p := f.openPolling()
		began := time.Now()
		head := "POST /engine.io/?" + p.query() + " HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n4abc"
		c, err := f.dial()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte(head)); err != nil {
			t.Fatal(err)
		}
		reply := make([]byte, 1024)
		n, _ := c.Read(reply)
		if !bytes.HasPrefix(reply[:n], []byte("HTTP/1.1 408 ")) {
			t.Errorf("answer %q, want 408", reply[:n])
		}
		if d := time.Since(began); d != 30*time.Second {
			t.Errorf("answered after %v, want 30s", d)
		}
		if r := p.rec.waitClosed(t); r != engineio.ReasonTransportError {
			t.Errorf("reason %q", r)
		}
	})
}

func TestWriteTimeoutEndsAnAnswerNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, engineio.Config{PingInterval: time.Hour}, overPipe, nil)
		p := f.openPolling()
		c, err := f.dial()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		p.rec.Send(text("nobody reads this"))
		began := time.Now()
		if _, err := c.Write([]byte("GET /engine.io/?" + p.query() + " HTTP/1.1\r\nHost: a\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		<-p.rec.closed
		if d := time.Since(began); d != 30*time.Second || p.rec.reason != engineio.ReasonTransportError {
			t.Errorf("closed %q after %v, want transport error after 30s", p.rec.reason, d)
		}
	})
}

func TestHeartbeatRefusesRequestsAfterTheDeadlineEvenIfTheTimerIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, engineio.Config{}, overPipe, nil)
		p := f.openPolling()
		time.Sleep(26 * time.Second) // pinged at 25s
		engineio.StopTimer(f.Server)
		time.Sleep(18 * time.Second)
		p.expectPost("4in time")
		p.rec.expectMessage(t, "in time")
		time.Sleep(2 * time.Second)
		if res := p.poll(); res.status != 400 || res.body != `{"code":1,"message":"Session ID unknown"}` {
			t.Errorf("poll after the deadline = %d %q", res.status, res.body)
		}
		if r := p.rec.waitClosed(t); r != engineio.ReasonPingTimeout {
			t.Errorf("reason %q", r)
		}
	})
}
