package statustest

import (
	"net/netip"
	"time"

	"zebu/proto"
	"zebu/quorum"
	"zebu/status"
)

// membership is the ensemble of the captures: three participants, and an observer.
const membership = `server.1=127.0.0.1:29121:29131:participant
server.2=127.0.0.1:29122:29132:participant
server.3=127.0.0.1:29123:29133:participant
server.4=127.0.0.1:29124:29134:observer
version=0`

// The sessions of the ensemble's clients.
const (
	SessionOnFollower proto.SessionID = 0x10000d297fd0000
	SessionOnLeader   proto.SessionID = 0x30000d298030000
	SessionOnObserver proto.SessionID = 0x40000d299240000
)

// NewMember returns a member of an ensemble in the state in which the answers of Apache ZooKeeper 3.9.5 under testdata
// were captured: server 3 leads, 1 follows, 4 observes, and each has one client with one ephemeral node.
func NewMember(mode status.Mode) *Fake {
	config, err := quorum.ParseConfig(membership)
	if err != nil {
		panic(err)
	}
	f := New()
	e := &status.Ensemble{
		State: proto.Following, Stage: status.Broadcast, Leader: 3, Master: 3, Config: config, InitLimit: 10, SyncLimit: 5,
		Client: "0.0.0.0:29101", Me: config.Member(1),
	}
	session := SessionOnFollower
	switch mode {
	case status.Leader:
		session = SessionOnLeader
		e.State, e.Client, e.Me = proto.Leading, "0.0.0.0:29103", config.Member(3)
		e.Leading = &status.Leading{
			Since: time.Now(), Learners: 3, SyncedFollowers: 2, SyncedObservers: 1, Proposals: status.Sizes{Last: 73, Min: 48, Max: 113},
		}
		f.Links = []status.ObserverLink{{
			Remote: "127.0.0.1:54008", ID: 4, Established: time.UnixMilli(1795242236861), QueuedBytes: -234, LastZxid: -1,
		}}
	case status.Observer:
		session = SessionOnObserver
		e.State, e.Client, e.Me = proto.Observing, "0.0.0.0:29104", config.Member(4)
	}
	f.Member = e
	f.Now.Mode, f.Now.ServerID = mode, e.Me.ID
	f.Now.Zxid, f.Now.NodeCount = 0x10000008b, 138
	f.Connections = []status.Conn{{
		Remote: netip.MustParseAddrPort("127.0.0.1:46810"), Session: session, Timeout: 30000, Received: 6, Sent: 6, InterestOps: 1,
		LastOp: proto.OpExists, Established: time.UnixMilli(1795242244238), LastCxid: 5, LastZxid: 0x10000008b,
		LastResponse: time.UnixMilli(1795242244338), MaxLatency: 9,
	}}
	expiry := time.Time{}
	if mode == status.Leader {
		expiry = time.UnixMilli(1795242277000)
	}
	f.sessions, f.ephemerals = nil, map[proto.SessionID][]string{}
	for id, path := range map[proto.SessionID]string{
		SessionOnFollower: "/app/e-follower", SessionOnLeader: "/app/e-leader", SessionOnObserver: "/app/e-observer",
	} {
		f.sessions = append(f.sessions, status.Session{ID: id, Timeout: 30000, Expiry: expiry})
		f.ephemerals[id] = []string{path}
	}
	return f
}
