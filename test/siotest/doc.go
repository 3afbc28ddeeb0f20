// Package siotest runs Socket.IO servers and scripted clients inside a test,
// over a network in memory. Everything waits in ways that testing/synctest
// understands, so that a test in a bubble runs on fake time: a heartbeat of 25
// seconds costs nothing, and "nothing arrives for a minute" is exact.
//
//	synctest.Test(t, func(t *testing.T) {
//		c := siotest.NewCluster(t, 3)
//		a, b := c.Dial(0), c.Dial(2)
//		c.Server(1).Except(a.ID()).Emit("hi", "all")
//		b.Expect("hi", "all")
//		a.ExpectNothing(time.Minute) // a fake minute
//	})
//
// The servers are real: socketio.Server behind http.Server, joined by
// adapter/memory, whose messages a Cluster can delay, lose, double and cut off.
// So is the client's wire: Engine.IO v4 over WebSocket or long-polling, and the
// Socket.IO packets of core/parser. NewServer starts a server to which the test
// adds handlers; Serve takes an application's own http.Handler, and At an
// address.
//
// Nothing in the client happens by itself but the answers to pings, and what is
// asked for: Options.Reconnect and Client.Answer.
//
// Servers, clients and their goroutines end with the test. Without a bubble all
// of it works too, on real time.
//
// What is expected fails the test with t.Fatal, so it must run on the test's
// own goroutine. The other methods may be called from any.
package siotest

import "time"

// patience bounds every wait for something that a test expects.
const patience = 10 * time.Second
