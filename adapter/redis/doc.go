// Package redisadapter joins Socket.IO servers into a cluster through Redis
// PUBLISH and SUBSCRIBE. Its bytes and channels are those of the JavaScript
// package @socket.io/redis-adapter 8 in its classic mode, so Go and Node.js
// servers, and emitters of both, can be members of one cluster.
//
// # Channels
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
// The number of subscribers of the request channel is the number of nodes, for
// Node.js members too: an [Adapter] holds exactly one subscription to it, and
// so must every other member. Do not subscribe to it for debugging; MONITOR and
// PSUBSCRIBE are not counted.
//
// # Messages
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
// # What is promised
//
// At most once, in the order in which a node published, unless Redis or a
// connection to it fails. While Redis is away messages wait in a bounded queue;
// they are published once the node's own subscriptions are back. What is lost
// is counted, logged and given to [Options].OnDrop. Messages are believed
// nothing: what is not well formed is dropped and counted.
package redisadapter
