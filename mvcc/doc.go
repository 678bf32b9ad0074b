// Package mvcc is the etcd key space as a pure state machine: revisions, transactions, leases, alarms, compaction
// ([Store]), watches ([Hub]) and the leader's clock for leases ([Lessor]). It does no I/O of its own, starts no goroutine,
// takes no lock, asks no clock and draws no random number. What it must keep it hands out as a [Batch]; what it must look
// up it reads from a [Storage]. [Memory] is one for tests and simulation, package backend has one on Badger.
//
// Requests and responses are etcd's own messages (go.etcd.io/etcd/api/v3), and errors are the values of its rpctypes, whose
// texts clients compare: a gateway hands both on as they are, and only fills in the cluster's and member's ids and the term.
// The semantics are those of etcd 3.6, as etcdtest checks against etcd's own packages.
//
// # How a server drives it
//
// For each committed transaction of type [TxnType], in zxid order and under the lock that guards its state: [Store.Apply], then
// [Hub.Publish] with what that returned, then the answer to the client that waits for it. Other transactions: [Store.Advance]. After a turn's
// transactions: [Store.Take], whose batch another goroutine commits; [Store.Stored] follows under the lock. So neither log nor apply
// waits for the storage.
//
// At start: [Open], then the log is replayed from [Store.Applied] on. If the log ends before that, it has lost what the
// storage has, and the storage must be filled anew. Before logs are purged: [Store.TakeMark], commit, sync; then they are not needed
// up to the zxid that the storage has synced.
//
// Reads: [Store.StartRange] (or StartHash) under the read lock, Finish without it; for a linearizable one, once the local state
// has reached the read point that a quorum confirmed. [ReadOnly] transactions are reads too.
//
// Watches: deliveries go to the streams in the order in which the Hub returns them. A stream that takes no more is blocked
// ([Hub.Block]), and holds up nobody. While watches lag: [Hub.StartCatchUp] under the lock, [CatchUp.Read] on a view without it,
// [Hub.FinishCatchUp] under the lock. While [Store.Compacting]: [Store.CompactStep] now and then.
//
// Leases: the leader has a [Lessor] from when it has applied the whole log before its epoch until its leadership ends; it is told of
// each grant, revocation and checkpoint that is applied. What it finds expired is proposed as LeaseRevoke with the record's
// epoch set. A LeaseGrant is completed before it is proposed, and every request checked ([Check], [Store.Admit]).
//
// # The record in the ZAB log
//
// An etcd mutation is a transaction of type [TxnType], a number outside ZooKeeper's range. Its body:
//
//	kind          1 byte   a Kind: which request it is
//	epoch         uvarint  0, or the epoch in which the leader decided this: in any other epoch the record has no effect
//	auth revision uvarint  that under which the user's rights were checked
//	user          uvarint length, bytes; empty without authentication
//	request       the rest: the protobuf of etcd's request message
//
// The request is complete: what a server would draw or ask a clock for, the leader has put into it before it was proposed:
// the id of a lease ([CompleteGrant]), the member of an alarm. So every server applies the same bytes to the same state with
// the same result ([Store.Apply]). Compares and checks are evaluated when the record is applied.
//
// # Records in storage
//
// Keys start with a letter that says what they are; numbers are big endian.
//
//	k main(8) '_' sub(8) ['t']   one change: the KeyValue's protobuf; 't' marks a deletion. etcd's bucket "key" byte for byte.
//	l id(8)                      a lease: granted TTL (8), remaining TTL at the last checkpoint (8)
//	a type(4) member(8)          an active alarm: empty
//	u key                        of the [Authority]: users, roles
//	z                            applied zxid (8), revision (8), scheduled compaction (8), finished compaction (8)
//
// Each batch carries record z, so a storage that keeps batches whole and in order always knows which zxid it is at. Records
// of kind k above the revision in z are leftovers of a batch cut off in the middle; the storage removes them when it is
// opened ([Leftovers]).
//
// # Image
//
// The state at one zxid is what one [View] of the storage holds. [WriteImage] writes it as a stream, [ReadImage] reads it
// back in batches: for snapshots, and for a server that lags too far behind.
package mvcc
