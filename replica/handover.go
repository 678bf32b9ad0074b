package replica

import (
	"errors"

	"zebu/election"
	"zebu/mvcc"
	"zebu/proto"
)

// favourTime is how long a server votes for the heir of a leader that has handed over, in milliseconds. The leader may wait for others to
// hear of it before it ends its role, but not so long.
const favourTime proto.Millis = 1500

// ErrGaveUp says that a leader goes on leading, because the one that was to be the next has not caught up in time, or a reconfiguration
// came in between.
var ErrGaveUp = errors.New("replica: the leader goes on leading")

// handOver takes the call for another leader.
func (m *Member) handOver(c *Call) {
	if m.leader == nil || !m.serving {
		m.r.kv.finish(c, mvcc.ErrNoLeader)
		return
	}
	if err := m.leader.HandOver(c.To); err != nil {
		m.r.kv.finish(c, err)
		return
	}
	m.handing, m.r.handing = c, true
}

// watchHandOver answers the call when it is clear what has become of it. Who leads after the role has ended is for the election to say.
func (m *Member) watchHandOver() {
	c := m.handing
	switch {
	case c == nil || m.phase == engaged && m.leader.HandingOver():
		return
	case m.phase == engaged:
		m.r.kv.finish(c, ErrGaveUp)
	case m.r.kv.passedOn:
		m.r.kv.finish(c, nil)
	default:
		m.r.kv.finish(c, mvcc.ErrFenced)
	}
	m.handing, m.r.handing = nil, false
}

// handedOver notes that the leader, perhaps this server, ends its role in favour of an heir, which has the history up to a zxid. All that
// it has proposed is committed and known here.
func (m *Member) handedOver(heir proto.Heir, last proto.Zxid) {
	m.el.Favour(election.Vote{Leader: heir.ID, Zxid: last, Epoch: heir.Epoch}, m.now()+favourTime)
	m.r.kv.passedOn = true
}
