package integration_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	redisadapter "github.com/dunlin-io/dunlin/adapter/redis"
	"github.com/dunlin-io/dunlin/core/cluster"
)

func session(pid string, node cluster.NodeID) cluster.Session {
	return cluster.Session{
		PID: pid, Socket: "abcdefghijklmnopqrst", Namespace: "/", Node: node,
		Rooms: map[string]cluster.Offset{"a": "1-1", "комната 😀": "", "": "2-0"},
		Data:  json.RawMessage(`{"name":"ada"}`), Start: "1-0", Through: "3-3",
	}
}

func TestStreamsKeepSessions(t *testing.T) {
	r := startRedis(t)
	a, b := streamPair(t, r, redisadapter.StreamOptions{})
	var sessions []cluster.Session
	for i := range 150 {
		sessions = append(sessions, session(fmt.Sprint("pid", i), "a"))
	}
	must(t, a.Save(within(t), time.Minute, sessions...))
	c := r.Client(t)
	if ttl := c.PTTL(within(t), "sio:session:pid149").Val(); ttl <= 0 || ttl > time.Minute {
		t.Errorf("a session lives for %v, want a minute", ttl)
	}
	for _, i := range []int{0, 64, 149} {
		got, err := b.Take(within(t), sessions[i].PID)
		if err != nil || !reflect.DeepEqual(got, sessions[i]) {
			t.Errorf("Take() = %+v, %v, want %+v", got, err, sessions[i])
		}
		if _, err := a.Take(within(t), sessions[i].PID); !errors.Is(err, cluster.ErrNoSession) {
			t.Errorf("a second Take() = %v, want ErrNoSession", err)
		}
	}
}

func TestStreamsHandASessionToOneTaker(t *testing.T) {
	r := startRedis(t)
	a, b := streamPair(t, r, redisadapter.StreamOptions{})
	for round := range 10 {
		pid := fmt.Sprint("pid", round)
		must(t, a.Save(within(t), time.Minute, session(pid, "a")))
		var took atomic.Int64
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				store := []cluster.SessionStore{a, b}[i%2]
				switch _, err := store.Take(within(t), pid); {
				case err == nil:
					took.Add(1)
				case !errors.Is(err, cluster.ErrNoSession):
					t.Errorf("Take: %v", err)
				}
			})
		}
		wg.Wait()
		if n := took.Load(); n != 1 {
			t.Errorf("%d took the session", n)
		}
	}
}

func TestStreamsRenewAndForgetOnlyOwnSessions(t *testing.T) {
	r := startRedis(t)
	a, b := streamPair(t, r, redisadapter.StreamOptions{})
	ctx := within(t)
	must(t, a.Save(ctx, time.Minute, session("taken", "a"), session("mine", "a"), session("moved", "a"), session("left", "a")))
	if _, err := b.Take(ctx, "taken"); err != nil {
		t.Fatal(err)
	}
	must(t, b.Save(ctx, time.Minute, session("moved", "b"), session("other", "b")))
	renewed := session("mine", "a")
	renewed.Socket = "tsrqponmlkjihgfedcba"
	must(t, a.Renew(ctx, time.Hour, session("taken", "a"), renewed, session("moved", "a")))
	must(t, a.Forget(ctx, "left", "other", "unknown"))

	c := r.Client(t)
	keys := c.Keys(ctx, "*").Val()
	slices.Sort(keys)
	if want := []string{"sio:session:mine", "sio:session:moved", "sio:session:other", "socket.io"}; !slices.Equal(keys, want) {
		t.Errorf("keys are %q, want %q", keys, want)
	}
	if ttl := c.PTTL(ctx, "sio:session:mine").Val(); ttl <= time.Minute {
		t.Errorf("the renewed session lives for %v", ttl)
	}
	if got, err := b.Take(ctx, "mine"); err != nil || got.Socket != renewed.Socket {
		t.Errorf("renewed session = %+v, %v", got, err)
	}
	if got, err := b.Take(ctx, "moved"); err != nil || got.Node != "b" {
		t.Errorf("session of b = %+v, %v", got, err)
	}
}

