package transport

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"zebu/election"
	"zebu/proto"
	"zebu/quorum"
)

// member is a server that does nothing but elect, on a mesh: what owners of both have to do.
type member struct {
	id        proto.ServerID
	mesh      *Mesh
	decisions chan election.Decision
	again     chan proto.ServerID // starts another election, without that server
	stop      chan struct{}
	ended     chan struct{}
}

func startMember(t *testing.T, config *quorum.Config, id proto.ServerID, zxid proto.Zxid) *member {
	t.Helper()
	at := config.Member(id).Addrs[0]
	mesh, err := StartMesh(t.Context(), MeshOptions{
		Net: Net{Log: quiet(t)}, ID: id, Addrs: []proto.HostPort{{Host: at.Host, Port: at.Election}}, BindTries: 1,
		HandshakeTimeout: patience, ConnectTimeout: patience, Peers: ElectionPeers(config),
	})
	if err != nil {
		t.Fatal(err)
	}
	m := &member{id, mesh, make(chan election.Decision, 10), make(chan proto.ServerID), make(chan struct{}), make(chan struct{})}
	go m.loop(config, zxid)
	t.Cleanup(m.kill)
	return m
}

func (m *member) kill() {
	select {
	case <-m.stop:
	default:
		close(m.stop)
	}
	<-m.ended
	m.mesh.Close()
}

func (m *member) loop(config *quorum.Config, zxid proto.Zxid) {
	defer close(m.ended)
	begin := time.Now()
	now := func() proto.Millis { return proto.Millis(time.Since(begin).Milliseconds()) }
	e := election.New(election.Options{ID: m.id, Committed: config})
	e.Start(now(), zxid, zxid.Epoch())
	timer := time.NewTimer(0)
	defer timer.Stop()
	var gone proto.ServerID
	for {
		r := e.Ready()
		for i := range r.Messages {
			m.mesh.Send(r.Messages[i].To, &r.Messages[i].Notification)
		}
		if r.Decision != nil && r.Decision.Vote.Leader == gone {
			// Notifications of the election before were still under way. There is nobody at that address: elect again.
			e.Start(now(), zxid, zxid.Epoch())
			continue
		}
		if r.Decision != nil {
			m.decisions <- *r.Decision
		}
		wait := time.Hour
		if r.Wake != 0 {
			wait = time.Until(begin.Add(time.Duration(r.Wake) * time.Millisecond))
		}
		timer.Reset(wait)
		select {
		case <-m.stop:
			return
		case gone = <-m.again:
			e.Start(now(), zxid, zxid.Epoch())
		case <-timer.C:
			e.Tick(now())
		case <-m.mesh.Wake():
			for _, event := range m.mesh.Events() {
				switch event := event.(type) {
				case Received:
					_ = e.Recv(now(), event.From, &event.Notification)
				case PeerUp:
					e.PeerUp(now(), event.ID)
				case PeerDown:
					e.PeerDown(now(), event.ID)
				}
			}
		}
	}
}

func (m *member) decided(t *testing.T, leader proto.ServerID, state proto.PeerState) {
	t.Helper()
	select {
	case d := <-m.decisions:
		if d.Vote.Leader != leader || d.State != state {
			t.Errorf("server %d: %+v, want %v of %d", m.id, d, state, leader)
		}
	case <-time.After(patience):
		t.Fatalf("server %d: no decision", m.id)
	}
}

func ensemble(t *testing.T, roles ...string) *quorum.Config {
	t.Helper()
	var text strings.Builder
	for i, role := range roles {
		fmt.Fprintf(&text, "server.%d=127.0.0.1:%d:%d:%s\n", i+1, freePort(t).Port, freePort(t).Port, role)
	}
	c, err := quorum.ParseConfig(text.String())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestElection elects among three voters and an observer, over sockets: at first, when the leader has gone, and when
// it is back.
func TestElection(t *testing.T) {
	t.Parallel()
	config := ensemble(t, "participant", "participant", "participant", "observer")
	one := startMember(t, config, 1, 0x100000001)
	two := startMember(t, config, 2, 0x100000002)
	one.decided(t, 2, proto.Following)
	two.decided(t, 2, proto.Leading)
	three := startMember(t, config, 3, 0x100000001) // with it, 1 and 3 could have elected 3 before they heard of 2
	four := startMember(t, config, 4, 0)
	three.decided(t, 2, proto.Following)
	four.decided(t, 2, proto.Observing)

	two.kill()
	for _, m := range []*member{one, three, four} {
		m.again <- 2
	}
	one.decided(t, 3, proto.Following)
	three.decided(t, 3, proto.Leading)
	four.decided(t, 3, proto.Observing)

	two = startMember(t, config, 2, 0x100000002) // the ensemble goes on without its better history
	two.decided(t, 3, proto.Following)
}

// TestElectionOfTwo lets the server with the larger id come late.
func TestElectionOfTwo(t *testing.T) {
	t.Parallel()
	config := ensemble(t, "participant", "participant")
	one := startMember(t, config, 1, 0x100000001)
	eventually(t, "it has tried to connect", func() bool {
		one.mesh.mu.Lock()
		defer one.mesh.mu.Unlock()
		return one.mesh.peers[2].down
	})
	two := startMember(t, config, 2, 0)
	one.decided(t, 1, proto.Leading)
	two.decided(t, 1, proto.Following)
}
