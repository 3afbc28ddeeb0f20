package playground_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/core/parser"
	"github.com/dunlin-io/dunlin/test/siotest"
)

type message struct {
	Text   string   `json:"text"`
	Others bool     `json:"others,omitempty"`
	Rooms  []string `json:"rooms,omitempty"`
	Except []string `json:"except,omitempty"`
	Local  bool     `json:"local,omitempty"`
}

type outcome struct {
	Reached int `json:"reached"`
	Names   []struct {
		Name string `json:"name"`
		Node string `json:"node"`
	} `json:"names"`
	Missing int `json:"missing"`
	Error   struct {
		Code string `json:"code"`
	} `json:"error"`
}

func (o outcome) String() string {
	var names []string
	for _, n := range o.Names {
		names = append(names, n.Name+"@"+n.Node)
	}
	slices.Sort(names)
	return fmt.Sprintf("%d: %s, %d missing", o.Reached, strings.Join(names, " "), o.Missing)
}

// visitor connects to a node and answers messages as the page does.
func visitor(c *siotest.Cluster, i int, name string, rooms ...string) *siotest.Client {
	client := c.Dial(i, siotest.Options{Namespace: "/playground"})
	client.Answer("said", func(parser.Args) []any {
		return []any{map[string]string{"name": name, "node": fmt.Sprintf("n%d", i)}}
	})
	client.EmitWithAck("name", name).Expect(name)
	for _, r := range rooms {
		client.EmitWithAck("join", r).Expect()
	}
	return client
}

func say(t *testing.T, from *siotest.Client, m message) outcome {
	t.Helper()
	var out outcome
	if err := from.EmitWithAck("say", m).Args().Scan(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestMessagesReachWhomTheySelect(t *testing.T) {
	cluster(t, func(t *testing.T, c *siotest.Cluster) {
		ada := visitor(c, 0, "Ada")
		visitor(c, 0, "Bo", "red")
		visitor(c, 1, "Cy", "red", "blue")
		visitor(c, 2, "Di", "blue")
		for _, test := range []struct {
			message
			want string
		}{
			{message{Text: "x"}, "4: Ada@n0 Bo@n0 Cy@n1 Di@n2, 0 missing"},
			{message{Text: "x", Others: true}, "3: Bo@n0 Cy@n1 Di@n2, 0 missing"},
			{message{Text: "x", Local: true}, "2: Ada@n0 Bo@n0, 0 missing"},
			{message{Text: "x", Local: true, Others: true}, "1: Bo@n0, 0 missing"},
			{message{Text: "x", Rooms: []string{"red"}}, "2: Bo@n0 Cy@n1, 0 missing"},
			{message{Text: "x", Rooms: []string{"red", "blue"}}, "3: Bo@n0 Cy@n1 Di@n2, 0 missing"},
			{message{Text: "x", Rooms: []string{"red"}, Except: []string{"blue"}}, "1: Bo@n0, 0 missing"},
			{message{Text: "x", Except: []string{"red"}}, "2: Ada@n0 Di@n2, 0 missing"},
			{message{Text: "x", Rooms: []string{"nobody"}}, "0: , 0 missing"},
		} {
			if got := say(t, ada, test.message).String(); got != test.want {
				t.Errorf("say %+v reached %s, want %s", test.message, got, test.want)
			}
		}
	})
}

func TestMessagesSayWhereTheyComeFrom(t *testing.T) {
	cluster(t, func(t *testing.T, c *siotest.Cluster) {
		ada := visitor(c, 0, "Ada")
		other := c.Dial(1, siotest.Options{Namespace: "/playground"})
		ada.Emit("say", message{Text: " hi\n\x00there ", Rooms: nil, Except: []string{"blue"}, Local: false})
		other.Expect("said", map[string]any{
			"text": "hi there", "others": false, "rooms": nil, "except": []any{"blue"}, "local": false,
			"id": ada.ID(), "from": "Ada", "node": "n0",
		})
	})
}

func TestSilentReceiversAreCounted(t *testing.T) {
	cluster(t, func(t *testing.T, c *siotest.Cluster) {
		ada := visitor(c, 0, "Ada")
		c.Dial(1, siotest.Options{Namespace: "/playground"})
		begin := time.Now()
		if got, want := say(t, ada, message{Text: "x"}).String(), "1: Ada@n0, 1 missing"; got != want {
			t.Errorf("reached %s, want %s", got, want)
		}
		if d := time.Since(begin); d != 2*time.Second {
			t.Errorf("answered after %v, want 2s", d)
		}
	})
}

func TestVisitorsAreBounded(t *testing.T) {
	cluster(t, func(t *testing.T, c *siotest.Cluster) {
		ada := visitor(c, 0, "Ada")
		long := strings.Repeat("ü", 1000)
		ada.EmitWithAck("name", long).Expect(long[:2*24])
		ada.EmitWithAck("name", " \x00").Expect("guest")
		for _, m := range []message{{Text: " "}, {Text: "x", Rooms: make([]string, 9)}, {Text: "x", Except: make([]string, 9)}} {
			if got := say(t, ada, m); got.Error.Code != "bad_message" {
				t.Errorf("say %+v: %+v, want code bad_message", m, got)
			}
		}
	})
}
