// Package engineio is an Engine.IO v4 server: ordered, message-based sessions between a browser and a server that
// begin as HTTP long-polling and move to WebSocket when the network allows it, or begin as WebSocket at once.
//
// A [Server] is an [net/http.Handler]. For each new session it calls the accept function given to [New], which returns
// the [Handler] of that session:
//
//	srv, err := engineio.New(engineio.Config{}, func(s *engineio.Session) engineio.Handler {
//		return &echo{session: s}
//	})
//	http.Handle("/engine.io/", srv)
//
// # Protocol
//
// A packet is one type digit and its data; see engine.io-protocol v4, "Protocol".
//
//	0 open     server  {"sid","upgrades","pingInterval","pingTimeout","maxPayload"}
//	1 close    both    the session ends
//	2 ping     server  every PingInterval; "2probe" from a client tries a WebSocket
//	3 pong     client  within PingTimeout of a ping; "3probe" answers a probe
//	4 message  both    the application's data
//	5 upgrade  client  from now on this WebSocket is the session's transport
//	6 noop     server  releases a parked poll
//
// On WebSocket a packet is one text frame; a binary message is a binary frame without a type digit. In HTTP bodies
// packets are joined by U+001E, and a binary message is 'b' followed by base64.
//
// # Life of a session
//
//	GET  ?EIO=4&transport=polling        -> 0{"sid":"abc",...}      session open, HandleMessage may be called
//	GET  ?...&sid=abc                    -> parks until there is something to send
//	POST ?...&sid=abc                    -> packets in, "ok" back
//	GET  ?EIO=4&transport=websocket&sid=abc   (Upgrade: websocket)  probe, then the switch
//
// While a WebSocket is probed, messages still leave by polling. The switch happens under the session's lock: what
// polling has not sent is written to the WebSocket before anything newer, so nothing is lost, repeated or reordered.
//
// # Nothing waits for a slow client
//
// [Session.Send] never blocks. On a plain TCP WebSocket it is one non-blocking write by the caller; what the kernel
// does not take is kept, up to [Config.MaxPending] bytes and [Config.StallTimeout] without progress, and written by a
// goroutine that exists only while there is something to flush. A [Batch] is encoded once and shared by all sessions.
//
// Left out on purpose: Engine.IO v3, JSONP, compression and WebTransport.
package engineio
