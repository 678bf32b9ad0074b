package status

import (
	"zebu/proto"
	"zebu/quorum"
)

// Etcd is a server's part in its ensemble as the etcd API tells it, and the state of its key space's storage.
type Etcd struct {
	ServerID proto.ServerID
	Leader   proto.ServerID // [proto.NoServer] if there is none
	Serving  bool           // there is a leader, and this server follows it or is it
	Observer bool           // this server has no vote: a learner in etcd's words
	Epoch    proto.Epoch    // etcd's raft term
	Proposed proto.Zxid     // the last transaction known of
	Applied  proto.Zxid     // the last one applied
	Config   *quorum.Config // of the ensemble; nil of a standalone server
	Revision int64          // of the key space; 0 while there is none
	Compact  int64          // the revision that it was last compacted at; -1 if never
	Size     int64          // of the storage on disk, in bytes
	InUse    int64          // of its records, in bytes
	Quota    int64          // that InUse is held against, in bytes; 0 if there is none
	Watches  int
	Leases   int
}

// EtcdGauge is a number that etcd tells of itself, under its name there.
type EtcdGauge struct {
	Name, Help string
	Value      int64
}

// Gauges are the numbers of a server with the etcd API, for those who know them from etcd.
func (e *Etcd) Gauges() []EtcdGauge {
	flag := func(b bool) int64 {
		if b {
			return 1
		}
		return 0
	}
	return []EtcdGauge{
		{"etcd_server_has_leader", "Whether or not a leader exists. 1 is existence, 0 is not.", flag(e.Leader != proto.NoServer)},
		{"etcd_server_is_leader", "Whether or not this member is a leader. 1 if is, 0 otherwise.", flag(e.Leader == e.ServerID)},
		{"etcd_server_is_learner", "Whether or not this member is a learner. 1 if is, 0 otherwise.", flag(e.Observer)},
		{"etcd_server_quota_backend_bytes", "Current backend storage quota size in bytes.", e.Quota},
		{"etcd_mvcc_db_total_size_in_bytes", "Total size of the underlying database physically allocated in bytes.", e.Size},
		{"etcd_mvcc_db_total_size_in_use_in_bytes", "Total size of the underlying database logically in use in bytes.", e.InUse},
		{"etcd_debugging_mvcc_current_revision", "The current revision of store.", e.Revision},
		{"etcd_debugging_mvcc_compact_revision", "The revision of the last compaction in store.", e.Compact},
		{"etcd_debugging_mvcc_watcher_total", "Total number of watchers.", int64(e.Watches)},
		{"etcd_debugging_lease_total", "Total number of leases.", int64(e.Leases)},
	}
}
