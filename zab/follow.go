package zab

import (
	"errors"
	"fmt"

	"zebu/internal/mutant"
	"zebu/proto"
)

// Violations of the order of packets.
var (
	errGap        = errors.New("zab: gap in the leader's history")
	errWrongHead  = errors.New("zab: it is not the next proposal's")
	errTruncAhead = errors.New("zab: it is ahead of this server")
)

// recvOp takes the packet that says how this server's history becomes the leader's (spec 8.4).
func (l *Learner) recvOp(p *proto.QuorumPacket) error {
	if l.o.Refetch && p.Type != proto.PacketSnap {
		return errSnapshotExpected
	}
	l.op = p.Type
	if mutant.On(mutant.EpochBeforeHistory) {
		l.write(Write{Kind: EnterEpoch, Epoch: l.epoch})
	}
	switch p.Type {
	case proto.PacketDiff:
		l.begin(l.o.Last)
	case proto.PacketTrunc:
		if p.Zxid > l.o.Last {
			return errTruncAhead
		}
		l.begin(p.Zxid)
		if mutant.On(mutant.TruncIgnored) {
			return nil
		}
		l.cutting = true
		l.logged = p.Zxid
		l.write(Write{Kind: Truncate, Zxid: p.Zxid})
	case proto.PacketSnap:
		l.begin(p.Zxid)
		l.phase = loading
	default:
		return errUnexpected
	}
	return nil
}

func (l *Learner) begin(base proto.Zxid) {
	l.phase = receiving
	l.base, l.last, l.applied = base, base, base
}

// recvHistory takes the leader's history up to NEWLEADER.
func (l *Learner) recvHistory(p *proto.QuorumPacket) error {
	switch p.Type {
	case proto.PacketProposal:
		if l.inSnapshot(p.Zxid) {
			return nil
		}
		return l.queue(Txn{p.Zxid, p.Data})
	case proto.PacketCommit, proto.PacketCommitAndActivate:
		return l.recvCommit(p)
	case proto.PacketInform, proto.PacketInformAndActivate:
		return l.recvInform(p)
	case proto.PacketNewLeader:
		return l.recvNewLeader(p)
	case proto.PacketPing:
		return nil // an answer before the acknowledgement would confuse the leader
	}
	return errUnexpected
}

// recvLive takes what comes after the acknowledgement of NEWLEADER. Commits may come before UPTODATE (ZOOKEEPER-4394).
func (l *Learner) recvLive(p *proto.QuorumPacket) error {
	switch p.Type {
	case proto.PacketProposal, proto.PacketCommit, proto.PacketCommitAndActivate:
		return l.recvBroadcast(p)
	case proto.PacketInform, proto.PacketInformAndActivate:
		return l.recvInform(p)
	case proto.PacketUpToDate:
		if l.serving && !mutant.On(mutant.ServesDuringRecovery) {
			return errUnexpected
		}
		l.serving = true
		l.ready.Serving = true
		l.send(proto.PacketAck, l.beginning(), nil)
		return nil
	case proto.PacketPing, proto.PacketRevalidate, proto.PacketSync, proto.PacketAsk, proto.PacketHandOver:
		if !l.serving { // as with Apache's learner, so that leaders can count the answers to their pings
			return nil
		}
		l.ready.Deliver = append(l.ready.Deliver, Delivery{Kind: Pass, From: l.o.Leader, Packet: *p})
		return nil
	}
	return errUnexpected
}

// recvBroadcast takes what the leader sends to followers; an observer is told again by INFORM.
func (l *Learner) recvBroadcast(p *proto.QuorumPacket) error {
	switch {
	case l.o.Observer || l.inSnapshot(p.Zxid):
		return nil
	case p.Type != proto.PacketProposal:
		return l.recvCommit(p)
	}
	t := Txn{p.Zxid, p.Data}
	if err := l.queue(t); err != nil {
		return err
	}
	l.log(t)
	if mutant.On(mutant.AckBeforeSync) {
		l.send(proto.PacketAck, t.Zxid, nil)
		return nil
	}
	l.unacked = append(l.unacked, t.Zxid)
	return nil
}

