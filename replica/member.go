package replica

import (
	"errors"
	"fmt"

	"zebu/election"
	"zebu/internal/mutant"
	"zebu/mvcc"
	"zebu/proto"
	"zebu/quorum"
	"zebu/session"
	"zebu/zab"
	"zebu/znode"
)

// MemberOptions describe one server of an ensemble. Configurations must have passed [quorum.Config.Check].
type MemberOptions struct {
	ID        proto.ServerID
	Committed *quorum.Config // the committed configuration
	LastSeen  *quorum.Config // the last proposed one, nil if that is the committed one
	Rules     quorum.Rules   // for reconfigurations
	Reconfig  bool           // reconfigEnabled
	LogSync   bool           // learners may be synchronised from the log on disk
	SnapSync  bool           // learners are sent snapshots only (forceSnapshotSync)
	ReadOnly  bool           // readonlymode.enabled: serve reads while there is no leader for long
	Oracle    bool           // there is an oracle to ask; see [Member.AsksOracle]
	// ObserverCache is that of [zab.ObserverMasterOptions]; 0: as a follower, this server serves no observers.
	ObserverCache int
	Timing        zab.Timing
	// MinNotification and MaxNotification are those of [election.Options], MaxSnapSyncs and MaxDiffSyncs those of
	// [zab.LeaderOptions].
	MinNotification, MaxNotification proto.Millis
	MaxSnapSyncs, MaxDiffSyncs       int
	EpochWait                        proto.Millis
	LastCounter                      uint32 // that of [zab.LeaderOptions]
}

// Disk is what a member finds on its disk besides the state.
type Disk struct {
	AcceptedEpoch, CurrentEpoch proto.Epoch    // as in the files, 0 without
	Log                         *zab.CommitLog // ends with the replica's last transaction, or is empty
	Lost                        bool           // there may have been a database: this server must not vote before it has a leader's
}

// phase is where a member is between two elections.
type phase uint8

const (
	electing phase = iota
	dialing        // a learner without a link to its leader
	engaged        // in a role
	ending         // the role is over, and its writes are not
)

// Member is one server of an ensemble: it takes part in elections, has the role that they give it, and keeps its replica
// accordingly. Like the cores that it is made of it is pure; what it owes its surroundings comes out of [Member.Ready],
// [Member.Deliver] and [Member.Continue], which the caller calls in turn until there is nothing left to do. All methods
// are for the one goroutine that plans and applies.
type Member struct {
	o   MemberOptions
	r   *Replica
	el  *election.Election
	log *zab.CommitLog

	accepted, current   proto.Epoch // as on disk
	committed, lastSeen *quorum.Config
	offered             *quorum.Config // came with NEWLEADER
	lost, refetch       bool           // the next history must be a leader's snapshot

	phase    phase
	leader   *zab.Leader
	learner  *zab.Learner
	master   *zab.ObserverMaster // of a follower that serves observers
	leaderID proto.ServerID
	serving  bool
	since    proto.Millis // when the election began
	reading  bool         // read-only service has begun
	staging  *Replica     // the leader's snapshot, beside the state
	pause    proto.Millis // before the next election
	electAt  proto.Millis // when that is over, 0 if there is none
	askAt    proto.Millis // when the oracle is to be asked again
	granted  bool         // what the oracle has said in this election
	arena    []byte       // transactions being planned lie here until they are forgotten

	owners    map[proto.ServerID]session.Owner // of learners' links
	lastOwner session.Owner

	extensions map[proto.ServerID]proto.Extensions // of servers that this one has had a link with
	handing    *Call                               // of a leader that hands over
	urls       map[proto.ServerID]string           // of other servers' etcd APIs, as far as they have told this one
	readers    []reader                            // of the etcd key space, on a leader, in the order of their tickets
	comers     []doubt                             // of a leader's clients, in the order of their tickets
	doubts     []doubt                             // of its learners, likewise
	sure       uint64                              // the last ticket confirmed
	doubtful   map[proto.ServerID]int              // how many of them are a learner's

	controls []zab.Write // under way, that are no transactions, in order
	appended proto.Zxid  // last transaction given to the log
	durable  proto.Zxid  // last one reported

	issued     []zab.Write
	broken     []zab.Drop        // learners that sent nonsense
	closing    []proto.SessionID // that own ephemerals and do not exist
	deliveries []zab.Delivery
	delivered  int
	begin, end bool           // of service, owed to the replica
	passed     []zab.Delivery // for the role, to be handled by Continue
	views      []View
	activation *activation
	succession *activation // the role that a reconfiguration gives this server when its present one has ended
	leaving    bool        // the present role ends when all that it has given out is done

	role     *Role
	inForce  *quorum.Config
	touching []proto.Touch
}

