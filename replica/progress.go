package replica

import (
	"zebu/proto"
	"zebu/session"
	"zebu/zab"
)

// Stage says how far the member's role has come, and whether it has one: false during elections.
func (m *Member) Stage() (stage zab.Stage, engaged bool) {
	switch {
	case m.phase == electing || m.phase == ending:
		return 0, false
	case m.leader != nil:
		return m.leader.Stage(), true
	case m.learner != nil:
		return m.learner.Stage(), true
	}
	return zab.Discovery, true
}

// Census counts the learners, if this server leads, or the observers that it serves as a follower.
func (m *Member) Census() zab.Census {
	switch {
	case m.leader != nil:
		return m.leader.Census()
	case m.master != nil:
		return m.master.Census()
	}
	return zab.Census{}
}

// ServesObservers says whether this server is a follower that serves observers.
func (m *Member) ServesObservers() bool { return m.master != nil }

// LocalTracker returns the expiry tracker of local sessions, nil if there are none.
func (r *Replica) LocalTracker() *session.Tracker { return r.locals }

// Reached is the point in history that the state stands for: the newest transaction in the tree, or the beginning of the
// epoch if there has been none in it.
func (r *Replica) Reached() proto.Zxid { return max(r.applied, r.begun) }
