// Package parser turns Socket.IO packets (protocol revision 5) into Engine.IO
// messages and back.
//
// # Default codec
//
// A packet is one text message, followed by one binary message per attachment:
//
//	packet      = type [ count "-" ] [ namespace "," ] [ id ] [ payload ]
//	type        = "0" CONNECT | "1" DISCONNECT | "2" EVENT | "3" ACK
//	            | "4" CONNECT_ERROR | "5" BINARY_EVENT | "6" BINARY_ACK
//	count       = 1*digit         ; only for 5 and 6: attachments that follow
//	namespace   = "/" *any        ; left out for "/"; ends at the first comma
//	id          = 1*digit         ; an acknowledgement is wanted, or given
//	payload     = JSON
//
//	CONNECT        nothing or an object: credentials, or what the server answers
//	DISCONNECT     nothing
//	EVENT          an array: the event's name (a string or a number), arguments
//	ACK            an array of arguments
//	CONNECT_ERROR  an object with "message" and maybe "data", or a string
//
// In a payload of type 5 or 6 an attachment appears as the placeholder
// {"_placeholder":true,"num":k}, k counting from 0 in order of appearance.
// For example
//
//	2["hello",1]                                            EVENT in "/"
//	2/chat,12["hello"]                                      EVENT in "/chat", id 12
//	51-["file",{"_placeholder":true,"num":0}]  + <bytes>    EVENT with binary
//	3/chat,12[]                                             ACK of id 12
//
// See socket.io-protocol v5, "Packet encoding".
//
// # MessagePack codec
//
// A packet is one binary message, a map with the keys type (0 to 4), nsp, id
// and data, as socket.io-msgpack-parser 3 writes it.
//
// # A codec of your own
//
// A [Codec] decides how packets are written, and nothing else: how messages
// are framed is the business of Engine.IO, what packets mean that of Socket.IO,
// and other nodes of a cluster see neither, so that each may use a codec of its
// own. Both ends of a connection must use the same one.
//
// Encode gets each packet once and what it returns goes to any number of
// connections at the same time: it must not change afterwards. It may share
// memory with the packet, which nobody writes to. A payload is JSON text in
// which placeholders stand for the attachments, in the form above; a codec can
// carry both as they are and need not understand them.
//
// Decode gets the messages of one connection, as they come, from whoever
// connects. It says ok when a packet is complete, and fails for what is none,
// upon which the connection is closed. What it returns has
//
//   - a type of [Connect] to [ConnectError], and a namespace that begins with "/";
//   - as payload what the table above allows for the type, as valid JSON text
//     without space before it, or nil;
//   - in the text of a payload with attachments placeholders for these and no
//     others; placeholders of a payload without attachments mean nothing;
//   - bytes of its own: the message's are used again;
//   - a size within the [Limits]. A decoder that takes more memory than the
//     message it was given, as one that decompresses does, must look at them
//     before it does; for the rest there is [Packet.Check].
//
// The server checks each packet that a foreign codec decodes, and takes a panic
// in it for an error. What a codec cannot represent, Encode refuses: an emit to
// one socket returns that error, one to many is logged.
//
// # Values
//
// A payload stays encoded, as JSON text and attachments, from the socket it
// came from to the sockets it goes to, whatever lies between: it becomes Go
// values only in [Args.Scan]. Text that a client sent goes out as it came, so
// numbers beyond 2^53, duplicate keys and escapes survive.
package parser
