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
// # Values
//
// A payload stays encoded, as JSON text and attachments, from the socket it
// came from to the sockets it goes to, whatever lies between: it becomes Go
// values only in [Args.Scan]. Text that a client sent goes out as it came, so
// numbers beyond 2^53, duplicate keys and escapes survive.
package parser
