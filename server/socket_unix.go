//go:build unix

package server

import (
	"errors"
	"net"
	"os"
	"syscall"
)

// setBacklog sets the length of the accept queue: listening again on a socket that listens does that.
func setBacklog(ln net.Listener, n int) error {
	t, ok := ln.(*net.TCPListener)
	if !ok {
		return nil
	}
	raw, err := t.SyscallConn()
	if err != nil {
		return err
	}
	cerr := raw.Control(func(fd uintptr) { err = os.NewSyscallError("listen", syscall.Listen(int(fd), n)) })
	return errors.Join(cerr, err)
}

// tryWriter writes without ever blocking.
type tryWriter interface {
	tryWrite(b []byte) (int, error)
}

type socketWriter struct{ raw syscall.RawConn }

// newTryWriter returns nil if nc is not a plain TCP connection.
func newTryWriter(nc net.Conn) tryWriter {
	t, ok := nc.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := t.SyscallConn()
	if err != nil {
		return nil
	}
	return socketWriter{raw}
}

// tryWrite makes one write call, on a socket that Go has made non-blocking. It returns 0 and no error if the socket is
// full.
func (w socketWriter) tryWrite(b []byte) (n int, err error) {
	werr := w.raw.Write(func(fd uintptr) bool {
		for {
			n, err = syscall.Write(int(fd), b)
			if !errors.Is(err, syscall.EINTR) {
				return true
			}
		}
	})
	if werr != nil {
		return 0, werr
	}
	if errors.Is(err, syscall.EAGAIN) {
		return 0, nil
	}
	return max(n, 0), err
}