func (l *Learner) beginning() proto.Zxid { return proto.MakeZxid(l.epoch, 0) }

// inSnapshot says whether a transaction is part of the snapshot already: a leader may repeat what it applied between its
// decision to send one and taking it.
func (l *Learner) inSnapshot(z proto.Zxid) bool { return l.op == proto.PacketSnap && z <= l.base }

// queue takes a proposal behind all others.
func (l *Learner) queue(t Txn) error {
	if !follows(l.last, t.Zxid) {
		return fmt.Errorf("%w: after %v", errGap, l.last)
	}
	l.last = t.Zxid
	l.pending = append(l.pending, t)
	return nil
}

// log has a transaction written.
func (l *Learner) log(t Txn) {
	l.write(Write{Kind: AppendTxn, Txn: t})
}

// recvCommit commits the next proposal, and no other.
func (l *Learner) recvCommit(p *proto.QuorumPacket) error {
	d := Delivery{Kind: Apply}
	if p.Type == proto.PacketCommitAndActivate {
		leader, _, err := proto.DecodeActivation(p.Data)
		if err != nil {
			return err
		}
		d.Activate, d.Leader = true, leader
	}
	if l.inSnapshot(p.Zxid) {
		return nil
	}
	return l.commit(p.Zxid, d)
}

func (l *Learner) commit(z proto.Zxid, d Delivery) error {
	if len(l.pending) == 0 || l.pending[0].Zxid != z {
		return errWrongHead
	}
	d.Txn = l.pending[0]
	l.pending[0] = Txn{}
	l.pending = l.pending[1:]
	return l.committed(d)
}

// recvInform takes a committed transaction: what PROPOSAL and COMMIT are for followers.
func (l *Learner) recvInform(p *proto.QuorumPacket) error {
	d := Delivery{Kind: Apply, Txn: Txn{p.Zxid, p.Data}}
	if p.Type == proto.PacketInformAndActivate {
		var err error
		if d.Leader, d.Txn.Data, err = proto.DecodeActivation(p.Data); err != nil {
			return err
		}
		d.Activate = true
	}
	if l.inSnapshot(p.Zxid) {
		return nil
	}
	if err := l.queue(d.Txn); err != nil {
		return err
	}
	if err := l.commit(p.Zxid, d); err != nil {
		return err
	}
	if l.phase == live {
		l.log(d.Txn)
	}
	return nil
}

// committed applies a transaction, or has it written first. While the learner synchronises, the leader's history may still
// turn out not to be a quorum's, so memory must not know more than the disk does (ZOOKEEPER-5094). What is committed on top of a
// snapshot becomes part of it.
func (l *Learner) committed(d Delivery) error {
	if l.phase != receiving || l.op == proto.PacketSnap {
		return l.apply(d)
	}
	if mutant.On(mutant.MemoryAheadOfLog) {
		l.unsaved = append(l.unsaved, d)
		return l.apply(d)
	}
	l.log(d.Txn)
	l.unsaved = append(l.unsaved, d)
	return nil
}

func (l *Learner) apply(d Delivery) error {
	l.applied = d.Txn.Zxid
	l.ready.Deliver = append(l.ready.Deliver, d)
	if n := len(l.ready.Deliver); mutant.On(mutant.InformOutOfOrder) && l.o.Observer && n > 1 {
		l.ready.Deliver[n-2], l.ready.Deliver[n-1] = l.ready.Deliver[n-1], l.ready.Deliver[n-2]
	}
	if l.phase == receiving && l.op == proto.PacketSnap {
		l.staged = append(l.staged, d.Txn)
		return nil
	}
	return l.o.Log.Append(d.Txn)
}

