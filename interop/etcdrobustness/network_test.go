package etcdrobustness

import (
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
)

// network are the ways between servers. One that is cut holds what is sent, and lets it through when it is healed, as TCP does when
// packets were lost.
type network struct {
	mu     sync.Mutex
	cutOff int           // the server whose ways are cut, 0 for none
	healed chan struct{} // closed when that ends
}

// cut cuts a server off from the others.
func (n *network) cut(id int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cutOff, n.healed = id, make(chan struct{})
}

func (n *network) heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cutOff = 0
	close(n.healed)
}

// open waits until the way between two servers is open.
func (n *network) open(from, to int) {
	n.mu.Lock()
	healed, cut := n.healed, n.cutOff == from || n.cutOff == to
	n.mu.Unlock()
	if cut {
		<-healed
	}
}

// way is the port by which a server reaches a port of another.
func (n *network) way(t *testing.T, from, to, port int) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			go n.carry(near, from, to, port)
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

func (n *network) carry(near net.Conn, from, to, port int) {
	defer near.Close()
	n.open(from, to)
	far, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return
	}
	defer far.Close()
	var both sync.WaitGroup
	for _, ends := range [][2]net.Conn{{near, far}, {far, near}} {
		both.Go(func() {
			_, _ = io.Copy(ends[1], held{ends[0], func() { n.open(from, to) }}) // whoever ends a connection ends both sides of it
			near.Close()
			far.Close()
		})
	}
	both.Wait()
}

// held is a connection that is read while its way is open.
type held struct {
	net.Conn
	open func()
}

func (h held) Read(b []byte) (int, error) {
	n, err := h.Conn.Read(b)
	h.open()
	return n, err
}
