package interop

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"zebu/election"
	"zebu/internal/peers"
	"zebu/proto"
	"zebu/quorum"
)

// voter is zebu's election, speaking to Apache's servers over the smallest of transports: enough for the exchange of
// votes, and for nothing that comes after it.
type voter struct {
	t        *testing.T
	id       proto.ServerID
	config   *quorum.Config
	listener net.Listener
	begin    time.Time

	inputs    chan func(e *election.Election, now proto.Millis)
	decisions chan election.Decision

	mu      sync.Mutex
	conns   map[proto.ServerID]net.Conn
	hellos  [][]byte           // what peers said first
	heard   [][]byte           // their notifications
	waiting sync.WaitGroup     // goroutines
	stop    context.CancelFunc // ends them
	done    <-chan struct{}
}

// startVoter makes the member of that id vote until the end of the test.
func startVoter(t *testing.T, config *quorum.Config, id proto.ServerID, zxid proto.Zxid, epoch proto.Epoch) *voter {
	ctx, cancel := context.WithCancel(context.Background())
	l, err := net.Listen("tcp", electionAddr(config, id))
	if err != nil {
		t.Fatal(err)
	}
	v := &voter{
		t: t, id: id, config: config, listener: l, begin: time.Now(), conns: map[proto.ServerID]net.Conn{}, stop: cancel, done: ctx.Done(),
		inputs: make(chan func(*election.Election, proto.Millis)), decisions: make(chan election.Decision, 10),
	}
	t.Cleanup(v.end)
	v.waiting.Add(2)
	go v.accept()
	go v.loop(zxid, epoch)
	for _, m := range config.Members {
		if m.ID != id {
			v.waiting.Add(1)
			go v.dial(m.ID)
		}
	}
	return v
}

func electionAddr(c *quorum.Config, id proto.ServerID) string {
	a := c.Member(id).Addrs[0]
	return proto.HostPort{Host: a.Host, Port: a.Election}.String()
}

func (v *voter) end() {
	v.stop()
	v.listener.Close()
	v.mu.Lock()
	for _, c := range v.conns {
		c.Close()
	}
	v.mu.Unlock()
	v.waiting.Wait()
}

// loop owns the election.
func (v *voter) loop(zxid proto.Zxid, epoch proto.Epoch) {
	defer v.waiting.Done()
	now := func() proto.Millis { return proto.Millis(time.Since(v.begin).Milliseconds()) }
	e := election.New(election.Options{ID: v.id, Committed: v.config})
	e.Start(now(), zxid, epoch)
	for {
		r := e.Ready()
		for i := range r.Messages {
			v.send(&r.Messages[i])
		}
		if r.Decision != nil {
			v.decisions <- *r.Decision
		}
		var wake <-chan time.Time
		if r.Wake != 0 {
			wake = time.After(time.Until(v.begin.Add(time.Duration(r.Wake) * time.Millisecond)))
		}
		select {
		case f := <-v.inputs:
			f(e, now())
		case <-wake:
			e.Tick(now())
		case <-v.done:
			return
		}
	}
}

func (v *voter) input(f func(e *election.Election, now proto.Millis)) {
	select {
	case v.inputs <- f:
	case <-v.done:
	}
}

func (v *voter) send(m *election.Message) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if c := v.conns[m.To]; c != nil {
		body := m.Notification.Append(make([]byte, 4))
		proto.PutInt32(body, int32(len(body)-4))
		_, _ = c.Write(body) // a broken connection shows when it is read
	}
}

// dial connects to a peer, again and again until it listens. A peer with a greater id dials back after the hello.
func (v *voter) dial(to proto.ServerID) {
	defer v.waiting.Done()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		if c, err := net.Dial("tcp", electionAddr(v.config, to)); err == nil {
			mine := v.config.Member(v.id).Addrs[0]
			hello := proto.ElectionHello{ID: v.id, Addrs: []proto.HostPort{{Host: mine.Host, Port: mine.Election}}}
			if _, err := c.Write(hello.Append(nil)); err != nil {
				v.t.Errorf("hello to %d: %v", to, err)
			}
			if to < v.id {
				v.keep(to, c)
			} else {
				c.Close()
			}
			return
		}
		select {
		case <-again.C:
		case <-v.done:
			return
		}
	}
}

