package engineio_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/core/engineio"
)

func TestPollingAnswersAParkedPollAtOnce(t *testing.T) {
	f := serve(t, engineio.Config{}, overTCP, nil)
	p := f.openPolling()
	answer := p.parked()
	if err := p.rec.Send(text("now")); err != nil {
		t.Fatal(err)
	}
	if res := <-answer; res.status != 200 || res.body != "4now" {
		t.Errorf("poll = %d %q", res.status, res.body)
	}
}

func TestPollingGathersWhatWasSentBetweenPolls(t *testing.T) {
	f := serve(t, engineio.Config{}, overTCP, nil)
	p := f.openPolling()
	p.rec.Send(text("a"))
	p.rec.Send(blob("\x01\x02\x03"))
	p.rec.Send(engineio.NewBatch(
		engineio.Message{Data: []byte("b")}, engineio.Message{Binary: true, Data: []byte("c")}, engineio.Message{Data: []byte("d")},
	))
	if n := p.rec.Pending(); n == 0 {
		t.Error("Pending() = 0 with three batches queued")
	}
	p.expectPoll("4a\x1ebAQID\x1e4b\x1eb" + encode64("c") + "\x1e4d")
	if n := p.rec.Pending(); n != 0 {
		t.Errorf("Pending() = %d after the poll", n)
	}
}

// Proves T-35.
func TestPollingHandshakeCarriesWhatAcceptSends(t *testing.T) {
	cfg := engineio.Config{InitialMessage: &engineio.Message{Data: []byte("welcome")}}
	f := serve(t, cfg, overTCP, func(r *recorder) { r.Send(text("from accept")) })
	res := f.must("GET", "EIO=4&transport=polling", "")
	f.parseOpen(res.body)
	if _, rest, _ := strings.Cut(res.body, "\x1e"); rest != "4welcome\x1e4from accept" {
		t.Errorf("after the open packet: %q", rest)
	}
	w := f.upgrade("EIO=4&transport=websocket")
	w.frame()
	w.expect("4welcome")
	w.expect("4from accept")
}

// Proves T-16, J-15.
func TestPollingAnswerIsBoundedAtPacketBoundaries(t *testing.T) {
	f := serve(t, engineio.Config{MaxPayload: 100}, overTCP, nil)
	p := f.openPolling()
	part := func(c string) string { return strings.Repeat(c, 39) }
	p.rec.Send(text(part("a")))
	p.rec.Send(engineio.NewBatch(engineio.Message{Data: []byte(part("b"))}, engineio.Message{Data: []byte(part("c"))}))
	p.rec.Send(text(strings.Repeat("d", 300))) // larger than the limit: alone
	p.rec.Send(text("e"))
	p.expectPoll("4" + part("a") + "\x1e4" + part("b")) // 40 + 1 + 40
	p.expectPoll("4" + part("c"))                       // a batch may be parted, a packet not
	p.expectPoll("4" + strings.Repeat("d", 300))
	p.expectPoll("4e")
}

// Proves T-16.
func TestPollingFillsAnAnswerToTheLastByte(t *testing.T) {
	f := serve(t, engineio.Config{MaxPayload: 100}, overTCP, nil)
	p := f.openPolling()
	p.rec.Send(text(strings.Repeat("a", 49)))
	p.rec.Send(text(strings.Repeat("b", 48))) // 50 + 1 + 49
	p.rec.Send(text(strings.Repeat("c", 49)))
	p.rec.Send(text(strings.Repeat("d", 49))) // 50 + 1 + 50
	p.expectPoll("4" + strings.Repeat("a", 49) + "\x1e4" + strings.Repeat("b", 48))
	p.expectPoll("4" + strings.Repeat("c", 49))
	p.expectPoll("4" + strings.Repeat("d", 49))
}

func TestPollingDeliversInOrderBeforeAnsweringThePost(t *testing.T) {
	f := serve(t, engineio.Config{}, overTCP, nil)
	p := f.openPolling()
	p.expectPost("4a\x1eb" + encode64("bin") + "\x1e4c")
	for _, want := range []string{"a", "bin", "c"} {
		select {
		case m := <-p.rec.messages:
			if string(m.Data) != want || m.Binary != (want == "bin") {
				t.Errorf("received %q binary=%v, want %q", m.Data, m.Binary, want)
			}
		default:
			t.Fatalf("%q was not delivered when the post was answered", want)
		}
	}
}

