// Package statustest holds a [status.Source] for tests of what is built on package status.
package statustest

import (
	"errors"
	"io"
	"net/netip"
	"slices"
	"sync"
	"time"

	"zebu/internal/metrics"
	"zebu/proto"
	"zebu/status"
)

// The sessions of the fake server.
const (
	SessionA proto.SessionID = 0x100002716b10000
	SessionB proto.SessionID = 0x100002716b10001
)

// Fake is a server in the state in which the answers of Apache ZooKeeper 3.9.5 under testdata were captured: two sessions
// with three ephemeral nodes and three watches on the data table. The fields may be changed between calls.
type Fake struct {
	Now         status.Server
	Connections []status.Conn
	Member      *status.Ensemble // nil: it stands alone
	Links       []status.ObserverLink
	KeySpace    *status.Etcd // nil: no etcd API
	sessions    []status.Session
	ephemerals  map[proto.SessionID][]string

	mu    sync.Mutex
	calls []string // guarded by mu
}

var _ status.Source = (*Fake)(nil)

// Snapshot is what WriteSnapshot writes.
const Snapshot = "a snapshot"

// ErrBadSnapshot is what RestoreSnapshot says of anything but [Snapshot].
var ErrBadSnapshot = errors.New("not a snapshot")

// New returns the server.
func New() *Fake {
	a := status.Conn{
		Remote: netip.MustParseAddrPort("127.0.0.1:36260"), Session: SessionA, Timeout: 10000, Received: 146, Sent: 146,
		InterestOps: 1, LastOp: proto.OpExists, Established: time.UnixMilli(1795230997039), LastCxid: 0x91, LastZxid: 0x92,
		LastResponse: time.UnixMilli(2562151), LastLatency: 1, MaxLatency: 14,
	}
	b := status.Conn{
		Remote: netip.MustParseAddrPort("[::ffff:127.0.0.1]:36268"), Session: SessionB, Timeout: 20000, Received: 5, Sent: 5,
		InterestOps: 1, LastOp: proto.OpGetData, Established: time.UnixMilli(1795230997052), LastCxid: 4, LastZxid: 0x92,
		LastResponse: time.UnixMilli(2562154), MaxLatency: 2,
	}
	return &Fake{
		Now: status.Server{
			Serving: true, Mode: status.Standalone, StartTime: time.Now(), Zxid: 0x92, NodeCount: 9, EphemeralCount: 3,
			WatchCount: 4, DataSize: 82, GlobalSessions: 2, Connections: 3, Received: 154, Sent: 153, LatencyMax: 14,
			LatencyAvg: 0.88079, ResponseLast: 88, ResponseMin: 24, ResponseMax: 91,
		},
		Connections: []status.Conn{a, b},
		sessions: []status.Session{
			{ID: SessionB, Timeout: 20000, Expiry: time.UnixMilli(2584000)},
			{ID: SessionA, Timeout: 10000, Expiry: time.UnixMilli(2574000)},
		},
		ephemerals: map[proto.SessionID][]string{SessionA: {"/app/e1", "/app/e2"}, SessionB: {"/app/q-0000000002"}},
	}
}

// Report returns a report of the server, with every word allowed unless a whitelist is given.
func (f *Fake) Report(whitelist ...string) *status.Report {
	if len(whitelist) == 0 {
		whitelist = []string{"*"}
	}
	m := metrics.New()
	for _, size := range []int64{75, 75, 75, 88} {
		m.ReadPerNamespace.Observe("app", size)
	}
	m.ReadPerNamespace.Observe("zookeeper", 78)
	m.WritePerNamespace.Observe("app", 5)
	config := status.Config{
		ClientPort: 21991, SecureClientPort: -1, DataDir: "/var/lib/zookeeper/version-2",
		DataLogDir: "/var/lib/zookeeper/version-2", TickTime: 2000, MinSessionTimeout: 4000, MaxSessionTimeout: 40000,
		Backlog: -1,
		Initial: "tickTime=2000\ndataDir=/var/lib/zookeeper\nclientPort=21991\nmaxClientCnxns=0\n4lw.commands.whitelist=*\n" +
			"admin.enableServer=true\nadmin.serverPort=21992\nadmin.serverAddress=127.0.0.1\n",
		Properties: map[string]string{"zookeeper.snapCount": "100", "zookeeper.preAllocSize": "64"},
	}
	if f.Member != nil {
		config.ClientPort, config.MaxClientCnxns, config.ServerID = 29100+int(f.Member.Me.ID), 60, int64(f.Member.Me.ID)
	}
	return status.NewReport(f, status.Options{
		Config:    config,
		Version:   status.Version{ZooKeeper: "3.9.5", Zebu: "0.1.0-dev", Built: time.Date(2026, 2, 11, 20, 18, 0, 0, time.UTC)},
		Metrics:   m,
		Whitelist: whitelist,
	})
}