// Renewing races with a client that comes back elsewhere.
func TestStreamsNeverBringATakenSessionBack(t *testing.T) {
	r := startRedis(t)
	a, b := streamPair(t, r, redisadapter.StreamOptions{})
	for round := range 50 {
		pids := []string{fmt.Sprint("x", round), fmt.Sprint("y", round)}
		must(t, a.Save(within(t), time.Minute, session(pids[0], "a"), session(pids[1], "a")))
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := a.Renew(within(t), time.Minute, session(pids[0], "a"), session(pids[1], "a")); err != nil {
				t.Errorf("Renew: %v", err)
			}
		})
		if _, err := b.Take(within(t), pids[0]); err != nil {
			t.Errorf("Take: %v", err)
		}
		wg.Wait()
		if _, err := b.Take(within(t), pids[0]); !errors.Is(err, cluster.ErrNoSession) {
			t.Fatalf("taken twice: %v", err)
		}
		if _, err := b.Take(within(t), pids[1]); err != nil {
			t.Errorf("the other one is gone: %v", err)
		}
	}
}

// Proves F46 for the store.
func TestStreamsRefuseSessionsThatAreNone(t *testing.T) {
	r := startRedis(t)
	a, _ := streamPair(t, r, redisadapter.StreamOptions{})
	elsewhere := join(a.adapter, "/other", "a").ready(t)
	c := r.Client(t)
	must(t, a.Save(within(t), time.Minute, session("bound", "a"), session("wrong name", "a")),
		a.Save(within(t), 5*time.Millisecond, session("short", "a")))
	must(t, c.Rename(within(t), "sio:session:wrong name", "sio:session:renamed").Err())
	for key, value := range map[string]string{
		"garbage": "%%%", "empty": "", "cut": "g6NzaWQ=", "number": "AQ==",
		"huge": base64.StdEncoding.EncodeToString([]byte("\xdf\xff\xff\xff\xff")),
	} {
		must(t, c.Set(within(t), "sio:session:"+key, value, 0).Err())
	}
	eventually(t, "a session expires", func() error {
		if c.Exists(within(t), "sio:session:short").Val() != 0 {
			return errors.New("it is there")
		}
		return nil
	})
	for _, pid := range []string{"", "unknown", "short", "garbage", "empty", "cut", "number", "huge", "renamed", strings.Repeat("x", 1<<20)} {
		if s, err := a.Take(within(t), pid); !errors.Is(err, cluster.ErrNoSession) {
			t.Errorf("Take(%.20q) = %+v, %v, want ErrNoSession", pid, s, err)
		}
	}
	if _, err := storeOf(t, elsewhere).Take(within(t), "bound"); !errors.Is(err, cluster.ErrNoSession) {
		t.Errorf("Take in another namespace = %v, want ErrNoSession", err)
	}
	if _, err := a.Take(within(t), "bound"); err != nil {
		t.Errorf("Take after that: %v", err)
	}
}

func TestStreamsTakeSessionsOfNodeJS(t *testing.T) {
	r := startRedis(t)
	a, _ := streamPair(t, r, redisadapter.StreamOptions{})
	// {sid: "s", pid: "p", rooms: ["s", "r"], data: {n: 1}} by @msgpack/msgpack
	value := base64.StdEncoding.EncodeToString([]byte("\x84\xa3sid\xa1s\xa3pid\xa1p\xa5rooms\x92\xa1s\xa1r\xa4data\x81\xa1n\x01"))
	must(t, r.Client(t).Set(within(t), "sio:session:p", value, time.Minute).Err())
	must(t, a.Renew(within(t), time.Minute, cluster.Session{PID: "p", Socket: "mine", Node: "a"}),
		a.Forget(within(t), "p")) // not ours
	got, err := a.Take(within(t), "p")
	want := cluster.Session{PID: "p", Socket: "s", Rooms: map[string]cluster.Offset{"r": ""}, Data: json.RawMessage(`{"n":1}`)}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Take() = %+v, %v, want %+v", got, err, want)
	}
}

func offsets(ms []cluster.Message) (os []cluster.Offset) {
	for i := range ms {
		os = append(os, ms[i].Offset)
	}
	return os
}

