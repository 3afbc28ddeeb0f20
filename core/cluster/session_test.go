package cluster_test

import (
	"testing"

	"github.com/dunlin-io/dunlin/core/cluster"
)

func TestOffsetsAreOrderedAsNumbers(t *testing.T) {
	ordered := []cluster.Offset{"", "0-0", "0-1", "0-10", "9-0", "10-0", "1767225600000-9", "18446744073709551615-18446744073709551615"}
	for i, a := range ordered {
		for j, b := range ordered {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := a.Compare(b); got != want {
				t.Errorf("%q.Compare(%q) = %d, want %d", a, b, got, want)
			}
		}
	}
}

func TestOffsetsOfAnotherFormAreNotValid(t *testing.T) {
	for _, o := range []cluster.Offset{"", "-", "1", "1-", "-1", "a-b", "1-2-3", "01-0", "1-00", " 1-0", "+1-0", "1e3-0", "18446744073709551616-0", "1-0\n"} {
		if o.Valid() {
			t.Errorf("%q is valid", o)
		}
	}
	if !cluster.Offset("1767225600000-0").Valid() {
		t.Error("a stream id is not valid")
	}
}
