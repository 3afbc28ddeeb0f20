// Command nethttp serves Socket.IO beside other handlers, emits from outside of
// any handler, and ends in order. With a certificate it speaks TLS.
//
//	curl -d "dinner is ready" http://127.0.0.1:3000/notices/kitchen
package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"github.com/dunlin-io/dunlin/core/socketio"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:3000", "where to listen")
	cert := flag.String("cert", "", "certificate file; empty: no TLS")
	key := flag.String("key", "", "the certificate's key file")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	if err := run(ctx, l, *cert, *key); err != nil {
		log.Fatal(err)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, l net.Listener, cert, key string) error {
	sockets, err := socketio.New(socketio.Config{Logger: slog.Default()})
	if err != nil {
		return err
	}
	server := &http.Server{Handler: routes(sockets), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() {
		if cert == "" {
			served <- server.Serve(l)
		} else {
			served <- server.ServeTLS(l, cert, key)
		}
	}()
	tell(ctx, sockets, served)

	end, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	// The sockets first: http.Server waits for their polls, and does not know
	// their WebSockets any more.
	return errors.Join(sockets.Shutdown(end), server.Shutdown(end), ignoreClosed(<-served))
}

func routes(sockets *socketio.Server) http.Handler {
	sockets.On("watch", func(ev *socketio.Event) {
		var room string
		if err := ev.Scan(&room); err != nil {
			return
		}
		ev.Socket.Join("notices:" + room)
		_ = ev.Ack()
	})
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", sockets)
	// For other programs. Let no stranger reach it.
	mux.HandleFunc("POST /notices/{room}", func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 4096))
		if err == nil {
			err = sockets.To("notices:"+r.PathValue("room")).Emit("notice", string(text))
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
	return mux
}

// tell tells everybody the time, until ctx ends or the server fails.
func tell(ctx context.Context, sockets *socketio.Server, served chan error) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			// Who cannot keep up misses one; there will be another.
			if err := sockets.Volatile().Emit("time", now); err != nil {
				slog.Warn("tell the time", "err", err)
			}
		case err := <-served:
			served <- err // for run
			return
		case <-ctx.Done():
			return
		}
	}
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
