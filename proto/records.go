package proto

// Every struct in this file is a Jute record: fields in wire order, types by the table in package doc. int32-based
// types are Jute int, int64-based ones long, string ustring (null reads as ""), []byte buffer (nil is null), a slice of
// anything else vector (nil is null).

// ID names a principal: who an [ACL] speaks of, or what a connection has proved to be.
type ID struct {
	Scheme string
	ID     string
}

// ACL grants permission bits to an identity.
type ACL struct {
	Perms int32
	ID    ID
}

// Stat is a node's metadata as clients see it: Cversion counts creations and deletions of children, EphemeralOwner is 0
// unless the node is ephemeral.
type Stat struct {
	Czxid          Zxid
	Mzxid          Zxid
	Ctime          Millis
	Mtime          Millis
	Version        int32
	Cversion       int32
	Aversion       int32
	EphemeralOwner SessionID
	DataLength     int32
	NumChildren    int32
	Pzxid          Zxid
}

// StatPersisted is a node's metadata as snapshots hold it: Cversion counts creations of children alone,
// EphemeralOwner also encodes containers and TTLs.
type StatPersisted struct {
	Czxid          Zxid
	Mzxid          Zxid
	Ctime          Millis
	Mtime          Millis
	Version        int32
	Cversion       int32
	Aversion       int32
	EphemeralOwner SessionID
	Pzxid          Zxid
}

// ClientInfo is one identity in the answer to whoAmI.
type ClientInfo struct {
	AuthScheme string
	User       string
}

// RequestHeader precedes every request but the first of a connection.
type RequestHeader struct {
	Xid int32
	Op  OpCode
}

// ReplyHeader precedes every reply but the first of a connection, and every watcher event.
type ReplyHeader struct {
	Xid  int32
	Zxid Zxid
	Err  ErrCode
}

// MultiHeader precedes each operation and each result in a multi; Done marks the end.
type MultiHeader struct {
	Op   OpCode
	Done bool
	Err  ErrCode
}

// AuthPacket is the auth request (addauth). Type is always 0.
type AuthPacket struct {
	Type   int32
	Scheme string
	Auth   []byte
}

// SetWatches re-registers a client's watches after a reconnect.
type SetWatches struct {
	RelativeZxid Zxid
	DataWatches  []string
	ExistWatches []string
	ChildWatches []string
}

// SetWatches2 is SetWatches with persistent watches.
type SetWatches2 struct {
	RelativeZxid               Zxid
	DataWatches                []string
	ExistWatches               []string
	ChildWatches               []string
	PersistentWatches          []string
	PersistentRecursiveWatches []string
}

// PathWatchRequest is the body of exists, getData, getChildren and getChildren2.
type PathWatchRequest struct {
	Path  string
	Watch bool
}

// PathRequest is the body of sync, getACL, getAllChildrenNumber and getEphemerals, and of sync's reply and create's.
type PathRequest struct {
	Path string
}

// SetDataRequest is the body of setData. Version -1 matches any.
type SetDataRequest struct {
	Path    string
	Data    []byte
	Version int32
}

// ReconfigRequest is the body of reconfig. Its strings (ustring and buffer have the same encoding) are byte slices,
// because null differs from empty: NewMembers other than null replaces the configuration, else it changes by joining
// and leaving servers.
type ReconfigRequest struct {
	JoiningServers []byte
	LeavingServers []byte
	NewMembers     []byte
	CurConfigID    int64
}

// TokenRecord is the body of sasl, and of its reply.
type TokenRecord struct {
	Token []byte
}

// CreateRequest is the body of create, create2 and createContainer.
type CreateRequest struct {
	Path  string
	Data  []byte
	ACL   []ACL
	Flags CreateMode
}

// CreateTTLRequest is the body of createTTL; TTL in milliseconds.
type CreateTTLRequest struct {
	Path  string
	Data  []byte
	ACL   []ACL
	Flags CreateMode
	TTL   int64
}

// PathVersion is the body of delete and check, and of the check transaction (there Version is the new one).
type PathVersion struct {
	Path    string
	Version int32
}

// SetACLRequest is the body of setACL; Version counts changes of the ACL.
type SetACLRequest struct {
	Path    string
	ACL     []ACL
	Version int32
}

