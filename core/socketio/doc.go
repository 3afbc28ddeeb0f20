// Package socketio is a Socket.IO server that any Socket.IO client of protocol
// version 5 (JavaScript clients 3 and 4) can talk to, alone or as one node of a
// cluster.
//
//	io, err := socketio.New(socketio.Config{})
//	if err != nil {
//		return err
//	}
//	io.OnConnect(func(s *socketio.Socket) {
//		s.Join("lobby")
//	})
//	io.On("chat", func(ev *socketio.Event) {
//		var text string
//		if err := ev.Scan(&text); err != nil {
//			return
//		}
//		ev.Socket.To("lobby").Emit("chat", ev.Socket.ID(), text)
//	})
//	return http.ListenAndServe("localhost:3000", io)
//
// A [Server] is an [http.Handler] and has [Namespace]s; it acts as the default
// one, "/". A client joins a namespace and has a [Socket] there, which is in
// rooms.
//
// # Events from clients
//
// Handlers are registered on a namespace, where they serve every socket, or on
// one socket: On, Once, and for whatever comes OnAnyIncoming. An [Event] has
// encoded arguments, which Scan decodes into Go values, and is answered with
// Ack. [On], [On2] and [On3] do the decoding, [Handle] and its like the
// answering, too. Handlers of one socket run one after the other, in the order
// of its events; those of different sockets at the same time. They may block.
//
// OnConnect, OnDisconnecting and OnDisconnect tell of sockets that come and
// go. A [Middleware] decides who may come, [Socket.Use] which events pass.
//
// # Events to clients
//
// [Socket.Emit] sends to one client. To many, on all nodes, a
// [BroadcastOperator] does, which To, Except and the other modifiers of a
// namespace or a socket return. Operators are immutable values, to be kept and
// shared. Values are encoded as by encoding/json, and []byte travels as binary.
// Emit never waits: what cannot be taken is an error. EmitWithAck and [Call]
// wait for what clients answer.
//
// # Clusters
//
// Servers become nodes of one cluster by Config.Adapter, over Redis or inside
// one process. Rooms, broadcasts, and questions such as FetchSockets then
// concern all nodes, others that run Node.js included. An [Emitter] reaches
// the clients of a cluster from a process that has none itself.
//
// # Errors and panics
//
// A question that some nodes or clients leave unanswered returns what came,
// with a [*PartialError]. What has no caller to return an error to goes to
// [Hooks] and the log. A panic in a handler, a middleware or a listener ends
// that call and nothing else.
//
// Every method may be called from any goroutine, unless it says otherwise.
package socketio
