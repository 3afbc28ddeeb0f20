package cluster_test

import (
	"context"
	"errors"
	"testing"

	"go.uber.org/goleak"

	"github.com/dunlin-io/dunlin/core/cluster"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSoloHasNobodyToAsk(t *testing.T) {
	link := cluster.Solo{}.Open("/", "self", nil)
	if m, err := link.Members(context.Background()); err != nil || m.Len() != 0 {
		t.Errorf("Members() = %+v, %v, want nobody", m, err)
	}
	if err := link.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	if err := link.Publish(cluster.Message{}); !errors.Is(err, cluster.ErrClosed) {
		t.Errorf("Publish() after Close = %v, want ErrClosed", err)
	}
}