// recvNewLeader takes the end of the leader's history.
func (l *Learner) recvNewLeader(p *proto.QuorumPacket) error {
	if p.Zxid != l.beginning() {
		return errUnexpected
	}
	if len(p.Data) > 1 {
		l.write(Write{Kind: SaveConfig, Config: p.Data})
	}
	l.phase = settling
	if mutant.On(mutant.MemoryAheadOfLog) {
		for i := range l.unsaved {
			l.log(l.unsaved[i].Txn)
		}
		l.unsaved = nil
	}
	if mutant.On(mutant.AckBeforeHistory) {
		l.send(proto.PacketAck, l.beginning(), nil)
	}
	if l.op == proto.PacketSnap {
		l.installing = true
		l.write(Write{Kind: InstallSnapshot, Zxid: l.applied})
	}
	if mutant.On(mutant.EarlyAckCounts) {
		l.logPending()
	}
	l.saved()
	return nil
}

// install takes the committed log over from the snapshot: what was committed on top of it.
func (l *Learner) install() {
	l.logged = l.applied
	l.o.Log.reset()
	for _, t := range l.staged {
		if err := l.o.Log.Append(t); err != nil {
			l.end(err)
			return
		}
	}
	l.staged = nil
	l.saved()
}

// saved goes on when something has become durable. The order is fixed (ZOOKEEPER-3911, ZOOKEEPER-4643, ZOOKEEPER-4785): first
// the history, then the epoch, then the acknowledgement, each of them durable before the next begins.
func (l *Learner) saved() {
	if l.cutting {
		return
	}
	n := 0
	for n < len(l.unsaved) && l.unsaved[n].Txn.Zxid <= l.logged {
		if err := l.apply(l.unsaved[n]); err != nil {
			l.end(err)
			return
		}
		n++
	}
	l.unsaved = l.unsaved[n:]
	if l.ended {
		l.drain()
		return
	}
	if l.phase == settling && !l.installing && len(l.unsaved) == 0 {
		l.phase = entering
		l.write(Write{Kind: EnterEpoch, Epoch: l.epoch})
	}
}

// drain applies, once the role is over, what has become durable without being committed: the next election is held with
// all that the log holds (ZOOKEEPER-2845).
func (l *Learner) drain() {
	if l.phase != live || l.o.Observer || mutant.On(mutant.VoteWithoutLogTail) {
		return
	}
	n := 0
	for n < len(l.pending) && l.pending[n].Zxid <= l.logged && l.apply(Delivery{Kind: Replay, Txn: l.pending[n]}) == nil {
		n++
	}
	l.pending = l.pending[n:]
}

// enter acknowledges NEWLEADER. Proposals that were not committed with the history are logged now, so that their
// acknowledgements come behind this one (ZOOKEEPER-4685); then what came meanwhile gets its turn.
func (l *Learner) enter() {
	l.phase = live
	l.heard = l.now
	l.send(proto.PacketAck, l.beginning(), nil)
	if mutant.On(mutant.ServesDuringRecovery) {
		l.serving, l.ready.Serving = true, true
	}
	if mutant.On(mutant.CommitBeforeUpToDate) {
		l.pending = nil
	}
	if l.o.Observer { // it is told again of what old leaders proposed to it
		l.pending, l.last = nil, l.applied
	}
	if !mutant.On(mutant.EarlyAckCounts) {
		l.logPending()
	}
	held := l.held
	l.held = nil
	for i := range held {
		if err := l.recv(&held[i]); err != nil {
			l.end(fmt.Errorf("%v %v: %w", held[i].Type, held[i].Zxid, err))
			return
		}
	}
}

// logPending has what is proposed and not committed written and, once it is, acknowledged.
func (l *Learner) logPending() {
	for _, t := range l.pending {
		l.log(t)
		l.unacked = append(l.unacked, t.Zxid)
	}
}
