// Package socketio is a Socket.IO server that any Socket.IO client of protocol
// version 5 (JavaScript clients 3 and 4) can talk to, alone or as one node of
// a cluster.
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
// A Server has Namespaces, the default one is "/". Clients join a namespace
// and have a Socket there, which is in rooms. Operators (BroadcastOperator,
// SocketOperator) say to whom an event goes and how; they are immutable
// values. Handlers of one socket run one after the other, those of different
// sockets at the same time, and they may block.
//
// What the nodes of a cluster say to each other is the business of
// core/cluster; Config.Adapter carries it, for example over Redis.
package socketio
