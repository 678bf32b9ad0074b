package zab

import (
	"fmt"
	"math"
	"slices"

	"zebu/internal/mutant"
	"zebu/proto"
	"zebu/quorum"
)

// Default limits of learners that are not participants and synchronise at the same time
// (leader.maxConcurrentSnapSyncs, leader.maxConcurrentDiffSyncs).
const (
	DefaultMaxSnapSyncs = 10
	DefaultMaxDiffSyncs = 100
)

// LeaderOptions describe the server that an election has named. Configurations must have passed [quorum.Config.Check].
type LeaderOptions struct {
	ID            proto.ServerID
	AcceptedEpoch proto.Epoch // as on disk
	CurrentEpoch  proto.Epoch
	Last          proto.Zxid     // of the last transaction on disk, all of which have been applied
	Log           *CommitLog     // ends with Last, or is empty
	Committed     *quorum.Config // the committed configuration
	LastSeen      *quorum.Config // the last proposed one, nil if that is the committed one
	Reconfig      bool           // reconfigEnabled
	LogSync       bool           // learners may be synchronised from the log on disk (snapshotSizeFactor >= 0)
	SnapSync      bool           // learners are sent snapshots only (forceSnapshotSync)
	// Oracle says that an oracle can be asked (oraclePath), and Granted that it has just let this server go on alone.
	Oracle, Granted bool
	// EpochWait is how long the leader waits for a quorum even if a voter has begun another election meanwhile
	// (leader.maxTimeToWaitForEpoch); 0: such a voter is not minded.
	EpochWait  proto.Millis
	Timing     Timing
	Extensions proto.Extensions // what learners are told that this server can do
	// MaxSnapSyncs and MaxDiffSyncs replace the defaults unless 0.
	MaxSnapSyncs, MaxDiffSyncs int
	// LastCounter is the counter of an epoch's last zxid; 0 for all that there are. Tests have fewer.
	LastCounter uint32
}

type leaderPhase uint8

const (
	choosing      leaderPhase = iota // collecting accepted epochs
	accepting                        // the new epoch is being written
	electing                         // collecting ACKEPOCHs
	synchronising                    // collecting ACKs of NEWLEADER
	broadcasting
	leaderEnded
)

// Leader is one server's leadership of one epoch.
type Leader struct {
	o          LeaderOptions
	epoch      proto.Epoch
	phase      leaderPhase
	phaseSince proto.Millis
	now        proto.Millis
	log        *CommitLog
	committed  *quorum.Config
	lastSeen   *quorum.Config
	base       quorum.Verifier // of the committed configuration
	rule       quorum.Verifier // of both, as long as the second one is not committed

	reported quorum.Set // whose accepted epochs are known
	elected  quorum.Set // who have accepted the new epoch
	synced   quorum.Set // who have the history of the epoch, this server included
	counting quorum.Set // for counting acknowledgements

	peers peers

	applied      proto.Zxid // last zxid applied: what the state machine has, or the epoch's beginning
	lastProposed proto.Zxid
	logged       proto.Zxid // what this server has on disk
	outstanding  []proposal // proposed and not committed, in order
	syncs        []pendingSync
	confirm      confirmation
	silenced     bool // another server shall lead: commits nothing more
	handing      *handOver
	word         word

	tick     int
	halfTick bool
	nextBeat proto.Millis
	ready    Ready
}

type proposal struct {
	Txn
	rule   quorum.Verifier // by which it is committed
	config *quorum.Config  // of a reconfiguration
}

// pendingSync is a sync that waits for a commit.
type pendingSync struct {
	id    proto.ServerID
	after proto.Zxid
}

// NewLeader begins an epoch.
func NewLeader(o LeaderOptions, now proto.Millis) *Leader {
	if o.LastSeen == nil {
		o.LastSeen = o.Committed
	}
	if o.MaxSnapSyncs <= 0 {
		o.MaxSnapSyncs = DefaultMaxSnapSyncs
	}
	if o.MaxDiffSyncs <= 0 {
		o.MaxDiffSyncs = DefaultMaxDiffSyncs
	}
	if o.LastCounter == 0 {
		o.LastCounter = math.MaxUint32 - 1
	}
	l := &Leader{
		o: o, log: o.Log, now: now, phaseSince: now, epoch: next(o.AcceptedEpoch),
		committed: o.Committed, lastSeen: o.LastSeen, applied: o.Last, logged: o.Last,
	}
	l.reported.Add(o.ID)
	l.setRules()
	if o.Granted && l.AsksOracle() {
		l.word = granted
	}
	l.choose()
	return l
}

func (l *Leader) setRules() {
	l.base = l.committed.Verifier()
	l.rule = l.base
	if l.lastSeen.Version > l.committed.Version && !mutant.On(mutant.OneQuorumDecides) {
		l.rule = quorum.NewJoint(l.base, l.lastSeen.Verifier())
	}
}