// activation is a committed reconfiguration.
type activation struct {
	config *quorum.Config
	leader proto.ServerID
	zxid   proto.Zxid
}

// Role is what a member does from now on. Looking: it closes all quorum links. Leading: it accepts learners. Following and
// Observing: it connects to Leader.
type Role struct {
	State  proto.PeerState
	Leader proto.ServerID
	Err    error // of Looking: why the role before ended
}

// View is the snapshot behind a SNAP packet to a learner.
type View struct {
	To    proto.ServerID
	Image *Image
	// Etcd says that the learner takes the etcd key space as well: what storage holds once Marks are committed, and Tail behind it.
	Etcd  bool
	Marks []*mvcc.Batch
	Tail  []EtcdTxn
}

// Ready is what a member owes its surroundings. It is valid until the next call of any other method.
type Ready struct {
	Notifications []election.Message // for the mesh
	Role          *Role              // nil if it is as before
	Writes        []zab.Write        // to be made durable, in order
	Messages      []zab.Message      // for quorum links
	Drop          []zab.Drop         // links to be closed, once messages are sent
	Queries       []zab.LogQuery     // to be answered by [Member.LogAnswer]
	// Config is a configuration that is in force from now on, else nil.
	Config *quorum.Config
	// Deliver says that there is something for [Member.Deliver] to do.
	Deliver bool
	// Observers says, once, that this follower serves observers from now on, until its role ends: their links are reported
	// like those of a leader's learners.
	Observers bool
	// DeliverFirst says that writes and messages need what Deliver brings about: the views for SNAP messages, or the state
	// that is to be installed.
	DeliverFirst bool
	// Wake is when Tick wants to be called at the latest, 0 for never.
	Wake proto.Millis
}

// NewMember returns a member whose replica holds what is on its disk. It does nothing before [Member.Start].
func NewMember(o MemberOptions, r *Replica, d Disk) *Member {
	return &Member{
		o: o, r: r, log: d.Log, accepted: d.AcceptedEpoch, current: d.CurrentEpoch, lost: d.Lost,
		committed: o.Committed, lastSeen: o.LastSeen, owners: map[proto.ServerID]session.Owner{}, doubtful: map[proto.ServerID]int{},
		extensions: map[proto.ServerID]proto.Extensions{}, urls: map[proto.ServerID]string{},
		el: election.New(election.Options{
			ID: o.ID, Committed: o.Committed, LastSeen: o.LastSeen, Reconfig: o.Reconfig,
			MinNotification: o.MinNotification, MaxNotification: o.MaxNotification,
		}),
	}
}

// Start begins the first election.
func (m *Member) Start() {
	m.r.log = m
	m.rest()
	m.elect()
}

func (m *Member) now() proto.Millis { return m.r.now.Mono }

// rest is between two roles, with memory and disk being equal.
func (m *Member) rest() {
	m.phase, m.leaderID = electing, proto.NoServer
	m.since = m.now()
	m.current = max(m.current, m.r.applied.Epoch())
	m.accepted = max(m.accepted, m.current)
	m.appended, m.durable = m.r.applied, m.r.applied
	m.granted = false
	m.el.SetOracle(m.now(), quorum.Oracle{})
}

// DelayElection lets a time pass between the end of the role that this server has or is about to take and the election
// after that: observers are many, and should not come back all at once (observer.election.DelayMs).
func (m *Member) DelayElection(d proto.Millis) { m.pause = d }

// lookAgain begins an election, perhaps after a pause.
func (m *Member) lookAgain() {
	if m.pause > 0 {
		m.electAt, m.pause = m.now()+m.pause, 0
		return
	}
	m.elect()
}

// elect begins an election.
func (m *Member) elect() {
	zxid := m.r.applied
	if m.lost && !mutant.On(mutant.LostDiskVotes) {
		zxid = -1
	}
	m.el.Start(m.now(), zxid, m.current)
}

// Advance tells the time. It comes before the inputs of that time.
func (m *Member) Advance(now Clock) {
	m.r.Advance(now)
	m.el.Tick(m.now())
	if m.electAt != 0 && m.now() >= m.electAt {
		m.electAt = 0
		m.elect()
	}
	if m.o.ReadOnly && m.phase == electing && !m.reading && m.now() >= m.since+m.patience() {
		m.reading, m.begin = true, true
	}
	switch {
	case m.leader != nil:
		m.leader.Tick(m.now())
	case m.learner != nil:
		m.learner.Tick(m.now())
		if m.master != nil {
			m.master.Tick(m.now())
		}
	}
}

// patience is how long an election may take before reads are served without a leader.
func (m *Member) patience() proto.Millis { return max(2000, m.o.Timing.Tick) }

