package zab

import (
	"errors"
	"fmt"
	"slices"

	"zebu/internal/mutant"
	"zebu/proto"
	"zebu/quorum"
)

// Propose broadcasts a transaction, to be called when the leader serves, in the order of zxids. The zxid is [Leader.NextZxid];
// the first one of an epoch may be greater (zookeeper.testingonly.initialZxid). An error means that nothing was proposed. When the
// epoch's zxids are used up the role ends, and the next epoch begins with new ones (ZOOKEEPER-1277).
func (l *Leader) Propose(p Proposal) error {
	switch {
	case l.phase != broadcasting:
		return fmt.Errorf("propose %v: %w", p.Zxid, ErrEnded)
	case p.Zxid.Counter() > l.o.LastCounter && !mutant.On(mutant.RolloverOverlooked):
		l.end(ErrRollover)
		return fmt.Errorf("propose %v: %w", p.Zxid, ErrRollover)
	case p.Zxid.Epoch() != l.epoch || p.Zxid <= l.lastProposed || p.Zxid != l.lastProposed+1 && !isFirst(l.lastProposed):
		return fmt.Errorf("zab: propose %v after %v", p.Zxid, l.lastProposed)
	case p.Config != nil && l.lastSeen.Version > l.committed.Version:
		return fmt.Errorf("propose %v: %w", p.Zxid, ErrReconfigPending)
	}
	l.lastProposed = p.Zxid
	if !l.hold(p) {
		l.broadcast(p)
	}
	return nil
}

// broadcast sends a proposal out.
func (l *Leader) broadcast(p Proposal) {
	if p.Config != nil {
		l.lastSeen = p.Config
		l.setRules()
	}
	l.outstanding = append(l.outstanding, proposal{Txn: p.Txn, rule: l.rule, config: p.Config})
	l.write(Write{Kind: AppendTxn, Txn: p.Txn})
	for _, peer := range l.peers {
		if peer.phase != following || peer.observer {
			continue
		}
		l.send(peer.id, proto.PacketProposal, p.Zxid, p.Data)
		if peer.synced && peer.sent == 0 {
			peer.sent, peer.sentAt = p.Zxid, l.now
		}
	}
}

// ErrReconfigPending says that a reconfiguration is not committed yet.
var ErrReconfigPending = errors.New("zab: another reconfiguration is pending")

// acknowledge notes that a follower has logged a transaction and, since it logs in order, everything before. One that skips
// something has a hole in its log.
func (l *Leader) acknowledge(p *peer, z proto.Zxid) error {
	if z > l.lastSent() || len(l.outstanding) == 0 {
		return fmt.Errorf("zab: %v was not proposed", z)
	}
	if next := max(p.acked+1, l.outstanding[0].Zxid); z != next {
		return fmt.Errorf("zab: %v is not acknowledged", next)
	}
	p.acked = z
	l.relieve(p, z)
	l.commit()
	return nil
}

// relieve waits no longer for a follower to acknowledge z, and begins to wait for what was proposed since.
func (l *Leader) relieve(p *peer, z proto.Zxid) {
	if p.sent == 0 || z < p.sent {
		return
	}
	p.sent, p.sentAt = 0, 0
	if last := l.lastSent(); z < last {
		p.sent, p.sentAt = last, l.now
	}
}

// commit commits proposals, strictly in their order, as long as quorums have logged them. Only learners that are connected count, and
// only what they acknowledged since they were synchronised: before that, they may have been told to cut it off.
func (l *Leader) commit() {
	for l.phase == broadcasting && !l.silenced && len(l.outstanding) > 0 {
		head := &l.outstanding[0]
		l.counting.Clear()
		if l.logged >= head.Zxid || mutant.On(mutant.CommitUnlogged) {
			l.counting.Add(l.o.ID)
		}
		for _, p := range l.peers {
			if (p.synced || mutant.On(mutant.EarlyAckCounts)) && !p.observer && p.acked >= head.Zxid {
				l.counting.Add(p.id)
			}
		}
		if !l.hasQuorum(head.rule, l.counting) && !(mutant.On(mutant.CommitWithMinority) && l.counting.Len() > 0) {
			return
		}
		l.commitHead()
	}
}

