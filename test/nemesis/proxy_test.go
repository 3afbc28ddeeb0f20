package nemesis_test

import (
	"bytes"
	"errors"
	"io"
	"math/bits"
	"net"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dunlin-io/dunlin/test/nemesis"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

// through returns a connection that comes back through the proxy to who dialled
// it: the target sends everything back.
func through(t *testing.T) (*nemesis.Proxy, net.Conn) {
	t.Helper()
	target, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	// Ends when the connection through the proxy does.
	go func() {
		defer close(done)
		c, err := target.Accept()
		if err != nil {
			return
		}
		_, _ = io.Copy(c, c)
		_ = c.Close()
	}()
	p, err := nemesis.NewProxy(target.Addr().String(), 1)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() {
		_ = c.Close()
		_ = p.Close()
		_ = target.Close()
		<-done
	})
	return p, c
}

func echo(t *testing.T, c net.Conn, sent []byte) (got []byte) {
	t.Helper()
	if _, err := c.Write(sent); err != nil {
		t.Fatal(err)
	}
	got = make([]byte, len(sent))
	if _, err := io.ReadFull(c, got); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestProxyPassesBytesUnchanged(t *testing.T) {
	for name, f := range map[string]nemesis.Faults{
		"without faults": {},
		"in slices":      {Slice: 3},
		"with jitter":    {Slice: 100, Delay: time.Millisecond, Jitter: time.Millisecond},
		"throttled":      {BytesPerSecond: 50_000},
	} {
		t.Run(name, func(t *testing.T) {
			p, c := through(t)
			p.Set(nemesis.Up, f)
			sent := bytes.Repeat([]byte("0123456789"), 200)
			if got := echo(t, c, sent); !bytes.Equal(got, sent) {
				t.Error("the bytes have changed")
			}
		})
	}
}

func TestProxyHoldsWithoutLoss(t *testing.T) {
	p, c := through(t)
	p.Set(nemesis.Down, nemesis.Faults{Hold: true})
	if _, err := c.Write([]byte("held")); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	b := make([]byte, 4)
	if n, err := c.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read %d bytes, %v, through a held direction", n, err)
	}
	_ = c.SetReadDeadline(time.Now().Add(patience))
	p.Heal()
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "held" {
		t.Errorf("read %q, %v", b, err)
	}
}

func TestProxyFlipsBits(t *testing.T) {
	p, c := through(t)
	p.Set(nemesis.Up, nemesis.Faults{FlipOneIn: 10})
	sent := make([]byte, 10_000)
	flipped := 0
	for _, b := range echo(t, c, sent) {
		n := bits.OnesCount8(b)
		if n > 1 {
			t.Fatalf("%d bits of one byte", n)
		}
		flipped += n
	}
	if flipped < 800 || flipped > 1200 {
		t.Errorf("%d of 10,000 bytes flipped, want about 1,000", flipped)
	}
}

func TestProxyCutsAfterSoManyBytes(t *testing.T) {
	p, c := through(t)
	p.Set(nemesis.Down, nemesis.Faults{CutAfter: 7})
	if _, err := c.Write([]byte("0123456789")); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c)
	// A reset may overtake bytes that were written before it.
	if err == nil || len(got) > 7 {
		t.Errorf("read %q, %v, want at most 7 bytes and a reset", got, err)
	}
}

func TestProxyResetsAndRefuses(t *testing.T) {
	p, c := through(t)
	echo(t, c, []byte("stands"))
	p.Refuse(true)
	if n := p.Reset(); n != 1 {
		t.Errorf("Reset() = %d, want 1", n)
	}
	if _, err := io.ReadAll(c); err == nil {
		t.Error("the connection ended in order, want a reset")
	}
	again, err := net.Dial("tcp", p.Addr())
	if err != nil {
		return // refused early enough
	}
	defer again.Close()
	_ = again.SetDeadline(time.Now().Add(patience))
	if _, err := again.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a refused connection reads %v", err)
	}
}
