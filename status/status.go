// Package status says what a running server reports of itself: the values behind the four-letter words, the
// AdminServer commands and the metrics, and the four-letter words' texts. It knows nothing of how a server works; a
// server implements [Source].
package status

import (
	"io"
	"net/netip"
	"time"

	"zebu/proto"
)

// Source is a running server as reports see it. Every method is safe to call at any time from any goroutine, takes no
// longer than its answer is large, and never waits for writes.
type Source interface {
	Server() Server
	Conns() []Conn
	// Sessions returns every session with its expiry.
	Sessions() []Session
	// Ephemerals returns the paths of each session's ephemeral nodes.
	Ephemerals() map[proto.SessionID][]string
	// Watches calls yield for every watched path of the data table and one session that watches it, in path order.
	Watches(yield func(path string, session proto.SessionID) bool)
	WatchSummary() WatchSummary
	// Digests returns the latest (zxid, tree digest) pairs recorded at zxids divisible by 128, oldest first.
	Digests() []Digest
	Dirs() Dirs
	LastSnapshot() Snapshot
	// Ensemble tells of the server's part in its ensemble; nil if it stands alone.
	Ensemble() *Ensemble
	// Etcd tells of the etcd API; nil of a server without it.
	Etcd() *Etcd
	// Observers returns the links of a leader's observers, by id.
	Observers() []ObserverLink
	ResetServer()
	ResetConns()
	ResetObservers()
	// WriteSnapshot streams a snapshot taken now, in the snapshot file format, and returns its zxid.
	WriteSnapshot(w io.Writer) (proto.Zxid, error)
	// TakeSnapshot writes a snapshot into the data directory, in force for the next start.
	TakeSnapshot() (Snapshot, error)
	// RestoreSnapshot replaces the state with the snapshot in r and returns its zxid.
	RestoreSnapshot(r io.Reader) (proto.Zxid, error)
	// Allowed says whether auth data of a scheme proves identities that hold every bit of perms on the root.
	Allowed(scheme string, auth []byte, remote netip.Addr, perms int32) (authenticated, allowed bool)
}

// Mode is a server's role, in the words of srvr.
type Mode string

// Modes.
const (
	Standalone Mode = "standalone"
	Leader     Mode = "leader"
	Follower   Mode = "follower"
	Observer   Mode = "observer"
	ReadOnly   Mode = "read-only"
)

// Server is the state of the server as a whole.
type Server struct {
	Serving        bool
	Mode           Mode
	ServerID       proto.ServerID
	StartTime      time.Time
	Zxid           proto.Zxid
	NodeCount      int
	EphemeralCount int
	WatchCount     int
	DataSize       int64 // ZooKeeper's approximate data size, bytes
	GlobalSessions int
	LocalSessions  int
	Connections    int
	Outstanding    int64 // requests accepted and not answered
	Received       int64 // packets since the last reset
	Sent           int64
	LatencyMin     int64 // milliseconds since the last reset
	LatencyMax     int64
	LatencyAvg     float64
	ResponseLast   int64 // response sizes in bytes, -1 before the first
	ResponseMin    int64
	ResponseMax    int64

	FsyncSlow       int64   // fsyncs that took longer than fsync.warningthresholdms
	AuthFailed      int64   // failed authentications
	NonMTLSRemote   int64   // connections without mutual TLS from elsewhere, and
	NonMTLSLocal    int64   // from this machine
	TLSHandshakes   int64   // TLS handshakes under way
	DropProbability float64 // with which the connection throttle refuses a connection
}

// Uptime is how long the server runs.
func (s *Server) Uptime() time.Duration { return time.Since(s.StartTime) }

// Conn is one client connection.
type Conn struct {
	Remote       netip.AddrPort
	Secure       bool
	Session      proto.SessionID // 0 before the session is set up
	Timeout      int32
	Queued       int64
	Received     int64
	Sent         int64
	InterestOps  int
	LastOp       proto.OpCode
	Established  time.Time
	LastCxid     int64
	LastZxid     proto.Zxid
	LastResponse time.Time
	LastLatency  int64 // milliseconds, like those below
	MinLatency   int64
	AvgLatency   int64
	MaxLatency   int64
}

// Session is one session.
type Session struct {
	ID      proto.SessionID
	Timeout int32
	Expiry  time.Time // end of its expiry bucket
	Local   bool
}

// WatchSummary counts the data table's watches.
type WatchSummary struct{ Connections, Paths, Watches int }

// Digest is the tree digest at one zxid.
type Digest struct {
	Zxid   proto.Zxid
	Digest uint64
}

// Dirs are the sizes of the data directories in bytes.
type Dirs struct{ DataSize, LogSize int64 }

// Snapshot tells of the newest snapshot.
type Snapshot struct {
	Zxid proto.Zxid
	Size int64 // bytes
	Time time.Time
}
