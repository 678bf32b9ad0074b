package election

import (
	"slices"

	"zebu/internal/mutant"
	"zebu/proto"
)

// Vote names a candidate, or the leader that was decided on.
type Vote struct {
	Leader proto.ServerID
	Zxid   proto.Zxid  // the candidate's last logged zxid
	Round  proto.Round // the election in which the vote was cast
	Epoch  proto.Epoch // the candidate's currentEpoch; once the author is in sync with it, the epoch it leads
}

// before says whether v is the worse candidate of the two.
func (v Vote) before(o Vote) bool {
	switch {
	case v.Epoch != o.Epoch && !mutant.On(mutant.VoteIgnoresEpoch):
		return v.Epoch < o.Epoch
	case v.Zxid != o.Zxid && !mutant.On(mutant.VoteIgnoresZxid):
		return v.Zxid < o.Zxid
	default:
		return v.Leader < o.Leader
	}
}

// ballot is a vote as it was received.
type ballot struct {
	Vote
	from    proto.ServerID
	state   proto.PeerState // of the author
	version int32           // of the notification; see agrees
}

// agrees says whether b and o count as votes for the same leader (ZOOKEEPER-1732, ZOOKEEPER-1805). Votes of servers
// in an election agree in everything. Those of others may have been cast in different rounds, and the zxid be that of
// different moments: it is the leader and its epoch that count, or just the leader if one of them is of version 0,
// because releases that send no version do not bring the epoch up to date.
func (b *ballot) agrees(o *ballot) bool {
	if b.state == proto.Looking || o.state == proto.Looking {
		return b.Vote == o.Vote
	}
	if (b.version > 0) != (o.version > 0) {
		return b.Leader == o.Leader
	}
	return b.Leader == o.Leader && b.Epoch == o.Epoch
}

// ballots holds the latest ballot of each server, in ascending order of server.
type ballots []ballot

func (bs *ballots) find(from proto.ServerID) (int, bool) {
	return slices.BinarySearchFunc(*bs, from, func(b ballot, id proto.ServerID) int {
		switch {
		case b.from < id:
			return -1
		case b.from > id:
			return 1
		}
		return 0
	})
}

// put replaces a server's ballot and says whether that changed anything.
func (bs *ballots) put(b ballot) bool {
	at, found := bs.find(b.from)
	if !found {
		*bs = slices.Insert(*bs, at, b)
		return true
	}
	changed := (*bs)[at] != b
	(*bs)[at] = b
	return changed
}

// get returns the ballot of a server, nil if there is none.
func (bs *ballots) get(from proto.ServerID) *ballot {
	if at, found := bs.find(from); found {
		return &(*bs)[at]
	}
	return nil
}

func (bs *ballots) clear() { *bs = (*bs)[:0] }
