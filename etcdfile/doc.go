// Package etcdfile writes the records of the etcd key space as a database of etcd 3.6's, the file that `etcdctl snapshot save`
// brings home and that `etcdutl snapshot restore` makes a member of ([Send], [Create]), and reads such a file ([Import]).
//
// # The file
//
// It is of bbolt (go.etcd.io/bbolt), with these buckets:
//
//	key              each change: revision (8 bytes, '_', 8 bytes, 't' if a deletion) and KeyValue; as in the storage of zebu
//	lease            id (8): lease as protobuf
//	alarm            alarm as protobuf: empty
//	auth             authEnabled (1), authRevision (8)
//	authUsers        name: authpb.User
//	authRoles        name: authpb.Role
//	meta             scheduledCompactRev, finishedCompactRev (as revisions); consistent_index (8), term (8): the zxid and its epoch;
//	                 confState: the members' ids as JSON; storageVersion
//	members          id in hexadecimal: member as JSON
//	members_removed  nothing
//	cluster          clusterVersion
//
// Numbers are big endian. After the database may stand the SHA-256 of it, which restore asks for: a snapshot as it comes over the
// network has it.
//
// What restore keeps are keys with all revisions since the last compaction, leases, alarms, users and roles; of members
// and term it makes new ones, and so does Import leave them out.
package etcdfile

// The versions that a file says it was written by.
const (
	storageVersion = "3.6.0"
	clusterVersion = "3.6.0"
)

var (
	bucketKey            = []byte("key")
	bucketLease          = []byte("lease")
	bucketAlarm          = []byte("alarm")
	bucketAuth           = []byte("auth")
	bucketAuthUsers      = []byte("authUsers")
	bucketAuthRoles      = []byte("authRoles")
	bucketMeta           = []byte("meta")
	bucketMembers        = []byte("members")
	bucketMembersRemoved = []byte("members_removed")
	bucketCluster        = []byte("cluster")
)

var (
	keyAuthEnabled     = []byte("authEnabled")
	keyAuthRevision    = []byte("authRevision")
	keyScheduled       = []byte("scheduledCompactRev")
	keyFinished        = []byte("finishedCompactRev")
	keyConsistentIndex = []byte("consistent_index")
	keyTerm            = []byte("term")
	keyConfState       = []byte("confState")
	keyStorageVersion  = []byte("storageVersion")
	keyClusterVersion  = []byte("clusterVersion")
)
