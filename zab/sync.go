package zab

import (
	"zebu/internal/mutant"
	"zebu/proto"
)

// LogAnswer is what the log on disk says about the transactions around a learner's last zxid. The zero value says that
// a snapshot is the better way: the log does not reach back so far, or what it has is too large.
type LogAnswer struct {
	// Prev is the greatest zxid in the log that is not greater than the learner's.
	Prev proto.Zxid
	// Next is the least one that is greater, 0 if there is none.
	Next proto.Zxid
	// Through is the greatest one, not greater than [LogQuery].Max, up to which the log has no gap from Prev on.
	Through proto.Zxid
}

// syncPlan says how a learner's history becomes the leader's.
type syncPlan struct {
	op   proto.PacketType
	zxid proto.Zxid // of the op packet
}

var snapshot = syncPlan{op: proto.PacketSnap}

// walk decides by the transactions around the learner's last zxid: prev is the greatest that is not greater, next the least
// that is, 0 for none (spec 8.4). A zxid with counter 0 was never a transaction's; there is nothing to cut then.
func walk(last, prev, next, end proto.Zxid) syncPlan {
	switch {
	case prev == last || isFirst(last):
		return syncPlan{proto.PacketDiff, end}
	case next != 0 && next.Epoch() == last.Epoch():
		return syncPlan{proto.PacketTrunc, prev}
	}
	return snapshot // a learner cannot be cut back to another epoch
}

// origin is what learners get their history from.
type origin struct {
	log     *CommitLog
	applied proto.Zxid // where the state machine is
	disk    bool       // the log on disk counts too
	snap    bool       // only snapshots count
}

func (l *Leader) origin() origin { return origin{l.log, l.applied, l.o.LogSync, l.o.SnapSync} }

// bounds returns the ends of the committed log, and where the state machine is if that is empty.
func (o *origin) bounds() (oldest, newest proto.Zxid) {
	if o.log.Len() == 0 {
		return o.applied, o.applied
	}
	return o.log.Min(), o.log.Max()
}

// plan decides how a learner whose history ends with last gets this one (spec 8.4), as Apache ZooKeeper does, whose learners rely
// on it. There is one exception: when its committed log is empty, Apache's leader lets a learner cut its history back to the
// beginning of an epoch, where no transaction is, and Apache's learner then keeps one too many; here a snapshot is sent.
// The learner has the history up to after, once it has done as the plan says. If ask is not 0, the log on disk has to be
// asked about last and what comes after, up to ask.
func (o *origin) plan(last proto.Zxid) (plan syncPlan, after, ask proto.Zxid) {
	oldest, newest := o.bounds()
	switch {
	case o.snap:
		return snapshot, 0, 0
	case last == o.applied:
		return syncPlan{proto.PacketDiff, last}, last, 0
	case last > newest && !isFirst(last) && isFirst(newest):
		return snapshot, 0, 0
	case last > newest && !isFirst(last):
		return syncPlan{proto.PacketTrunc, newest}, newest, 0
	case oldest <= last && last <= newest:
		return o.walkCommitted(last, newest), last, 0
	case last < oldest && o.disk:
		return syncPlan{}, 0, oldest
	}
	return snapshot, 0, 0
}

// planWith decides likewise, by what the log on disk has to say.
func (o *origin) planWith(last proto.Zxid, a LogAnswer) syncPlan {
	oldest, newest := o.bounds()
	if a.Prev != 0 && a.Next != 0 && a.Through >= oldest {
		return walk(last, a.Prev, a.Next, newest)
	}
	return snapshot
}

func (o *origin) walkCommitted(last, newest proto.Zxid) syncPlan {
	later := o.log.after(last)
	txns := o.log.all()
	var prev, next proto.Zxid
	if n := len(txns) - len(later); n > 0 {
		prev = txns[n-1].Zxid
	}
	if len(later) > 0 {
		next = later[0].Zxid
	}
	return walk(last, prev, next, newest)
}

// synchronise gives a learner that has accepted the epoch the leader's history.
func (l *Leader) synchronise(p *peer) {
	o := l.origin()
	plan, after, ask := o.plan(p.last)
	if ask != 0 {
		p.phase = asking
		l.ready.Queries = append(l.ready.Queries, LogQuery{ID: p.id, Last: p.last, Max: ask})
		return
	}
	l.stream(p, plan, after)
}

// LogAnswer answers a [LogQuery]. The log must keep what it spoke of until the messages that follow have been sent.
func (l *Leader) LogAnswer(q LogQuery, a LogAnswer) {
	p := l.peer(q.ID)
	if p == nil || p.phase != asking || p.last != q.Last || l.phase == leaderEnded {
		return
	}
	o := l.origin()
	plan := o.planWith(p.last, a)
	if plan == snapshot {
		l.stream(p, plan, 0)
		return
	}
	if !l.admit(p, plan) {
		return
	}
	l.send(p.id, plan.op, plan.zxid, nil)
	l.ready.Messages = append(l.ready.Messages, Message{To: p.id, LogAfter: p.last, LogThrough: a.Through})
	l.forward(p, a.Through)
}