// AddWatchRequest is the body of addWatch.
type AddWatchRequest struct {
	Path string
	Mode int32
}

// PathWatcherType is the body of checkWatches and removeWatches.
type PathWatcherType struct {
	Path string
	Type WatcherType
}

// WatcherEvent is the body of a notification.
type WatcherEvent struct {
	Type  EventType
	State int32
	Path  string
}

// ErrorResponse is the body of a failed operation's result in a multi, and of an error transaction.
type ErrorResponse struct {
	Err ErrCode
}

// StatResponse is the reply to exists, setData and setACL.
type StatResponse struct {
	Stat Stat
}

// Create2Response is the reply to create2, createContainer and createTTL.
type Create2Response struct {
	Path string
	Stat Stat
}

// GetDataResponse is the reply to getData.
type GetDataResponse struct {
	Data []byte
	Stat Stat
}

// StringsResponse is the reply to getChildren and getEphemerals.
type StringsResponse struct {
	Strings []string
}

// GetChildren2Response is the reply to getChildren2.
type GetChildren2Response struct {
	Children []string
	Stat     Stat
}

// GetACLResponse is the reply to getACL.
type GetACLResponse struct {
	ACL  []ACL
	Stat Stat
}

// IntResponse is the reply to getAllChildrenNumber, and to addWatch (there always 0).
type IntResponse struct {
	Value int32
}

// WhoAmIResponse is the reply to whoAmI.
type WhoAmIResponse struct {
	ClientInfo []ClientInfo
}

// FileHeader starts every transaction log and snapshot.
type FileHeader struct {
	Magic   int32
	Version int32
	DBID    int64
}

// TxnHeader precedes every transaction's body.
type TxnHeader struct {
	ClientID SessionID
	Cxid     int32
	Zxid     Zxid
	Time     Millis
	Type     OpCode
}

// TxnDigest is the optional trailer of a transaction: the digest of the tree after it.
type TxnDigest struct {
	Version    int32
	TreeDigest uint64
}

// CreateTxn is the body of create and create2 transactions. Path is final, sequence number included;
// ParentCVersion is the parent's count of creations after this one.
type CreateTxn struct {
	Path           string
	Data           []byte
	ACL            []ACL
	Ephemeral      bool
	ParentCVersion int32
}

// CreateContainerTxn is the body of a createContainer transaction.
type CreateContainerTxn struct {
	Path           string
	Data           []byte
	ACL            []ACL
	ParentCVersion int32
}

// CreateTTLTxn is the body of a createTTL transaction.
type CreateTTLTxn struct {
	Path           string
	Data           []byte
	ACL            []ACL
	ParentCVersion int32
	TTL            int64
}

// DeleteTxn is the body of delete and deleteContainer transactions.
type DeleteTxn struct {
	Path string
}

// SetDataTxn is the body of setData and reconfig transactions; Version is the new one.
type SetDataTxn struct {
	Path    string
	Data    []byte
	Version int32
}

// SetACLTxn is the body of a setACL transaction; Version is the new one.
type SetACLTxn struct {
	Path    string
	ACL     []ACL
	Version int32
}

// CreateSessionTxn is the body of a createSession transaction: the negotiated timeout in milliseconds.
type CreateSessionTxn struct {
	Timeout int32
}

// CloseSessionTxn is the body of a closeSession transaction (3.6 and later; earlier ones are empty).
type CloseSessionTxn struct {
	Paths []string
}

// SubTxn is one operation of a multi transaction: Data is its body, without header or digest.
type SubTxn struct {
	Type OpCode
	Data []byte
}

// MultiTxn is the body of a multi transaction.
type MultiTxn struct {
	Txns []SubTxn
}

// LearnerInfo is the data of FOLLOWERINFO and OBSERVERINFO.
type LearnerInfo struct {
	ServerID        ServerID
	ProtocolVersion int32
	ConfigVersion   int64
}

// QuorumPacket is one message on a quorum link.
type QuorumPacket struct {
	Type     PacketType
	Zxid     Zxid
	Data     []byte
	AuthInfo []ID
}

// QuorumAuthPacket carries a SASL token on a quorum link.
type QuorumAuthPacket struct {
	Magic  int64
	Status int32
	Token  []byte
}
