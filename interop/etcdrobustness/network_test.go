package etcdrobustness

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// network are the ways between servers. One that is cut holds what is sent, and lets it through when it is healed, as TCP does when
// packets were lost.
type network struct {
	mu     sync.Mutex
	off    int // the server whose ways are cut, 0 for none
	how    cut
	healed chan struct{} // closed when that ends
}

// cut is the direction in which a server's ways are cut.
type cut int

const (
	both cut = iota
	deaf     // nothing reaches it
	mute     // nothing of it reaches others
)

// cut cuts a server off from the others.
func (n *network) cut(id int, how cut) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.off, n.how, n.healed = id, how, make(chan struct{})
}

func (n *network) heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.off = 0
	close(n.healed)
}

// open waits until the way from one server to another is open.
func (n *network) open(from, to int) {
	n.mu.Lock()
	healed, cut := n.healed, n.off == from && n.how != deaf || n.off == to && n.how != mute
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
			go n.carry(t.Context(), near, from, to, port)
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

func (n *network) carry(ctx context.Context, near net.Conn, from, to, port int) {
	defer near.Close()
	n.open(from, to)
	n.open(to, from)
	far, err := dial(ctx, port)
	if err != nil {
		return
	}
	defer far.Close()
	var ends sync.WaitGroup
	pass := func(src, dst net.Conn, from, to int) {
		_, _ = io.Copy(dst, held{src, func() { n.open(from, to) }}) // whoever ends a connection ends both sides of it
		near.Close()
		far.Close()
	}
	ends.Go(func() { pass(near, far, from, to) })
	ends.Go(func() { pass(far, near, to, from) })
	ends.Wait()
}

// dial tries for a tenth of a second: whoever is about to lead does not listen yet, and a server that is refused tries again.
func dial(ctx context.Context, port int) (far net.Conn, err error) {
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	var dialer net.Dialer
	for range 20 {
		if far, err = dialer.DialContext(ctx, "tcp", fmt.Sprint("127.0.0.1:", port)); err == nil {
			return far, nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return nil, err
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
