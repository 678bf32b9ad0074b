package zab

import (
	"zebu/internal/mutant"
	"zebu/quorum"
)

// word is what the oracle of an ensemble of two (oraclePath, spec 7.5) has said since the leader was last alone.
type word uint8

const (
	unasked word = iota
	denied
	granted
)

// AsksOracle says whether the oracle's word counts now: the ensemble has two voters at most, and no follower is
// synchronised. The caller is expected to ask it then, again and again, and before the next [Leader.Tick].
func (l *Leader) AsksOracle() bool {
	return l.o.Oracle && l.phase != leaderEnded && quorum.Oracle{Needed: l.alone()}.Applies(l.rule)
}

// OracleSays takes what the oracle says. If it grants it, this server alone is a quorum until the oracle says otherwise or
// a follower is synchronised: what happens after that one is lost needs a new word. The history and the transactions must be on
// this server's own disk all the same.
func (l *Leader) OracleSays(grants bool) {
	if !l.AsksOracle() {
		return
	}
	l.word = denied
	if !grants {
		return
	}
	l.word = granted
	switch l.phase {
	case choosing:
		l.choose()
	case electing:
		l.elect()
	case synchronising:
		l.establish()
	case broadcasting:
		l.commit()
		if l.confirming() {
			l.checkRound()
		}
	}
}

// alone says whether no follower is synchronised.
func (l *Leader) alone() bool {
	for _, p := range l.peers {
		if p.synced && !p.observer {
			return false
		}
	}
	return true
}

// hasQuorum says whether acks are enough by a rule, or the oracle makes up for what lacks.
func (l *Leader) hasQuorum(rule quorum.Verifier, acks quorum.Set) bool {
	return rule.HasQuorum(acks) ||
		l.word == granted && acks.Has(l.o.ID) && (l.alone() || mutant.On(mutant.OracleWordKept)) && quorum.Oracle{Needed: true, Grants: true}.HasQuorum(rule, acks)
}
