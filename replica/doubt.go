package replica

import (
	"zebu/internal/mutant"
	"zebu/proto"
	"zebu/session"
)

// doubt is a client that wants to go on with a session that the leader does not know. A leader that was suspended may have been replaced, and
// the session opened under another one. So it says that the session has expired only when a quorum has confirmed that it leads still; Apache's
// leaders say so at once.
type doubt struct {
	ticket uint64 // of the confirmation
	conn   *Conn  // of the leader's own client; nil: a learner asks
	at     proto.Millis
	from   proto.ServerID
	owner  session.Owner
	touch  proto.Touch
}

// inquireSessions asks for the confirmations that the leader's own clients wait for.
func (m *Member) inquireSessions() {
	if m.leader == nil {
		return
	}
	for _, d := range m.r.doubts {
		d.ticket = m.leader.Confirm()
		m.comers = append(m.comers, d)
	}
	m.r.doubts = nil
}

// resolved is how many of some doubts a confirmation has ended. While the leader hands over they stay: what opened the session, or ends it, may
// not have been proposed.
func (m *Member) resolved(doubts []doubt) (n int) {
	if m.leader == nil || m.r.role != leading || m.r.handing {
		return 0
	}
	for n < len(doubts) && doubts[n].ticket <= m.sure {
		n++
	}
	return n
}

// conclude answers the leader's own clients. It changes what readers look at, as all that Deliver does.
func (m *Member) conclude() {
	n := m.resolved(m.comers)
	for _, d := range m.comers[:n] {
		m.r.conclude(d.conn, d.at)
	}
	m.comers = append(m.comers[:0], m.comers[n:]...)
}

// resolve answers learners.
func (m *Member) resolve() {
	n := m.resolved(m.doubts)
	for _, d := range m.doubts[:n] {
		if m.owners[d.from] == d.owner {
			m.answerRevalidate(d.from, d.touch.Session, m.r.renew(d.owner, d.touch))
		}
		m.doubtful[d.from]--
	}
	m.doubts = append(m.doubts[:0], m.doubts[n:]...)
}

// revalidate answers a learner that asks whether a session still exists. A learner's questions are answered in their order: Apache's followers
// that serve observers count on it.
func (m *Member) revalidate(from proto.ServerID, owner session.Owner, t proto.Touch) {
	if valid := m.r.renew(owner, t); valid && m.doubtful[from] == 0 || mutant.On(mutant.DeposedLeaderExpires) {
		m.answerRevalidate(from, t.Session, valid)
		return
	}
	m.doubtful[from]++
	m.doubts = append(m.doubts, doubt{ticket: m.leader.Confirm(), from: from, owner: owner, touch: t})
}

func (m *Member) answerRevalidate(to proto.ServerID, s proto.SessionID, valid bool) {
	v := proto.Revalidation{Session: s, Valid: valid}
	m.leader.Send(to, proto.QuorumPacket{Type: proto.PacketRevalidate, Zxid: -1, Data: v.Append(nil)})
}

// retireDoubts ends the connections that wait: another server will know.
func (m *Member) retireDoubts() {
	for _, d := range m.comers {
		m.r.hangUp(d.conn)
	}
	m.comers, m.doubts, m.sure = nil, nil, 0
	clear(m.doubtful)
}
