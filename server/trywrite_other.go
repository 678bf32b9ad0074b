//go:build !unix

package server

import "net"

type tryWriter interface {
	tryWrite(b []byte) (int, error)
}

// newTryWriter returns nil: there is no way to write without blocking, and flushes take a goroutine.
func newTryWriter(net.Conn) tryWriter { return nil }
