package nemesis_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-io/dunlin/test/nemesis"
)

// history is three consumers that receive 20 messages of two producers, with
// what plant does to the deliveries of one of them.
func history(plant func(ids []nemesis.MessageID) []nemesis.MessageID) *nemesis.Ledger {
	l := nemesis.NewLedger()
	for _, c := range []string{"a", "b", "c"} {
		l.Joined(c, "node-"+c)
	}
	var ids []nemesis.MessageID
	for seq := 1; seq <= 20; seq++ {
		for _, p := range []string{"p", "q"} {
			time.Sleep(time.Millisecond)
			id := nemesis.MessageID{Producer: p, Seq: seq}
			l.Sending(id)
			l.Sent(id, nemesis.Accepted)
			ids = append(ids, id)
		}
	}
	for _, c := range []string{"a", "b"} {
		for _, id := range ids {
			l.Received(c, id)
		}
	}
	for _, id := range plant(slices.Clone(ids)) {
		l.Received("c", id)
	}
	return l
}

func asTheyAre(ids []nemesis.MessageID) []nemesis.MessageID { return ids }

func TestPlantedFaultsAreFound(t *testing.T) {
	for _, test := range []struct {
		name  string
		want  string // kind of the only violation; empty: none
		plant func(ids []nemesis.MessageID) []nemesis.MessageID
	}{
		{"nothing", "", asTheyAre},
		{"drop", "lost", func(ids []nemesis.MessageID) []nemesis.MessageID { return slices.Delete(ids, 7, 8) }},
		{"drop the first", "lost", func(ids []nemesis.MessageID) []nemesis.MessageID { return ids[1:] }},
		{"drop the last", "lost", func(ids []nemesis.MessageID) []nemesis.MessageID { return ids[:len(ids)-1] }},
		{"duplicate", "duplicate", func(ids []nemesis.MessageID) []nemesis.MessageID { return slices.Insert(ids, 8, ids[7]) }},
		{"late duplicate", "duplicate", func(ids []nemesis.MessageID) []nemesis.MessageID { return append(ids, ids[0]) }},
		{"swap of one producer", "order", func(ids []nemesis.MessageID) []nemesis.MessageID {
			ids[4], ids[6] = ids[6], ids[4]
			return ids
		}},
		{"swap of two producers", "", func(ids []nemesis.MessageID) []nemesis.MessageID {
			ids[4], ids[5] = ids[5], ids[4]
			return ids
		}},
		{"invention", "phantom", func(ids []nemesis.MessageID) []nemesis.MessageID {
			return append(ids, nemesis.MessageID{Producer: "p", Seq: 21})
		}},
		{"foreign invention", "phantom", func(ids []nemesis.MessageID) []nemesis.MessageID {
			return append(ids, nemesis.MessageID{Producer: "x", Seq: 1})
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := history(test.plant).Check()
				var kinds []string
				for _, violation := range v.Violations {
					kinds = append(kinds, violation.Kind)
					if violation.Consumer != "c" {
						t.Errorf("%v: blamed on the wrong consumer", violation)
					}
				}
				switch {
				case test.want == "" && len(kinds) > 0:
					t.Errorf("found %v in a history without faults", v.Violations)
				case test.want != "" && !slices.Equal(kinds, []string{test.want}):
					t.Errorf("found %v, want one %q", v.Violations, test.want)
				}
			})
		})
	}
}

func TestRefusedMessagesMustNotArrive(t *testing.T) {
	l := nemesis.NewLedger()
	id := nemesis.MessageID{Producer: "p", Seq: 1}
	l.Joined("a", "n")
	l.Sending(id)
	l.Sent(id, nemesis.Refused)
	if v := l.Check(); len(v.Violations) != 0 {
		t.Errorf("a refused message that did not arrive: %v", v.Violations)
	}
	l.Received("a", id)
	if v := l.Check(); len(v.Violations) != 1 || v.Violations[0].Kind != "phantom" {
		t.Errorf("a refused message that arrived: %v", v.Violations)
	}
}

func TestUnknownOutcomesMayArriveOrNot(t *testing.T) {
	l := nemesis.NewLedger()
	l.Joined("a", "n")
	for seq := 1; seq <= 2; seq++ {
		l.Sending(nemesis.MessageID{Producer: "p", Seq: seq})
	}
	l.Received("a", nemesis.MessageID{Producer: "p", Seq: 2})
	if v := l.Check(); len(v.Violations) != 0 {
		t.Errorf("violations %v", v.Violations)
	}
}

func TestLossInsideAWindowIsExcusedAndMustBeCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		l := history(func(ids []nemesis.MessageID) []nemesis.MessageID { return slices.Delete(ids, 10, 14) })
		l.MayLose(begin, begin.Add(12*time.Millisecond), "outage", func(_, consumer string) bool { return consumer == "c" })
		v := l.Check()
		if v.Excused["outage"] != 2 || len(v.Violations) != 2 {
			t.Fatalf("excused %v, violations %v: want two of each", v.Excused, v.Violations)
		}
		v.Violations = nil
		v.Counted("outage", 2)
		if len(v.Violations) != 0 {
			t.Errorf("a right counter: %v", v.Violations)
		}
		v.Counted("outage", 3)
		if len(v.Violations) != 1 || v.Violations[0].Kind != "uncounted" {
			t.Errorf("a wrong counter: %v", v.Violations)
		}
	})
}

func TestWhoJoinsLateOrLeavesNeedNotReceive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := nemesis.NewLedger()
		l.Joined("leaves", "n")
		for seq := 1; seq <= 3; seq++ {
			time.Sleep(time.Millisecond)
			id := nemesis.MessageID{Producer: "p", Seq: seq}
			l.Sending(id)
			l.Sent(id, nemesis.Accepted)
		}
		time.Sleep(time.Millisecond)
		l.Joined("late", "n")
		l.Left("leaves")
		if v := l.Check(); len(v.Violations) != 0 {
			t.Errorf("violations %v", v.Violations)
		}
	})
}
