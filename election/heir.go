package election

import "zebu/proto"

// heir is the server that the last leader wants to be the next one.
type heir struct {
	vote  Vote
	until proto.Millis // 0: there is none
}

// Favour says that a leader which ends its role has named its heir: as long as this server has no leader, and no longer than until a time, it begins an
// election with this vote instead of one for itself. The round does not matter.
//
// That is all. Better votes win as ever, and this server's own is better if its history is longer than the heir's is said to be. The heir
// must say itself that it takes part, so that nobody waits for one that is gone. What an election owes it still gives: whom the first votes are for
// has always been a matter of luck.
func (e *Election) Favour(v Vote, until proto.Millis) { e.heir = heir{v, until} }

// favours says whether this server, which votes, wants the heir rather than itself.
func (e *Election) favours(now proto.Millis) bool {
	v := &e.heir.vote
	own := Vote{Leader: v.Leader, Zxid: e.zxid, Epoch: e.epoch}
	return e.heir.until != 0 && now < e.heir.until && v.Leader != e.id && e.takesPart() && !v.before(own) &&
		e.voters.Has(v.Leader) && e.rule.Weight(v.Leader) != 0 && !e.down.Has(v.Leader) && (v.Leader != e.avoided || now >= e.avoidTo)
}

// awaitsHeir says whether v is for the heir, and the heir has not voted for itself yet.
func (e *Election) awaitsHeir(v *ballot) bool {
	if e.heir.until == 0 || v.Leader != e.heir.vote.Leader || v.Leader == e.id {
		return false
	}
	b := e.received.get(v.Leader)
	return b == nil || !v.agrees(b)
}

// tireOfHeir forgets the heir when its time is over, or it refuses connections. If this server's vote is for the heir, which has not
// spoken, the election starts over. It reports whether that is so.
func (e *Election) tireOfHeir(now proto.Millis) bool {
	if e.heir.until == 0 || now < e.heir.until && !e.down.Has(e.heir.vote.Leader) {
		return false
	}
	silent := e.awaitsHeir(&ballot{Vote: e.vote})
	e.heir.until = 0
	if silent {
		e.begin(now)
	}
	return silent
}
