package conf

import (
	"time"

	"zebu/proto"
	"zebu/quorum"
)

// Quorum is what a member of an ensemble needs to know.
type Quorum struct {
	// ServerID is the number in dataDir/myid, -1 without that file.
	ServerID proto.ServerID
	// Config is the ensemble: the server.N, group.G and weight.N lines, and the version that the dynamic file's name
	// gives. Without such lines it has no members.
	Config quorum.Config
	// LastSeen is the newest configuration proposed, if that is newer than Config: what zoo.cfg.dynamic.next holds. It is
	// read with reconfigEnabled and a dynamicConfigFile only. Nil if there is none.
	LastSeen *quorum.Config
	// DynamicFile (dynamicConfigFile) holds the ensemble's lines, "" if zoo.cfg does.
	DynamicFile string

	CommitLogCount         int           // commitLogCount: transactions kept in memory for learners
	SnapshotSizeFactor     float64       // snapshotSizeFactor: share of a snapshot's size up to which a learner is sent log instead
	InitLimit              int           // initLimit, in ticks
	SyncLimit              int           // syncLimit, in ticks
	ConnectToLearnerMaster int           // connectToLearnerMasterLimit, in ticks, 0 for InitLimit
	Observer               bool          // peerType=observer, or so the server's line says
	ObserverMasterPort     int           // observerMasterPort, 0 for none
	ObserverMasterCache    int           // observerMaster.sizeLimit: bytes of transactions that a follower keeps for its observers
	ListenOnAllIPs         bool          // quorumListenOnAllIPs
	Standalone             bool          // standaloneEnabled
	Reconfig               bool          // reconfigEnabled
	OraclePath             string        // oraclePath: the file that lets one of two servers go on alone if it begins with 1
	MultiAddress           bool          // multiAddress.enabled
	LocalSessions          bool          // localSessionsEnabled: new sessions live on the server that accepted them (spec 13.1)
	LocalSessionsUpgrading bool          // localSessionsUpgradingEnabled: a local session turns global when it needs an ephemeral node
	LeaderServes           bool          // leaderServes
	ConnTimeout            time.Duration // cnxTimeout
	HandshakeTimeout       time.Duration // quorumCnxnTimeoutMs; negative: TickTime * SyncLimit
	BindRetries            int           // electionPortBindRetry, 0 for ever
	MinNotification        time.Duration // fastleader.minNotificationInterval
	MaxNotification        time.Duration // fastleader.maxNotificationInterval
	MaxTimeToWaitForEpoch  time.Duration // leader.maxTimeToWaitForEpoch; negative: initLimit
	MaxConcurrentSnapSyncs int           // leader.maxConcurrentSnapSyncs
	MaxConcurrentDiffSyncs int           // leader.maxConcurrentDiffSyncs
	LeaderConnectDelay     time.Duration // leaderConnectDelayDuringRetryMs
	ObserverReconnectDelay time.Duration // observer.reconnectDelayMs
	ObserverElectionDelay  time.Duration // observer.election.DelayMs
	KeepAlive              bool          // tcpKeepAlive
	LeaderNoDelay          bool          // leader.nodelay
	FollowerNoDelay        bool          // follower.nodelay
	ForceSnapshotSync      bool          // forceSnapshotSync
	SyncQuorum             bool          // zebu.sync.quorum: a read behind a sync is linearizable, for a round to a quorum a batch of syncs
	SASL                   bool          // quorum.auth.enableSasl
	SASLServerRequired     bool          // quorum.auth.serverRequireSasl
	SASLLearnerRequired    bool          // quorum.auth.learnerRequireSasl
	SASLServerSection      string        // quorum.auth.server.saslLoginContext
	SASLLearnerSection     string        // quorum.auth.learner.saslLoginContext
}
