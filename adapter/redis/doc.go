// Package redisadapter joins Socket.IO servers into a cluster through Redis. Its
// bytes and channels are those of the JavaScript packages, so Go and Node.js
// servers, and emitters of both, can be members of one cluster.
//
// # Modes
//
// All members need the same [Mode]:
//
//	Classic  PUBLISH and SUBSCRIBE     @socket.io/redis-adapter 8, createAdapter
//	Sharded  SPUBLISH and SSUBSCRIBE   @socket.io/redis-adapter 8, createShardedAdapter; Redis 7
//	Streams  XADD, XREAD and PUBLISH   @socket.io/redis-streams-adapter 0.3
//
// [New] and [Open] make an [Adapter] in any of them.
//
// # Channels of the classic mode
//
// With the prefix "socket.io", for a namespace such as /chat and a node whose
// id is n1:
//
//	socket.io#/chat#*               pattern  broadcasts; they are published to
//	socket.io#/chat#                         ... none or several rooms
//	socket.io#/chat#room#                    ... exactly one room
//	socket.io-request#/chat#        channel  requests to all nodes
//	socket.io-response#/chat#       channel  answers, heard by all nodes
//	socket.io-response#/chat#n1#    channel  answers to n1
//
// # Channels of the sharded mode
//
//	socket.io#/chat#                all else
//	socket.io#/chat#n1#             answers to n1
//	socket.io#/chat#room#           broadcasts to exactly one room that has a channel of its own
//
// A Redis Cluster is refused in this mode for now: each of these channels belongs
// to another of its nodes.
//
// # Streams and channels of the mode with streams
//
//	socket.io                       stream   broadcasts, joins, leaves, disconnections
//	socket.io#/chat#                channel  requests, broadcasts that want acknowledgements
//	socket.io#/chat#n1#             channel  answers to n1
//	sio:session:<pid>               key      the session of a client, for recovery
//
// An entry has the fields uid, nsp, type, data, and between Go nodes x. One
// connection reads the stream for all namespaces of the node, from a position that
// outlives it: nothing is missed as long as Redis keeps what it has, and what a
// broken connection had carried is looked up in the stream, and neither lost nor
// written twice. Where entries may have been missed after all (Redis came back
// empty or with an earlier clock, or trimmed what was not read yet), the node goes
// on with what there is, counts it in [Stats].Gaps, and its log begins anew. A link
// of this mode is a [cluster.SessionStore], so clients recover on every node.
//
// With [StreamOptions].Count namespaces are spread over several streams. Where a
// stream has no entry that a position could name, a node writes a mark: an entry
// with a field dunlin and without nsp, which all others skip.
//
// # Counting
//
// The number of subscribers of the request channel, or in the other modes of the
// namespace's, is the number of nodes, for Node.js members too: an [Adapter]
// holds exactly one subscription to it, and so must every other member. Do not
// subscribe to it for debugging; MONITOR and PSUBSCRIBE are not counted.
//
// # Rooms
//
// [Options].Routing says which messages a node asks Redis for. With [Static] it
// is all of a namespace; what is for rooms without members on the node is
// dropped unread. With [Dynamic] and [DynamicPrivate] the node subscribes to
// rooms as they get their first member: what Socket.JoinWait returns after is
// not missed, what Socket.Join returns after may be, for the time that Redis
// needs to hear of it. A room that has lost its last member stays subscribed for
// some seconds, in case it gets another.
//
// In the classic mode,
//
//	Dynamic         subscribes to socket.io#/chat#, to socket.io#/chat#room# for each
//	                room, and with one pattern of twenty ? to the ids of all sockets
//	DynamicPrivate  has socket.io#/chat#id# for each socket instead of that pattern
//
// and other members neither know nor care. In the sharded mode the routing says
// where messages are published, too, so that all members need the same: a room
// has a channel of its own with DynamicPrivate always, with Dynamic unless its
// name has the 20 characters of a socket's id, and with Static never.
//
// Rooms whose names are longer than 24 MiB in all, 64 bytes added to each, are too
// many for one connection: the latest are not heard before others leave. They
// are logged and counted in [Stats].Unheard.
//
// # Messages of the classic mode
//
//	broadcast          MessagePack  [uid, packet, {rooms, except, flags}]
//	request            JSON         {uid, requestId, type, ...}
//	  with client acks MessagePack  {uid, requestId, type: 7, packet, opts}
//	answer             JSON         {requestId, ...}
//	  client ack       MessagePack  {type: 9, requestId, packet}
//
// Go nodes add what the JavaScript packages ignore: a sequence number as fourth
// element of a broadcast, and a key x in requests and answers, which names the
// answering node, the socket, and says things that the classic adapter has no
// words for. See [Options].NoExtension.
//
// # Messages of the other modes
//
//	{type, data, uid, nsp}, and x between Go nodes
//
// as JSON or MessagePack. In the sharded mode they are JSON unless there are
// binary values in them; with streams they are MessagePack, and in an entry data is
// JSON, or base64 of MessagePack where there are binary values.
//
// # What is promised
//
// At most once, in the order in which a node published, unless Redis or a
// connection to it fails. While Redis is away messages wait in a bounded queue;
// they are published once the node's own subscriptions are back. What is lost
// is counted, logged and given to [Options].OnDrop. Messages are believed
// nothing: what is not well formed is dropped and counted.
package redisadapter
