//go:build faults

package interop

import (
	"fmt"
	"net"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// proxyNet connects members through this process: a member finds every other one behind ports of its own, so that each
// direction between two of them can be held up. What is held up arrives when the network is healed, as TCP would have it.
type proxyNet struct {
	plainNet
	n       int
	base    int // of the ports that members find others behind
	running sync.WaitGroup

	mu     sync.Mutex
	gates  map[[2]int]chan struct{} // closed: open
	conns  map[net.Conn]bool
	closed bool
}

func newProxyNet(t *testing.T, n int) *proxyNet {
	t.Helper()
	base := faultPorts(t, 3*n+2*n*n)
	p := &proxyNet{plainNet: plainNet{base}, n: n, base: base + 3*n, gates: map[[2]int]chan struct{}{}, conns: map[net.Conn]bool{}}
	var listeners []net.Listener
	for from := 1; from <= n; from++ {
		for to := 1; to <= n; to++ {
			p.gates[[2]int{from, to}] = opened()
			for k := 1; k <= 2 && from != to; k++ {
				ln := listenSoon(t, fmt.Sprintf("127.0.0.1:%d", p.front(from, to, k)))
				listeners = append(listeners, ln)
				p.running.Go(func() { p.accept(ln, from, to, p.port(to, k)) })
			}
		}
	}
	t.Cleanup(func() {
		for _, ln := range listeners {
			ln.Close()
		}
		p.heal()
		p.mu.Lock()
		p.closed = true
		for c := range p.conns {
			c.Close()
		}
		p.mu.Unlock()
		p.running.Wait()
	})
	return p
}

// listenSoon listens at an address that was free a moment ago: another process may be trying it just now.
func listenSoon(t *testing.T, addr string) (ln net.Listener) {
	t.Helper()
	var err error
	poll(t, 10*time.Second, "a free port", func() bool {
		ln, err = net.Listen("tcp", addr)
		return err == nil
	})
	return ln
}

func opened() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// front is where member from finds port k of member to.
func (p *proxyNet) front(from, to, k int) int { return p.base + 2*((from-1)*p.n+to-1) + k - 1 }

func (p *proxyNet) server(viewer, id int) string {
	if viewer == id {
		return p.plainNet.server(viewer, id)
	}
	return fmt.Sprintf("127.0.0.1:%d:%d", p.front(viewer, id, 1), p.front(viewer, id, 2))
}

func (p *proxyNet) command(_ int, cmd *exec.Cmd) *exec.Cmd { return cmd }

func (p *proxyNet) cut(from, to int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gates[[2]int{from, to}] = make(chan struct{})
}

func (p *proxyNet) heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for pair, gate := range p.gates {
		select {
		case <-gate:
		default:
			close(gate)
			p.gates[pair] = opened()
		}
	}
}

// pass waits until from may send to to.
func (p *proxyNet) pass(from, to int) {
	p.mu.Lock()
	gate := p.gates[[2]int{from, to}]
	p.mu.Unlock()
	<-gate
}

// keep has a connection closed at the end; it says whether that is yet to come.
func (p *proxyNet) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[c] = true
	return !p.closed
}

func (p *proxyNet) drop(c net.Conn) {
	c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

func (p *proxyNet) accept(ln net.Listener, from, to, port int) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.serve(c, from, to, port) })
	}
}

func (p *proxyNet) serve(c net.Conn, from, to, port int) {
	defer p.drop(c)
	if !p.keep(c) {
		return
	}
	p.pass(from, to)
	s, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return
	}
	defer p.drop(s)
	if !p.keep(s) {
		return
	}
	var back sync.WaitGroup
	back.Go(func() { p.carry(c, s, to, from) })
	p.carry(s, c, from, to)
	back.Wait()
}

// carry copies what from sends to to, and the end of it too.
func (p *proxyNet) carry(dst, src net.Conn, from, to int) {
	buf := make([]byte, 64<<10)
	for {
		n, err := src.Read(buf)
		p.pass(from, to)
		if n > 0 {
			if _, err := dst.Write(buf[:n]); err != nil {
				src.Close()
				return
			}
		}
		if err != nil {
			dst.Close()
			return
		}
	}
}
