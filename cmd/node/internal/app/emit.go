package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/dunlin-io/dunlin/cmd/node/internal/config"
	"github.com/dunlin-io/dunlin/core/socketio"
)

// Emit does what cfg says to the sockets of a cluster. Nil means that Redis has
// taken all of it. What may be a mistake, but is no failure, goes to warnings.
func Emit(ctx context.Context, cfg *config.Emit, warnings io.Writer) (err error) {
	ctx, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	b, err := newBus(&cfg.Bus, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := b.check(ctx); err != nil {
		return err
	}
	emitter := socketio.NewEmitter(b.adapter)
	defer func() { err = errors.Join(err, emitter.Close()) }()
	ns := emitter.Of(cfg.Namespace)
	if err := act(ns, cfg); err != nil {
		return err
	}
	if err := emitter.Flush(ctx); err != nil {
		return fmt.Errorf("redis %s has not taken everything: %w", b.name, err)
	}
	if nodes, err := ns.Nodes(ctx); err == nil && nodes == 0 {
		_, _ = fmt.Fprintf(warnings, "dunlin: no node hears namespace %s with --adapter %v on %s now, so this reached nobody\n", ns.Name(), cfg.Adapter, b.name)
	}
	return nil
}

// act hands everything to the emitter, in an order in which the rooms joined
// are there for the event, and those left still are.
func act(ns *socketio.EmitterNamespace, cfg *config.Emit) error {
	if cfg.Servers {
		return ns.ServerSideEmit(cfg.Event, cfg.Values()...)
	}
	to := ns.Except(cfg.Except...)
	if len(cfg.Room) > 0 {
		to = to.To(cfg.Room...)
	}
	err := to.SocketsJoin(cfg.Join...)
	if cfg.Event != "" {
		event := to
		if cfg.Volatile {
			event = to.Volatile()
		}
		err = errors.Join(err, event.Emit(cfg.Event, cfg.Values()...))
	}
	err = errors.Join(err, to.SocketsLeave(cfg.Leave...))
	if cfg.Disconnect {
		err = errors.Join(err, to.DisconnectSockets())
	}
	return err
}
