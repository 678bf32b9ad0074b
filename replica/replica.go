// Package replica composes the pure cores (znode tree and planner, sessions, watches) into one server's state machine.
// It does no I/O, asks no clock and starts no goroutine: production drives it from one loop and from the connections'
// readers under a lock, the simulator from its event heap.
//
// Inputs are methods. Writes go through [Replica.Submit] and [Replica.Connect], which plan a transaction into the log
// batch that the caller lends; once that batch is durable and committed the caller hands the same bytes to
// [Replica.Apply]. Reads go through [Replica.Read]. What is owed to connections comes back as values: bytes in a buffer
// that the caller lends, and a list of [Output].
//
// Locking is the caller's. Two groups of methods: those that only look ([Replica.Read] and the getters), which may run
// side by side, and all others, which need the state for themselves. Planning (Submit, Tick) changes nothing
// that the first group looks at, so it may run beside it; only one goroutine may plan and apply.
package replica

import (
	"zebu/proto"
	"zebu/session"
	"zebu/watch"
	"zebu/znode"
)

// Log takes planned transactions in zxid order; a storage batch is one. Begin returns a buffer to append a transaction
// to, End closes the record.
type Log interface {
	Begin() []byte
	End(buf []byte, z proto.Zxid)
}

// role is what the replica does with writes.
type role uint8

const (
	idle     role = iota // serves nobody
	leading              // plans them
	learning             // forwards them to the leader
	readOnly             // refuses them, for want of a leader
)

// Options are a replica's settings.
type Options struct {
	ServerID          proto.ServerID
	QuorumSync        bool         // zebu.sync.quorum: a sync waits for a commit that is proposed after it came
	Tick              proto.Millis // expiry granularity (tickTime)
	LocalSessions     bool         // localSessionsEnabled, in an ensemble
	UpgradeLocal      bool         // localSessionsUpgradingEnabled
	MinSessionTimeout int32        // milliseconds
	MaxSessionTimeout int32
	MaxNeverUsed      proto.Millis // znode.container.maxNeverUsedIntervalMs, 0 = never
	ReapInterval      proto.Millis // znode.container.checkIntervalMs
	ReapPerCheck      int          // containers and TTL nodes removed per check at most
	StrictDigest      bool         // a digest that does not agree with the log is an error, not a count
	Etcd              bool         // there is, or will be, an etcd key space: see [Replica.AttachEtcd]
	SyncLimit         int          // of an ensemble, in ticks
	Compact           Compaction   // of the etcd key space, automatically
	Audit             bool         // tell of ephemerals that went with their session (TakeEnded), and of writes whose connection is gone
	Znode             znode.Options
}

// Compaction says how much of the etcd key space's history is kept: a time, or so many revisions, or all if both are 0.
type Compaction struct {
	Period proto.Millis
	Keep   int64
}

// Clock is the time as the caller tells it.
type Clock struct {
	Mono proto.Millis // monotonic: drives session expiry
	Wall proto.Millis // since the Unix epoch: goes into transactions and stats
}

// Replica is one server's replicated state and the sessions, watches and outstanding writes around it.
type Replica struct {
	opt     Options
	tree    *znode.Tree
	planner *znode.Planner
	table   session.Table
	tracker *session.Tracker
	ids     *session.IDs
	locals  *session.Tracker // of local sessions; nil if there are none
	past    pastSessions     // the leader's, if there are local sessions
	watches *watch.Registry
	now     Clock

	role     role
	log      Log
	proposed proto.Zxid // last zxid planned
	applied  proto.Zxid // last zxid applied
	begun    proto.Zxid // beginning of the epoch, all of whose predecessors' transactions are applied
	upstream upstream   // what a learner has for its leader
	alone    bool       // a standalone server: nobody else can lead
	handing  bool       // the leader hands over: what is planned may not be proposed
	doubts   []doubt    // clients of a leader that wait for what it cannot be sure of
	barrier  proto.Zxid // transaction that syncs wait for, planned since the last [Replica.EndTurn]; 0 if none was

	unproven   error      // of a snapshot whose digest does not fit, until a transaction's does
	fuzzyUntil proto.Zxid // while replaying: the snapshot loaded may hold effects up to here

	conns     []*Conn // by slot; nil = free
	free      []watch.ConnID
	bySession map[proto.SessionID]*Conn
	pending   pendingQueue
	runnable  []*Conn // with queued reads that nothing holds up

	planning znode.Request // here rather than allocated for each
	res      znode.Result
	hits     []watch.ConnID
	due      []proto.SessionID
	reap     []string
	nextReap proto.Millis
	ticked   proto.Millis // last time that expiry was looked at
	grace    proto.Millis // until when nothing expires
	digests  digestRing
	counts   Counts
	kv       keyspace

	buf   []byte
	out   []Output
	ended []Ended
	fired []Fired
}

