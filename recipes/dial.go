package recipes

import (
	"encoding/binary"
	"net"
	"time"

	"github.com/go-zookeeper/zk"
)

// dialer watches what servers answer, for two things that go-zookeeper keeps to itself: the session timeout that was granted, and
// when a server was last heard.
func (c *Client) dialer(dial zk.Dialer) zk.Dialer {
	return func(network, address string, timeout time.Duration) (net.Conn, error) {
		conn, err := dial(network, address, timeout)
		if err != nil {
			return nil, err
		}
		return &listener{Conn: conn, c: c, first: true}, nil
	}
}

// listener follows the frames that a server sends.
type listener struct {
	net.Conn
	c     *Client
	first bool     // the frame is the answer to the connect request
	head  [20]byte // of the frame: length, then what it begins with
	got   int      // bytes of the frame seen, with those of the length
}

// Read implements [net.Conn].
func (l *listener) Read(b []byte) (int, error) {
	n, err := l.Conn.Read(b)
	l.follow(b[:n])
	return n, err
}

// follow takes the next bytes of the stream.
func (l *listener) follow(b []byte) {
	for len(b) > 0 {
		want := len(l.head)
		if l.got >= 4 {
			want = 4 + int(binary.BigEndian.Uint32(l.head[:]))
		} else {
			want = 4
		}
		n := min(want-l.got, len(b))
		if l.got < len(l.head) {
			copy(l.head[l.got:], b[:n])
		}
		l.got += n
		b = b[n:]
		if l.got >= 4 && l.got == 4+int(binary.BigEndian.Uint32(l.head[:])) {
			l.frame()
			l.got = 0
		}
	}
}

// frame takes note of a whole frame. Events tell nothing: a server sends them without having heard from us.
func (l *listener) frame() {
	c := l.c
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case l.first: // connect response: protocol version, timeout, session id, password
		c.granted = grant{
			id:      int64(binary.BigEndian.Uint64(l.head[12:])),
			timeout: time.Duration(int32(binary.BigEndian.Uint32(l.head[8:]))) * time.Millisecond,
		}
		l.first = false
	case int32(binary.BigEndian.Uint32(l.head[4:])) == -1: // xid of events
		return
	}
	c.heard = time.Now()
}
