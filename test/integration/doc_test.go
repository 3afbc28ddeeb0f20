// Package integration tests against a real Redis: a container when a Docker
// engine answers, otherwise the redis-server on the PATH. Without either the
// tests are skipped, and fail where CI is true. REDIS_IMAGE chooses another image;
// with none there is no container.
package integration_test

import (
	"os"
	"testing"

	"github.com/redis/go-redis/v9/logging"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	logging.Disable() // go-redis prints each failed attempt to connect
	if os.Getenv("TESTCONTAINERS_RYUK_DISABLED") == "" {
		// Each test removes its own container; the one that would is not needed.
		_ = os.Setenv("TESTCONTAINERS_RYUK_DISABLED", "true")
	}
	goleak.VerifyTestMain(m,
		// Connections to the Docker engine that its client keeps for later.
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
	)
}