func (v *voter) accept() {
	defer v.waiting.Done()
	for {
		c, err := v.listener.Accept()
		if err != nil {
			return
		}
		hello, h, err := readHello(c)
		if err != nil {
			v.t.Errorf("hello: %v", err)
			c.Close()
			continue
		}
		v.mu.Lock()
		v.hellos = append(v.hellos, hello)
		v.mu.Unlock()
		if h.ID > v.id {
			v.waiting.Add(1)
			go func() {
				defer v.waiting.Done()
				v.keep(h.ID, c)
			}()
		} else {
			c.Close() // it is this server that dials
		}
	}
}

func readHello(r io.Reader) ([]byte, proto.ElectionHello, error) {
	var b []byte
	var h proto.ElectionHello
	for {
		n, err := proto.ElectionHelloSize(b)
		if err != nil {
			return b, h, err
		}
		if n == len(b) {
			return b, h, h.Decode(b)
		}
		more := make([]byte, n-len(b))
		if _, err := io.ReadFull(r, more); err != nil {
			return b, h, err
		}
		b = append(b, more...)
	}
}

// keep uses a connection until it breaks.
func (v *voter) keep(peer proto.ServerID, c net.Conn) {
	v.mu.Lock()
	if old := v.conns[peer]; old != nil {
		old.Close()
	}
	v.conns[peer] = c
	v.mu.Unlock()
	v.input(func(e *election.Election, now proto.Millis) { e.PeerUp(now, peer) })
	for {
		var head [4]byte
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return
		}
		size := binary.BigEndian.Uint32(head[:])
		if size == 0 || size > proto.MaxNotification {
			v.t.Errorf("%d sends %d bytes", peer, size)
			return
		}
		body := make([]byte, size)
		if _, err := io.ReadFull(c, body); err != nil {
			return
		}
		v.mu.Lock()
		v.heard = append(v.heard, body)
		v.mu.Unlock()
		var n proto.Notification
		if err := n.Decode(body); err != nil {
			v.t.Errorf("notification of %d: %v\n%x", peer, err, body)
			return
		}
		v.input(func(e *election.Election, now proto.Millis) {
			if err := e.Recv(now, peer, &n); err != nil {
				v.t.Error(err)
			}
		})
	}
}

// decision awaits the end of the election.
func (v *voter) decision() election.Decision {
	v.t.Helper()
	select {
	case d := <-v.decisions:
		return d
	case <-time.After(30 * time.Second):
		v.t.Fatalf("server %d: no decision", v.id)
		panic("not reached")
	}
}

// check holds what Apache sent to what zebu would have sent in its place, byte by byte.
func (v *voter) check() {
	v.t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.heard) == 0 {
		v.t.Error("no notification")
	}
	for _, b := range v.hellos {
		var h proto.ElectionHello
		if err := h.Decode(b); err != nil || !bytes.Equal(h.Append(nil), b) {
			v.t.Errorf("hello %x, decoded as %+v: %v", b, h, err)
		}
		want := proto.ElectionHello{ID: h.ID, Addrs: []proto.HostPort{{Host: "127.0.0.1", Port: v.config.Member(h.ID).Addrs[0].Election}}}
		if !bytes.Equal(want.Append(nil), b) {
			v.t.Errorf("hello of %d is %x, want %x", h.ID, b, want.Append(nil))
		}
	}
	for _, b := range v.heard {
		var n proto.Notification
		if err := n.Decode(b); err != nil || !bytes.Equal(n.Append(nil), b) {
			v.t.Errorf("notification %x, decoded as %+v: %v", b, n, err)
		}
		if n.Config != v.config.String() {
			v.t.Errorf("configuration\n%s\nwant\n%s", n.Config, v.config)
		}
	}
}

// loopback makes a configuration of an ensemble on free ports, in the order and with the roles of types.
func loopback(t *testing.T, types ...string) *quorum.Config {
	t.Helper()
	var text strings.Builder
	for i, role := range types {
		var ports [2]int
		for p := range ports {
			var err error
			if ports[p], err = peers.FreePort(); err != nil {
				t.Fatal(err)
			}
		}
		fmt.Fprintf(&text, "server.%d=127.0.0.1:%d:%d:%s\n", i+1, ports[0], ports[1], role)
	}
	c, err := quorum.ParseConfig(text.String())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// member is the configuration of a server of an ensemble.
func member(t *testing.T, c *quorum.Config, id proto.ServerID) peers.Config {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "data"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "data", "myid"), fmt.Appendln(nil, id), 0o644); err != nil {
		t.Fatal(err)
	}
	extra := []string{"initLimit=20", "syncLimit=10"}
	for i := range c.Members {
		extra = append(extra, fmt.Sprintf("server.%d=%v", c.Members[i].ID, &c.Members[i]))
	}
	return peers.Config{Dir: dir, Extra: extra}
}

