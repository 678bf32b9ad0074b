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
	Size     int64          // of the storage on disk, in bytes
	InUse    int64          // of its records, in bytes
	Quota    int64          // that InUse is held against, in bytes; 0 if there is none
	Watches  int
	Leases   int
}
