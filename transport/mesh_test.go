package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"zebu/proto"
	"zebu/quorum"
)

// testMesh is a mesh with a test as its owner.
type testMesh struct {
	*Mesh
	t       *testing.T
	addr    proto.HostPort
	pending []Event
}

func newMesh(t *testing.T, id proto.ServerID, edit func(o *MeshOptions), peers ...Peer) *testMesh {
	t.Helper()
	o := MeshOptions{
		Net: Net{Log: quiet(t)}, ID: id, Addrs: []proto.HostPort{freePort(t)}, BindTries: 1,
		HandshakeTimeout: patience, ConnectTimeout: patience, Peers: peers,
	}
	if edit != nil {
		edit(&o)
	}
	m, err := startMesh(t.Context(), o, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return &testMesh{Mesh: m, t: t, addr: o.Addrs[0]}
}

// next awaits an event that the test looks for, and forgets those before it.
func (m *testMesh) next(want func(Event) bool) Event {
	m.t.Helper()
	deadline := time.After(patience)
	for {
		for len(m.pending) > 0 {
			e := m.pending[0]
			m.pending = m.pending[1:]
			if want(e) {
				return e
			}
		}
		if m.pending = m.Events(); len(m.pending) > 0 {
			continue
		}
		select {
		case <-m.Wake():
		case <-deadline:
			m.t.Fatal("the event does not come")
		}
	}
}

func (m *testMesh) up(id proto.ServerID) {
	m.t.Helper()
	m.next(func(e Event) bool { return e == Event(PeerUp{id}) })
}

func (m *testMesh) received(from proto.ServerID) proto.Notification {
	m.t.Helper()
	return m.next(func(e Event) bool { r, ok := e.(Received); return ok && r.From == from }).(Received).Notification
}

// vote makes notifications that can be told apart.
func vote(z proto.Zxid) proto.Notification {
	return proto.Notification{Leader: 1, Zxid: z, Round: 1, PeerEpoch: 1, Version: 2, Config: "a configuration with ümläuts"}
}

func at(id proto.ServerID, addrs ...proto.HostPort) Peer { return Peer{ID: id, Addrs: addrs} }

func TestLargerIDDials(t *testing.T) {
	t.Parallel()
	for _, multi := range []bool{false, true} {
		one, two := freePort(t), freePort(t)
		set := func(own proto.HostPort) func(*MeshOptions) {
			return func(o *MeshOptions) { o.Addrs, o.MultiAddress = []proto.HostPort{own}, multi }
		}
		a := newMesh(t, 1, set(one), at(1, one), at(2, two))
		b := newMesh(t, 2, set(two), at(1, one), at(2, two))
		a.up(2)
		b.up(1)
		va, vb := vote(1), vote(2)
		a.Send(2, &va)
		b.Send(1, &vb)
		if got := b.received(1); got != va {
			t.Errorf("%+v", got)
		}
		if got := a.received(2); got != vb {
			t.Errorf("%+v", got)
		}
		a.Send(1, &va)
		if got := a.received(1); got != va {
			t.Errorf("to itself: %+v", got)
		}
	}
}

// TestAcceptsLarger lets peers with larger ids connect, of all sorts.
func TestAcceptsLarger(t *testing.T) {
	t.Parallel()
	addrs := []proto.HostPort{{Host: "::1", Port: 3888}, {Host: "127.0.0.1", Port: 3888}}
	bare := proto.AppendInt64(nil, 9)
	for name, c := range map[string]struct {
		hello []byte
		from  proto.ServerID
	}{
		"version 1":          {(&proto.ElectionHello{ID: 7, Addrs: addrs[:1]}).Append(nil), 7},
		"version 2":          {(&proto.ElectionHello{ID: 8, Addrs: addrs, MultiAddress: true}).Append(nil), 8},
		"only the id":        {bare, 9},
		"anonymous observer": {(&proto.ElectionHello{ID: proto.AnonymousObserver, Addrs: addrs[:1]}).Append(nil), -1},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMesh(t, 5, nil)
			c1 := dialRaw(t, m.addr)
			v := vote(3)
			mustWrite(t, c1, append(c.hello, frame(v)...))
			m.up(c.from)
			if got := m.received(c.from); got != v {
				t.Errorf("%+v", got)
			}
			m.Send(c.from, &v)
			if got := readFrame(t, c1); got != v {
				t.Errorf("back: %+v", got)
			}
		})
	}
}