// Tick lets sessions expire and nodes be reaped, as far as that is this server's business. A leader that hands over cannot promise any more
// that a session which it takes for expired is closed.
func (m *Member) Tick() {
	if m.leader == nil || !m.leader.HandingOver() {
		m.r.Tick()
	}
}

// Notified takes a notification. The error is for the log.
func (m *Member) Notified(from proto.ServerID, n *proto.Notification) error {
	err := m.el.Recv(m.now(), from, n)
	if m.leader != nil && n.State == proto.Looking {
		m.leader.Looking(from)
	}
	return err
}

// PeerUp says that the mesh has a connection to a peer.
func (m *Member) PeerUp(id proto.ServerID) { m.el.PeerUp(m.now(), id) }

// PeerDown says that a peer's election port refuses connections.
func (m *Member) PeerDown(id proto.ServerID) { m.el.PeerDown(m.now(), id) }

// LinkUp says that there is a link: to the leader, or from a learner, in place of an older one of the same server if there
// was one.
func (m *Member) LinkUp(id proto.ServerID) {
	switch {
	case m.leader != nil:
		m.lastOwner--
		m.owners[id] = m.lastOwner
		m.leader.LinkUp(id)
	case m.phase == dialing && id == m.leaderID:
		m.phase = engaged
		m.learner = zab.NewLearner(m.learnerOptions(), m.now())
	case m.master != nil && id != m.leaderID:
		m.master.LinkUp(id)
	}
}

func (m *Member) learnerOptions() zab.LearnerOptions {
	o := zab.LearnerOptions{
		ID: m.o.ID, Leader: m.leaderID, Observer: m.el.State() == proto.Observing, AcceptedEpoch: m.accepted,
		CurrentEpoch: m.current, Last: m.r.applied, Log: m.log, Refetch: m.refetch || m.lost, Timing: m.o.Timing,
		Extensions: m.ownExtensions(),
	}
	if m.o.Reconfig {
		o.ConfigVersion = m.committed.Version
	}
	return o
}

// LinkDown says that a link is gone, or that there is none to the leader.
func (m *Member) LinkDown(id proto.ServerID, err error) {
	switch {
	case m.leader != nil:
		delete(m.owners, id)
		m.leader.LinkDown(id)
		if s := m.succession; s != nil && s.leader == id {
			m.leader.Resign()
		}
	case m.learner != nil && id == m.leaderID:
		m.learner.LinkDown()
	case m.master != nil:
		m.master.LinkDown(id)
	case m.phase == dialing && id == m.leaderID:
		m.role = &Role{State: proto.Looking, Err: err}
		m.rest()
		m.lookAgain()
	}
}

// Unreachable says that the leader of the last election cannot be reached: it neither answers nor refuses.
func (m *Member) Unreachable(id proto.ServerID, err error) {
	m.el.Unreachable(m.now(), id)
	m.LinkDown(id, err)
}

// Recv takes a packet from a link. Its data becomes the member's.
func (m *Member) Recv(from proto.ServerID, p proto.QuorumPacket) {
	m.introduced(from, &p)
	switch {
	case !m.mayJoin(from, &p):
		m.refuse(from)
	case m.leader != nil:
		m.leader.Recv(from, p)
	case m.learner != nil && from == m.leaderID:
		m.learner.Recv(p)
	case m.master != nil:
		m.master.Recv(from, p)
	}
}

// Synced says that the log is durable up to z.
func (m *Member) Synced(z proto.Zxid) {
	m.durable = z
	switch {
	case m.leader != nil:
		m.leader.Synced(z)
	case m.learner != nil:
		m.learner.Synced(z)
	}
}

// Wrote says that the oldest write that is no transaction is durable. After Truncate, state is what has been read back from the
// disk, else nil. After Truncate and InstallSnapshot the member's state changes: the caller has it for itself.
func (m *Member) Wrote(state *Replica) {
	w := m.controls[0]
	m.controls = m.controls[1:]
	switch w.Kind {
	case zab.AcceptEpoch:
		m.accepted = w.Epoch
	case zab.EnterEpoch:
		m.current = w.Epoch
	case zab.Truncate:
		m.r.adopt(state)
	case zab.InstallSnapshot:
		m.staging.fuzzyUntil = m.staging.applied
		m.r.adopt(m.staging)
		m.staging, m.refetch, m.lost = nil, false, false
	}
	switch {
	case m.leader != nil:
		m.leader.Wrote(w.Kind)
	case m.learner != nil:
		m.learner.Wrote(w.Kind)
	}
}

