//go:build !unix

package server

import (
	"net"

	"zebu/internal/sock"
)

// setBacklog leaves the system's default: there is no way to change it.
func setBacklog(net.Listener, int) error { return nil }

// socket does not exist here: connections read and write as the net package does.
type socket struct{ *sock.Writer }

func newSocket(net.Conn) *socket { return nil }

func (*socket) read() ([]byte, error) { return nil, net.ErrClosed }
