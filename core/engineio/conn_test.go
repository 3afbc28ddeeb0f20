package engineio

// One suite for the drivers of a raw connection and the outbox above them.

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// connPair returns a driver and the other end of its connection.
type connPair func(t *testing.T) (conn, net.Conn)

var connDrivers = map[string]connPair{
	"socket": func(t *testing.T) (conn, net.Conn) {
		server, client := tcpPair(t)
		c := newConn(server)
		if c.direct() != (newSocketConn(server) != nil) {
			t.Fatal("newConn does not use the socket driver where there is one")
		}
		return c, client
	},
	"stream over TCP": func(t *testing.T) (conn, net.Conn) {
		server, client := tcpPair(t)
		return &streamConn{Conn: server}, client
	},
	"stream over a pipe": func(t *testing.T) (conn, net.Conn) {
		server, client := net.Pipe()
		t.Cleanup(func() { client.Close(); server.Close() })
		c := newConn(server)
		if c.direct() {
			t.Fatal("a pipe cannot be written without waiting")
		}
		return c, client
	},
}

func tcpPair(t *testing.T) (server, client net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return server, client
}

func eachConn(t *testing.T, test func(t *testing.T, c conn, client net.Conn)) {
	for name, pair := range connDrivers {
		t.Run(name, func(t *testing.T) {
			c, client := pair(t)
			test(t, c, client)
		})
	}
}

func TestConnReadsWhatArrivesAndThenTheEnd(t *testing.T) {
	eachConn(t, func(t *testing.T, c conn, client net.Conn) {
		sent := bytes.Repeat([]byte("0123456789abcdef"), 10_000)
		go func() { // ends with the last byte
			for rest := sent; len(rest) > 0; {
				n := min(len(rest), 40_000)
				_, _ = client.Write(rest[:n])
				rest = rest[n:]
			}
			client.Close()
		}()
		var got []byte
		for {
			data, err := c.read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, data...)
			c.release()
		}
		if !bytes.Equal(got, sent) {
			t.Errorf("read %d bytes, want %d", len(got), len(sent))
		}
	})
}

func TestConnCloseEndsReadAndWrite(t *testing.T) {
	eachConn(t, func(t *testing.T, c conn, _ net.Conn) {
		var group sync.WaitGroup
		group.Go(func() {
			if _, err := c.read(); err == nil {
				t.Error("read returned without an error")
			}
		})
		group.Go(func() {
			chunk := make([]byte, 1<<20)
			for {
				if _, err := c.write(chunk, time.Minute); err != nil {
					return
				}
			}
		})
		time.Sleep(10 * time.Millisecond) // both are likely to wait by now; the outcome is the same if not
		c.close()
		c.close()
		group.Wait()
	})
}

func TestConnTryWriteNeverWaits(t *testing.T) {
	eachConn(t, func(t *testing.T, c conn, client net.Conn) {
		chunk := make([]byte, 1<<20)
		total := 0
		for range 1000 { // returns although the other end never reads
			n, err := c.tryWrite(chunk)
			if err != nil {
				t.Fatal(err)
			}
			total += n
			if n == 0 {
				break
			}
		}
		if c.direct() != (total > 0) {
			t.Errorf("wrote %d bytes, direct %v", total, c.direct())
		}
		if total == 0 {
			return
		}
		if _, err := c.write(chunk, time.Millisecond); err == nil {
			t.Error("write made progress on a full connection")
		}
		go func() { _, _ = io.Copy(io.Discard, client) }() // ends with the connection
		c.close()
	})
}

func TestConnWriteFailsAtItsDeadlineOnlyAndRecovers(t *testing.T) {
	eachConn(t, func(t *testing.T, c conn, client net.Conn) {
		go func() { _, _ = io.Copy(io.Discard, client) }() // ends with the connection
		for range 3 {
			if n, err := c.write([]byte("data"), 10*time.Second); err != nil || n != 4 {
				t.Fatalf("write = %d %v", n, err)
			}
			time.Sleep(time.Millisecond)
		}
		if n, err := c.tryWrite([]byte("data")); err != nil || c.direct() && n != 4 {
			t.Errorf("tryWrite = %d %v", n, err)
		}
	})
}

