package zab

import (
	"errors"
	"fmt"

	"zebu/internal/mutant"
	"zebu/proto"
)

// LearnerOptions describe a server that follows or observes the leader of an election.
type LearnerOptions struct {
	ID            proto.ServerID
	Leader        proto.ServerID
	Observer      bool
	AcceptedEpoch proto.Epoch // as on disk
	CurrentEpoch  proto.Epoch
	Last          proto.Zxid // of the last transaction on disk, all of which have been applied
	ConfigVersion proto.Zxid // of the committed configuration
	Log           *CommitLog // ends with Last, or is empty
	// Refetch asks for a snapshot, whatever Last is: the role before this one ended with [ErrNoHistory].
	Refetch    bool
	Extensions proto.Extensions // what the leader is told that this server can do
	Timing     Timing
}

type learnerPhase uint8

const (
	registering learnerPhase = iota // waits for LEADERINFO
	promising                       // the accepted epoch is being written
	waiting                         // waits for DIFF, TRUNC or SNAP
	loading                         // a snapshot comes in
	receiving                       // takes the history up to NEWLEADER
	settling                        // the history is being written
	entering                        // the current epoch is being written
	live
)

// Learner is one server's following or observing of a leader for one epoch.
type Learner struct {
	o     LearnerOptions
	phase learnerPhase
	epoch proto.Epoch // the leader's
	now   proto.Millis
	heard proto.Millis // when the leader was last heard from

	op      proto.PacketType // DIFF, TRUNC or SNAP
	base    proto.Zxid       // last zxid of what the op left or brought
	last    proto.Zxid       // of the last proposal taken
	applied proto.Zxid       // of the last transaction delivered

	cutting    bool // a Truncate is not durable yet
	installing bool // an InstallSnapshot is not

	pending []Txn        // proposed and not committed, in order
	unsaved []Delivery   // committed, being written, to be applied once durable; until NEWLEADER is acknowledged
	staged  []Txn        // committed on top of a snapshot that is not installed
	logged  proto.Zxid   // what is durable
	unacked []proto.Zxid // proposals being written, to be acknowledged

	held    []proto.QuorumPacket // came while the history was being written
	serving bool
	ended   bool
	ready   Ready
}

// NewLearner begins to follow; the link to the leader is there.
func NewLearner(o LearnerOptions, now proto.Millis) *Learner {
	l := &Learner{o: o, now: now, heard: now, logged: o.Last, applied: o.Last}
	info := proto.LearnerInfo{
		ServerID: o.ID, ProtocolVersion: proto.QuorumProtocolVersion, ConfigVersion: int64(o.ConfigVersion),
	}
	t := proto.PacketFollowerInfo
	if o.Observer {
		t = proto.PacketObserverInfo
	}
	l.send(t, proto.MakeZxid(o.AcceptedEpoch, 0), o.Extensions.Append(info.Append(nil)))
	return l
}

// Epoch is the leader's epoch, 0 before it is known.
func (l *Learner) Epoch() proto.Epoch { return l.epoch }

// Serving says whether clients may be served.
func (l *Learner) Serving() bool { return l.serving && !l.ended }

// Ready returns what is to be done and forgets it. It is valid until the next input.
func (l *Learner) Ready() Ready {
	r := l.ready
	if !l.ended && !l.busy() {
		r.Wake = l.heard + l.patience()
	}
	l.ready = Ready{Writes: l.ready.Writes[:0], Deliver: l.ready.Deliver[:0], Messages: l.ready.Messages[:0]}
	return r
}

// busy says whether this server's own disk is waited for, or a snapshot that comes in, and not a packet.
func (l *Learner) busy() bool {
	switch l.phase {
	case promising, loading, settling, entering:
		return true
	}
	return false
}

// patience is how long the leader may be silent.
func (l *Learner) patience() proto.Millis {
	if l.phase == live {
		return l.o.Timing.sync()
	}
	return l.o.Timing.init()
}

// Tick tells the time. Calls before the time asked for do no harm.
func (l *Learner) Tick(now proto.Millis) {
	l.now = max(l.now, now)
	if l.busy() {
		l.heard = l.now
	} else if l.now >= l.heard+l.patience() {
		l.end(ErrSilence)
	}
}

// LinkDown says that the link to the leader is gone.
func (l *Learner) LinkDown() { l.end(ErrLinkDown) }

func (l *Learner) end(err error) {
	if !l.ended {
		l.ended = true
		l.ready.Ended = err
		l.drain()
	}
}

func (l *Learner) send(t proto.PacketType, z proto.Zxid, data []byte) {
	l.post(proto.QuorumPacket{Type: t, Zxid: z, Data: data})
}