// TestCallsSmallerBack drops the connections of peers with smaller ids and dials them where they say that they are, or where
// the configuration says.
func TestCallsSmallerBack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		hello func(peer proto.HostPort) []byte
		known bool
		tries int // the mesh dials without being asked, too, if it knows the peer
	}{
		"unknown": {func(peer proto.HostPort) []byte {
			return (&proto.ElectionHello{ID: 2, Addrs: []proto.HostPort{peer}}).Append(nil)
		}, false, 1},
		"wildcard": {func(peer proto.HostPort) []byte {
			return (&proto.ElectionHello{ID: 2, Addrs: []proto.HostPort{{Host: "0.0.0.0", Port: peer.Port}}}).Append(nil)
		}, true, 2},
		"only the id": {func(proto.HostPort) []byte { return proto.AppendInt64(nil, 2) }, true, 2},
	} {
		t.Run(name, func(t *testing.T) {
			peer := listenRaw(t)
			addr := hostPort(t, peer.Addr())
			m := newMesh(t, 5, nil)
			if c.known {
				m.SetPeers([]Peer{at(2, addr)})
			}
			for try := 1; try <= c.tries; try++ {
				if try == c.tries {
					caller := dialRaw(t, m.addr)
					mustWrite(t, caller, c.hello(addr))
					mustEnd(t, caller)
				}
				back := acceptRaw(t, peer)
				h, err := readHello(back)
				if err != nil || h.ID != 5 || len(h.Addrs) != 1 || h.Addrs[0] != m.addr {
					t.Fatalf("%+v, %v", h, err)
				}
				m.up(2)
				v := vote(1)
				if try == 1 { // later it comes by itself
					m.Send(2, &v)
				}
				if got := readFrame(t, back); got != v {
					t.Errorf("%+v", got)
				}
				m.mu.Lock()
				m.peers[2].conn.since = time.Time{} // as if it were old
				m.mu.Unlock()
			}
		})
	}
}

// TestAsksToBeDialed says hello to peers with larger ids and no more, until one calls back.
func TestAsksToBeDialed(t *testing.T) {
	t.Parallel()
	peer := listenRaw(t)
	m := newMesh(t, 1, nil, at(2, hostPort(t, peer.Addr())))
	for range 2 {
		c := acceptRaw(t, peer)
		if h, err := readHello(c); err != nil || h.ID != 1 {
			t.Fatalf("%+v, %v", h, err)
		}
		mustEnd(t, c)
	}
	c := dialRaw(t, m.addr)
	mustWrite(t, c, (&proto.ElectionHello{ID: 2, Addrs: []proto.HostPort{hostPort(t, peer.Addr())}}).Append(nil))
	m.up(2)
}

func TestOwnIDIsRefused(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 5, nil)
	c := dialRaw(t, m.addr)
	mustWrite(t, c, proto.AppendInt64(nil, 5))
	mustEnd(t, c)
}

// TestNewConnectionReplacesOld is what a peer does that has lost a connection of which this side heard nothing.
func TestNewConnectionReplacesOld(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 1, nil)
	v := vote(1)
	var old net.Conn
	for i := range 3 {
		c := dialRaw(t, m.addr)
		mustWrite(t, c, proto.AppendInt64(nil, 2))
		m.up(2)
		if i == 0 {
			m.Send(2, &v)
		} else {
			mustEnd(t, old)
		}
		if got := readFrame(t, c); got != v { // the last message comes again
			t.Errorf("%+v", got)
		}
		old = c
	}
}

func TestReconnects(t *testing.T) {
	t.Parallel()
	peer := listenRaw(t)
	m := newMesh(t, 5, nil, at(2, hostPort(t, peer.Addr())))
	v := vote(1)
	for i := range 3 {
		c := acceptRaw(t, peer)
		if _, err := readHello(c); err != nil {
			t.Fatal(err)
		}
		m.up(2)
		if i == 0 {
			m.Send(2, &v)
		}
		if got := readFrame(t, c); got != v {
			t.Errorf("%+v", got)
		}
		c.Close()
	}
	peer.Close()
	m.next(func(e Event) bool { return e == Event(PeerDown{2}) })
}

