package engineio_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/core/engineio"
)

func (p *poller) probe() *wsClient {
	p.t.Helper()
	w := p.upgrade("EIO=4&transport=websocket&sid=" + p.sid)
	w.send("2probe")
	w.expect("3probe")
	return w
}

// Proves T-08.
func TestUpgradeReleasesTheParkedPollAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, engineio.Config{}, overPipe, nil)
		p := f.openPolling()
		answer := p.parked()
		began := time.Now()
		w := p.probe()
		if res := <-answer; res.body != "6" || time.Since(began) != 0 {
			t.Errorf("parked poll = %q after %v", res.body, time.Since(began))
		}
		p.expectPoll("6") // one that comes later must not spin
		if d := time.Since(began); d != 100*time.Millisecond {
			t.Errorf("poll during the probe answered after %v, want 100ms", d)
		}
		p.rec.Send(text("over polling"))
		p.expectPoll("4over polling")
		w.send("5")
		w.send("4over websocket")
		p.rec.expectMessage(t, "over websocket")
		if got := p.rec.Transport(); got != "websocket" {
			t.Errorf("Transport() = %q", got)
		}
	})
}

// Proves T-01.
func TestUpgradeKeepsTheOrderWhereverItIsCut(t *testing.T) {
	// A sender never stops while the client upgrades; the client collects from both transports.
	eachDriver(t, func(t *testing.T, over option) {
		for cut := range 40 {
			f := serve(t, engineio.Config{}, over, nil)
			p := f.openPolling()
			const total = 120
			var sending sync.WaitGroup
			sending.Go(func() {
				for i := range total {
					if err := p.rec.Send(text(fmt.Sprint(i))); err != nil {
						t.Errorf("Send %d: %v", i, err)
					}
					if i%7 == cut%7 {
						time.Sleep(10 * time.Microsecond)
					}
				}
			})
			var got []string
			collect := func(body string) {
				for s := range strings.SplitSeq(body, "\x1e") {
					if strings.HasPrefix(s, "4") {
						got = append(got, s[1:])
					}
				}
			}
			for range cut % 4 {
				collect(p.poll().body)
			}
			w := p.upgrade("EIO=4&transport=websocket&sid=" + p.sid)
			w.send("2probe")
			for range cut % 3 {
				collect(p.poll().body)
			}
			w.expect("3probe")
			w.send("5")
			for len(got) < total {
				if _, data := w.frame(); len(data) > 0 && data[0] == '4' {
					got = append(got, string(data[1:]))
				}
			}
			sending.Wait()
			for i, s := range got {
				if s != fmt.Sprint(i) {
					t.Fatalf("cut %d: message %d is %s", cut, i, s)
				}
			}
			w.Close()
			f.stop()
		}
	})
}

func TestUpgradeMovesTheQueueWithItsPartlySentBatch(t *testing.T) {
	eachDriver(t, func(t *testing.T, over option) {
		f := serve(t, engineio.Config{MaxPayload: 20}, over, nil)
		p := f.openPolling()
		w := p.probe()
		p.rec.Send(engineio.NewBatch(
			engineio.Message{Data: []byte("a123456789")}, engineio.Message{Binary: true, Data: []byte("b12345678")}, engineio.Message{Data: []byte("c")},
		))
		p.rec.Send(text("d"))
		p.expectPoll("4a123456789")
		w.send("5")
		if op, data := w.frame(); op != opBinary || string(data) != "b12345678" {
			t.Errorf("frame %d %q", op, data)
		}
		w.expect("4c")
		w.expect("4d")
	})
}

func TestUpgradeWaitsForAPostBeingHandled(t *testing.T) {
	release := make(chan struct{})
	var mu sync.Mutex
	var order []string
	f := serve(t, engineio.Config{}, overTCP, func(r *recorder) {
		r.onMessage = func(m engineio.Message) {
			if string(m.Data) == "post" {
				<-release
			}
			mu.Lock()
			order = append(order, string(m.Data))
			mu.Unlock()
			r.messages <- engineio.Message{}
		}
	})
	p := f.openPolling()
	posted := make(chan response, 1)
	go func() { posted <- p.post("4post") }() // ends with the release
	for !engineio.PostOpen(p.rec.Session) {
		time.Sleep(time.Millisecond)
	}
	w := p.probe()
	w.send("5")
	w.send("4websocket")
	close(release)
	<-posted
	<-p.rec.messages
	<-p.rec.messages
	mu.Lock()
	defer mu.Unlock()
	if order[0] != "post" || order[1] != "websocket" {
		t.Errorf("handled in the order %q", order)
	}
}

func TestUpgradeOfATakenSessionIsClosedSilently(t *testing.T) {
	f := serve(t, engineio.Config{}, overTCP, nil)
	p := f.openPolling()
	w := p.probe()
	second := p.upgrade("EIO=4&transport=websocket&sid=" + p.sid)
	if code := second.closeCode(); code != codePlain {
		t.Errorf("second candidate: close code %d", code)
	}
	w.send("5")
	w.send("4hello")
	p.rec.expectMessage(t, "hello")
	third := p.upgrade("EIO=4&transport=websocket&sid=" + p.sid)
	if code := third.closeCode(); code != codePlain {
		t.Errorf("after the upgrade: close code %d", code)
	}
	if res := p.poll(); res.status != 400 || res.body != `{"code":3,"message":"Bad request"}` {
		t.Errorf("poll after the upgrade = %d %q", res.status, res.body)
	}
	if res := p.post("4x"); res.status != 400 {
		t.Errorf("post after the upgrade = %d", res.status)
	}
	w.send("4still here")
	p.rec.expectMessage(t, "still here")
}

