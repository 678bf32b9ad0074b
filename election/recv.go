package election

import (
	"fmt"

	"zebu/internal/mutant"
	"zebu/proto"
	"zebu/quorum"
)

// Recv takes a notification from a peer. The error is for the log: it says what was wrong with the notification's
// configuration, without which the notification has been handled all the same.
func (e *Election) Recv(now proto.Millis, from proto.ServerID, n *proto.Notification) error {
	if !e.started || from == e.id {
		return nil
	}
	restarted, err := e.adopt(now, n)
	if restarted {
		return nil
	}
	v := Vote{Leader: n.Leader, Zxid: n.Zxid, Round: n.Round, Epoch: n.PeerEpoch}
	switch {
	case e.consents(n):
		e.answer(now, from, n, v)
	case !e.voters.Has(from):
		e.tellOutsider(now, from, n)
	case e.state != proto.Looking:
		if n.State == proto.Looking {
			e.answer(now, from, n, e.vote)
			e.keepEarly(now, ballot{Vote: v, from: from, state: n.State})
		}
	default:
		if n.State == proto.Looking && n.Round < e.round && e.voters.Has(e.id) {
			e.answer(now, from, n, e.vote)
		}
		switch {
		case e.voters.Has(n.Leader):
			e.count(now, ballot{Vote: v, from: from, state: n.State, version: n.Version})
		case n.State == proto.Looking && n.Leader == proto.NoServer && n.Round > e.round && e.voters.Has(e.id) && e.takesPart():
			e.goOver(now, v) // else the voice of a voter that waits for a candidate would never be heard here
			e.consider(now)
		}
	}
	return err
}

// keepEarly keeps the vote of a server that has lost the leader of both a moment before this one does: it will not say again
// what it has said before its next round of notifications, for which all would have to wait.
func (e *Election) keepEarly(now proto.Millis, b ballot) {
	if b.Round <= e.round || !e.voters.Has(b.Leader) {
		return
	}
	if now-e.earlyAt >= e.min {
		e.early.clear()
	}
	if len(e.early) == 0 {
		e.earlyAt = now
	}
	e.early.put(b)
}

// countEarly counts what was kept, at the beginning of an election. What is old has been said again, or means nothing any more.
func (e *Election) countEarly(now proto.Millis) {
	early := e.early
	e.early = nil
	for _, b := range early {
		if now-e.earlyAt < e.min && e.state == proto.Looking {
			e.count(now, b)
		}
	}
}

// consents says whether to answer a candidacy with consent: a server that is no voter, as far as it knows, may be one of a
// configuration that is pending elsewhere, and then there is no leader without it. To those who do not count it a voter its
// voice means nothing.
func (e *Election) consents(n *proto.Notification) bool {
	return e.state == proto.Looking && n.State == proto.Looking && n.Leader != proto.NoServer && e.takesPart() && !e.voters.Has(e.id)
}

// tellOutsider answers an observer, or a server that is no member: it wants to know and has no say. Unlike Apache's
// servers, which repeat the outcome of their last election while they are in another, this one names its candidate, and
// the outcome as soon as there is one.
func (e *Election) tellOutsider(now proto.Millis, from proto.ServerID, n *proto.Notification) {
	e.answer(now, from, n, e.vote)
	if e.state == proto.Looking && n.State == proto.Looking && e.askers.Len() < maxAnswers {
		e.askers.Add(from)
	}
}

// adopt takes over a newer configuration while this server is in an election. It says whether the election started
// over, which it does if the members differ; the notification's vote was for another ensemble then.
func (e *Election) adopt(now proto.Millis, n *proto.Notification) (bool, error) {
	if !e.reconfig || e.state != proto.Looking || n.Config == "" || n.Config == e.text {
		return false, nil
	}
	c, err := quorum.ParseConfig(n.Config)
	if err != nil {
		return false, fmt.Errorf("notification: %w", err)
	}
	if c.Version <= e.committed.Version {
		return false, nil
	}
	lastSeen := e.lastSeen
	if lastSeen.Version < c.Version {
		lastSeen = c
	}
	same := e.committed.SameMembers(c)
	e.setConfigs(c, lastSeen)
	e.ready.Config = c
	if !same {
		e.begin(now)
	}
	return !same, nil
}

// count takes the vote of a voter for a voter.
func (e *Election) count(now proto.Millis, b ballot) {
	switch b.state {
	case proto.Looking:
		b.version = 0
		e.countLooking(now, b)
	case proto.Following, proto.Leading:
		e.countSettled(now, b)
	}
}

// countLooking takes the vote of a server that is in an election too. Only voters hear when such a vote changes, so to
// others it means nothing.
func (e *Election) countLooking(now proto.Millis, b ballot) {
	if !e.voters.Has(e.id) || !e.takesPart() || b.Zxid == noZxid || b.Round < e.round {
		return
	}
	if b.Round > e.round && !mutant.On(mutant.RoundNotTakenOver) {
		e.goOver(now, b.Vote)
	} else if e.better(now, b.Vote, e.vote) {
		e.propose(now, b.Vote)
	}
	e.received.put(b)
	e.consider(now)
}

// goOver goes over to a later round, in which another server has named its candidate, or none.
func (e *Election) goOver(now proto.Millis, v Vote) {
	e.round = v.Round
	e.received.clear()
	best := e.initial(now)
	if e.better(now, v, best) {
		best = v
	}
	e.propose(now, best)
}

// better says whether a may take the place of b.
func (e *Election) better(now proto.Millis, a, b Vote) bool {
	return e.rule.Weight(a.Leader) != 0 && b.before(a) && (a.Leader != e.avoided || now >= e.avoidTo)
}

// countSettled takes the vote of a server that follows or leads. If a quorum does so in this very round, this one is
// over. Otherwise it may be that an ensemble is at work and this server came late: then it joins it, but only if its
// leader itself says that it leads, lest a dead one be elected over and over. A configuration that is pending here may have come to nothing
// there, and with it this server's own voice might be needed for a quorum; if it is in force there, notifications say so.
func (e *Election) countSettled(now proto.Millis, b ballot) {
	if b.Round == e.round {
		// Votes of one round are kept without their version, so that epochs do not count among those who follow or lead.
		kept := b
		kept.version = 0
		e.received.put(kept)
		if e.hasQuorum(e.rule, e.received, &b) && e.leads(e.received, b.Vote) {
			e.decide(b.Vote)
			return
		}
	}
	news := e.outside.put(b)
	if e.hasQuorum(e.base, e.outside, &b) && e.leads(e.outside, b.Vote) {
		e.round = b.Round
		e.decide(b.Vote)
		return
	}
	// Of two servers, one leads alone by the oracle's grace; the other, to which it is denied, joins it.
	if b.state == proto.Leading && e.oracle.Applies(e.rule) {
		e.decide(b.Vote)
		return
	}
	if news {
		// There may be an ensemble, after a long time without. The others are not kept waiting for the question.
		e.interval = e.min
		e.resendAt = min(e.resendAt, now+e.min)
	}
}

// leads says whether the leader of v knows of it: by its own word, or, if it is this server, because the others follow
// it in this round.
func (e *Election) leads(bs ballots, v Vote) bool {
	if v.Leader == e.id {
		return v.Round == e.round
	}
	b := bs.get(v.Leader)
	return b != nil && b.state == proto.Leading
}
