package cluster

import "context"

// Adapter carries messages between the nodes of a cluster. It knows nothing of
// sockets: rooms, delivery and the counting of answers stay in the core.
type Adapter interface {
	// Open joins the conversation about one namespace and returns at once;
	// Link.Ready tells when the link hears the others. self is the same for
	// every namespace of a server. With a nil Receiver the link only
	// publishes; who does nothing else is no node, and has an empty name.
	Open(namespace string, self NodeID, r Receiver) Link
}

// Link is one namespace's connection to the other nodes. Its methods may be
// called concurrently; one goroutine's messages keep their order.
type Link interface {
	// Ready returns when everything sent from now on by a node that is itself
	// ready will be received, or with ctx's error, or ErrClosed.
	Ready(ctx context.Context) error
	// Publish queues a message for every other node and returns. Its errors
	// are those that can be known at once: the message cannot be encoded, is
	// over the size limit, or the link is closed.
	Publish(m Message) error
	// Send queues an answer to a request received with ReplyTo.
	Send(to ReplyTo, m Message) error
	// Members tells who else would answer a request now.
	Members(ctx context.Context) (Members, error)
	// Close leaves the conversation and waits until the link's goroutines have
	// ended; no method of the Receiver is called afterwards. It never closes
	// what the user opened.
	Close() error
}

// Members are the other nodes of a namespace.
type Members struct {
	Known   []NodeID // nodes with a name, without this one
	Foreign int      // nodes that can only be counted, such as Node.js servers
}

// Len returns how many other nodes there are.
func (m Members) Len() int { return len(m.Known) + m.Foreign }

// Receiver is what a Link calls for incoming messages. Calls for one link come
// one at a time and in order, and must not block on anything but memory.
type Receiver interface {
	// Receive takes a message of another node. A link may pass on messages of
	// this node too; they are ignored.
	Receive(m Message)
	// HasRoom reports whether the room has a member here. Links use it to drop
	// a message before decoding it.
	HasRoom(room string) bool
	// Subscribed tells that the link has begun to hear the others; resumed
	// means that it had before, so that messages may be missing.
	Subscribed(resumed bool)
}

// RoomWatcher is implemented by links that subscribe room by room. Its methods
// note what is wanted and return at once; they may be called under locks.
type RoomWatcher interface {
	// WatchRoom asks for the room's messages, which may be a socket's id; ready
	// is closed once nothing published afterwards can be missed, as far as the
	// link is Ready. nil means that there is nothing to wait for.
	WatchRoom(room string) (ready <-chan struct{})
	// UnwatchRoom takes one call of WatchRoom back.
	UnwatchRoom(room string)
}

// Flusher is implemented by links that publish in the background.
type Flusher interface {
	// Flush returns once the bus has taken everything that was published
	// through this link before the call. It fails when ctx ends first, and with
	// a *LostError when some of it was lost since the last Flush.
	Flush(ctx context.Context) error
}
