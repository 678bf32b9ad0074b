package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"zebu/proto"
)

// testLeader is a quorum port with a test as its owner.
type testLeader struct {
	*Listener
	addr   proto.HostPort
	events chan LinkEvent
}

func newLeader(t *testing.T, edit func(o *ListenOptions)) *testLeader {
	t.Helper()
	events := make(chan LinkEvent)
	o := ListenOptions{
		Net: Net{Log: quiet(t)}, Addrs: []proto.HostPort{freePort(t)}, HandshakeTimeout: patience,
		Link: LinkOptions{Events: events, Timeout: patience},
	}
	if edit != nil {
		edit(&o)
	}
	l, err := Listen(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return &testLeader{l, o.Addrs[0], events}
}

// join connects a learner, and returns both ends of the link once its first packet has come.
func (l *testLeader) join(t *testing.T, edit func(o *DialOptions)) (learner *Link, events chan LinkEvent, leader *Link) {
	t.Helper()
	events = make(chan LinkEvent)
	o := DialOptions{Net: Net{Log: quiet(t)}, Addrs: []proto.HostPort{l.addr}, Timeout: patience, Link: LinkOptions{Events: events, Timeout: patience}}
	if edit != nil {
		edit(&o)
	}
	learner, err := Dial(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { learner.Close(nil) })
	learner.Send(samples[0])
	e := await(t, l.events)
	if len(e.Packets) != 1 || e.Packets[0].Type != proto.PacketFollowerInfo {
		t.Fatalf("%+v", e)
	}
	return learner, events, e.Link
}

func await(t *testing.T, events <-chan LinkEvent) LinkEvent {
	t.Helper()
	select {
	case e := <-events:
		return e
	case <-time.After(patience):
		t.Fatal("no event")
		panic("not reached")
	}
}

// awaitPackets awaits so many packets of one link.
func awaitPackets(t *testing.T, events <-chan LinkEvent, n int) []proto.QuorumPacket {
	t.Helper()
	var got []proto.QuorumPacket
	for len(got) < n {
		e := await(t, events)
		if e.Err != nil {
			t.Fatal(e.Err)
		}
		got = append(got, e.Packets...)
	}
	return got
}

func proposal(i int) proto.QuorumPacket {
	return proto.QuorumPacket{Type: proto.PacketProposal, Zxid: proto.Zxid(i), Data: bytes.Repeat([]byte{byte(i)}, i%300)}
}

func TestLinkKeepsOrder(t *testing.T) {
	t.Parallel()
	l := newLeader(t, nil)
	learner, events, leader := l.join(t, nil)
	const n = 60_000 // more than sockets hold, which are filled before anything is read
	for i := 0; i < n; i += 2 {
		leader.Send(proposal(i), proposal(i+1))
	}
	for i, p := range awaitPackets(t, events, n) {
		if want := proposal(i); p.Zxid != want.Zxid || !bytes.Equal(p.Data, want.Data) {
			t.Fatalf("packet %d is %v %v", i, p.Type, p.Zxid)
		}
	}
	learner.Send(proto.QuorumPacket{Type: proto.PacketAck, Zxid: n})
	if got := awaitPackets(t, l.events, 1); got[0].Zxid != n {
		t.Errorf("%+v", got)
	}
	eventually(t, "the queues are empty", func() bool {
		packets, bytes := leader.Queued()
		return packets == 0 && bytes == 0
	})
	why := errors.New("the end")
	leader.Close(why)
	if !errors.Is(leader.Err(), why) {
		t.Error(leader.Err())
	}
	if e := await(t, events); !errors.Is(e.Err, io.EOF) || e.Link != learner {
		t.Errorf("%+v", e)
	}
	leader.Send(proposal(1)) // nothing happens
	leader.Stream(bytes.NewReader(nil))
}

// TestSlowLearner fills the queue of a learner that reads nothing: the link ends, and nobody has waited.
func TestSlowLearner(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*ListenOptions){
		"bytes":   func(o *ListenOptions) { o.Link.QueueBytes = 1 << 20 },
		"packets": func(o *ListenOptions) { o.Link.QueuePackets = 1000 },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLeader(t, edit)
			c := dialRaw(t, l.addr)
			mustWrite(t, c, encode(samples[0]))
			link := await(t, l.events).Link
			p := proto.QuorumPacket{Type: proto.PacketProposal, Data: make([]byte, 32<<10)}
			for n := 0; link.Err() == nil; n++ {
				if n == 1_000_000 {
					t.Fatal("no limit")
				}
				link.Send(p)
			}
			if e := await(t, l.events); e.Err != ErrQueueFull || e.Link != link {
				t.Errorf("%+v", e)
			}
			if _, err := io.Copy(io.Discard, c); err != nil && isTimeout(err) {
				t.Error("still open")
			}
		})
	}
}

func isTimeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}

// snapshot is a stream that says itself how long it is, in a way that packets do not.
func snapshot(n int) []byte {
	b := proto.AppendInt32(nil, int32(n))
	return append(b, bytes.Repeat([]byte("zebu"), n)...)
}

// TestSnapshotInStream sends snapshots between packets.
func TestSnapshotInStream(t *testing.T) {
	t.Parallel()
	l := newLeader(t, nil)
	learner, events, leader := l.join(t, nil)
	for _, n := range []int{0, 1, 20_000, 200_000} {
		want := snapshot(n)
		leader.Send(proposal(1), proto.QuorumPacket{Type: proto.PacketSnap, Zxid: 5})
		leader.Stream(bytes.NewReader(want))
		leader.Send(proposal(2), proposal(3))
		var types []proto.PacketType
		var e LinkEvent
		for e.Snapshot == nil {
			e = await(t, events)
			for _, p := range e.Packets {
				types = append(types, p.Type)
			}
		}
		if !slices.Equal(types, []proto.PacketType{proto.PacketProposal, proto.PacketSnap}) {
			t.Errorf("%v", types)
		}
		got := make([]byte, len(want))
		if _, err := io.ReadFull(e.Snapshot, got); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes differ, %v", len(got), err)
		}
		learner.Resume()
		if e := await(t, l.events); !e.Sent || e.Link != leader {
			t.Errorf("%+v", e)
		}
		if got := awaitPackets(t, events, 2); len(got) != 2 || got[0].Zxid != 2 || got[1].Zxid != 3 {
			t.Errorf("%+v", got)
		}
	}
	// A link that ends in the middle of a snapshot, or before anybody has resumed.
	leader.Send(proto.QuorumPacket{Type: proto.PacketSnap, Zxid: 5})
	leader.Stream(writerTo(func(w io.Writer) (int64, error) {
		n, err := w.Write(make([]byte, 10))
		return int64(n), errors.Join(err, errors.New("disk on fire"))
	}))
	e := await(t, events)
	got, err := io.ReadAll(e.Snapshot)
	if len(got) != 10 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if e := await(t, l.events); e.Err == nil || leader.Err() == nil {
		t.Errorf("%+v", e)
	}
	learner.Close(nil)
}

type writerTo func(io.Writer) (int64, error)

func (f writerTo) WriteTo(w io.Writer) (int64, error) { return f(w) }

// TestSilence ends links whose peer is there and says nothing.
func TestSilence(t *testing.T) {
	t.Parallel()
	l := newLeader(t, nil)
	_, _, leader := l.join(t, nil)
	leader.SetTimeout(20 * time.Millisecond)
	if e := await(t, l.events); !errors.Is(e.Err, ErrSilent) {
		t.Errorf("%+v", e)
	}
	// A peer that takes nothing, and one that is given time again.
	learner, events, leader := l.join(t, func(o *DialOptions) { o.Link.Timeout = 0 })
	leader.SetTimeout(time.Hour)
	leader.SetTimeout(0)
	learner.SetTimeout(20 * time.Millisecond)
	if e := await(t, events); !errors.Is(e.Err, ErrSilent) {
		t.Errorf("%+v", e)
	}
	if e := await(t, l.events); e.Err == nil {
		t.Errorf("%+v", e)
	}
}

