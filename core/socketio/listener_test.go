package socketio_test

import "github.com/dunlin-io/dunlin/core/socketio"

// What typed handlers can be registered on, and whom Call can ask.
var (
	_ socketio.Listener = (*socketio.Server)(nil)
	_ socketio.Listener = (*socketio.Namespace)(nil)
	_ socketio.Listener = (*socketio.ParentNamespace)(nil)
	_ socketio.Listener = (*socketio.Socket)(nil)
	_ socketio.Caller   = (*socketio.Socket)(nil)
	_ socketio.Caller   = socketio.SocketOperator{}
	_ socketio.Caller   = (*socketio.RemoteSocket)(nil)
)
