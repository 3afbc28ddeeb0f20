package dev

import (
	"context"
	"fmt"
	"io"

	"github.com/alicebob/miniredis/v2"
)

// Redis runs an embedded Redis on addr until ctx ends. It prints "ready URL" to
// out when it serves. It keeps nothing and knows no limits: it is for
// development.
func Redis(ctx context.Context, addr string, out io.Writer) error {
	server := miniredis.NewMiniRedis()
	if err := server.StartAddr(addr); err != nil {
		return fmt.Errorf("start the embedded Redis: %w", err)
	}
	defer server.Close()
	if _, err := fmt.Fprintf(out, "ready redis://%s\n", server.Addr()); err != nil {
		return fmt.Errorf("announce the embedded Redis: %w", err)
	}
	<-ctx.Done()
	return nil
}