// Proves F46 for the log.
func TestStreamsReplayExactlyWhatCameAfter(t *testing.T) {
	r := startRedis(t)
	a, b := streamPair(t, r, redisadapter.StreamOptions{ReadCount: 3})
	c := r.Client(t)
	start := a.position(t)
	var all, ours []cluster.Offset
	for i := range 40 {
		var id cluster.Offset
		switch i % 4 {
		case 0, 1:
			id = add(t, c, "socket.io", event("/", i)...)
			ours = append(ours, id)
		case 2:
			id = add(t, c, "socket.io", event("/other", i)...)
		case 3:
			id = add(t, c, "socket.io", badEntries(t)[i/4]...)
		}
		all = append(all, id)
	}
	must(t, a.Publish(cluster.Message{From: "a", Namespace: "/", Seq: 7, Body: cluster.Join{Rooms: []string{"r"}}}))
	eventually(t, "b hears the last", func() error {
		b.mu.Lock()
		defer b.mu.Unlock()
		if n := len(b.heard); n != 21 {
			return fmt.Errorf("%d messages", n)
		}
		return nil
	})
	last := b.heard[20]
	ours = append(ours, last.Offset)
	if last.From != "a" || last.Seq != 7 {
		t.Errorf("the last is %+v", last)
	}
	for i, from := range append([]cluster.Offset{start}, all...) {
		want := slices.DeleteFunc(slices.Clone(ours), func(o cluster.Offset) bool { return o.Compare(from) <= 0 })
		for name, n := range map[string]cluster.SessionStore{"a": a, "b": b} {
			got, err := n.Since(within(t), from, len(want))
			if err != nil || !slices.Equal(offsets(got), want) {
				t.Fatalf("Since(%d) by %s = %v, %v, want %v", i, name, offsets(got), err, want)
			}
		}
		if len(want) == 0 {
			continue
		}
		if _, err := b.Since(within(t), from, len(want)-1); !errors.Is(err, cluster.ErrTrimmed) {
			t.Errorf("Since(%d) with one too few = %v, want ErrTrimmed", i, err)
		}
	}
	for from, want := range map[cluster.Offset]error{
		"0-0": cluster.ErrTrimmed, "": cluster.ErrTrimmed, "x": cluster.ErrTrimmed, "1-1": cluster.ErrTrimmed,
		all[3] + "9": cluster.ErrTrimmed, "99999999999999-0": cluster.ErrFuture,
		cluster.Offset(strings.Repeat("9", 1<<20)) + "-0": cluster.ErrTrimmed,
	} {
		if ms, err := b.Since(within(t), from, 1000); !errors.Is(err, want) {
			t.Errorf("Since(%.30q) = %d messages, %v, want %v", from, len(ms), err, want)
		}
	}
}

func TestStreamsReplayOnlyWhatIsWhole(t *testing.T) {
	r := startRedis(t)
	a, _ := streamPair(t, r, redisadapter.StreamOptions{})
	c := r.Client(t)
	var ids []cluster.Offset
	for i := range 20 {
		ids = append(ids, add(t, c, "socket.io", event("/", i)...))
	}
	expect := func(from, messages int) {
		t.Helper()
		ms, err := a.Since(within(t), ids[from], 100)
		if messages < 0 && (errors.Is(err, cluster.ErrTrimmed) || errors.Is(err, cluster.ErrFuture)) {
			return
		}
		if err != nil || len(ms) != messages {
			t.Errorf("Since(%d) = %d messages, %v, want %d", from, len(ms), err, messages)
		}
	}
	must(t, c.XTrimMaxLen(within(t), "socket.io", 10).Err())
	expect(8, -1)
	expect(9, -1)
	expect(10, 9)
	must(t, c.XTrimMaxLen(within(t), "socket.io", 0).Err())
	expect(18, -1)
	expect(19, 0)
	must(t, c.Del(within(t), "socket.io").Err())
	if _, err := a.Since(within(t), ids[19], 100); !errors.Is(err, cluster.ErrFuture) {
		t.Errorf("Since() without a stream = %v, want ErrFuture", err)
	}
	eventually(t, "ids of a new stream are new", func() error { // a millisecond has to pass
		now, err := c.Time(within(t)).Result()
		if err == nil && cluster.Offset(fmt.Sprintf("%d-0", now.UnixMilli())).Compare(ids[19]) <= 0 {
			err = errors.New("not yet")
		}
		return err
	})
	add(t, c, "socket.io", event("/", 20)...)
	expect(19, -1)
	if _, err := a.Since(within(t), "0-0", 100); !errors.Is(err, cluster.ErrTrimmed) {
		t.Errorf("Since(0-0) = %v, want ErrTrimmed", err)
	}
}

func TestStreamsStoreSaysThatRedisIsAway(t *testing.T) {
	r := startRedis(t)
	a, _ := streamPair(t, r, redisadapter.StreamOptions{})
	at := a.position(t)
	r.Kill(t)
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	_, takeErr := a.Take(ctx, "pid")
	_, sinceErr := a.Since(ctx, at, 10)
	for what, err := range map[string]error{
		"Save": a.Save(ctx, time.Minute, session("p", "a")), "Renew": a.Renew(ctx, time.Minute, session("p", "a")),
		"Forget": a.Forget(ctx, "p"), "Take": takeErr, "Since": sinceErr,
	} {
		if err == nil || errors.Is(err, cluster.ErrNoSession) || errors.Is(err, cluster.ErrTrimmed) || errors.Is(err, redis.Nil) {
			t.Errorf("%s without Redis = %v", what, err)
		}
	}
}
