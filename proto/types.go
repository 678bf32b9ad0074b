package proto

import (
	"fmt"
	"strconv"
)

// Zxid is a ZooKeeper transaction id: the epoch in the high 32 bits, a counter in the low 32.
type Zxid int64

// MakeZxid puts an epoch and a counter together.
func MakeZxid(e Epoch, counter uint32) Zxid { return Zxid(int64(e)<<32 | int64(counter)) }

// Epoch returns the epoch in which z was proposed.
func (z Zxid) Epoch() Epoch { return Epoch(int64(z) >> 32) }

// Counter returns z's position within its epoch.
func (z Zxid) Counter() uint32 { return uint32(z) }

// String prints z as ZooKeeper's tools do, in hexadecimal.
func (z Zxid) String() string { return "0x" + strconv.FormatUint(uint64(z), 16) }

// Epoch numbers a leader's term (the paper's epoch e). It is kept in 64 bits because the files and packets
// that carry it alone do so; in a [Zxid] 32 bits remain.
type Epoch int64

// ServerID is a server's myid ("sid" in ZooKeeper's sources).
type ServerID int64

// SessionID identifies a client session: the id of the server that created it in the highest byte.
type SessionID int64

// String prints the id as ZooKeeper's tools do.
func (s SessionID) String() string { return "0x" + strconv.FormatUint(uint64(s), 16) }

// Millis is a time or a duration in milliseconds. Times in transactions and stats count from the Unix epoch;
// times that drive expiry come from a monotonic clock.
type Millis int64

// Ephemeral owners with a meaning of their own (spec 2.3). An owner is the session of an ephemeral node, 0 for a
// persistent one, ContainerOwner for a container, and TTLOwnerPrefix | ttl for a TTL node.
const (
	ContainerOwner SessionID = -1 << 63
	TTLOwnerPrefix SessionID = -1 << 56 // 0xFF00000000000000
	MaxTTL         int64     = 1<<40 - 1
)

// Permissions of an [ACL].
const (
	PermRead   int32 = 1
	PermWrite  int32 = 2
	PermCreate int32 = 4
	PermDelete int32 = 8
	PermAdmin  int32 = 16
	PermAll    int32 = 31
)

// CreateMode is the flags field of the create requests.
type CreateMode int32

// Create modes.
const (
	Persistent           CreateMode = 0
	Ephemeral            CreateMode = 1
	PersistentSequential CreateMode = 2
	EphemeralSequential  CreateMode = 3
	Container            CreateMode = 4
	PersistentTTL        CreateMode = 5
	SequentialTTL        CreateMode = 6
)

// Valid says whether m is a mode that ZooKeeper knows.
func (m CreateMode) Valid() bool { return m >= Persistent && m <= SequentialTTL }

// Ephemeral says whether a node made with m ends with its session.
func (m CreateMode) Ephemeral() bool { return m == Ephemeral || m == EphemeralSequential }

// Sequential says whether the parent's counter is appended to the name.
func (m CreateMode) Sequential() bool {
	return m == PersistentSequential || m == EphemeralSequential || m == SequentialTTL
}

// TTL says whether m makes a TTL node.
func (m CreateMode) TTL() bool { return m == PersistentTTL || m == SequentialTTL }

// EventType is what happened to a watched node (spec 4.1).
type EventType int32

// Event types that a server sends.
const (
	EventNodeCreated         EventType = 1
	EventNodeDeleted         EventType = 2
	EventNodeDataChanged     EventType = 3
	EventNodeChildrenChanged EventType = 4
)

// StateSyncConnected is the keeper state that every watch event carries.
const StateSyncConnected int32 = 3

// Modes of addWatch.
const (
	AddWatchPersistent int32 = 0
	AddWatchRecursive  int32 = 1
)

// WatcherType selects watches in checkWatches and removeWatches.
type WatcherType int32

// Watcher types; the last two exist since 3.9.
const (
	WatcherChildren            WatcherType = 1
	WatcherData                WatcherType = 2
	WatcherAny                 WatcherType = 3
	WatcherPersistent          WatcherType = 4
	WatcherPersistentRecursive WatcherType = 5
)

