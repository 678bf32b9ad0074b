package recipes

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"
)

// fault is what happens to a client's connection at one request.
type fault int

const (
	unsent     fault = iota // the connection breaks before the request leaves
	unanswered              // the server carries the request out, and the connection breaks before the reply arrives
	expired                 // the session ends before the request leaves
	killed                  // the server carries the request out, and the session ends before the reply arrives
)

func (f fault) String() string { return [...]string{"unsent", "unanswered", "expired", "killed"}[f] }

// faults injects one fault into a client's connection, at the request of a given number. Pings and what go-zookeeper sends by itself do not count.
type faults struct {
	mu       sync.Mutex
	at       int // -1: never
	what     fault
	count    int
	id       int64
	password []byte
	conns    map[*faulty]bool
}

func newFaults(at int, what fault) *faults {
	return &faults{at: at, what: what, conns: map[*faulty]bool{}}
}

func (f *faults) dial(network, address string, timeout time.Duration) (net.Conn, error) {
	c, err := net.DialTimeout(network, address, timeout)
	if err != nil {
		return nil, err
	}
	conn := &faulty{Conn: c, f: f}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.conns[conn] = true
	return conn, nil
}

// cut breaks the connection.
func (f *faults) cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.conns {
		c.Conn.Close()
	}
}

// expire ends the session from another connection.
func (f *faults) expire(t *testing.T) {
	t.Helper()
	f.mu.Lock()
	id, password := f.id, f.password
	f.mu.Unlock()
	if err := closeSession(id, password); err != nil {
		t.Fatal(err)
	}
}

// due counts a request and reports whether it is the one.
func (f *faults) due() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count++
	return f.count-1 == f.at
}

func (f *faults) requests() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count
}

type faulty struct {
	net.Conn
	f         *faults
	connected bool // the first answer has been read
	greeting  []byte

	mu   sync.Mutex
	lose bool // nothing is read any more
}

// Write sees one request at a time: that is how go-zookeeper writes.
func (c *faulty) Write(b []byte) (int, error) {
	op := int32(-1)
	if len(b) >= 12 {
		op = int32(binary.BigEndian.Uint32(b[8:]))
	}
	if !c.connected || op <= 0 || op == 11 || op >= 100 || !c.f.due() {
		return c.Conn.Write(b)
	}
	switch c.f.what {
	case expired:
		_ = closeSession(c.f.id, c.f.password) // fails only if the server is gone, after the tests
		fallthrough
	case unsent:
		c.Conn.Close()
		return 0, net.ErrClosed
	}
	c.mu.Lock()
	c.lose = true
	c.mu.Unlock()
	n, err := c.Conn.Write(b)
	return n, err
}

// Read swallows the reply to the fateful request. Requests come one at a time in these tests, so that what comes next is that reply, or an
// event before it.
func (c *faulty) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if !c.connected && err == nil {
		c.greet(b[:n])
		return n, nil
	}
	c.mu.Lock()
	lose := c.lose
	c.mu.Unlock()
	if !lose || err != nil {
		return n, err
	}
	frame := append([]byte(nil), b[:n]...)
	for {
		for len(frame) < 4 || len(frame) < 4+int(binary.BigEndian.Uint32(frame)) {
			more := make([]byte, 4096)
			n, err := c.Conn.Read(more)
			if err != nil {
				return 0, err
			}
			frame = append(frame, more[:n]...)
		}
		if int32(binary.BigEndian.Uint32(frame[4:])) > 0 {
			break
		}
		frame = frame[4+int(binary.BigEndian.Uint32(frame)):]
	}
	if c.f.what == killed {
		_ = closeSession(c.f.id, c.f.password) // fails only if the server is gone, after the tests
	}
	c.Conn.Close()
	return 0, io.EOF
}

// greet reads the session id and password from the connect response.
func (c *faulty) greet(b []byte) {
	c.greeting = append(c.greeting, b...)
	if len(c.greeting) < 40 {
		return
	}
	c.connected = true
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	if id := int64(binary.BigEndian.Uint64(c.greeting[12:])); id != 0 {
		c.f.id, c.f.password = id, append([]byte(nil), c.greeting[24:40]...)
	}
}

// closeSession takes a session over on a connection of its own and closes it: for its owner it has expired. The owner may take it back in
// between; then it tries again.
func closeSession(id int64, password []byte) error {
	for {
		gone, err := tryCloseSession(id, password)
		if gone || err != nil {
			return err
		}
	}
}

func tryCloseSession(id int64, password []byte) (gone bool, err error) {
	conn, err := net.Dial("tcp", server.Addr)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		return false, err
	}
	b := binary.BigEndian.AppendUint32(nil, 44)
	b = binary.BigEndian.AppendUint32(b, 0)     // protocol version
	b = binary.BigEndian.AppendUint64(b, 0)     // last zxid seen
	b = binary.BigEndian.AppendUint32(b, 10000) // timeout
	b = binary.BigEndian.AppendUint64(b, uint64(id))
	b = binary.BigEndian.AppendUint32(b, uint32(len(password)))
	b = append(b, password...)
	b = binary.BigEndian.AppendUint32(b, 8)
	b = binary.BigEndian.AppendUint32(b, 1)          // xid
	b = binary.BigEndian.AppendUint32(b, 0xfffffff5) // close
	if _, err := conn.Write(b); err != nil {
		return false, err
	}
	all, err := io.ReadAll(conn) // the server closes in any case
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return false, err
	case len(all) >= 20 && binary.BigEndian.Uint64(all[12:]) == 0:
		return true, nil // it was over before
	case len(all) < 4:
		return false, nil
	}
	rest := all[4+binary.BigEndian.Uint32(all):]
	return len(rest) >= 20, nil // the answer to close
}

// eachStep runs a scenario without fault to count its requests, and then once for each of them and each fault. The scenario
// gets a client to which that happens, and says in the end how things should be: its own checks must hold in spite of
// the fault.
func eachStep(t *testing.T, scenario func(t *testing.T, c *Client, f *faults)) {
	t.Helper()
	calm := newFaults(-1, unsent)
	t.Run("calm", func(t *testing.T) { scenario(t, faultyClient(t, calm), calm) })
	if t.Failed() {
		return
	}
	n := calm.requests()
	if n == 0 {
		t.Fatal("the scenario sends nothing")
	}
	for what := unsent; what <= killed; what++ {
		for at := range n {
			t.Run(fmt.Sprintf("%v-%d", what, at), func(t *testing.T) {
				t.Parallel()
				f := newFaults(at, what)
				scenario(t, faultyClient(t, f), f)
			})
		}
	}
}

func faultyClient(t *testing.T, f *faults) *Client {
	t.Helper()
	return clientWith(t, Options{Dial: f.dial})
}

// gate is a dialer whose connections go silent, and whose dials fail, while it is shut.
type gate struct {
	mu     sync.Mutex
	closed chan struct{} // open: nil
}

func newGate() *gate { return &gate{} }

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = make(chan struct{})
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.closed)
	g.closed = nil
}

func (g *gate) dial(network, address string, timeout time.Duration) (net.Conn, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed != nil {
		return nil, io.ErrNoProgress
	}
	c, err := net.DialTimeout(network, address, timeout)
	return &gated{Conn: c, g: g}, err
}

type gated struct {
	net.Conn
	g *gate
}

// Write loses what is written while the gate is shut, as a network does.
func (c *gated) Write(b []byte) (int, error) {
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	if c.g.closed != nil {
		return len(b), nil
	}
	return c.Conn.Write(b)
}
