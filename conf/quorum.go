package conf

import (
	"time"

	"zebu/proto"
)

// Quorum is what a member of an ensemble needs to know.
type Quorum struct {
	// ServerID is the number in dataDir/myid, -1 without that file.
	ServerID proto.ServerID
	// Servers are the members, in ascending order of id.
	Servers []Member
	// Groups and Weights (group.G, weight.N) make a hierarchical quorum; nil for plain majorities.
	Groups  map[int64][]proto.ServerID
	Weights map[proto.ServerID]int64
	// Version is the configuration's version, from the dynamic file's name.
	Version proto.Zxid
	// DynamicFile (dynamicConfigFile) holds Servers, Groups and Weights, "" if zoo.cfg holds them.
	DynamicFile string

	CommitLogCount           int     // commitLogCount: transactions kept in memory for learners
	SnapshotSizeFactor       float64 // snapshotSizeFactor: share of a snapshot's size up to which a learner is sent log instead
	InitLimit                int     // initLimit, in ticks
	SyncLimit                int     // syncLimit, in ticks
	ConnectToLearnerMaster   int     // connectToLearnerMasterLimit, in ticks, 0 for InitLimit
	Observer                 bool    // peerType=observer, or so the server's line says
	ObserverMasterPort       int     // observerMasterPort, 0 for none
	SyncEnabled              bool    // syncEnabled: an observer writes logs and snapshots
	ListenOnAllIPs           bool    // quorumListenOnAllIPs
	Standalone               bool    // standaloneEnabled
	Reconfig                 bool    // reconfigEnabled
	SSL                      bool    // sslQuorum
	PortUnification          bool    // portUnification
	OraclePath               string
	MultiAddress             bool          // multiAddress.enabled
	MultiAddressCheck        bool          // multiAddress.reachabilityCheckEnabled
	MultiAddressCheckTimeout time.Duration // multiAddress.reachabilityCheckTimeoutMs
	LeaderServes             bool          // leaderServes
	ConnTimeout              time.Duration // cnxTimeout
	HandshakeTimeout         time.Duration // quorumCnxnTimeoutMs; negative: TickTime * SyncLimit
	BindRetries              int           // electionPortBindRetry, 0 for ever
	MinNotification          time.Duration // fastleader.minNotificationInterval
	MaxNotification          time.Duration // fastleader.maxNotificationInterval
	MaxTimeToWaitForEpoch    time.Duration // leader.maxTimeToWaitForEpoch; negative: initLimit
	MaxConcurrentSnapSyncs   int           // leader.maxConcurrentSnapSyncs
	MaxConcurrentDiffSyncs   int           // leader.maxConcurrentDiffSyncs
	LeaderConnectDelay       time.Duration // leaderConnectDelayDuringRetryMs
	ObserverReconnectDelay   time.Duration // observer.reconnectDelayMs
	ObserverElectionDelay    time.Duration // observer.election.DelayMs
	KeepAlive                bool          // tcpKeepAlive
	LeaderNoDelay            bool          // leader.nodelay
	FollowerNoDelay          bool          // follower.nodelay
	ForceSnapshotSync        bool          // forceSnapshotSync
	SASL                     bool          // quorum.auth.enableSasl
	SASLServerRequired       bool          // quorum.auth.serverRequireSasl
	SASLLearnerRequired      bool          // quorum.auth.learnerRequireSasl
	SASLServerSection        string        // quorum.auth.server.saslLoginContext
	SASLLearnerSection       string        // quorum.auth.learner.saslLoginContext
}

// Member is one server of an ensemble: a server.N line.
type Member struct {
	ID       proto.ServerID
	Addrs    []PeerAddr // one, or several with multiAddress.enabled
	Observer bool
	Client   HostPort // client address, if the line gives one
}

// PeerAddr is one address of a member.
type PeerAddr struct {
	Host     string
	Quorum   int // quorum port
	Election int // election port
}