// testOwner is an outboxOwner.
type testOwner struct {
	flushers sync.WaitGroup
	mu       sync.Mutex // guards the following
	failed   error
	last     int
}

func (o *testOwner) flusher(run func()) { o.flushers.Go(run) }

func (o *testOwner) writeFailed(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failed = err
}

func (o *testOwner) lastWritten() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last++
}

func newTestOutbox(c conn) (*outbox, *testOwner) {
	owner := new(testOwner)
	return &outbox{conn: c, owner: owner, cork: new(cork), limit: 1 << 20, pongs: 3, stall: 10 * time.Second}, owner
}

func TestOutboxWritesEverythingOnceAndInOrder(t *testing.T) {
	eachConn(t, func(t *testing.T, c conn, client net.Conn) {
		o, owner := newTestOutbox(c)
		o.limit = 1 << 30
		var want []byte
		for i := range 3000 {
			want = append(want, bytes.Repeat([]byte{byte(i)}, i*7%5000)...)
		}
		got := make(chan []byte)
		go func() { // ends with the last byte
			b := make([]byte, len(want))
			_, _ = io.ReadFull(client, b)
			got <- b
		}()
		for i := range 3000 {
			if err := o.send(bytes.Repeat([]byte{byte(i)}, i*7%5000)); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(<-got, want) {
			t.Error("bytes differ")
		}
		<-o.drained()
		owner.flushers.Wait()
		if o.waiting() != 0 || o.queue != nil || o.flushing {
			t.Errorf("at rest: %d waiting, queue %v, flushing %v", o.waiting(), o.queue, o.flushing)
		}
	})
}

func TestOutboxFinishSendsTheLastFrameLast(t *testing.T) {
	eachConn(t, func(t *testing.T, c conn, client net.Conn) {
		o, owner := newTestOutbox(c)
		if err := o.send([]byte("first,")); err != nil {
			t.Fatal(err)
		}
		o.finish([]byte("last"), false)
		o.finish([]byte("again"), false)
		if err := o.send([]byte("late")); !errors.Is(err, ErrClosed) {
			t.Errorf("send after finish = %v", err)
		}
		b := make([]byte, 10)
		if _, err := io.ReadFull(client, b); err != nil || string(b) != "first,last" {
			t.Errorf("read %q %v", b, err)
		}
		owner.flushers.Wait()
		if owner.last != 1 {
			t.Errorf("lastWritten called %d times", owner.last)
		}
	})
}

func TestOutboxBoundsPongs(t *testing.T) {
	eachConn(t, func(t *testing.T, c conn, _ net.Conn) {
		o, owner := newTestOutbox(c)
		o.limit = 1 << 30
		for o.waiting() == 0 || !c.direct() && o.waiting() < 100 { // until the connection is full
			if err := o.send(make([]byte, 1<<20)); err != nil {
				t.Fatal(err)
			}
		}
		_ = o.send(make([]byte, 1<<20))
		for i := range 3 {
			if err := o.sendPong([]byte("pong")); err != nil {
				t.Fatalf("pong %d: %v", i, err)
			}
		}
		if err := o.sendPong([]byte("pong")); !errors.Is(err, ErrSlowConsumer) {
			t.Errorf("one more pong = %v, want ErrSlowConsumer", err)
		}
		o.kill()
		c.close()
		owner.flushers.Wait()
	})
}

func TestOutboxReportsAFailedFlushOnce(t *testing.T) {
	eachConn(t, func(t *testing.T, c conn, client net.Conn) {
		o, owner := newTestOutbox(c)
		o.limit = 1 << 30
		for range 30 {
			if o.send(make([]byte, 1<<20)) != nil {
				break
			}
		}
		client.Close()
		owner.flushers.Wait()
		if owner.failed == nil || owner.last != 0 {
			t.Errorf("failed %v, last %d", owner.failed, owner.last)
		}
		if err := o.send([]byte("x")); !errors.Is(err, ErrClosed) {
			t.Errorf("send = %v, want ErrClosed", err)
		}
	})
}