func (f *Fake) called(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, name)
}

// Calls returns the names of the methods called that change something.
func (f *Fake) Calls() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

// Server implements [status.Source].
func (f *Fake) Server() status.Server { return f.Now }

// Conns implements [status.Source].
func (f *Fake) Conns() []status.Conn { return f.Connections }

// Sessions implements [status.Source].
func (f *Fake) Sessions() []status.Session {
	return slices.Clone(f.sessions)
}

// Ephemerals implements [status.Source].
func (f *Fake) Ephemerals() map[proto.SessionID][]string {
	return f.ephemerals
}

// Etcd implements [status.Source].
func (f *Fake) Etcd() *status.Etcd { return f.KeySpace }

// Watches implements [status.Source].
func (f *Fake) Watches(yield func(path string, session proto.SessionID) bool) {
	_ = yield("/app", SessionA) && yield("/app", SessionB) && yield("/app/e1", SessionA)
}

// WatchSummary implements [status.Source].
func (f *Fake) WatchSummary() status.WatchSummary {
	return status.WatchSummary{Connections: 2, Paths: 2, Watches: 3}
}

// Digests implements [status.Source].
func (f *Fake) Digests() []status.Digest { return []status.Digest{{Zxid: 0x80, Digest: 11886514571}} }

// Dirs implements [status.Source].
func (f *Fake) Dirs() status.Dirs { return status.Dirs{DataSize: 67109358, LogSize: 67109358} }

// Ensemble implements [status.Source].
func (f *Fake) Ensemble() *status.Ensemble { return f.Member }

// Observers implements [status.Source].
func (f *Fake) Observers() []status.ObserverLink { return f.Links }

// ResetObservers implements [status.Source].
func (f *Fake) ResetObservers() { f.called("ResetObservers") }

// LastSnapshot implements [status.Source].
func (f *Fake) LastSnapshot() status.Snapshot {
	return status.Snapshot{Time: time.Unix(1795230996, 0)}
}

// ResetServer implements [status.Source].
func (f *Fake) ResetServer() { f.called("ResetServer") }

// ResetConns implements [status.Source].
func (f *Fake) ResetConns() { f.called("ResetConns") }

// WriteSnapshot implements [status.Source].
func (f *Fake) WriteSnapshot(w io.Writer) (proto.Zxid, error) {
	f.called("WriteSnapshot")
	_, err := io.WriteString(w, Snapshot)
	return f.Now.Zxid, err
}

// RestoreSnapshot implements [status.Source].
func (f *Fake) RestoreSnapshot(r io.Reader) (proto.Zxid, error) {
	f.called("RestoreSnapshot")
	b, err := io.ReadAll(r)
	if err != nil {
		return 0, err
	}
	if string(b) != Snapshot {
		return 0, ErrBadSnapshot
	}
	return f.Now.Zxid, nil
}

// Allowed implements [status.Source]: "super:test" may do everything, other digests only something, and an address
// as the ip scheme everything from elsewhere than this machine.
func (f *Fake) Allowed(scheme string, auth []byte, remote netip.Addr, _ int32) (authenticated, allowed bool) {
	switch scheme {
	case "ip":
		return true, !remote.IsLoopback()
	case "digest":
		return true, string(auth) == "super:test"
	}
	return false, false
}

// TakeSnapshot implements [status.Source].
func (f *Fake) TakeSnapshot() (status.Snapshot, error) {
	f.called("TakeSnapshot")
	return status.Snapshot{Zxid: f.Now.Zxid, Size: int64(len(Snapshot))}, nil
}
