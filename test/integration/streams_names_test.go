package integration_test

import (
	"slices"
	"testing"

	redisadapter "github.com/dunlin-io/dunlin/adapter/redis"
)

// Of four streams /x has the number 1 and /dashboard -3, which correctly is 1 too.
func TestStreamsSpreadNamespaces(t *testing.T) {
	for _, c := range []struct {
		name    string
		o       redisadapter.StreamOptions
		ns      string
		written []string // to these streams
		heard   []string // from these
	}{
		{"One", redisadapter.StreamOptions{Name: "s"}, "/dashboard", []string{"s"}, []string{"s"}},
		{"Positive", redisadapter.StreamOptions{Name: "s", Count: 4, SignedHash: true}, "/x", []string{"s-1"}, []string{"s-1"}},
		{"Correct", redisadapter.StreamOptions{Name: "s", Count: 4}, "/dashboard", []string{"s-1"}, []string{"s-1"}},
		{
			"Signed",
			redisadapter.StreamOptions{Name: "s", Count: 4, SignedHash: true},
			"/dashboard",
			[]string{"s-1", "s--3"},
			[]string{"s--3", "s-1"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := startRedis(t)
			client := r.Client(t)
			a := newStreamNode(t, r, c.ns, "a", c.o).ready(t)
			b := newStreamNode(t, r, c.ns, "b", c.o).ready(t)
			m := startMonitor(t, r)
			a.tell(t, 0)
			expectNumbers(t, b.node, 0) // once, although it may be written twice
			var written []string
			for _, args := range m.commands("XADD") {
				written = append(written, args[1])
			}
			if !slices.Equal(written, c.written) {
				t.Errorf("written to %q, want %q", written, c.written)
			}
			want := []int{0}
			for i, stream := range c.heard { // as Node.js nodes write
				add(t, client, stream, event(c.ns, i+1)...)
				want = append(want, i+1)
				expectNumbers(t, b.node, want...)
			}
			b.mu.Lock()
			defer b.mu.Unlock()
			for i, message := range b.heard {
				if inLog := i < 2; (message.Offset != "") != inLog {
					t.Errorf("message %d has the offset %q", i, message.Offset)
				}
			}
		})
	}
}

// A node with SignedHash and one without hear each other.
func TestStreamsWithAndWithoutSignedHash(t *testing.T) {
	r := startRedis(t)
	a := newStreamNode(t, r, "/dashboard", "a", redisadapter.StreamOptions{Count: 4, SignedHash: true}).ready(t)
	b := newStreamNode(t, r, "/dashboard", "b", redisadapter.StreamOptions{Count: 4}).ready(t)
	a.tell(t, 1)
	expectNumbers(t, b.node, 1)
	b.tell(t, 2)
	expectNumbers(t, a.node, 1, 2)
}
