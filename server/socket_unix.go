//go:build unix

package server

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"zebu/internal/sock"
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

// socket reads and writes as the net package does not: it borrows a buffer only once there is input, and writes without
// ever blocking. One goroutine may read and another write at the same time.
type socket struct {
	*sock.Writer
	raw  syscall.RawConn
	buf  []byte
	n    int
	err  error
	step func(fd uintptr) bool // bound once: a closure for each call would be an allocation for each
}

// newSocket returns nil if nc is not a plain TCP connection.
func newSocket(nc net.Conn) *socket {
	w := sock.NewWriter(nc)
	if w == nil {
		return nil
	}
	s := &socket{Writer: w, raw: w.Raw()}
	s.step = s.readStep
	return s
}

// readStep is one system call at the hands of the runtime's poller; false sends the goroutine to wait for input, without a buffer.
func (s *socket) readStep(fd uintptr) bool {
	s.buf = getBuffer()
	for {
		s.n, s.err = syscall.Read(int(fd), s.buf[:cap(s.buf)])
		if !errors.Is(s.err, syscall.EINTR) {
			break
		}
	}
	if errors.Is(s.err, syscall.EAGAIN) {
		putBuffer(s.buf)
		s.buf = nil
		return false
	}
	return true
}

// read waits for input and returns it in a buffer from [getBuffer].
func (s *socket) read() ([]byte, error) {
	if err := s.raw.Read(s.step); err != nil {
		return nil, err
	}
	buf, n, err := s.buf, s.n, s.err
	s.buf = nil
	if n <= 0 {
		putBuffer(buf)
		if err == nil {
			err = io.EOF
		}
		return nil, err
	}
	return buf[:n], nil
}