func (l *Leader) commitHead() {
	head := l.outstanding[0]
	d := Delivery{Kind: Apply, Txn: head.Txn}
	if head.config != nil {
		d.Activate, d.Leader = true, l.designate(head.config, l.counting)
		l.committed = head.config
		l.setRules()
		// What was proposed since needed both configurations' quorums until now. Voters of the old one may have left.
		for i := range l.outstanding {
			l.outstanding[i].rule = l.rule
		}
	}
	l.outstanding[0] = proposal{}
	l.outstanding = l.outstanding[1:]
	l.applied = head.Zxid
	if err := l.log.Append(head.Txn); err != nil {
		l.end(err)
		return
	}
	for _, p := range l.peers {
		if p.phase == following {
			l.sendCommit(p.id, p.observer, &d)
		}
	}
	l.ready.Deliver = append(l.ready.Deliver, d)
	n := 0
	for n < len(l.syncs) && l.syncs[n].after <= l.applied {
		l.answerSync(l.syncs[n].id)
		n++
	}
	l.syncs = slices.Delete(l.syncs, 0, n)
}

func (l *Leader) sendCommit(id proto.ServerID, observer bool, d *Delivery) {
	switch {
	case observer:
		l.ready.Messages = append(l.ready.Messages, Message{To: id, Packet: inform(d)})
	case d.Activate:
		l.send(id, proto.PacketCommitAndActivate, d.Txn.Zxid, proto.AppendActivation(nil, d.Leader, nil))
	default:
		l.send(id, proto.PacketCommit, d.Txn.Zxid, nil)
	}
}

// inform is what tells an observer of a transaction.
func inform(d *Delivery) proto.QuorumPacket {
	if d.Activate {
		data := proto.AppendActivation(nil, d.Leader, d.Txn.Data)
		return proto.QuorumPacket{Type: proto.PacketInformAndActivate, Zxid: d.Txn.Zxid, Data: data}
	}
	return proto.QuorumPacket{Type: proto.PacketInform, Zxid: d.Txn.Zxid, Data: d.Txn.Data}
}

// designate names the leader for a configuration that acks, a quorum of it, have accepted: this server if it stays a
// voter at the same address, else the voter that has logged most of what comes after (spec 11.4). If it is another one, this
// leader commits nothing more; learners leave it, and it ends for lack of a quorum.
func (l *Leader) designate(c *quorum.Config, acks quorum.Set) proto.ServerID {
	if m := c.Member(l.o.ID); m != nil && !m.Observer && sameQuorumAddrs(m, l.committed.Member(l.o.ID)) {
		return l.o.ID
	}
	best, most := l.o.ID, proto.Zxid(-1)
	for _, id := range acks.IDs() {
		m := c.Member(id)
		if id == l.o.ID || m == nil || m.Observer {
			continue
		}
		acked := proto.Zxid(0)
		if p := l.peer(id); p != nil {
			acked = p.acked
		}
		if acked > most {
			best, most = id, acked
		}
	}
	l.silenced = best != l.o.ID // the only voter has nobody to take over
	return best
}

// sameQuorumAddrs says whether learners find a server where it was.
func sameQuorumAddrs(a, b *quorum.Member) bool {
	return b != nil && slices.EqualFunc(a.Addrs, b.Addrs, func(a, b quorum.PeerAddr) bool {
		return a.Host == b.Host && a.Quorum == b.Quorum
	})
}

// Sync answers a learner's sync, or this server's own, when everything has been committed that was proposed before: to be
// called when it is the request's turn (spec 8.6).
func (l *Leader) Sync(id proto.ServerID) {
	switch {
	case l.phase != broadcasting:
	case len(l.outstanding) == 0 && !l.holds(), mutant.On(mutant.SyncAnsweredEarly):
		l.answerSync(id)
	default:
		l.syncs = append(l.syncs, pendingSync{id, l.lastProposed})
	}
}

func (l *Leader) answerSync(id proto.ServerID) {
	if id != l.o.ID {
		if l.peer(id) != nil {
			l.send(id, proto.PacketSync, 0, nil)
		}
		return
	}
	sync := proto.QuorumPacket{Type: proto.PacketSync}
	l.ready.Deliver = append(l.ready.Deliver, Delivery{Kind: Pass, From: id, Packet: sync})
}

// Send sends a learner a packet of the server's own, behind everything that was queued for it: an answer to REVALIDATE.
func (l *Leader) Send(id proto.ServerID, p proto.QuorumPacket) {
	if peer := l.peer(id); peer != nil && peer.phase == following && l.phase == broadcasting {
		l.ready.Messages = append(l.ready.Messages, Message{To: id, Packet: p})
	}
}
