package recipes

import (
	"bytes"
	"encoding/binary"
	"net"
	"time"

	"github.com/go-zookeeper/zk"
)

// dialer watches what servers answer, for two things that go-zookeeper keeps to itself: the session timeout that was granted, and
// when a server was last heard. And it mends one: go-zookeeper 1.0.4 sets its watches again relative to the last transaction that it knows by
// then, which may be one that a reply over the new connection has told. Changes of children before that would go unnoticed.
func (c *Client) dialer(dial zk.Dialer) zk.Dialer {
	return func(network, address string, timeout time.Duration) (net.Conn, error) {
		conn, err := dial(network, address, timeout)
		if err != nil {
			return nil, err
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		return &listener{Conn: conn, c: c, first: true, base: c.seen}, nil
	}
}

// listener follows the frames that a server sends.
type listener struct {
	net.Conn
	c     *Client
	base  int64    // the last transaction seen before this connection
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

// opSetWatches is the operation whose request begins with the last transaction seen.
const opSetWatches = 101

// Write implements [net.Conn]. go-zookeeper writes a request at a time: its length, xid, operation, and what belongs to that.
func (l *listener) Write(b []byte) (int, error) {
	if len(b) >= 20 && binary.BigEndian.Uint32(b[8:]) == opSetWatches {
		b = bytes.Clone(b)
		binary.BigEndian.PutUint64(b[12:], uint64(l.base))
	}
	return l.Conn.Write(b)
}

// follow takes the next bytes of the stream.
func (l *listener) follow(b []byte) {
	for len(b) > 0 {
		want := 4
		if l.got >= 4 {
			want += int(binary.BigEndian.Uint32(l.head[:]))
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
	switch xid := int32(binary.BigEndian.Uint32(l.head[4:])); {
	case l.first: // connect response: protocol version, timeout, session id, password
		c.granted = grant{
			id:      int64(binary.BigEndian.Uint64(l.head[12:])),
			timeout: time.Duration(int32(binary.BigEndian.Uint32(l.head[8:]))) * time.Millisecond,
		}
		l.first = false
	case xid == -1: // event
		return
	case xid >= 0: // reply: xid, zxid
		c.seen = max(c.seen, int64(binary.BigEndian.Uint64(l.head[8:])))
	}
	c.heard = time.Now()
}
