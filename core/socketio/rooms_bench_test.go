package socketio

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/dunlin-io/dunlin/core/cluster"
)

// crowd is an index of n sockets, all in room "all", every tenth in "tenth", and
// each in one of "0" to "9" too.
func crowd(b *testing.B, n int) (*rooms, []*Socket) {
	b.Helper()
	r := newRooms()
	sockets := make([]*Socket, n)
	for i := range sockets {
		sockets[i] = &Socket{id: "socket-" + strconv.Itoa(i)}
		in := []string{"all", strconv.Itoa(i % 10)}
		if i%10 == 0 {
			in = append(in, "tenth")
		}
		if _, err := r.insert(sockets[i], in); err != nil {
			b.Fatal(err)
		}
	}
	return r, sockets
}

// BenchmarkRooms joins and leaves, and selects whom an emit is for. An emit to
// one room walks a list that is kept until the room changes; who is in several,
// or is left out, has to be found each time.
func BenchmarkRooms(b *testing.B) {
	for _, n := range []int{100, 1_000, 10_000} {
		r, sockets := crowd(b, n)
		run := func(name string, f func(i int)) {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					f(i)
				}
			})
		}
		room := []string{"visited"}
		run("join and leave", func(i int) {
			s := sockets[i%n]
			if _, err := r.Join(s, room, 100); err != nil {
				b.Fatal(err)
			}
			r.Leave(s, room)
		})
		large := []string{"large"}
		for _, s := range sockets[1:] {
			if _, err := r.Join(s, large, 100); err != nil {
				b.Fatal(err)
			}
		}
		run("join and leave a large room", func(int) {
			if _, err := r.Join(sockets[0], large, 100); err != nil {
				b.Fatal(err)
			}
			r.Leave(sockets[0], large)
		})
		for name, c := range map[string]struct {
			target cluster.Target
			want   int
		}{
			"select everybody":   {cluster.Target{}, n},
			"select a room":      {cluster.Target{Rooms: []string{"all"}}, n},
			"select a socket":    {cluster.Target{Rooms: []string{sockets[0].id}}, 1},
			"select two rooms":   {cluster.Target{Rooms: []string{"tenth", "1"}}, n / 5},
			"select all but one": {cluster.Target{Except: []string{sockets[0].id}}, n - 1},
		} {
			run(name, func(int) {
				if got := len(r.Select(&c.target)); got != c.want {
					b.Fatalf("%d sockets, want %d", got, c.want)
				}
			})
		}
		run("select a room that changes", func(int) {
			_, _ = r.Join(sockets[0], large, 100)
			r.Select(&cluster.Target{Rooms: large})
			r.Leave(sockets[0], large)
		})
	}
}