// TestLongSnapshotIsNotSilence sends a snapshot for longer than the peer may be silent.
func TestLongSnapshotIsNotSilence(t *testing.T) {
	t.Parallel()
	const timeout = 200 * time.Millisecond
	l := newLeader(t, func(o *ListenOptions) { o.Link.Timeout = timeout })
	learner, events, leader := l.join(t, nil)
	const parts = 20
	leader.Send(proto.QuorumPacket{Type: proto.PacketSnap})
	leader.Stream(writerTo(func(w io.Writer) (int64, error) {
		tick := time.NewTicker(timeout / 10)
		defer tick.Stop()
		for range parts {
			<-tick.C
			if _, err := w.Write([]byte{1}); err != nil {
				return 0, err
			}
		}
		return parts, nil
	}))
	e := await(t, events)
	if _, err := io.ReadFull(e.Snapshot, make([]byte, parts)); err != nil {
		t.Fatal(err)
	}
	learner.Resume()
	learner.Send(proto.QuorumPacket{Type: proto.PacketAck})
	var sent, acked bool
	for !sent || !acked { // in either order
		e := await(t, l.events)
		if e.Err != nil {
			t.Fatal(e.Err)
		}
		sent = sent || e.Sent
		acked = acked || len(e.Packets) > 0
	}
}

// TestPeerThatTakesNothing is a half-open connection, as seen by who writes.
func TestPeerThatTakesNothing(t *testing.T) {
	t.Parallel()
	l := newLeader(t, nil)
	c := dialRaw(t, l.addr)
	mustWrite(t, c, encode(samples[0]))
	link := await(t, l.events).Link
	link.Stream(writerTo(func(w io.Writer) (int64, error) {
		link.SetTimeout(50 * time.Millisecond)
		for n := int64(0); ; n += 1 << 20 {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				return n, err
			}
		}
	}))
	if e := await(t, l.events); !errors.Is(e.Err, ErrSilent) {
		t.Errorf("%+v", e)
	}
}

// TestHostileQuorumPort checks that bad bytes end one connection and never come to the owner.
func TestHostileQuorumPort(t *testing.T) {
	t.Parallel()
	l := newLeader(t, func(o *ListenOptions) { o.Link.MaxPacket = 1 << 10 })
	_, _, leader := l.join(t, nil)
	for name, b := range map[string][]byte{
		"another protocol": []byte("GET / HTTP/1.1\r\n\r\n"),
		"another packet":   encode(samples[1]),
		"a TLS hello":      {0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3},
	} {
		t.Run(name, func(t *testing.T) {
			c := dialRaw(t, l.addr)
			mustWrite(t, c, b)
			mustEnd(t, c)
		})
	}
	c := dialRaw(t, l.addr)
	mustWrite(t, c, append(encode(samples[0]), encode(samples[2])...)) // longer than MaxPacket
	if e := await(t, l.events); len(e.Packets) != 1 {
		t.Errorf("%+v", e)
	}
	if e := await(t, l.events); !errors.Is(e.Err, proto.ErrLength) || e.Link == leader {
		t.Errorf("%+v", e)
	}
	if leader.Err() != nil {
		t.Error(leader.Err())
	}
}

// TestHandshakeCap lets one source open so many connections and no more, until their time is over.
func TestHandshakeCap(t *testing.T) {
	t.Parallel()
	l := newLeader(t, nil)
	var idle []net.Conn
	for range maxHandshakesSource {
		idle = append(idle, dialRaw(t, l.addr))
	}
	mustEnd(t, dialRaw(t, l.addr))
	idle[0].Close()
	eventually(t, "a handshake has ended", func() bool {
		l.acceptor.mu.Lock()
		defer l.acceptor.mu.Unlock()
		return l.acceptor.total < maxHandshakesSource
	})
	l.join(t, nil)
	for _, c := range idle {
		c.Close()
	}
}

func TestHandshakeEndsInTime(t *testing.T) {
	t.Parallel()
	l := newLeader(t, func(o *ListenOptions) { o.HandshakeTimeout = 20 * time.Millisecond })
	mustEnd(t, dialRaw(t, l.addr))
}

