//go:build !unix

package server

import "net"

// setBacklog leaves the system's default: there is no way to change it.
func setBacklog(net.Listener, int) error { return nil }

type tryWriter interface {
	tryWrite(b []byte) (int, error)
}

// newTryWriter returns nil: there is no way to write without blocking, and flushes take a goroutine.
func newTryWriter(net.Conn) tryWriter { return nil }