// TestNewestMessageOnly sends to a peer that is not there yet.
func TestNewestMessageOnly(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 1, nil, at(2))
	for z := range proto.Zxid(5) {
		v := vote(z)
		m.Send(2, &v)
	}
	c := dialRaw(t, m.addr)
	mustWrite(t, c, proto.AppendInt64(nil, 2))
	if got := readFrame(t, c); got.Zxid != 4 {
		t.Errorf("%+v", got)
	}
	v := vote(9)
	m.Send(2, &v)
	if got := readFrame(t, c); got != v {
		t.Errorf("%+v", got)
	}
}

func TestInboxDropsOldest(t *testing.T) {
	t.Parallel()
	b := inbox{wake: make(chan struct{}, 1)}
	for i := range 3 * maxReceived {
		b.put(PeerDown{7})
		b.put(Received{From: 2, Notification: vote(proto.Zxid(i))})
		b.put(PeerUp{7})
	}
	events := b.take()
	if len(events) != maxReceived+1 || events[len(events)-1] != Event(PeerUp{7}) {
		t.Fatalf("%d events, the last %+v", len(events), events[len(events)-1])
	}
	for i, e := range events[:maxReceived] {
		if got := e.(Received).Notification.Zxid; got != proto.Zxid(2*maxReceived+i) {
			t.Fatalf("event %d is %v", i, got)
		}
	}
	if b.take() != nil {
		t.Error("not empty")
	}
}

// TestHostileElectionPort checks that bad bytes end the connection that they came on, with a line in the log, and nothing
// else.
func TestHostileElectionPort(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.InfoLevel)
	m := newMesh(t, 1, func(o *MeshOptions) { o.Log = zap.New(core) })
	good := dialRaw(t, m.addr)
	mustWrite(t, good, proto.AppendInt64(nil, 2))
	m.up(2)
	hello := proto.AppendInt64(nil, 3)
	short := frame(vote(1))[:4+27]
	proto.PutInt32(short, 27)
	state := frame(vote(1))
	state[7] = 9
	config := frame(vote(1))
	proto.PutInt32(config[4+40:], 1<<20)
	for name, b := range map[string][]byte{
		"another protocol":   []byte("GET / HTTP/1.1\r\n\r\n"),
		"unknown version":    proto.AppendInt64(nil, -65534),
		"2 GB of addresses":  append((&proto.ElectionHello{ID: 3}).Append(nil)[:16], 0x7f, 0xff, 0xff, 0xff),
		"no address":         append((&proto.ElectionHello{ID: 3}).Append(nil)[:16], 0, 0, 0, 3, 'a', 'b', 'c'),
		"no length":          append(bytes.Clone(hello), 0, 0, 0, 0),
		"negative length":    append(bytes.Clone(hello), 0xff, 0xff, 0xff, 0xff),
		"length over limit":  append(bytes.Clone(hello), 0, 8, 0, 1),
		"27 bytes":           append(bytes.Clone(hello), short...),
		"unknown state":      append(bytes.Clone(hello), state...),
		"configuration long": append(bytes.Clone(hello), config...),
	} {
		before := logs.Len()
		c := dialRaw(t, m.addr)
		mustWrite(t, c, b)
		mustEnd(t, c)
		eventually(t, name, func() bool { return logs.Len() > before })
	}
	v := vote(8)
	mustWrite(t, good, frame(v))
	if got := m.received(2); got != v {
		t.Errorf("%+v", got)
	}
}

func TestHandshakeTimeout(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 1, func(o *MeshOptions) { o.HandshakeTimeout = 50 * time.Millisecond })
	c := dialRaw(t, m.addr)
	mustWrite(t, c, []byte{0xff, 0xff})
	mustEnd(t, c)
	// It does not apply to a peer that has said hello and is silent afterwards.
	c = dialRaw(t, m.addr)
	mustWrite(t, c, proto.AppendInt64(nil, 2))
	m.up(2)
	if err := c.SetReadDeadline(time.Now().Add(150 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	var b [1]byte
	if _, err := c.Read(b[:]); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("closed: %v", err)
	}
}

func TestTooManyStrangers(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 1, nil)
	for i := range maxStrangers {
		mustWrite(t, dialRaw(t, m.addr), proto.AppendInt64(nil, int64(10+i)))
		m.up(proto.ServerID(10 + i))
	}
	c := dialRaw(t, m.addr)
	mustWrite(t, c, proto.AppendInt64(nil, 1000))
	mustEnd(t, c)
	m.SetPeers([]Peer{at(1000)})
	mustWrite(t, dialRaw(t, m.addr), proto.AppendInt64(nil, 1000))
	m.up(1000)
}

