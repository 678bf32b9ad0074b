package zab

import (
	"zebu/internal/mutant"
	"zebu/proto"
	"zebu/quorum"
)

// confirmation finds out whether this server still leads: whether a quorum follows it. Rounds are batched: whoever asks
// while a round is under way is answered by the next one.
type confirmation struct {
	asked     uint64 // tickets given out
	running   uint64 // up to which the round under way answers
	confirmed uint64 // up to which tickets are answered
}

// Confirm asks whether this server leads at a moment after this call, and returns a ticket. When [Ready].Confirmed has
// reached it, a quorum of every configuration in force has answered a ping that was sent after the call: nobody else led
// then, so that everything that was committed before the call, anywhere, has been committed here. A read that waits for
// that, and for all that was committed here at the call to be applied, is linearizable: the etcd API reads so.
func (l *Leader) Confirm() (ticket uint64) {
	l.confirm.asked++
	if l.phase == broadcasting && !l.confirming() {
		l.startRound()
	}
	return l.confirm.asked
}

// ConfirmedBy says whether a learner's question confirms what [Leader.Confirm] would: if the two are a quorum of every configuration in force.
// The learner followed this server when it asked, and this server still leads; so whoever else leads has begun after the question.
func (l *Leader) ConfirmedBy(id proto.ServerID) bool {
	at, found := l.peers.find(id)
	if l.phase != broadcasting || !found || !l.peers[at].welcome || l.peers[at].observer {
		return false
	}
	return l.hasQuorum(l.rule, quorum.NewSet(l.o.ID, id)) || mutant.On(mutant.AnyoneConfirms)
}

func (l *Leader) confirming() bool { return l.confirm.running > l.confirm.confirmed }

func (l *Leader) startRound() {
	l.confirm.running = l.confirm.asked
	for _, p := range l.peers {
		p.target = 0
		if p.welcome && !p.observer {
			l.ping(p)
		}
	}
	l.checkRound()
}

// ping asks a learner for a sign of life. Learners answer every ping that comes behind UPTODATE, in order, and none before.
// Who came after a round had begun takes part in it with the next ping.
func (l *Leader) ping(p *peer) {
	if p.welcome {
		p.pings++
		if l.confirming() && p.target == 0 && !p.observer {
			p.target = p.pings
		}
	}
	l.send(p.id, proto.PacketPing, l.lastSent(), nil)
}

// pinged notes an answer.
func (l *Leader) pinged(p *peer) {
	p.answers++
	if l.confirming() {
		l.checkRound()
	}
}

// checkRound ends the round if a quorum has answered, and begins the next one if somebody waits for it.
func (l *Leader) checkRound() {
	alive := quorum.NewSet(l.o.ID)
	for _, p := range l.peers {
		if p.target > 0 && p.answers >= p.target {
			alive.Add(p.id)
		}
	}
	if l.phase != broadcasting || !l.hasQuorum(l.rule, alive) {
		return
	}
	l.confirm.confirmed = l.confirm.running
	l.ready.Confirmed = l.confirm.confirmed
	if l.confirm.asked > l.confirm.confirmed {
		l.startRound()
	}
}
