package replica

import (
	"slices"

	"zebu/proto"
	"zebu/zab"
)

// serveObservers lets a follower that begins to serve do so for observers too, if it is meant to.
func (m *Member) serveObservers() {
	if m.o.ObserverCache <= 0 || m.el.State() != proto.Following {
		return
	}
	m.master = zab.NewObserverMaster(zab.ObserverMasterOptions{
		ID: m.o.ID, Leader: m.leaderID, Epoch: m.learner.Epoch(), Applied: m.r.applied, Config: m.committed, Log: m.log,
		Cache: m.o.ObserverCache, LogSync: m.o.LogSync, SnapSync: m.o.SnapSync, Timing: m.o.Timing,
		MaxSnapSyncs: m.o.MaxSnapSyncs, MaxDiffSyncs: m.o.MaxDiffSyncs,
	}, m.now())
}

// sendUp sends the leader what clients of this server have asked for.
func (m *Member) sendUp() {
	m.r.inquireReadPoint()
	u := &m.r.upstream
	for i := range u.packets {
		if m.master != nil && u.packets[i].Type != proto.PacketAsk {
			if !m.master.Forward(u.packets[i]) {
				m.r.movedAway(&u.packets[i])
			}
		} else {
			m.learner.Send(u.packets[i])
		}
	}
	clear(u.packets)
	u.packets = u.packets[:0]
}

// movedAway ends the connection of a session that has moved to an observer of this server, as that of one that has moved elsewhere ends
// when the leader refuses its request.
func (r *Replica) movedAway(p *proto.QuorumPacket) {
	f, _ := proto.DecodeForwardedRequest(p.Data)
	if c := r.bySession[f.Session]; c != nil {
		r.hangUp(c)
	}
}

// withMaster adds what the observer master asks for to what the learner does. Its views come first: they show the state
// before anything more is applied. What is delivered is an input of the observer master, hence the copies.
func (m *Member) withMaster(z *zab.Ready) {
	if m.master == nil {
		return
	}
	o := m.master.Ready()
	if len(o.Deliver) > 0 {
		z.Deliver = slices.Concat(o.Deliver, z.Deliver)
	}
	z.Messages = append(z.Messages, o.Messages...)
	z.Drop, z.Queries, z.Wake = slices.Clone(o.Drop), slices.Clone(o.Queries), sooner(z.Wake, o.Wake)
}

// observersAnswer says whether an answer of the leader was for an observer, to which it has been passed on then.
func (m *Member) observersAnswer(p proto.QuorumPacket) bool {
	switch p.Type {
	case proto.PacketSync:
		return m.master.Synced()
	case proto.PacketRevalidate:
		return m.master.Revalidated(p)
	}
	return false
}
