//go:build !unix

package engineio

import "net"

// newSocketConn returns nil: this system's sockets cannot be written without waiting through syscall.RawConn.
func newSocketConn(net.Conn) conn { return nil }
