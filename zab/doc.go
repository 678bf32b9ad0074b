// Package zab is ZooKeeper's atomic broadcast, as pure values that live for one epoch: a [Leader], a [Learner], which is
// a follower or an observer, and the [ObserverMaster] that a follower may be. They are told what packets came, what
// became durable and what time it is, and say in [Ready] what is to be written, sent and applied. They read no clock,
// start no goroutine and hold no lock; their caller is one goroutine. A transaction is bytes with a zxid; what it means
// is the state machine's business.
//
// An epoch begins when an election has named a leader, and goes through three phases (spec 8):
//
//   - Discovery. The leader takes the epoch after the newest that a quorum has accepted; a quorum accepts it and so
//     refuses all older leaders from now on. A server whose history is newer than the leader's is turned away.
//   - Synchronisation. Each learner's history is made equal to the leader's: by the transactions that it lacks (DIFF), after
//     cutting off what the leader does not have (TRUNC), or by a snapshot (SNAP). The epoch is established when a quorum
//     holds the history and has noted the epoch.
//   - Broadcast. The leader proposes transactions; followers log and acknowledge them; what a quorum has logged is
//     committed, in the order of zxids.
//
// # What is durable before what is sent
//
// Everything in [Ready] may be done at once and side by side, since a packet that promises something to be durable (spec 8.7)
// comes out of Ready only after the caller has reported it so: [Learner.Wrote] and [Learner.Synced], [Leader.Wrote] and
// [Leader.Synced]. What the caller owes is to make Writes durable in their order, to report only what is, and to apply
// Deliver in its order; and to tell the time before what happens at it.
//
// # What the caller does when a role ends
//
// A role ends with [Ready].Ended, or when the caller says that its link is down. Before the server votes again, all of the role's
// writes must be through and reported to it (ZOOKEEPER-4712), and what it then delivers applied, so that memory is what
// a restart would read from disk (ZOOKEEPER-2845). While a role serves, memory may be ahead of the disk by transactions
// whose writes are under way. A learner that does not serve yet applies what is durable only; a snapshot that a leader
// sends is loaded beside the state and takes its place, on disk and in memory, when [InstallSnapshot] says so, and
// otherwise never. Until [Ready].Serving the caller must take no snapshots of its own, since what is not yet the history
// of a quorum may have to be cut off again (ZOOKEEPER-4837).
//
// # What a restart reads
//
// The currentEpoch is the file's or that of the last zxid, whichever is greater: a server may stop when the leader's
// history is on its disk and the epoch is not. The acceptedEpoch is not less.
package zab