// Fired is one change, and how many watches it fired.
type Fired struct {
	Type    proto.EventType
	Path    string // may alias the transaction
	Size    int    // of the data that was written, in bytes
	Watches int
}

// Ended is an ephemeral node that was deleted because its session ended.
type Ended struct {
	Session proto.SessionID
	Path    string
}

// Counts are totals since the start, for metrics.
type Counts struct {
	DigestMismatches int64
	ExpiredSessions  int64
	Transactions     int64 // applied, errors included
	FailedTxns       int64
	Orphans          int64 // sessions whose ephemerals Lead dropped because nobody knew the session
}

// New returns a replica with an empty tree. Load a snapshot through [Replica.Loader], replay transactions through
// [Replica.Replay], then call [Replica.Lead] or give it to a [Member].
func New(opt Options) *Replica {
	return &Replica{
		opt: opt, bySession: map[proto.SessionID]*Conn{}, watches: watch.New(), tree: znode.New(opt.Znode),
	}
}

// Advance tells the time. Times never go back: an earlier monotonic time is ignored.
func (r *Replica) Advance(now Clock) {
	now.Mono = max(now.Mono, r.now.Mono)
	r.now = now
}

// LendLog gives the batch that the next transactions are planned into.
func (r *Replica) LendLog(l Log) { r.log = l }

// LendBuffer gives the buffer that replies and events are appended to, and forgets all outputs so far.
func (r *Replica) LendBuffer(b []byte) {
	r.buf = b
	clear(r.out)
	r.out = r.out[:0]
}

// Outputs returns what is owed to connections since LendBuffer, in order, and the buffer that it points into.
func (r *Replica) Outputs() ([]Output, []byte) { return r.out, r.buf }

// Applied returns the zxid of the newest transaction in the tree.
func (r *Replica) Applied() proto.Zxid { return r.applied }

// Proposed returns the zxid of the newest transaction planned.
func (r *Replica) Proposed() proto.Zxid { return r.proposed }

// Tree returns the tree, to be looked at under the caller's lock.
func (r *Replica) Tree() *znode.Tree { return r.tree }

// Sessions returns the committed sessions.
func (r *Replica) Sessions() *session.Table { return &r.table }

// Tracker returns the expiry tracker.
func (r *Replica) Tracker() *session.Tracker { return r.tracker }

// LocalSessions is the number of local sessions.
func (r *Replica) LocalSessions() int {
	if r.locals == nil {
		return 0
	}
	return r.locals.Len()
}

// Watches returns the watch registry. Registration needs a lock of its own beside the state's read lock.
func (r *Replica) Watches() *watch.Registry { return r.watches }

// Conns yields every connection with a session, by slot. The yield function may not connect or disconnect.
func (r *Replica) Conns(yield func(*Conn) bool) {
	for _, c := range r.conns {
		if c != nil && !yield(c) {
			return
		}
	}
}

// ConnOf returns the connection in a watch registry's slot, nil if there is none.
func (r *Replica) ConnOf(id watch.ConnID) *Conn {
	if int(id) >= len(r.conns) {
		return nil
	}
	return r.conns[id]
}

// Counts returns the totals.
func (r *Replica) Counts() Counts { return r.counts }

// Outstanding returns the number of writes planned and not applied.
func (r *Replica) Outstanding() int { return r.pending.len() }
