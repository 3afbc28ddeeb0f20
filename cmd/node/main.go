// Dunlin is a Socket.IO server that scales over many nodes. `dunlin dev` runs a
// whole cluster on one machine, `dunlin serve` one production node, `dunlin
// bench` measures one. See docs/node.md.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/dunlin-io/dunlin/cmd/node/internal/app"
	"github.com/dunlin-io/dunlin/cmd/node/internal/bench"
	"github.com/dunlin-io/dunlin/cmd/node/internal/config"
	"github.com/dunlin-io/dunlin/cmd/node/internal/dev"
)

// Exit codes; 0 is a stop that was asked for.
const (
	exitFailure = 1
	exitUsage   = 2
)

func main() {
	command, err := config.Parse(os.Args[1:], os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintf(os.Stderr, "dunlin: %v\n", err)
		os.Exit(exitUsage)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal asks; with the handler gone, a second one kills.
	context.AfterFunc(ctx, stop)
	if err := run(ctx, command); err != nil {
		fmt.Fprintf(os.Stderr, "dunlin: %v\n", err)
		os.Exit(exitFailure)
	}
}

func run(ctx context.Context, command config.Command) error {
	switch c := command.(type) {
	case *config.Serve:
		if c.UntilStdinCloses {
			ctx = untilClosed(ctx, os.Stdin)
		}
		log := c.Logger(os.Stderr)
		warnUnknown(log)
		node, err := app.New(c, log, os.Stdout)
		if err != nil {
			return err
		}
		return node.Run(ctx)
	case *config.Dev:
		log := c.Logger(os.Stderr)
		warnUnknown(log)
		return dev.Run(ctx, c, log, os.Stdout, os.Stderr)
	case *config.Emit:
		warnUnknown(slog.New(slog.NewTextHandler(os.Stderr, nil)))
		return app.Emit(ctx, c, os.Stderr)
	case *config.Bench:
		return bench.Run(ctx, c, os.Stdout)
	case *config.DevRedis:
		if c.UntilStdinCloses {
			ctx = untilClosed(ctx, os.Stdin)
		}
		return dev.Redis(ctx, c.Addr, os.Stdout)
	case *config.Version:
		_, err := fmt.Println(version())
		return err
	}
	return fmt.Errorf("command %T is not known", command)
}

// untilClosed returns a context that ends when r does, which it does when the
// process at its other end dies, however that happens.
func untilClosed(ctx context.Context, r io.Reader) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	// It ends with the process: a read of standard input cannot be ended.
	go func() {
		_, _ = io.Copy(io.Discard, r)
		cancel()
	}()
	return ctx
}

func warnUnknown(log *slog.Logger) {
	for _, v := range config.UnknownEnvironment() {
		attrs := []any{"name", v.Name}
		if v.Meant != "" {
			attrs = append(attrs, "did_you_mean", v.Meant)
		}
		log.Warn("unknown environment variable: correct its name (--help lists them all) or unset it", attrs...)
	}
}