// Proves J-09.
func TestPollingRejectsTextThatIsNotUTF8(t *testing.T) {
	f := serve(t, engineio.Config{}, overTCP, nil)
	p := f.openPolling()
	p.expectPost("4good\x1e4bad\xff")
	p.rec.expectMessage(t, "good")
	if r := p.rec.waitClosed(t); r != engineio.ReasonParseError {
		t.Errorf("reason %q", r)
	}
}

// Proves T-10.
func TestPollingSecondPostEndsTheSessionAndBothAreAnswered(t *testing.T) {
	f := serve(t, engineio.Config{}, overTCP, nil)
	p := f.openPolling()
	c, err := f.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST /engine.io/?%s HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n4a", p.query())
	for !engineio.PostOpen(p.rec.Session) {
		time.Sleep(time.Millisecond)
	}
	if res := p.post("4b"); res.status != 400 || res.body != "" {
		t.Errorf("second post = %d %q, want 400 without a body", res.status, res.body)
	}
	fmt.Fprint(c, "aaa")
	answer := make([]byte, 200)
	n, _ := c.Read(answer)
	if !strings.HasPrefix(string(answer[:n]), "HTTP/1.1 400 ") {
		t.Errorf("first post: %q, want 400", answer[:n])
	}
	if r := p.rec.waitClosed(t); r != engineio.ReasonTransportError {
		t.Errorf("reason %q", r)
	}
	if len(p.rec.messages) != 0 {
		t.Error("a message was delivered after the close")
	}
}

// Proves T-11.
func TestPollingAbortedPollEndsTheSession(t *testing.T) {
	f := serve(t, engineio.Config{}, overTCP, nil)
	p := f.openPolling()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { // ends with the cancelled request
		defer close(done)
		_, _ = p.doContext(ctx, "GET", p.query(), "")
	}()
	p.waitParked()
	cancel()
	<-done
	if r := p.rec.waitClosed(t); r != engineio.ReasonTransportError {
		t.Errorf("reason %q", r)
	}
}

func TestPollingAbortedPostEndsTheSession(t *testing.T) {
	f := serve(t, engineio.Config{}, overTCP, nil)
	p := f.openPolling()
	c, err := f.dial()
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "POST /engine.io/?%s HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\n4a", p.query())
	for !engineio.PostOpen(p.rec.Session) {
		time.Sleep(time.Millisecond)
	}
	c.Close()
	if r := p.rec.waitClosed(t); r != engineio.ReasonTransportError {
		t.Errorf("reason %q", r)
	}
}

func TestPollingClosePacketWaitsForAPollUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, engineio.Config{}, overPipe, nil)
		p := f.openPolling()
		began := time.Now()
		posted := make(chan response, 1)
		go func() { posted <- p.post("1") }() // ends with the response
		time.Sleep(20 * time.Millisecond)
		p.expectPoll("6")
		if res := <-posted; res.body != "ok" || time.Since(began) != 20*time.Millisecond {
			t.Errorf("post = %q after %v", res.body, time.Since(began))
		}
		if r := p.rec.waitClosed(t); r != engineio.ReasonTransportClose {
			t.Errorf("reason %q", r)
		}
	})
}

func TestPollingCloseWithoutAParkedPoll(t *testing.T) {
	f := serve(t, engineio.Config{}, overTCP, nil)
	p := f.openPolling()
	p.rec.Close()
	p.expectPoll("6\x1e1")
	if r := p.rec.waitClosed(t); r != engineio.ReasonForcedClose {
		t.Errorf("reason %q", r)
	}
}

func TestPollingCloseFlushesOverSeveralPolls(t *testing.T) {
	f := serve(t, engineio.Config{MaxPayload: 10}, overTCP, nil)
	p := f.openPolling()
	p.rec.Send(text("12345678"))
	p.rec.Send(text("abcdefgh"))
	p.rec.Close()
	if err := p.rec.Send(text("late")); !errors.Is(err, engineio.ErrClosed) {
		t.Errorf("Send after Close = %v, want ErrClosed", err)
	}
	p.expectPoll("412345678")
	p.expectPoll("4abcdefgh")
	p.expectPoll("6\x1e1")
	p.rec.waitClosed(t)
}

