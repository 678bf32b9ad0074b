//go:build unix

package server

import (
	"errors"
	"io"
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

// socket reads and writes as the net package does not: it borrows a buffer only once there is input, and writes without
// ever blocking. One goroutine may read and another write at the same time.
type socket struct {
	raw     syscall.RawConn
	reading transfer
	writing transfer
}

// transfer is one system call at the hands of the runtime's poller. step is bound once: a closure for each call would be
// an allocation for each.
type transfer struct {
	buf  []byte
	n    int
	err  error
	step func(fd uintptr) bool
}

// newSocket returns nil if nc is not a plain TCP connection.
func newSocket(nc net.Conn) *socket {
	t, ok := nc.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := t.SyscallConn()
	if err != nil {
		return nil
	}
	s := &socket{raw: raw}
	s.reading.step, s.writing.step = s.reading.read, s.writing.write
	return s
}

// read is the step of a read; false sends the goroutine to wait for input, without a buffer.
func (t *transfer) read(fd uintptr) bool {
	t.buf = getBuffer()
	for {
		t.n, t.err = syscall.Read(int(fd), t.buf[:cap(t.buf)])
		if !errors.Is(t.err, syscall.EINTR) {
			break
		}
	}
	if errors.Is(t.err, syscall.EAGAIN) {
		putBuffer(t.buf)
		t.buf = nil
		return false
	}
	return true
}

func (t *transfer) write(fd uintptr) bool {
	for {
		t.n, t.err = syscall.Write(int(fd), t.buf)
		if !errors.Is(t.err, syscall.EINTR) {
			return true
		}
	}
}

// read waits for input and returns it in a buffer from [getBuffer].
func (s *socket) read() ([]byte, error) {
	t := &s.reading
	if err := s.raw.Read(t.step); err != nil {
		return nil, err
	}
	buf, n, err := t.buf, t.n, t.err
	t.buf = nil
	if n <= 0 {
		putBuffer(buf)
		if err == nil {
			err = io.EOF
		}
		return nil, err
	}
	return buf[:n], nil
}

// tryWrite makes one write call. It returns 0 and no error if the socket is full.
func (s *socket) tryWrite(b []byte) (int, error) {
	t := &s.writing
	t.buf = b
	err := s.raw.Write(t.step)
	t.buf = nil
	if err != nil {
		return 0, err
	}
	if errors.Is(t.err, syscall.EAGAIN) {
		return 0, nil
	}
	return max(t.n, 0), t.err
}
