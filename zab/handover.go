package zab

import (
	"errors"

	"zebu/proto"
	"zebu/quorum"
)

// Times of handing over, in milliseconds.
const (
	// drainTime is how long the next leader may take to log all that this one has proposed.
	drainTime proto.Millis = 1000
	// tellTime is how long learners may take to say that they know who is to lead.
	tellTime proto.Millis = 500
)

// handOver is under way on a leader that makes another server the next one. Nothing is proposed meanwhile. As long as nobody is
// told, the leader may change its mind.
type handOver struct {
	to      proto.ServerID
	last    proto.Zxid // proposed before
	held    []Proposal // since
	told    bool       // learners
	waiting quorum.Set // learners that have not said that they know
	until   proto.Millis
}

// Why a leader does not hand over.
var (
	ErrHandingOver = errors.New("zab: the leader hands over already")
	ErrNoHeir      = errors.New("zab: it is not a voter in sync with the leader")
)

// HandOver begins to make another voter the leader. Proposals are held back from now on. Once everything before has been committed,
// and that server has logged it, learners are told whom to vote for, and the role ends with [ErrHandedOver]; the caller takes part in the
// next election with the same vote, see [Leader.Heir]. If the server is too slow, or a reconfiguration comes in between, the leader
// gives up, sends what it has held back, and goes on; [Leader.HandingOver] tells. An error says why nothing has begun.
//
// None of ZAB's promises depends on it. Whom servers vote for is a guess about who can lead, as ever: discovery decides, where a leader takes
// no follower into its quorum that has a longer history than its own (see recvAckEpoch), and a quorum that has accepted an epoch
// refuses all older leaders. What was held back nobody has seen.
func (l *Leader) HandOver(to proto.ServerID) error {
	p, m := l.peer(to), l.committed.Member(to)
	switch {
	case l.phase != broadcasting:
		return ErrEnded
	case l.handing != nil:
		return ErrHandingOver
	case l.lastSeen.Version > l.committed.Version:
		return ErrReconfigPending
	case m == nil || m.Observer || p == nil || p.observer || !p.welcome:
		return ErrNoHeir
	}
	l.handing = &handOver{to: to, last: l.lastProposed, until: l.now + drainTime}
	l.handOn()
	return nil
}

// HandingOver says whether the leader is about to make room for another one, or has done so.
func (l *Leader) HandingOver() bool { return l.handing != nil }

// Heir is the server that the leader has handed over to, and the last zxid that it has.
func (l *Leader) Heir() (proto.Heir, proto.Zxid) {
	z := l.handing.last
	if isFirst(z) { // nothing was proposed in this epoch
		z = l.o.Last
	}
	return proto.Heir{ID: l.handing.to, Epoch: l.epoch}, z
}

// handOn takes the next step.
func (l *Leader) handOn() {
	h := l.handing
	if h == nil || l.phase != broadcasting {
		return
	}
	if !h.told {
		p := l.peer(h.to)
		if p == nil || !p.welcome {
			l.giveUp()
			return
		}
		if len(l.outstanding) > 0 || !isFirst(h.last) && (l.logged < h.last || p.acked < h.last) {
			if l.now >= h.until {
				l.giveUp()
			}
			return
		}
		l.tell()
	}
	for _, id := range h.waiting.Clone().IDs() {
		if l.peer(id) == nil {
			h.waiting.Remove(id)
		}
	}
	if h.waiting.Len() == 0 || l.now >= h.until {
		l.end(ErrHandedOver)
	}
}

// tell tells learners, behind the last commit, who is to lead. There is no way back: they know from then on that what they have not
// heard of was not proposed, and ask for it anew.
func (l *Leader) tell() {
	l.handing.told, l.handing.until = true, l.now+tellTime
	heir, z := l.Heir()
	for _, p := range l.peers {
		if !p.welcome || !p.heeds {
			continue
		}
		l.send(p.id, proto.PacketHandOver, z, heir.Append(nil))
		l.handing.waiting.Add(p.id)
	}
}

// recvHandOver takes a learner's word that it knows.
func (l *Leader) recvHandOver(p *peer) error {
	if l.handing == nil || !l.handing.told {
		return errUnexpected
	}
	l.handing.waiting.Remove(p.id)
	return nil
}

// giveUp goes on leading.
func (l *Leader) giveUp() {
	held := l.handing.held
	l.handing = nil
	for _, p := range held {
		l.broadcast(p)
	}
}

// hold keeps a proposal back while the leader hands over. A reconfiguration is more important than that.
func (l *Leader) hold(p Proposal) bool {
	h := l.handing
	if h != nil && p.Config != nil && !h.told {
		l.giveUp()
		return false
	}
	if h != nil {
		h.held = append(h.held, p)
	}
	return h != nil
}

// holds says whether a proposal is held back.
func (l *Leader) holds() bool { return l.handing != nil && len(l.handing.held) > 0 }

// lastSent is the last zxid that learners were told of.
func (l *Leader) lastSent() proto.Zxid {
	if l.handing != nil {
		return l.handing.last
	}
	return l.lastProposed
}
