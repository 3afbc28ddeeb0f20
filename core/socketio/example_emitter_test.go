package socketio_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/dunlin-io/dunlin/adapter/memory"
	"github.com/dunlin-io/dunlin/core/socketio"
)

// A backend without a server. Instead of the hub of this example it would have
// the adapter of its cluster, such as one of adapter/redis.
func ExampleEmitter() {
	hub := memory.New()
	server, err := socketio.New(socketio.Config{Adapter: hub})
	if err != nil {
		log.Fatal(err)
	}
	heard := make(chan string, 1)
	server.OnServerSide("reload", func(ev *socketio.ServerEvent) {
		var what string
		_ = ev.Scan(&what)
		heard <- what
	})

	emitter := socketio.NewEmitter(hub)
	_ = emitter.To("order-42").Except("muted").Emit("shipped", map[string]any{"at": "10:15"})
	_ = emitter.Of("/admin").Volatile().Emit("load", 0.7)
	_ = emitter.To("trial").SocketsJoin("customers")
	_ = emitter.To("user-7").DisconnectSockets()
	_ = emitter.ServerSideEmit("reload", "prices")

	// Before the process ends:
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := emitter.Flush(ctx); err != nil {
		log.Print("not everything was emitted: ", err)
	}
	_ = emitter.Close()

	fmt.Println(<-heard)
	_ = server.Shutdown(ctx)
	// Output: prices
}