func TestUpgradeCandidateMisbehavesAlone(t *testing.T) {
	for name, send := range map[string]func(*wsClient){
		"message first":   func(w *wsClient) { w.send("4hello") },
		"unknown packet":  func(w *wsClient) { w.send("9") },
		"other ping":      func(w *wsClient) { w.send("2") },
		"binary":          func(w *wsClient) { w.sendBinary("x") },
		"bad frame":       func(w *wsClient) { w.write([]byte{0xf1, 0x80, 0, 0, 0, 0}) },
		"close packet":    func(w *wsClient) { w.send("1") },
		"close frame":     func(w *wsClient) { w.write(clientFrame(true, opClose, nil)) },
		"message, probed": func(w *wsClient) { w.send("2probe"); w.expect("3probe"); w.send("4x") },
		"gone":            func(w *wsClient) { w.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			eachDriver(t, func(t *testing.T, over option) {
				f := serve(t, engineio.Config{}, over, nil)
				p := f.openPolling()
				w := p.upgrade("EIO=4&transport=websocket&sid=" + p.sid)
				send(w)
				if name != "gone" {
					if code := w.closeCode(); code == 1006 {
						t.Error("no close frame")
					}
				}
				p.rec.Send(text("fine"))
				p.expectPoll("4fine")
				for { // the place is free again
					again := p.upgrade("EIO=4&transport=websocket&sid=" + p.sid)
					if _, err := again.Write(clientFrame(true, opText, []byte("2probe"))); err != nil {
						continue
					}
					if op, data, err := again.tryFrame(); err == nil && op == opText {
						if string(data) != "3probe" {
							t.Errorf("probe answered %q", data)
						}
						again.send("5")
						again.send("4up")
						p.rec.expectMessage(t, "up")
						return
					}
				}
			})
		})
	}
}

func TestUpgradeWhileClosingFlushesOverTheNewTransport(t *testing.T) {
	f := serve(t, engineio.Config{}, overTCP, nil)
	p := f.openPolling()
	w := p.probe()
	p.rec.Send(text("last words"))
	p.rec.Close()
	w.send("5")
	w.expect("4last words")
	if code := w.closeCode(); code != codePlain {
		t.Errorf("close code %d", code)
	}
	if r := p.rec.waitClosed(t); r != engineio.ReasonForcedClose {
		t.Errorf("reason %q", r)
	}
}

func TestUpgradeEndsWithTheSession(t *testing.T) {
	f := serve(t, engineio.Config{}, overTCP, nil)
	p := f.openPolling()
	w := p.probe()
	p.rec.CloseNow(engineio.ReasonForcedClose, nil)
	if code := w.closeCode(); code != codePlain {
		t.Errorf("candidate: close code %d", code)
	}
}

func TestUpgradeDisabled(t *testing.T) {
	f := serve(t, engineio.Config{DisableUpgrades: true}, overTCP, nil)
	res := f.must("GET", "EIO=4&transport=polling", "")
	if !strings.Contains(res.body, `"upgrades":[]`) {
		t.Errorf("open packet %q offers upgrades", res.body)
	}
	sid := f.parseOpen(res.body)
	if got := f.rawUpgrade(upgradeRequest("EIO=4&transport=websocket&sid=" + sid)); got.status != 400 {
		t.Errorf("upgrade = %d", got.status)
	}
	f.openWebSocket()
}

func TestUpgradeKeepsFramesSentWithTheHandshake(t *testing.T) {
	eachDriver(t, func(t *testing.T, over option) {
		f := serve(t, engineio.Config{}, over, echoes)
		c, err := f.dial()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		first := frames([]byte(upgradeRequest("EIO=4&transport=websocket")), clientFrame(true, opText, []byte("4early")), clientFrame(true, opText, []byte("4bird")))
		go func() { _, _ = c.Write(first) }() // ends with the write, or the connection
		all := make([]byte, 0, 4096)
		for !strings.HasSuffix(string(all), "\x81\x054bird") {
			buf := make([]byte, 1024)
			_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
			n, err := c.Read(buf)
			if err != nil {
				t.Fatalf("read: %v after %q", err, all)
			}
			all = append(all, buf[:n]...)
		}
		if !strings.Contains(string(all), "\x81\x064early") {
			t.Errorf("lost the first frame: %q", all)
		}
	})
}

func TestBase64OnWebSocket(t *testing.T) {
	f := serve(t, engineio.Config{}, overTCP, nil)
	w := f.upgrade("EIO=4&transport=websocket&b64=1")
	w.frame()
	rec := f.session()
	rec.Send(engineio.NewBatch(engineio.Message{Data: []byte("a")}, engineio.Message{Binary: true, Data: []byte{1, 2, 3}}))
	w.expect("4a")
	w.expect("bAQID")
}
