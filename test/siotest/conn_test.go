package siotest_test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/test/siotest"
)

// pair returns the two ends of a connection in memory.
func pair(t *testing.T) (client, server net.Conn) {
	t.Helper()
	l := siotest.Listen()
	t.Cleanup(func() { _ = l.Close() })
	accepted := make(chan net.Conn, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}()
	client, err := l.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return client, <-accepted
}

func TestConnBuffersWritesAndThenWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := pair(t)
		data := make([]byte, 200_000)
		for i := range data {
			data[i] = byte(i)
		}
		written := make(chan error, 1)
		go func() {
			n, err := client.Write(data)
			if n != len(data) {
				t.Errorf("Write = %d", n)
			}
			_ = client.Close()
			written <- err
		}()
		synctest.Wait()
		if len(written) > 0 {
			t.Error("200,000 bytes were written without a reader")
		}
		got, err := io.ReadAll(server)
		if err != nil || string(got) != string(data) {
			t.Errorf("read %d bytes, %v", len(got), err)
		}
		if err := <-written; err != nil {
			t.Error(err)
		}
		if _, err := server.Write([]byte("x")); err == nil {
			t.Error("writing to a closed peer succeeded")
		}
	})
}

func TestConnDeadlinesEndWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := pair(t)
		buf := make([]byte, 1)
		start := time.Now()
		_ = client.SetReadDeadline(start.Add(time.Minute))
		if _, err := client.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("Read = %v after %v", err, time.Since(start))
		}
		// A deadline in the past ends a read that waits.
		_ = client.SetReadDeadline(time.Time{})
		time.AfterFunc(time.Second, func() { _ = client.SetReadDeadline(time.Unix(1, 0)) })
		if _, err := client.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Read = %v", err)
		}
		// A deadline that was taken back does not.
		_ = client.SetReadDeadline(time.Now().Add(time.Second))
		_ = client.SetReadDeadline(time.Time{})
		time.AfterFunc(time.Minute, func() { _, _ = server.Write([]byte("x")) })
		if _, err := client.Read(buf); err != nil {
			t.Errorf("Read = %v", err)
		}
		_ = client.SetWriteDeadline(time.Now().Add(time.Second))
		if n, err := client.Write(make([]byte, 1<<20)); !errors.Is(err, os.ErrDeadlineExceeded) || n == 0 {
			t.Errorf("Write = %d, %v", n, err)
		}
	})
}

func TestConnCloseEndsOwnReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := pair(t)
		time.AfterFunc(time.Second, func() { _ = client.Close() })
		if _, err := client.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Read of the closed end = %v", err)
		}
		if _, err := server.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("Read of the other end = %v", err)
		}
	})
}

func TestClosedListenerRefuses(t *testing.T) {
	l := siotest.Listen()
	_ = l.Close()
	if _, err := l.Dial(t.Context()); err == nil {
		t.Error("dialed a closed listener")
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept = %v", err)
	}
}
