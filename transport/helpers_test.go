package transport

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"zebu/internal/freeport"
	"zebu/proto"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// freePort is a port of the loopback interface that nobody listens on.
func freePort(t *testing.T) proto.HostPort {
	t.Helper()
	port, err := freeport.Next()
	if err != nil {
		t.Fatal(err)
	}
	return proto.HostPort{Host: "127.0.0.1", Port: port}
}

func hostPort(t *testing.T, a net.Addr) proto.HostPort {
	t.Helper()
	hp, err := proto.ParseHostPort(a.String())
	if err != nil {
		t.Fatal(err)
	}
	return hp
}

// quiet logs nothing below errors: much of what is tested makes warnings.
func quiet(t *testing.T) *zap.Logger {
	return zaptest.NewLogger(t, zaptest.Level(zap.ErrorLevel))
}

// dialRaw connects to an address without any of this package.
func dialRaw(t *testing.T, to proto.HostPort) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", to.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

// listenRaw listens like a peer that is not zebu.
func listenRaw(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func acceptRaw(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	if err := l.(*net.TCPListener).SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

func mustWrite(t *testing.T, c net.Conn, b []byte) {
	t.Helper()
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
}

// mustEnd awaits that the other side closes a connection on which nothing more comes.
func mustEnd(t *testing.T, c net.Conn) {
	t.Helper()
	var b [1]byte
	n, err := c.Read(b[:])
	if e, ok := err.(net.Error); n != 0 || err == nil || ok && e.Timeout() {
		t.Fatalf("connection still open: %d, %v", n, err)
	}
}

// frame is a notification as it is sent.
func frame(n proto.Notification) []byte {
	b := n.Append(make([]byte, 4))
	proto.PutInt32(b, int32(len(b)-4))
	return b
}

func readFrame(t *testing.T, c net.Conn) proto.Notification {
	t.Helper()
	var head [4]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, binary.BigEndian.Uint32(head[:]))
	if _, err := io.ReadFull(c, body); err != nil {
		t.Fatal(err)
	}
	var n proto.Notification
	if err := n.Decode(body); err != nil {
		t.Fatal(err)
	}
	return n
}

// eventually awaits what no event tells.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for deadline := time.Now().Add(patience); !ok(); <-again.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not so", what)
		}
	}
}