func (l *Learner) post(p proto.QuorumPacket) {
	if !l.ended {
		l.ready.Messages = append(l.ready.Messages, Message{To: l.o.Leader, Packet: p})
	}
}

// Send sends the leader a packet of the server's own: a REQUEST or REVALIDATE of a client, or the answer to a PING with the
// sessions heard from. Before the leader can understand it, when NEWLEADER is not acknowledged, and after the end it is
// dropped.
func (l *Learner) Send(p proto.QuorumPacket) {
	if l.phase == live {
		l.post(p)
	}
}

func (l *Learner) write(w Write) { l.ready.Writes = append(l.ready.Writes, w) }

// Recv takes the leader's packet, whose Data becomes the learner's. What breaks the protocol ends the role: the next one starts
// from what is on disk (ZOOKEEPER-5094, ZOOKEEPER-2355).
func (l *Learner) Recv(p proto.QuorumPacket) {
	if l.ended {
		return
	}
	l.heard = l.now
	if l.phase == settling || l.phase == entering {
		l.held = append(l.held, p)
		return
	}
	if err := l.recv(&p); err != nil {
		l.end(fmt.Errorf("%v %v: %w", p.Type, p.Zxid, err))
	}
}

func (l *Learner) recv(p *proto.QuorumPacket) error {
	switch l.phase {
	case registering:
		return l.recvEpoch(p)
	case waiting:
		return l.recvOp(p)
	case receiving:
		return l.recvHistory(p)
	case live:
		return l.recvLive(p)
	}
	return errUnexpected
}

// recvEpoch takes LEADERINFO. The promise to refuse older leaders is kept on disk before it is given (spec 8.7). Who has given
// it already must not count a second time.
func (l *Learner) recvEpoch(p *proto.QuorumPacket) error {
	if p.Type != proto.PacketLeaderInfo {
		return errUnexpected
	}
	l.epoch = p.Zxid.Epoch()
	switch {
	case l.epoch < l.o.AcceptedEpoch && !mutant.On(mutant.OldEpochAccepted):
		return fmt.Errorf("%w: %d", ErrOldEpoch, l.o.AcceptedEpoch)
	case l.epoch == l.o.AcceptedEpoch && !mutant.On(mutant.PromiseCountsTwice, mutant.ZxidReused):
		l.promise(-1)
	default:
		l.phase = promising
		l.write(Write{Kind: AcceptEpoch, Epoch: l.epoch})
	}
	return nil
}

// promise sends ACKEPOCH. A server that needs a snapshot presents itself as an empty one, and does not count.
func (l *Learner) promise(current proto.Epoch) {
	l.phase = waiting
	l.heard = l.now
	last := l.o.Last
	if l.o.Refetch && !mutant.On(mutant.LostDiskVotes) {
		last, current = 0, -1
	}
	l.send(proto.PacketAckEpoch, last, proto.AppendInt32(nil, int32(current)))
}

// Wrote says that a write that is not a transaction is durable.
func (l *Learner) Wrote(k WriteKind) {
	switch {
	case k == Truncate && l.cutting:
		l.cutting = false
		l.o.Log.truncate(l.base)
		l.saved()
	case k == InstallSnapshot && l.installing:
		l.installing = false
		l.install()
	case l.ended:
	case k == AcceptEpoch && l.phase == promising:
		l.promise(l.o.CurrentEpoch)
	case k == EnterEpoch && l.phase == entering:
		l.enter()
	}
}

// CannotTruncate says that the disk cannot be cut back as a [Truncate] asked, and has not been changed. The next role has to
// ask for a snapshot.
func (l *Learner) CannotTruncate() { l.end(ErrNoHistory) }

// SnapshotLoaded says that the leader's snapshot has come in completely and is loaded beside the state. If it cannot be read,
// the caller calls LinkDown. Apache's leader applies transactions while it sends a snapshot, and sends them again behind
// it: applying to a loaded snapshot must bear with what is there already.
func (l *Learner) SnapshotLoaded() {
	if l.phase == loading && !l.ended {
		l.phase = receiving
		l.heard = l.now
	}
}

// Synced says that the log is durable up to z.
func (l *Learner) Synced(z proto.Zxid) {
	if z <= l.logged {
		return
	}
	l.logged = z
	n := 0
	for n < len(l.unacked) && l.unacked[n] <= z {
		l.send(proto.PacketAck, l.unacked[n], nil)
		n++
	}
	l.unacked = l.unacked[n:]
	l.saved()
}

// errSnapshotExpected is a history offered to a server that must not keep its own.
var errSnapshotExpected = errors.New("zab: expected a snapshot")
