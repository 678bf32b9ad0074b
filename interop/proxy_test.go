package interop

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// proxy stands between one session and the server so that a scenario can cut and heal the connection.
type proxy struct {
	ln     net.Listener
	closed bool // the scenario has closed the session

	mu     sync.Mutex
	target string
	cut    bool
	held   *sync.Cond // on mu
	hold   bool       // what servers say stays here
	// patient has clients wait while nobody listens at the target, instead of losing their connection.
	patient bool
	conns   map[net.Conn]bool
	wg      sync.WaitGroup
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{ln: ln, target: target, conns: map[net.Conn]bool{}}
	p.held = sync.NewCond(&p.mu)
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		ln.Close()
		p.set(target, true)
		p.wg.Wait()
	})
	return p
}

func (p *proxy) addr() string { return p.ln.Addr().String() }

func (p *proxy) port() int { return p.ln.Addr().(*net.TCPAddr).Port }

// set changes the server behind the proxy, or cuts the connections and refuses new ones.
func (p *proxy) set(target string, cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target, p.cut, p.hold = target, cut, false
	p.held.Broadcast()
	if cut {
		for c := range p.conns {
			c.Close()
		}
	}
}

// holdReplies keeps back what servers say, until the next set.
func (p *proxy) holdReplies() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hold = true
}

// toClient is a client as its server sees it.
type toClient struct {
	p *proxy
	net.Conn
}

func (c toClient) Write(b []byte) (int, error) {
	c.p.mu.Lock()
	for c.p.hold {
		c.p.held.Wait()
	}
	cut := c.p.cut
	c.p.mu.Unlock()
	if cut {
		return 0, net.ErrClosed
	}
	return c.Conn.Write(b)
}

func (p *proxy) isCut() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cut
}

func (p *proxy) accept() {
	for {
		c, err := p.ln.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.serve(c) })
	}
}

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	p.mu.Lock()
	target, cut := p.target, p.cut
	p.mu.Unlock()
	if cut {
		return
	}
	server, err := net.Dial("tcp", target)
	for err != nil && p.patient && !p.isCut() {
		<-time.After(20 * time.Millisecond)
		server, err = net.Dial("tcp", target)
	}
	if err != nil {
		return
	}
	defer server.Close()
	p.mu.Lock()
	if p.cut {
		p.mu.Unlock()
		return
	}
	p.conns[client], p.conns[server] = true, true
	p.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(server, client) // ends when either side closes, which is all there is to know
		server.Close()
		client.Close()
	}()
	_, _ = io.Copy(toClient{p, client}, server)
	server.Close()
	client.Close()
	<-done
	p.mu.Lock()
	delete(p.conns, client)
	delete(p.conns, server)
	p.mu.Unlock()
}