// Epoch is the epoch being led, or the least that it can become while learners have not reported.
func (l *Leader) Epoch() proto.Epoch { return l.epoch }

// Configs are the configuration in force and the last one proposed, which is the same if none is pending.
func (l *Leader) Configs() (committed, lastSeen *quorum.Config) { return l.committed, l.lastSeen }

// InSync are this server and those that follow it as participants and have the history of its epoch.
func (l *Leader) InSync() quorum.Set {
	s := quorum.NewSet(l.o.ID)
	for _, p := range l.peers {
		if p.synced && !p.observer {
			s.Add(p.id)
		}
	}
	return s
}

// Resign ends the role because another server shall lead.
func (l *Leader) Resign() { l.end(ErrResigned) }

// NextZxid is the zxid of the next proposal, once the leader is serving.
func (l *Leader) NextZxid() proto.Zxid { return l.lastProposed + 1 }

// Ready returns what is to be done and forgets it. It is valid until the next input.
func (l *Leader) Ready() Ready {
	r := l.ready
	if l.phase != leaderEnded {
		r.Wake = l.wake()
	}
	l.ready = Ready{
		Writes: l.ready.Writes[:0], Deliver: l.ready.Deliver[:0], Messages: l.ready.Messages[:0],
		Drop: l.ready.Drop[:0], Queries: l.ready.Queries[:0],
	}
	return r
}

// LinkUp says that a learner has connected, in place of an older link if there was one, which the caller closes. The caller
// knows who it is from its first packet, which it passes to Recv as well. What Ready says from now on is about the new
// link.
func (l *Leader) LinkUp(id proto.ServerID) {
	if l.phase == leaderEnded {
		return
	}
	l.LinkDown(id)
	l.ready.Drop = slices.DeleteFunc(l.ready.Drop, func(d Drop) bool { return d.ID == id })
	l.peers.add(&peer{id: id, since: l.now, deadline: l.tick + l.o.Timing.InitLimit + l.o.Timing.SyncLimit})
}

// LinkDown says that a learner's link is gone, and with it what has not been sent.
func (l *Leader) LinkDown(id proto.ServerID) {
	if !l.peers.remove(id) {
		return
	}
	if !mutant.On(mutant.LostSyncAnswered) {
		l.syncs = slices.DeleteFunc(l.syncs, func(s pendingSync) bool { return s.id == id })
	}
	l.ready.forget(id)
}

func (l *Leader) peer(id proto.ServerID) *peer { return l.peers.get(id) }

// drop ends a learner's link.
func (l *Leader) drop(p *peer, err error) {
	l.LinkDown(p.id)
	l.ready.Drop = append(l.ready.Drop, Drop{p.id, err})
}

func (l *Leader) end(err error) {
	if l.phase != leaderEnded {
		l.phase = leaderEnded
		l.ready.Ended = err
		l.drain()
	}
}

// drain applies, once the role is over, what is durable without being committed: the next election is held with all that
// the log holds (ZOOKEEPER-2845).
func (l *Leader) drain() {
	n := 0
	if mutant.On(mutant.VoteWithoutLogTail) {
		return
	}
	for n < len(l.outstanding) && l.outstanding[n].Zxid <= l.logged && l.log.Append(l.outstanding[n].Txn) == nil {
		l.ready.Deliver = append(l.ready.Deliver, Delivery{Kind: Replay, Txn: l.outstanding[n].Txn})
		n++
	}
	l.outstanding = l.outstanding[n:]
}

func (l *Leader) send(id proto.ServerID, t proto.PacketType, z proto.Zxid, data []byte) {
	l.ready.Messages = append(l.ready.Messages, Message{To: id, Packet: proto.QuorumPacket{Type: t, Zxid: z, Data: data}})
}

// Recv takes a learner's packet, whose Data becomes the leader's. A learner that breaks the protocol is dropped.
func (l *Leader) Recv(from proto.ServerID, p proto.QuorumPacket) {
	peer := l.peer(from)
	if peer == nil || l.phase == leaderEnded {
		return
	}
	defer l.handOn()
	peer.since = l.now
	if l.phase == broadcasting {
		peer.deadline = l.tick + l.o.Timing.SyncLimit
	}
	if err := l.recv(peer, &p); err != nil {
		l.drop(peer, fmt.Errorf("%v %v from server %d: %w", p.Type, p.Zxid, from, err))
	}
}

