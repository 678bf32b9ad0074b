package server

import (
	"net"
	"runtime"
	"testing"

	"zebu/proto"
)

// A reconfiguration may move the client port. What cannot be had leaves the server where it was, and running.
func TestMove(t *testing.T) {
	s, _ := startServer(t, testConfig(t))
	before := s.Addr().String()
	c := newClient(t, s)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	at := func(a net.Addr, host string) proto.HostPort {
		return proto.HostPort{Host: host, Port: a.(*net.TCPAddr).Port}
	}

	s.movedTo(at(taken.Addr(), "127.0.0.1"))
	if s.Addr().String() != before {
		t.Errorf("the port is taken, and the server listens at %v, not %s", s.Addr(), before)
	}
	newClient(t, s).must(1, proto.OpCreate, createReq("/a", 0))

	s.movedTo(at(s.Addr(), "192.0.2.1")) // reserved for documentation: nobody has it
	if s.Addr().String() != before {
		t.Errorf("the address is not this machine's, and the server listens at %v, not %s", s.Addr(), before)
	}
	newClient(t, s).must(1, proto.OpCreate, createReq("/b", 0))

	s.movedTo(at(s.Addr(), "127.0.0.2"))
	if host := s.Addr().(*net.TCPAddr).IP.String(); host != "127.0.0.2" {
		t.Errorf("the server has not moved: %v", s.Addr())
	}
	newClient(t, s).must(1, proto.OpCreate, createReq("/c", 0))
	c.must(1, proto.OpCreate, createReq("/d", 0)) // connections stay
}

// movedTo moves the client port, and waits until it has been.
func (s *Server) movedTo(addr proto.HostPort) {
	s.moving.Lock() // as if something were in the way: nobody else has to wait for that
	s.moveTo(addr)
	s.Addr()
	s.moving.Unlock()
	for s.wanted.Load() != nil {
		runtime.Gosched()
	}
}
