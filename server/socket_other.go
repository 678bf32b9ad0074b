//go:build !unix

package server

import "net"

// setBacklog leaves the system's default: there is no way to change it.
func setBacklog(net.Listener, int) error { return nil }

// socket does not exist here: connections read and write as the net package does.
type socket struct{}

func newSocket(net.Conn) *socket { return nil }

func (*socket) read() ([]byte, error)          { return nil, net.ErrClosed }
func (*socket) tryWrite(b []byte) (int, error) { return 0, net.ErrClosed }
