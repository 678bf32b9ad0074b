package conf

import "time"

// javaDefaults returns ZooKeeper's defaults (spec 12.1), before any input.
func javaDefaults() *Config {
	const ms = time.Millisecond
	c := &Config{TickTime: 3000, FourLetterWords: []string{"srvr"}}
	c.Client = Client{Backlog: -1, HandshakeTimeout: 10 * time.Second}
	c.Session = Session{MinTimeout: -1, MaxTimeout: -1, CloseTxn: true}
	c.Limits = Limits{
		MaxClientCnxns: 60, MaxBuffer: 0xfffff, Outstanding: 1000,
		LargeRequestThreshold: -1, LargeRequestMaxBytes: 100 << 20,
	}
	c.Throttle = Throttle{
		ConnFillTime: ms, ConnFillCount: 1, ConnFreezeTime: -ms, ConnDropIncrease: 0.02, ConnDropDecrease: 0.002,
		ConnGlobalWeight: 3, ConnRenewWeight: 2, ConnLocalWeight: 1,
	}
	c.Log = TxnLog{
		PreAlloc: 64 << 20, SizeLimit: -1024, ForceSync: true, FsyncWarn: time.Second,
		AutoCreateDirs: true, AutoCreateDB: true,
	}
	c.Snapshot = Snapshot{Count: 100000, LogLimit: 4 << 30, LastZxid: true, Retain: 3}
	c.Tree = Tree{Digest: true, ContainerCheck: time.Minute, ContainerPerMinute: 10000}
	c.Auth = Auth{DigestAlg: "SHA1", Digest: true, JAASSection: "Server"}
	c.Admin = Admin{
		Enabled: true, Addr: Address("", 8080), CommandURL: "/commands", IdleTimeout: 30 * time.Second,
		Snapshot: true, Restore: true, RateInterval: 5 * time.Minute,
	}
	c.Metrics = Metrics{Addr: Address("", 7000), ExportJVM: true}
	c.Quorum = Quorum{
		ServerID: -1, CommitLogCount: 500, SnapshotSizeFactor: 0.33,
		Standalone:   true,
		LeaderServes: true, ConnTimeout: 5 * time.Second, HandshakeTimeout: -ms, BindRetries: 3,
		MinNotification: 200 * ms, MaxNotification: time.Minute, MaxTimeToWaitForEpoch: -ms,
		MaxConcurrentSnapSyncs: 10, MaxConcurrentDiffSyncs: 100, LeaderConnectDelay: 100 * ms, ObserverMasterCache: 32 << 20,
		ObserverElectionDelay: 200 * ms, LeaderNoDelay: true, FollowerNoDelay: true,
		SASLServerSection: "QuorumServer", SASLLearnerSection: "QuorumLearner",
	}
	c.Etcd = Etcd{mode: "periodic", AuthToken: "simple", MaxRequest: 3 << 19, MaxTxnOps: 128}
	c.props, c.settings = map[string]Setting{}, map[string]Setting{}
	return c
}
