package zab

import (
	"errors"
	"fmt"
	"math"

	"zebu/internal/mutant"
	"zebu/proto"
)

// recvInfo takes a learner's first packet (spec 8.2). Every learner's accepted epoch counts for the choice of the new one; only
// participants count for the quorum.
//
// Once the epoch is chosen, a member that has accepted a later one (of a leader that came to nothing) can never join it.
// With Apache's leader it stays outside; this one makes way as soon as that is the only thing missing.
func (l *Leader) recvInfo(p *peer, in *proto.QuorumPacket) error {
	if p.phase != unknown {
		return errUnexpected
	}
	info, err := proto.DecodeLearnerInfo(in.Data)
	switch {
	case err != nil:
		return err
	case info.ServerID != p.id:
		return fmt.Errorf("zab: it is server %d", info.ServerID)
	case info.ProtocolVersion < proto.QuorumProtocolVersion:
		return errors.New("zab: it is older than ZooKeeper 3.4")
	case proto.Zxid(info.ConfigVersion) > l.committed.Version:
		return fmt.Errorf("%w: its configuration is %x", ErrAhead, info.ConfigVersion)
	case in.Zxid.Epoch() >= math.MaxInt32:
		return errors.New("zab: epochs are used up")
	}
	p.observer = in.Type == proto.PacketObserverInfo
	extensions := proto.PacketExtensions(in)
	p.durable = !p.observer || extensions&proto.ExtDurable != 0
	p.heeds = extensions&proto.ExtHandOver != 0
	p.phase = introduced
	switch l.phase {
	case choosing:
		l.epoch = max(l.epoch, next(in.Zxid.Epoch()))
		if !p.observer {
			l.reported.Add(p.id)
			l.choose()
		}
	case accepting:
	case broadcasting:
		if e := in.Zxid.Epoch(); e > l.epoch && !mutant.On(mutant.LaterEpochOverlooked, mutant.OldEpochAccepted) && l.committed.Member(p.id) != nil {
			l.end(fmt.Errorf("%w: %d, by server %d", ErrLaterEpoch, e, p.id))
			return nil
		}
		l.inform(p)
	default:
		l.inform(p)
	}
	return nil
}

// next is the epoch that comes after one.
func next(e proto.Epoch) proto.Epoch {
	if mutant.On(mutant.ZxidReused) {
		return max(e, 1)
	}
	return e + 1
}

// choose fixes the epoch once a quorum has said what it has accepted.
func (l *Leader) choose() {
	if l.phase == choosing && l.hasQuorum(l.base, l.reported) {
		l.enter(accepting)
		l.write(Write{Kind: AcceptEpoch, Epoch: l.epoch})
	}
}

func (l *Leader) enter(p leaderPhase) { l.phase, l.phaseSince = p, l.now }

func (l *Leader) write(w Write) { l.ready.Writes = append(l.ready.Writes, w) }

// announce tells learners the epoch, which this server has accepted itself. If no configuration has ever been committed, the
// one that all servers started with is committed with this epoch's beginning as its version, so that it wins over those
// of servers that join later.
func (l *Leader) announce() {
	l.enter(electing)
	l.lastProposed = proto.MakeZxid(l.epoch, 0)
	if l.o.Reconfig && l.committed.Version == 0 && l.lastSeen.Version == 0 {
		c := *l.committed
		c.Version = l.lastProposed
		l.lastSeen = &c
		l.setRules()
	}
	for _, p := range l.peers {
		if p.phase == introduced {
			l.inform(p)
		}
	}
	l.elected.Add(l.o.ID)
	l.elect()
}

func (l *Leader) inform(p *peer) {
	p.phase = informed
	p.since = l.now
	l.send(p.id, proto.PacketLeaderInfo, l.beginning(), l.o.Extensions.Append(proto.AppendInt32(nil, proto.QuorumProtocolVersion)))
}

// beginning is the zxid with which the epoch begins, the one of NEWLEADER.
func (l *Leader) beginning() proto.Zxid { return proto.MakeZxid(l.epoch, 0) }

// recvAckEpoch takes a learner's acceptance of the epoch. Until a quorum has accepted it, nobody's history may be newer than the
// leader's: what the quorum lacks then was never committed, and may be cut off from those who come later.
func (l *Leader) recvAckEpoch(p *peer, in *proto.QuorumPacket) error {
	if p.phase != informed {
		return errUnexpected
	}
	current, err := proto.DecodeInt32(in.Data)
	if err != nil {
		return err
	}
	p.last = in.Zxid
	if l.phase == electing && current != -1 {
		e := proto.Epoch(current)
		if mutant.On(mutant.AheadFollowerElects) {
			e = min(e, l.o.CurrentEpoch)
			p.last = min(p.last, l.o.Last)
		}
		if e > l.o.CurrentEpoch || e == l.o.CurrentEpoch && p.last > l.o.Last {
			return fmt.Errorf("%w: epoch %d, zxid %v", ErrAhead, e, p.last)
		}
		if !p.observer && p.last != -1 {
			l.elected.Add(p.id)
		}
	}
	p.phase = acknowledged
	if l.phase == electing {
		l.elect()
	} else {
		l.synchronise(p)
	}
	return nil
}

// elect goes on to synchronisation once a quorum has accepted the epoch.
func (l *Leader) elect() {
	if !l.hasQuorum(l.base, l.elected) && !mutant.On(mutant.PromisesNeedNoQuorum) {
		return
	}
	l.enter(synchronising)
	l.write(Write{Kind: EnterEpoch, Epoch: l.epoch})
	for _, p := range append([]*peer(nil), l.peers...) {
		if p.phase == acknowledged {
			l.synchronise(p)
		}
	}
}
