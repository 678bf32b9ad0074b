package zab

import (
	"cmp"
	"errors"
	"slices"

	"zebu/internal/mutant"
	"zebu/proto"
)

type peerPhase uint8

const (
	unknown      peerPhase = iota // has not said who it is
	introduced                    // waits for the new epoch
	informed                      // has been sent LEADERINFO
	acknowledged                  // has sent ACKEPOCH and waits for a quorum to do so, or for an observer master to know its history
	asking                        // its history is looked up on disk
	following                     // has been sent NEWLEADER; what follows is live
)

// peer is a learner with a link.
type peer struct {
	id       proto.ServerID
	phase    peerPhase
	observer bool
	durable  bool       // what it acknowledges is on its disk, even if it is an observer
	heeds    bool       // can be told who is to lead next
	last     proto.Zxid // of its history
	snap     bool       // is or was synchronised by a snapshot
	sending  bool       // a snapshot is under way
	synced   bool       // has acknowledged NEWLEADER
	welcome  bool       // has been sent UPTODATE
	acked    proto.Zxid // last transaction acknowledged, or sent as committed at synchronisation
	deadline int        // tick until which it counts as alive
	since    proto.Millis
	// sent is the oldest proposal without an acknowledgement, 0 if there is none, and when it was sent.
	sent   proto.Zxid
	sentAt proto.Millis
	// pings were sent behind UPTODATE, answers have come; target is the ping of the round of confirmation under way.
	pings, answers, target uint64
}

// peers are in ascending order of id.
type peers []*peer

func (ps peers) find(id proto.ServerID) (at int, found bool) {
	return slices.BinarySearchFunc(ps, id, func(p *peer, id proto.ServerID) int { return cmp.Compare(p.id, id) })
}

func (ps peers) get(id proto.ServerID) *peer {
	if at, ok := ps.find(id); ok {
		return ps[at]
	}
	return nil
}

func (ps *peers) add(p *peer) {
	at, _ := ps.find(p.id)
	*ps = slices.Insert(*ps, at, p)
}

func (ps *peers) remove(id proto.ServerID) bool {
	at, ok := ps.find(id)
	if ok {
		*ps = slices.Delete(*ps, at, at+1)
	}
	return ok
}

var errTooManySyncs = errors.New("zab: too many learners synchronise at the same time")

// room says whether one more learner may synchronise, when so many snapshots and so many others may be under way.
func (ps peers) room(plan syncPlan, maxSnaps, maxDiffs int) bool {
	snaps, diffs := 0, 0
	for _, o := range ps {
		switch {
		case o.phase != following || o.synced:
		case o.snap:
			snaps++
		default:
			diffs++
		}
	}
	if plan.op == proto.PacketSnap {
		return snaps < maxSnaps
	}
	return diffs < maxDiffs
}

// forget drops what was meant for a learner whose link is gone, and what it had asked for: over a new link, the answer would
// be taken for that to another request.
func (r *Ready) forget(id proto.ServerID) {
	r.Messages = slices.DeleteFunc(r.Messages, func(m Message) bool { return m.To == id })
	r.Queries = slices.DeleteFunc(r.Queries, func(q LogQuery) bool { return q.ID == id })
	if mutant.On(mutant.LostSyncAnswered) {
		return
	}
	r.Deliver = slices.DeleteFunc(r.Deliver, func(d Delivery) bool { return (d.Kind == View || d.Kind == Pass) && d.From == id })
}