func TestDialTries(t *testing.T) {
	t.Parallel()
	l := newLeader(t, nil)
	tries := 0
	dial := func(fail int) func(o *DialOptions) {
		tries = 0
		return func(o *DialOptions) {
			o.Delay = time.Millisecond
			o.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
				if tries++; tries <= fail {
					return nil, errors.New("no route")
				}
				return (&net.Dialer{}).DialContext(ctx, network, address)
			}
		}
	}
	l.join(t, dial(4))
	o := DialOptions{Addrs: []proto.HostPort{l.addr}, Timeout: patience, Link: LinkOptions{Events: make(chan LinkEvent)}}
	dial(5)(&o)
	if _, err := Dial(t.Context(), o); err == nil || tries != 5 {
		t.Errorf("%d tries, %v", tries, err)
	}
	o.Timeout = time.Nanosecond
	dial(5)(&o)
	if _, err := Dial(t.Context(), o); err == nil || tries != 1 {
		t.Errorf("%d tries, %v", tries, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o.Timeout = patience
	dial(0)(&o)
	if _, err := Dial(ctx, o); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestSeveralAddresses finds the one of the leader's addresses that works.
func TestSeveralAddresses(t *testing.T) {
	t.Parallel()
	l := newLeader(t, nil)
	l.join(t, func(o *DialOptions) { o.Addrs = []proto.HostPort{freePort(t), l.addr, l.addr, freePort(t)} })
}

// turned inverts all bits, as a layer that both sides must have.
type turned struct{ net.Conn }

func (c turned) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	turn(b[:n])
	return n, err
}

func (c turned) Write(b []byte) (int, error) {
	b = bytes.Clone(b)
	turn(b)
	return c.Conn.Write(b)
}

func turn(b []byte) {
	for i := range b {
		b[i] = ^b[i]
	}
}

func TestWrap(t *testing.T) {
	t.Parallel()
	wrap := func(c net.Conn) (net.Conn, error) { return turned{c}, nil }
	l := newLeader(t, func(o *ListenOptions) { o.WrapAccepted = wrap })
	learner, _, _ := l.join(t, func(o *DialOptions) { o.WrapDialed = wrap })
	for i := range 100 {
		learner.Send(proposal(i))
	}
	awaitPackets(t, l.events, 100)
	plain := dialRaw(t, l.addr)
	mustWrite(t, plain, encode(samples[0]))
	mustEnd(t, plain)
	bad := errors.New("no certificate")
	o := DialOptions{Addrs: []proto.HostPort{l.addr}, Timeout: patience}
	o.WrapDialed = func(net.Conn) (net.Conn, error) { return nil, bad }
	o.Delay = time.Millisecond
	if _, err := Dial(t.Context(), o); !errors.Is(err, bad) {
		t.Error(err)
	}
	a := newMesh(t, 1, func(o *MeshOptions) { o.WrapAccepted, o.WrapDialed = wrap, wrap })
	b := newMesh(t, 2, func(o *MeshOptions) { o.WrapAccepted, o.WrapDialed = wrap, wrap }, at(1, a.addr))
	a.up(2)
	b.up(1)
}

// TestCloseWithLinks closes a listener whose owner does not take events any more.
func TestCloseWithLinks(t *testing.T) {
	t.Parallel()
	l := newLeader(t, nil)
	var learners []*Link
	for range 5 {
		learner, _, _ := l.join(t, nil)
		learners = append(learners, learner)
	}
	for i, learner := range learners {
		if i%2 == 0 {
			learner.Close(nil) // its end waits in the inbox
		} else {
			learner.Send(proposal(i))
		}
	}
	l.Close()
	if _, err := net.Dial("tcp", l.addr.String()); err == nil {
		t.Error("still listening")
	}
	if len(l.links) > 0 {
		t.Error("links are left")
	}
}

func TestLinkErrorsNameThePeer(t *testing.T) {
	t.Parallel()
	l := newLeader(t, nil)
	learner, _, leader := l.join(t, nil)
	peer := fmt.Sprint(leader.Peer())
	learner.Close(nil)
	if e := await(t, l.events); !bytes.Contains([]byte(e.Err.Error()), []byte(peer)) {
		t.Errorf("%v does not name %s", e.Err, peer)
	}
}
