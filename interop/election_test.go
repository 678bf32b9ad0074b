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

	"go.uber.org/zap/zaptest"

	"zebu/election"
	"zebu/internal/peers"
	"zebu/proto"
	"zebu/quorum"
	"zebu/transport"
)

// voter is zebu's election on zebu's mesh, among Apache's servers. Nothing comes after the exchange of votes.
type voter struct {
	t         *testing.T
	id        proto.ServerID
	config    *quorum.Config
	mesh      *transport.Mesh
	decisions chan election.Decision
	ups       chan proto.ServerID // peers that a connection to was made
	done      chan struct{}
	waiting   sync.WaitGroup

	mu    sync.Mutex
	heard []*recorded
}

// recorded is a connection, and all that came from the peer on it.
type recorded struct {
	net.Conn
	v        *voter
	accepted bool
	bytes    []byte // guarded by v.mu
}

func (r *recorded) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b)
	r.v.mu.Lock()
	defer r.v.mu.Unlock()
	r.bytes = append(r.bytes, b[:n]...)
	return n, err
}

func (v *voter) record(accepted bool) func(net.Conn) (net.Conn, error) {
	return func(c net.Conn) (net.Conn, error) {
		r := &recorded{Conn: c, v: v, accepted: accepted}
		v.mu.Lock()
		defer v.mu.Unlock()
		v.heard = append(v.heard, r)
		return r, nil
	}
}

// startVoter makes the member of that id vote until the end of the test.
func startVoter(t *testing.T, config *quorum.Config, id proto.ServerID, zxid proto.Zxid, epoch proto.Epoch, edit ...func(*transport.MeshOptions)) *voter {
	v := &voter{t: t, id: id, config: config, decisions: make(chan election.Decision, 10), ups: make(chan proto.ServerID, 100), done: make(chan struct{})}
	own := config.Member(id).Addrs[0]
	o := transport.MeshOptions{
		Net: transport.Net{WrapAccepted: v.record(true), WrapDialed: v.record(false), Log: zaptest.NewLogger(t)},
		ID:  id, Addrs: []proto.HostPort{{Host: own.Host, Port: own.Election}}, BindTries: 1,
		HandshakeTimeout: 10 * time.Second, ConnectTimeout: 5 * time.Second, Peers: transport.ElectionPeers(config),
	}
	for _, f := range edit {
		f(&o)
	}
	var err error
	if v.mesh, err = transport.StartMesh(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.end)
	v.waiting.Go(func() { v.loop(zxid, epoch) })
	return v
}

func (v *voter) end() {
	close(v.done)
	v.waiting.Wait()
	v.mesh.Close()
}

// loop owns the election and the mesh.
func (v *voter) loop(zxid proto.Zxid, epoch proto.Epoch) {
	begin := time.Now()
	now := func() proto.Millis { return proto.Millis(time.Since(begin).Milliseconds()) }
	e := election.New(election.Options{ID: v.id, Committed: v.config})
	e.Start(now(), zxid, epoch)
	for {
		r := e.Ready()
		for i := range r.Messages {
			v.mesh.Send(r.Messages[i].To, &r.Messages[i].Notification)
		}
		if r.Decision != nil {
			v.decisions <- *r.Decision
		}
		var wake <-chan time.Time
		if r.Wake != 0 {
			wake = time.After(time.Until(begin.Add(time.Duration(r.Wake) * time.Millisecond)))
		}
		select {
		case <-v.mesh.Wake():
			for _, event := range v.mesh.Events() {
				v.take(e, now(), event)
			}
		case <-wake:
			e.Tick(now())
		case <-v.done:
			return
		}
	}
}

func (v *voter) take(e *election.Election, now proto.Millis, event transport.Event) {
	switch event := event.(type) {
	case transport.Received:
		if err := e.Recv(now, event.From, &event.Notification); err != nil {
			v.t.Error(err)
		}
	case transport.PeerUp:
		e.PeerUp(now, event.ID)
		select {
		case v.ups <- event.ID:
		default: // nobody asks
		}
	case transport.PeerDown:
		e.PeerDown(now, event.ID)
	}
}

// split returns what peers have said so far: their hellos and their notifications.
func (v *voter) split() (hellos, notifications [][]byte) {
	v.t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, r := range v.heard {
		b := r.bytes
		if r.accepted {
			n, err := proto.ElectionHelloSize(b)
			if err != nil {
				v.t.Errorf("hello %x: %v", b, err)
			}
			if len(b) < n {
				continue
			}
			hellos = append(hellos, b[:n])
			b = b[n:]
		}
		for len(b) >= 4 {
			n := 4 + int(binary.BigEndian.Uint32(b))
			if n > len(b) {
				break
			}
			notifications = append(notifications, b[4:n])
			b = b[n:]
		}
	}
	return hellos, notifications
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

// connected awaits a connection to a peer.
func (v *voter) connected(id proto.ServerID) {
	v.t.Helper()
	for deadline := time.After(30 * time.Second); ; {
		select {
		case up := <-v.ups:
			if up == id {
				return
			}
		case <-deadline:
			v.t.Fatalf("server %d: no connection to %d", v.id, id)
		}
	}
}

// check holds what Apache sent to what zebu would have sent in its place, byte by byte.
func (v *voter) check() {
	v.t.Helper()
	hellos, notifications := v.split()
	if len(notifications) == 0 {
		v.t.Error("no notification")
	}
	for _, b := range hellos {
		var h proto.ElectionHello
		if err := h.Decode(b); err != nil || !bytes.Equal(h.Append(nil), b) {
			v.t.Errorf("hello %x, decoded as %+v: %v", b, h, err)
		}
		want := proto.ElectionHello{ID: h.ID, Addrs: []proto.HostPort{{Host: "127.0.0.1", Port: v.config.Member(h.ID).Addrs[0].Election}}}
		if !bytes.Equal(want.Append(nil), b) {
			v.t.Errorf("hello of %d is %x, want %x", h.ID, b, want.Append(nil))
		}
	}
	for _, b := range notifications {
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
			ports[p] = memberPort(t)
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
	if hellos, _ := late.split(); len(hellos) == 0 {
		t.Error("no hello; servers with greater ids dial back")
	}
	observer := startVoter(t, config, 4, 0, 0)
	if d := observer.decision(); d.State != proto.Observing || d.Vote.Leader != 3 || d.Vote.Epoch != 1 {
		t.Errorf("an observer: %+v", d)
	}
}