// TestSetPeers adds, moves and removes a peer.
func TestSetPeers(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 5, nil)
	gone, peer := freePort(t), listenRaw(t)
	m.SetPeers([]Peer{at(5, m.addr), at(2, gone)})
	m.next(func(e Event) bool { return e == Event(PeerDown{2}) })
	m.SetPeers([]Peer{at(2, gone, hostPort(t, peer.Addr()))}) // the one that answers counts
	c := acceptRaw(t, peer)
	m.up(2)
	m.SetPeers(nil)
	if _, err := readHello(c); err != nil {
		t.Fatal(err)
	}
	v := vote(1)
	m.Send(2, &v) // to tell it
	if got := readFrame(t, c); got != v {
		t.Errorf("%+v", got)
	}
	c.Close()
	eventually(t, "a removed peer is forgotten", func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return len(m.peers) == 0
	})
	m.Send(2, &v) // to nobody
}

// TestNamesAreResolvedAgain moves a host while its name stays.
func TestNamesAreResolvedAgain(t *testing.T) {
	t.Parallel()
	hosts := []net.Listener{listenRaw(t), listenRaw(t)}
	var mu sync.Mutex
	now := 0
	m := newMesh(t, 5, func(o *MeshOptions) {
		o.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			if address != "peer.example:3888" {
				return nil, fmt.Errorf("unexpected %s", address)
			}
			mu.Lock()
			defer mu.Unlock()
			return (&net.Dialer{}).DialContext(ctx, network, hosts[now].Addr().String())
		}
	}, at(2, proto.HostPort{Host: "peer.example", Port: 3888}))
	c := acceptRaw(t, hosts[0])
	m.up(2)
	mu.Lock()
	now = 1
	mu.Unlock()
	c.Close()
	acceptRaw(t, hosts[1])
	m.up(2)
}

func TestBindRetries(t *testing.T) {
	t.Parallel()
	taken := listenRaw(t)
	addr := hostPort(t, taken.Addr())
	o := MeshOptions{ID: 1, Addrs: []proto.HostPort{addr}, BindTries: 3}
	if m, err := startMesh(t.Context(), o, time.Millisecond); err == nil {
		m.Close()
		t.Error("bound twice")
	}
	ctx, cancel := context.WithCancel(t.Context())
	o.BindTries = 0
	core, logs := observer.New(zap.ErrorLevel)
	o.Log = zap.New(core)
	ended := make(chan error)
	start := func() {
		m, err := startMesh(ctx, o, time.Millisecond)
		if err == nil {
			m.Close()
		}
		ended <- err
	}
	go start()
	eventually(t, "it goes on and on", func() bool { return logs.Len() >= 5 })
	cancel()
	if err := <-ended; err == nil {
		t.Error("bound twice")
	}
	ctx = t.Context()
	go start()
	taken.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	// One of several addresses is enough.
	o.BindTries, o.Addrs = 1, []proto.HostPort{{Host: "192.0.2.1", Port: addr.Port}, addr}
	go start()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestIPv6AndAllIPs(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 here")
	}
	one := hostPort(t, l.Addr())
	l.Close()
	a := newMesh(t, 1, func(o *MeshOptions) { o.Addrs = []proto.HostPort{one} })
	b := newMesh(t, 2, func(o *MeshOptions) { o.ListenAllIPs, o.Addrs[0].Host = true, "unknown.invalid" }, at(1, one))
	a.up(2)
	b.up(1)
	c := dialRaw(t, proto.HostPort{Host: "::1", Port: b.addr.Port})
	mustWrite(t, c, proto.AppendInt64(nil, 3))
	b.up(3)
}

func TestElectionPeers(t *testing.T) {
	c, err := quorum.ParseConfig("server.1=a:1:2:participant\nserver.2=b:1:2:observer\nversion=1")
	if err != nil {
		t.Fatal(err)
	}
	next, err := quorum.ParseConfig("server.1=a:1:3:participant\nserver.3=[::1]:1:2:participant\nversion=2")
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(ElectionPeers(c, next, nil)); got != "[{1 [a:2 a:3]} {2 [b:2]} {3 [[::1]:2]}]" &&
		got != "[{1 [a:2 a:3]} {2 [b:2]} {3 [[0:0:0:0:0:0:0:1]:2]}]" {
		t.Error(got)
	}
}
