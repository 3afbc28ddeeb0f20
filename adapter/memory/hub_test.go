package memory_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/dunlin-io/dunlin/adapter/memory"
	"github.com/dunlin-io/dunlin/core/cluster"
	"github.com/dunlin-io/dunlin/core/cluster/clustertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Proves T-109.
func TestHubCarriesTheConversation(t *testing.T) {
	clustertest.Run(t, func(*testing.T) clustertest.Bus {
		hub := memory.New()
		return func() cluster.Adapter { return hub }
	})
}
