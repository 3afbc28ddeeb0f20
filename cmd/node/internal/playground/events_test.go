package playground_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/cmd/node/internal/playground"
	"github.com/dunlin-io/dunlin/test/siotest"
)

// cluster runs test with three nodes that have the playground.
func cluster(t *testing.T, test func(t *testing.T, c *siotest.Cluster)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := siotest.NewCluster(t, 3)
		for i := range 3 {
			playground.Register(c.Server(i).Server, playground.Options{
				Node:  fmt.Sprintf("n%d", i),
				Nodes: func(context.Context) ([]string, error) { return []string{"n0", "n1"}, context.DeadlineExceeded },
			})
		}
		test(t, c)
	})
}

func TestProgramEvents(t *testing.T) {
	for _, ns := range []string{"/", "/playground"} {
		cluster(t, func(t *testing.T, c *siotest.Cluster) {
			o := siotest.Options{Namespace: ns}
			a, b := c.Dial(0, o), c.Dial(2, o)

			a.EmitWithAck("echo", 1, "two", []byte{3}, nil).Expect(1, "two", []byte{3}, nil)
			a.EmitWithAck("echo").Expect()

			a.Emit("bcast", map[string]any{"n": []byte{1}})
			for _, client := range []*siotest.Client{a, b} {
				client.Expect("msg", map[string]any{"n": []byte{1}})
			}

			b.EmitWithAck("join", "r").Expect()
			a.Emit("room", "r", "hello")
			b.Expect("msg", "hello")
			a.ExpectNothing(time.Minute)

			b.EmitWithAck("leave", "r").Expect()
			a.Emit("room", "r", "hello")
			b.ExpectNothing(time.Minute)

			b.EmitWithAck("whoami").Expect(map[string]any{"id": b.ID(), "node": "n2", "rooms": []any{b.ID()}, "recovered": false})
			a.EmitWithAck("nodes").Expect([]any{"n0", "n1"})
		})
	}
}

func TestBadArgumentsAreRefused(t *testing.T) {
	cluster(t, func(_ *testing.T, c *siotest.Cluster) {
		a := c.Dial(0)
		for _, event := range []string{"join", "leave", "room", "name", "say"} {
			var answer struct {
				Error struct {
					Code string `json:"code"`
				} `json:"error"`
			}
			if err := a.EmitWithAck(event, 1, 2).Args().Scan(&answer); err != nil || answer.Error.Code != "bad_payload" {
				t.Errorf("%s (1, 2) is answered %+v (%v), want code bad_payload", event, answer, err)
			}
		}
		a.EmitWithAck("echo", "still here").Expect("still here")
	})
}