// stream queues everything up to NEWLEADER: the learner has the history up to after, once it has done as the plan says.
func (l *Leader) stream(p *peer, plan syncPlan, after proto.Zxid) {
	if !l.admit(p, plan) {
		return
	}
	if plan.op == proto.PacketSnap {
		p.snap, p.sending = true, true
		plan.zxid, after = l.applied, l.applied
		l.ready.Deliver = append(l.ready.Deliver, Delivery{Kind: View, From: p.id})
	}
	l.send(p.id, plan.op, plan.zxid, nil)
	l.forward(p, after)
}

// forward sends what the learner lacks after a zxid, then NEWLEADER; everything later goes behind that. The order is the
// whole point (ZOOKEEPER-3104).
func (l *Leader) forward(p *peer, after proto.Zxid) {
	if mutant.On(mutant.NewLeaderFirst) {
		l.send(p.id, proto.PacketNewLeader, l.beginning(), []byte(l.lastSeen.String()))
	}
	for i, t := range l.log.after(after) {
		if i == 1 && mutant.On(mutant.CommittedLeftOut) {
			continue
		}
		l.send(p.id, proto.PacketProposal, t.Zxid, t.Data)
		l.send(p.id, proto.PacketCommit, t.Zxid, nil)
	}
	if !p.observer && !mutant.On(mutant.OutstandingLeftOut) {
		for i := range l.outstanding {
			l.send(p.id, proto.PacketProposal, l.outstanding[i].Zxid, l.outstanding[i].Data)
		}
	}
	p.phase = following
	p.acked = l.applied
	p.since = l.now
	if mutant.On(mutant.NewLeaderFirst) {
		return
	}
	l.send(p.id, proto.PacketNewLeader, l.beginning(), []byte(l.lastSeen.String()))
}

// admit says whether another learner may synchronise. Participants always may.
func (l *Leader) admit(p *peer, plan syncPlan) bool {
	if !p.observer || l.peers.room(plan, l.o.MaxSnapSyncs, l.o.MaxDiffSyncs) {
		return true
	}
	l.drop(p, errTooManySyncs)
	return false
}

// recvAck takes an acknowledgement: the first one is of NEWLEADER. Releases before 3.8.5 and 3.9.2 may send others before it
// (ZOOKEEPER-4685), which count once it is there.
func (l *Leader) recvAck(p *peer, z proto.Zxid) error {
	switch {
	case p.phase != following:
		return errUnexpected
	case z == l.beginning() && !p.synced:
		l.welcome(p)
		return nil
	case isFirst(z) || p.observer || z <= p.acked:
		return nil // of NEWLEADER again after UPTODATE, or of a reconnected past
	case z <= l.applied: // the others were faster
		p.acked = z
		l.relieve(p, z)
		return nil
	}
	return l.acknowledge(p, z)
}

// welcome counts a learner that has made the epoch's history its own. It may come as an observer and be a voter of a
// configuration that nobody but its proposer has noted: with that its acknowledgement counts as a voter's.
func (l *Leader) welcome(p *peer) {
	p.synced = true
	p.since = l.now
	if p.durable {
		l.synced.Add(p.id)
	}
	if !p.observer {
		if !mutant.On(mutant.OracleWordKept) {
			l.word = unasked
		}
	}
	if l.phase == broadcasting {
		p.deadline = l.tick + l.o.Timing.SyncLimit
		l.upToDate(p)
		l.commit()
		return
	}
	l.establish()
}

// establish begins the broadcast once quorums of both configurations hold the epoch's history, this server included:
// that history is committed now.
func (l *Leader) establish() {
	if l.phase != synchronising || !l.synced.Has(l.o.ID) || !l.hasQuorum(l.rule, l.synced) && !mutant.On(mutant.EstablishAlone) {
		return
	}
	l.enter(broadcasting)
	l.nextBeat = l.now + l.o.Timing.beat()
	l.applied = l.beginning()
	l.ready.Serving, l.ready.Leader = true, l.o.ID
	if l.o.Reconfig {
		l.ready.Leader = l.designate(l.lastSeen, l.synced)
		l.committed = l.lastSeen
		l.setRules()
	}
	for _, p := range l.peers {
		if p.synced {
			p.since = l.now
			l.upToDate(p)
		}
	}
}

func (l *Leader) upToDate(p *peer) {
	p.welcome = true
	l.send(p.id, proto.PacketUpToDate, -1, nil)
}