// startAlone runs a server that will not serve, because its peers only vote, until the end of the test.
func startAlone(t *testing.T, m peers.Maker, c peers.Config) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if s, err := peers.Start(ctx, m, c); err == nil {
			t.Errorf("%s serves", m.Name())
			s.Kill()
		}
	}()
	t.Cleanup(func() { cancel(); <-ended })
}

// TestApacheElectsZebu lets an Apache server and zebu elect a leader. Both agree on zebu, which has the greater id: Apache's
// server turns up at its quorum port.
func TestApacheElectsZebu(t *testing.T) {
	t.Parallel()
	apache := apache39(t)
	config := loopback(t, "participant", "participant", "participant", "observer")
	at := config.Member(3).Addrs[0]
	quorumPort, err := net.Listen("tcp", proto.HostPort{Host: at.Host, Port: at.Quorum}.String())
	if err != nil {
		t.Fatal(err)
	}
	defer quorumPort.Close()
	startAlone(t, apache, member(t, config, 1))
	v := startVoter(t, config, 3, 0, 0)
	if d := v.decision(); d.State != proto.Leading || d.Vote.Leader != 3 {
		t.Errorf("%+v", d)
	}
	follower, err := quorumPort.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer follower.Close()
	var first [4]byte
	if _, err := io.ReadFull(follower, first[:]); err != nil || binary.BigEndian.Uint32(first[:]) != 11 {
		t.Errorf("first bytes of a follower: %x, %v; want FOLLOWERINFO", first, err)
	}
	v.check()
}

// TestZebuElectsApache is the reverse, with a server of release 3.8: it leads by zebu's vote, and listens at its quorum
// port.
func TestZebuElectsApache(t *testing.T) {
	t.Parallel()
	apache := apache38(t)
	config := loopback(t, "participant", "participant", "participant")
	startAlone(t, apache, member(t, config, 3))
	v := startVoter(t, config, 1, 0, 0)
	if d := v.decision(); d.State != proto.Following || d.Vote.Leader != 3 {
		t.Errorf("%+v", d)
	}
	v.check()
	at := config.Member(3).Addrs[0]
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for deadline := time.Now().Add(20 * time.Second); ; <-again.C {
		c, err := net.Dial("tcp", proto.HostPort{Host: at.Host, Port: at.Quorum}.String())
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("server 3 does not lead: %v", err)
		}
	}
}

// TestZebuJoinsApache lets zebu come late to an ensemble of Apache servers, as a voter with the smallest id and as an
// observer.
func TestZebuJoinsApache(t *testing.T) {
	t.Parallel()
	apache := apache39(t)
	config := loopback(t, "participant", "participant", "participant", "observer")
	var starting sync.WaitGroup
	for _, id := range []proto.ServerID{2, 3} {
		c := member(t, config, id)
		starting.Add(1)
		go func() {
			defer starting.Done()
			s, err := peers.Start(t.Context(), apache, c)
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(s.Kill)
		}()
	}
	starting.Wait()
	if t.Failed() {
		return
	}
	// Apache's servers begin with the votes that they had for this one when it was not there yet, so it may still find an
	// election, and the epoch before it.
	late := startVoter(t, config, 1, 0, 0)
	if d := late.decision(); d.State != proto.Following || d.Vote.Leader != 3 {
		t.Errorf("a late voter: %+v", d)
	}
	late.check()
	late.mu.Lock()
	if len(late.hellos) == 0 {
		t.Error("no hello; servers with greater ids dial back")
	}
	late.mu.Unlock()
	observer := startVoter(t, config, 4, 0, 0)
	if d := observer.decision(); d.State != proto.Observing || d.Vote.Leader != 3 || d.Vote.Epoch != 1 {
		t.Errorf("an observer: %+v", d)
	}
}
