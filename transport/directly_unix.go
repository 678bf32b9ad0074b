//go:build unix

package transport

import (
	"errors"
	"net"
	"syscall"
)

// direct writes to a connection what its socket takes at once.
type direct struct {
	raw  syscall.RawConn
	buf  []byte
	n    int
	step func(fd uintptr) bool // bound once: a closure for each call would be an allocation for each
}

// newDirect returns nil if the connection is not plain TCP.
func newDirect(c net.Conn) *direct {
	t, ok := c.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := t.SyscallConn()
	if err != nil {
		return nil
	}
	d := &direct{raw: raw}
	d.step = d.write
	return d
}

func (d *direct) write(fd uintptr) bool {
	for {
		n, err := syscall.Write(int(fd), d.buf)
		if d.n = max(n, 0); !errors.Is(err, syscall.EINTR) {
			return true
		}
	}
}

// try returns how much was written. Why it was no more, the next ordinary write finds out.
func (d *direct) try(b []byte) int {
	d.buf, d.n = b, 0
	_ = d.raw.Write(d.step)
	d.buf = nil
	return d.n
}