// CannotTruncate says that the oldest such write, a Truncate, could not be done and that nothing has changed, and that no
// transaction behind it is written.
func (m *Member) CannotTruncate() {
	m.controls = m.controls[1:]
	m.appended = m.durable
	if m.learner != nil {
		m.learner.CannotTruncate()
	}
}

// LogAnswer answers a query about the log on disk.
func (m *Member) LogAnswer(q zab.LogQuery, a zab.LogAnswer) {
	switch {
	case m.leader != nil:
		m.leader.LogAnswer(q, a)
	case m.master != nil:
		m.master.LogAnswer(q, a)
	}
}

// SnapshotSent says that all of a snapshot has gone to a learner.
func (m *Member) SnapshotSent(id proto.ServerID) {
	switch {
	case m.leader != nil:
		m.leader.SnapshotSent(id)
	case m.master != nil:
		m.master.SnapshotSent(id)
	}
}

// NewLoader returns a loader for a snapshot that comes from the leader.
func (m *Member) NewLoader() *Loader { return New(m.r.opt).Loader() }

// SnapshotLoaded takes the snapshot behind a SNAP packet, whose zxid is z. An error means that it is not used.
func (m *Member) SnapshotLoaded(l *Loader, z proto.Zxid) error {
	if m.learner == nil {
		return nil
	}
	if store := m.r.kv.store; l.Etcd == nil && store != nil && !store.Empty() {
		return errWithoutEtcd
	}
	if err := l.Finish(z); err != nil {
		return err
	}
	m.staging = l.r
	m.staging.fuzzyUntil = unassigned // it may hold more than its zxid says
	m.learner.SnapshotLoaded()
	return nil
}

// Staged is the state that an InstallSnapshot write is to make durable.
func (m *Member) Staged() *Image { return m.staging.Image() }

// StagedTail is what that has of the etcd API behind the key space that came with the snapshot.
func (m *Member) StagedTail() []EtcdTxn { return m.staging.EtcdTail() }

// Submit takes a client's request that must keep its place in its session's order; see [Replica.Submit].
func (m *Member) Submit(c *Conn, req *Request) {
	if req.Op == proto.OpReconfig {
		m.tellPlanner()
	}
	m.r.Submit(c, req)
}

// tellPlanner tells the planner what a reconfiguration has to know.
func (m *Member) tellPlanner() {
	if m.r.role != leading {
		return
	}
	committed, lastSeen := m.leader.Configs()
	m.r.planner.SetEnsemble(znode.Ensemble{
		Config: lastSeen, Pending: lastSeen.Version > committed.Version, Synced: m.leader.InSync(),
		Standalone: m.o.Rules.Standalone, MultiAddress: m.o.Rules.MultiAddress,
	})
}

// State is the server's part in the ensemble, as elections know it.
func (m *Member) State() proto.PeerState { return m.el.State() }

// Serving says whether clients are served by a leader or one of its learners.
func (m *Member) Serving() bool { return m.serving }

// ReadOnly says whether clients are served reads, for want of a leader.
func (m *Member) ReadOnly() bool { return m.reading }

// Leader is the leader that was elected, [proto.NoServer] during elections.
func (m *Member) Leader() proto.ServerID { return m.leaderID }

// Vote is the server's vote.
func (m *Member) Vote() election.Vote { return m.el.Vote() }

// Epochs are the accepted and the current epoch.
func (m *Member) Epochs() (accepted, current proto.Epoch) { return m.accepted, m.current }

// Config is the configuration in force.
func (m *Member) Config() *quorum.Config { return m.committed }

// LastSeen is the last configuration proposed, nil if it is in force.
func (m *Member) LastSeen() *quorum.Config { return m.lastSeen }

// Begin and End make the member the [Log] that its replica plans into: what is planned is proposed.
func (m *Member) Begin() []byte {
	const chunk, least = 64 << 10, 1 << 10
	if cap(m.arena)-len(m.arena) < least {
		m.arena = make([]byte, 0, chunk)
	}
	return m.arena[len(m.arena):len(m.arena):cap(m.arena)]
}

// End proposes a transaction. If the role has just ended, the transaction is lost, and all who wait for it will be
// told so by the end of their connections.
func (m *Member) End(buf []byte, z proto.Zxid) {
	if len(buf) <= cap(m.arena)-len(m.arena) { // it has not outgrown the arena
		m.arena = m.arena[:len(m.arena)+len(buf)]
	}
	p := zab.Proposal{Txn: zab.Txn{Zxid: z, Data: buf}, Config: m.r.planner.Reconfigured()}
	if err := m.leader.Propose(p); err != nil && !errors.Is(err, zab.ErrEnded) && !errors.Is(err, zab.ErrRollover) {
		panic(fmt.Sprintf("proposal: %v", err)) // the planner and the leader disagree about this epoch
	}
}
