// Command redis is one of several nodes that share rooms through Redis. Start it
// twice, and let a client of each join:
//
//	go run ./redis -addr 127.0.0.1:3001
//	go run ./redis -addr 127.0.0.1:3002
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	redisadapter "github.com/dunlin-io/dunlin/adapter/redis"
	"github.com/dunlin-io/dunlin/core/socketio"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:3001", "where to listen")
	server := flag.String("redis", "127.0.0.1:6379", "address of the Redis server")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	client := redis.NewClient(&redis.Options{Addr: *server})
	defer client.Close() // it is ours: the adapter leaves it open
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	if err := run(ctx, l, client); err != nil {
		log.Fatal(err)
	}
}

// run is one node. It serves until ctx ends.
func run(ctx context.Context, l net.Listener, client redis.UniversalClient) error {
	adapter, err := redisadapter.New(client, redisadapter.Options{Logger: slog.Default()})
	if err != nil {
		return err
	}
	io, err := socketio.New(socketio.Config{Adapter: adapter, Logger: slog.Default()})
	if err != nil {
		return err
	}
	io.On("join", func(ev *socketio.Event) {
		var room string
		if err := ev.Scan(&room); err != nil {
			return
		}
		ev.Socket.Join("room:" + room)
		// Everybody there, on every node.
		_ = io.To("room:"+room).Emit("joined", ev.Socket.ID(), io.NodeID())
	})

	starting, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := io.Ready(starting); err != nil { // now we hear the other nodes
		return errors.Join(err, io.Shutdown(context.WithoutCancel(ctx)))
	}
	server := &http.Server{Handler: io, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		<-ctx.Done()
		end, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := errors.Join(io.Shutdown(end), server.Shutdown(end)); err != nil {
			log.Print(err)
		}
	}()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	<-ended
	return nil
}
