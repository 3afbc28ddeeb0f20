// Package cluster is the conversation between the nodes of a Socket.IO
// cluster: who is asked, what is answered, and when an answer counts as
// missing. It knows no connections (see core/engineio), no sockets (see
// core/socketio) and no bytes on any bus (see adapter/...).
//
// A namespace has one Member on each node. It stands between the namespace,
// seen as Local, and the other nodes, reached through a Link:
//
//	namespace --calls--> Member --Publish, Send--> Link --> bus
//	namespace <--Local-- Member <----Receive------ Link <-- bus
//
// Three kinds of conversation exist:
//
//	tell     A: Broadcast, Join, Leave, Disconnect, Emit        B, C: act
//	ask      A: FetchSockets, Rooms, Emit with RequestID        B, C: one answer each
//	collect  A: Broadcast with RequestID                        B, C: AckCount each,
//	                                                            then AckReply per client
//
// An asker knows whom it waits for before it asks: named nodes one by one,
// nodes without a name (Node.js servers) by number. A named node that leaves
// is struck off at once. Whatever has arrived when the waiting ends is
// returned together with a *PartialError that says what is missing.
package cluster
