//go:build unix

package sock

import (
	"errors"
	"net"
	"syscall"
)

// Writer writes to one connection. Only one goroutine may use it at a time; others may read from the connection.
type Writer struct {
	raw  syscall.RawConn
	buf  []byte
	n    int
	err  error
	step func(fd uintptr) bool // bound once: a closure for each call would be an allocation for each
}

// NewWriter returns nil if the connection is not plain TCP.
func NewWriter(c net.Conn) *Writer {
	t, ok := c.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := t.SyscallConn()
	if err != nil {
		return nil
	}
	w := &Writer{raw: raw}
	w.step = w.write
	return w
}

// Raw is the connection as the system knows it.
func (w *Writer) Raw() syscall.RawConn { return w.raw }

func (w *Writer) write(fd uintptr) bool {
	for {
		w.n, w.err = syscall.Write(int(fd), w.buf)
		if !errors.Is(w.err, syscall.EINTR) {
			return true
		}
	}
}

// Try makes one write call and returns how many bytes the socket took: 0 and no error if it is full.
func (w *Writer) Try(b []byte) (int, error) {
	w.buf = b
	err := w.raw.Write(w.step)
	w.buf = nil
	if err != nil {
		return 0, err
	}
	if errors.Is(w.err, syscall.EAGAIN) {
		return 0, nil
	}
	return max(w.n, 0), w.err
}