func (l *Leader) recv(peer *peer, p *proto.QuorumPacket) error {
	switch p.Type {
	case proto.PacketFollowerInfo, proto.PacketObserverInfo:
		return l.recvInfo(peer, p)
	case proto.PacketAckEpoch:
		return l.recvAckEpoch(peer, p)
	case proto.PacketAck:
		return l.recvAck(peer, p.Zxid)
	case proto.PacketPing, proto.PacketRequest, proto.PacketRevalidate, proto.PacketAsk:
		if !peer.synced || l.phase != broadcasting {
			return errUnexpected
		}
		if p.Type == proto.PacketPing {
			l.pinged(peer)
		}
		l.ready.Deliver = append(l.ready.Deliver, Delivery{Kind: Pass, From: peer.id, Packet: *p})
		return nil
	case proto.PacketHandOver:
		return l.recvHandOver(peer)
	}
	return errUnexpected
}

// SnapshotSent says that the whole snapshot has gone to a learner, which is expected to answer from now on.
func (l *Leader) SnapshotSent(id proto.ServerID) {
	if p := l.peer(id); p != nil {
		p.sending, p.since = false, l.now
	}
}

// Wrote says that a write that is not a transaction is durable.
func (l *Leader) Wrote(k WriteKind) {
	switch {
	case k == AcceptEpoch && l.phase == accepting:
		l.announce()
	case k == EnterEpoch && l.phase == synchronising:
		l.synced.Add(l.o.ID)
		l.establish()
	}
}

// Synced says that this server's log is durable up to z.
func (l *Leader) Synced(z proto.Zxid) {
	if z > l.logged {
		l.logged = z
		if l.phase == leaderEnded {
			l.drain()
		}
		if !mutant.On(mutant.CommitMissesOwnSync) {
			l.commit()
		}
		l.handOn()
	}
}

// Tick tells the time. Calls before the time asked for do no harm.
func (l *Leader) Tick(now proto.Millis) {
	l.now = max(l.now, now)
	if l.phase == leaderEnded {
		return
	}
	l.dropSilent()
	if l.phase != broadcasting {
		if l.now >= l.phaseSince+l.o.Timing.init() {
			l.end(fmt.Errorf("%w: %v", ErrNoQuorum, l.phase))
		}
		return
	}
	for l.now >= l.nextBeat && l.phase == broadcasting {
		l.nextBeat += l.o.Timing.beat()
		l.beat()
	}
	l.handOn()
}

// beat happens twice a tick. If the server was stopped for a while, beats that were missed follow at once, so that
// learners that have not been heard meanwhile do not count for a quorum. Nor do observers that a pending configuration will make
// voters: what counts is who can acknowledge.
func (l *Leader) beat() {
	if l.halfTick = !l.halfTick; !l.halfTick {
		l.tick++
		alive := quorum.NewSet(l.o.ID)
		for _, p := range l.peers {
			if p.synced && !p.observer && l.tick <= p.deadline {
				alive.Add(p.id)
			}
		}
		if mutant.On(mutant.LeadsWithoutQuorum) {
			alive = l.rule.Voters()
		}
		if !l.hasQuorum(l.rule, alive) && !(l.word == unasked && l.AsksOracle()) {
			l.end(fmt.Errorf("%w: heard from %v", ErrNoQuorum, alive))
			return
		}
	}
	for _, p := range l.peers {
		if p.phase == following {
			l.ping(p)
		}
	}
}

// dropSilent drops learners that have been silent for too long, or hold a proposal for too long.
func (l *Leader) dropSilent() {
	for i := len(l.peers) - 1; i >= 0; i-- {
		p := l.peers[i]
		limit := l.o.Timing.init()
		if p.synced {
			limit = l.o.Timing.sync()
		}
		switch {
		case l.now >= p.since+limit && !l.waits(p):
			l.drop(p, ErrSilence)
		case p.sent != 0 && l.now >= p.sentAt+l.o.Timing.sync():
			l.drop(p, fmt.Errorf("%w: proposal %v is not acknowledged", ErrSilence, p.sent))
		}
	}
}

// waits says whether it is not for the learner to speak.
func (l *Leader) waits(p *peer) bool {
	return p.phase == introduced || p.phase == acknowledged || p.phase == asking || p.sending ||
		p.synced && l.phase != broadcasting
}

// Looking says that a voter looks for a leader. If it is one that this leader still waits for, it may have changed its mind.
func (l *Leader) Looking(id proto.ServerID) {
	if l.phase == choosing && l.o.EpochWait > 0 && l.now > l.phaseSince+l.o.EpochWait && l.rule.Voters().Has(id) {
		l.end(fmt.Errorf("%w: server %d", ErrDisloyal, id))
	}
}

// wake returns when time alone next does something.
func (l *Leader) wake() proto.Millis {
	at := l.phaseSince + l.o.Timing.init()
	if l.phase == broadcasting {
		at = l.nextBeat
	}
	if l.handing != nil {
		at = min(at, l.handing.until)
	}
	return at
}

func (p leaderPhase) String() string {
	return [...]string{
		"waiting for accepted epochs", "writing the epoch", "waiting for the epoch to be accepted",
		"waiting for the history to be acknowledged", "broadcasting", "ended",
	}[p]
}
