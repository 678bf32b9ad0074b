package gateway

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// preface is how each HTTP/2 connection begins. No request of HTTP/1 begins like its first bytes.
const preface = "PRI * HTTP/2.0"

// prefaceTimeout is how long a connection may take to say what it is.
const prefaceTimeout = 10 * time.Second

// splitter tells the connections of one listener apart: those that speak HTTP/2 with prior knowledge, as gRPC does,
// from those that speak HTTP/1. With TLS, http1 gets those that speak both, and HTTP/2 if the client likes that better.
type splitter struct {
	net.Listener
	tls          *tlsServer // nil: plain text
	http1, http2 *pipeListener
	mu           sync.Mutex
	unknown      map[net.Conn]struct{} // that have not said what they are
	closed       bool
	done         sync.WaitGroup
}

func newSplitter(l net.Listener, t *tlsServer) *splitter {
	s := &splitter{Listener: l, tls: t, http1: newPipeListener(), http2: newPipeListener(), unknown: map[net.Conn]struct{}{}}
	s.http1.addr, s.http2.addr = l.Addr(), l.Addr()
	return s
}

// accept returns the listener's error.
func (s *splitter) accept() error {
	defer s.done.Wait()
	defer s.close()
	pause := time.Millisecond
	for {
		c, err := s.Accept()
		if err != nil {
			var passing interface{ Temporary() bool } // too many open files, say
			if errors.As(err, &passing) && passing.Temporary() {
				time.Sleep(pause)
				pause = min(2*pause, time.Second)
				continue
			}
			return err
		}
		pause = time.Millisecond
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			_ = c.Close()
			continue
		}
		s.unknown[c] = struct{}{}
		s.mu.Unlock()
		s.done.Go(func() { s.sort(c) })
	}
}

// sort finds out what a connection speaks, and gives it to who serves that.
func (s *splitter) sort(c net.Conn) {
	_ = c.SetDeadline(time.Now().Add(prefaceTimeout))
	ask := s.listen
	if s.tls != nil {
		ask = s.secure
	}
	to, known, err := ask(c)
	_ = c.SetDeadline(time.Time{})
	s.mu.Lock()
	delete(s.unknown, c)
	s.mu.Unlock()
	if err != nil {
		if s.tls != nil {
			s.tls.refused(c, err)
		}
		_ = c.Close()
		return
	}
	to.hand(known)
}

// secure has the client say it in TLS's handshake.
func (s *splitter) secure(c net.Conn) (*pipeListener, net.Conn, error) {
	known, onlyGRPC, err := s.tls.handshake(c)
	if onlyGRPC {
		return s.http2, known, err
	}
	return s.http1, known, err
}

// listen reads the first bytes.
func (s *splitter) listen(c net.Conn) (*pipeListener, net.Conn, error) {
	head := make([]byte, len(preface))
	n := 0
	var err error
	for n < len(head) && string(head[:n]) == preface[:n] && err == nil {
		var m int
		m, err = c.Read(head[n:])
		n += m
	}
	known := &knownConn{Conn: c, head: head[:n]}
	if string(head[:n]) == preface {
		return s.http2, known, err
	}
	return s.http1, known, err
}

func (s *splitter) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	_ = s.Listener.Close()
	for c := range s.unknown {
		_ = c.Close()
	}
	_ = s.http1.Close()
	_ = s.http2.Close()
}

// knownConn is a connection of which some bytes have been read.
type knownConn struct {
	net.Conn
	head []byte
}

func (c *knownConn) Read(b []byte) (int, error) {
	if len(c.head) == 0 {
		return c.Conn.Read(b)
	}
	n := copy(b, c.head)
	if c.head = c.head[n:]; len(c.head) == 0 {
		c.head = nil
	}
	return n, nil
}

// pipeListener accepts the connections that it is handed.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
	addr   net.Addr
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{}), addr: pipeAddr{}}
}

// hand gives a connection to who accepts, or closes it if nobody does any more.
func (l *pipeListener) hand(c net.Conn) {
	select {
	case l.conns <- c:
	case <-l.closed:
		_ = c.Close()
	}
}

// dial makes a connection inside of the process.
func (l *pipeListener) dial(ctx context.Context) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case l.conns <- far:
		return near, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept implements net.Listener.
func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements net.Listener.
func (l *pipeListener) Addr() net.Addr { return l.addr }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "inside" }