// Proves T-32.
func TestPollingSlowConsumerIsClosed(t *testing.T) {
	f := serve(t, engineio.Config{MaxPending: 1000}, overTCP, nil)
	p := f.openPolling()
	if err := p.rec.Send(text(strings.Repeat("x", 5000))); err != nil {
		t.Fatalf("a single large batch = %v, want it accepted", err)
	}
	if err := p.rec.Send(text("x")); !errors.Is(err, engineio.ErrSlowConsumer) {
		t.Fatalf("Send = %v, want ErrSlowConsumer", err)
	}
	if r := p.rec.waitClosed(t); r != engineio.ReasonTransportError || !errors.Is(p.rec.err, engineio.ErrSlowConsumer) {
		t.Errorf("closed %q %v", r, p.rec.err)
	}
	if n := f.Stats().SlowConsumers; n != 1 {
		t.Errorf("SlowConsumers = %d", n)
	}
}

// Proves T-61.
func TestPollingVolatileNeedsAParkedPoll(t *testing.T) {
	f := serve(t, engineio.Config{}, overTCP, nil)
	p := f.openPolling()
	if p.rec.SendVolatile(text("dropped")) {
		t.Error("sent without a poll")
	}
	answer := p.parked()
	if !p.rec.SendVolatile(text("sent")) {
		t.Error("not sent to a parked poll")
	}
	if res := <-answer; res.body != "4sent" {
		t.Errorf("poll = %q", res.body)
	}
	p.rec.Send(text("queued"))
	if p.rec.SendVolatile(text("dropped")) {
		t.Error("sent behind a queued message")
	}
	p.expectPoll("4queued")
}

func TestPollingDrainedWaitsForThePoll(t *testing.T) {
	f := serve(t, engineio.Config{}, overTCP, nil)
	p := f.openPolling()
	if err := p.rec.Drained(context.Background()); err != nil {
		t.Fatalf("Drained with nothing pending: %v", err)
	}
	p.rec.Send(text("x"))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.rec.Drained(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Drained = %v, want the context's error", err)
	}
	done := make(chan error, 1)
	go func() { done <- p.rec.Drained(context.Background()) }() // ends with the poll
	p.expectPoll("4x")
	if err := <-done; err != nil {
		t.Errorf("Drained = %v", err)
	}
	p.rec.Send(text("y"))
	go func() { done <- p.rec.Drained(context.Background()) }() // ends with the session
	p.rec.CloseNow(engineio.ReasonForcedClose, nil)
	if err := <-done; !errors.Is(err, engineio.ErrClosed) {
		t.Errorf("Drained of a closed session = %v", err)
	}
}

func TestPollingRepeatsNothingWhenAHandlerIsSlow(t *testing.T) {
	// A post is answered only when its messages are handled: that is the back-pressure of polling.
	release := make(chan struct{})
	f := serve(t, engineio.Config{}, overTCP, func(r *recorder) {
		r.onMessage = func(engineio.Message) { <-release }
	})
	p := f.openPolling()
	done := make(chan response, 1)
	go func() { done <- p.post("4x") }() // ends with the release
	for !engineio.PostOpen(p.rec.Session) {
		time.Sleep(time.Millisecond)
	}
	select {
	case res := <-done:
		t.Errorf("post answered %d while its handler ran", res.status)
	default:
	}
	close(release)
	if res := <-done; res.body != "ok" {
		t.Errorf("post = %q", res.body)
	}
}

// Proves T-22.
func TestPollingResponseHeaders(t *testing.T) {
	cfg := engineio.Config{
		InitialHeaders: func(h http.Header, _ *http.Request) { h.Set("X-Initial", "1") },
		Headers:        func(h http.Header, _ *http.Request) { h.Set("X-Every", "1") },
	}
	f := serve(t, cfg, overTCP, nil)
	p := f.openPolling()
	first := f.must("GET", "EIO=4&transport=polling", "")
	if first.header.Get("X-Initial") != "1" || first.header.Get("X-Every") != "1" {
		t.Errorf("first response: %v", first.header)
	}
	p.rec.Send(text("x"))
	for _, res := range []response{p.poll(), p.post("4x")} {
		if res.header.Get("X-Initial") != "" || res.header.Get("X-Every") != "1" {
			t.Errorf("later response: %v", res.header)
		}
	}
	_, res := f.raw(upgradeRequest("EIO=4&transport=websocket"))
	if res.Header.Get("X-Initial") != "1" || res.Header.Get("X-Every") != "1" {
		t.Errorf("101 of a new session: %v", res.Header)
	}
	_, res = f.raw(upgradeRequest("EIO=4&transport=websocket&sid=" + p.sid))
	if res.StatusCode != 101 || res.Header.Get("X-Initial") != "" || res.Header.Get("X-Every") != "1" {
		t.Errorf("101 of an upgrade: %d %v", res.StatusCode, res.Header)
	}
}