// Transaction ids (xids) with a meaning of their own in headers.
const (
	XidWatcherEvent int32 = -1
	XidPing         int32 = -2
	XidAuth         int32 = -4
	XidSetWatches   int32 = -8
)

// File and record magics (spec 10).
const (
	TxnLogMagic   int32 = 0x5a4b4c47 // "ZKLG"
	SnapshotMagic int32 = 0x5a4b534e // "ZKSN"
	TxnEOR        byte  = 0x42       // 'B', after every transaction in a log
)

// DigestVersion is the version of the tree digest that zebu computes (ZooKeeper 3.6 to 3.9).
const DigestVersion int32 = 2

// OpCode is the type field of a request header, and of a transaction header.
type OpCode int32

// Operation codes; the comment gives what differs between a request and a transaction of that code.
const (
	OpNotification         OpCode = 0
	OpCreate               OpCode = 1
	OpDelete               OpCode = 2
	OpExists               OpCode = 3
	OpGetData              OpCode = 4
	OpSetData              OpCode = 5
	OpGetACL               OpCode = 6
	OpSetACL               OpCode = 7
	OpGetChildren          OpCode = 8
	OpSync                 OpCode = 9
	OpPing                 OpCode = 11
	OpGetChildren2         OpCode = 12
	OpCheck                OpCode = 13 // only inside multi
	OpMulti                OpCode = 14
	OpCreate2              OpCode = 15
	OpReconfig             OpCode = 16
	OpCheckWatches         OpCode = 17
	OpRemoveWatches        OpCode = 18
	OpCreateContainer      OpCode = 19
	OpDeleteContainer      OpCode = 20 // made by servers, never taken from a client
	OpCreateTTL            OpCode = 21
	OpMultiRead            OpCode = 22
	OpAuth                 OpCode = 100
	OpSetWatches           OpCode = 101
	OpSASL                 OpCode = 102
	OpGetEphemerals        OpCode = 103
	OpGetAllChildrenNumber OpCode = 104
	OpSetWatches2          OpCode = 105
	OpAddWatch             OpCode = 106
	OpWhoAmI               OpCode = 107
	OpCreateSession        OpCode = -10
	OpCloseSession         OpCode = -11
	OpError                OpCode = -1 // transaction type only

	// OpEtcd is the type of transactions of the etcd API ("etcd"), and of requests for one that a learner forwards. Its body is
	// a record of package mvcc as a buffer. No client can ask for it, and ZooKeeper stops at one in its log: it must never be sent any.
	OpEtcd OpCode = 0x65746364
)

var opNames = map[OpCode]string{
	OpNotification: "notification", OpCreate: "create", OpDelete: "delete", OpExists: "exists", OpGetData: "getData",
	OpSetData: "setData", OpGetACL: "getACL", OpSetACL: "setACL", OpGetChildren: "getChildren", OpSync: "sync",
	OpPing: "ping", OpGetChildren2: "getChildren2", OpCheck: "check", OpMulti: "multi", OpCreate2: "create2",
	OpReconfig: "reconfig", OpCheckWatches: "checkWatches", OpRemoveWatches: "removeWatches",
	OpCreateContainer: "createContainer", OpDeleteContainer: "deleteContainer", OpCreateTTL: "createTTL",
	OpMultiRead: "multiRead", OpAuth: "auth", OpSetWatches: "setWatches", OpSASL: "sasl",
	OpGetEphemerals: "getEphemerals", OpGetAllChildrenNumber: "getAllChildrenNumber", OpSetWatches2: "setWatches2",
	OpAddWatch: "addWatch", OpWhoAmI: "whoAmI", OpCreateSession: "createSession", OpCloseSession: "closeSession",
	OpError: "error", OpEtcd: "etcd",
}

// String names the operation as ZooKeeper's documentation does.
func (o OpCode) String() string {
	if s, ok := opNames[o]; ok {
		return s
	}
	return fmt.Sprintf("op(%d)", int32(o))
}
