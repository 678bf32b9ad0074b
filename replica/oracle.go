package replica

import (
	"zebu/proto"
	"zebu/quorum"
)

// AsksOracle says whether the oracle of an ensemble of two (oraclePath, spec 7.5) is to be asked now, and [Member.OracleSays]
// called. It is worth a call every turn, before [Member.Ready].
func (m *Member) AsksOracle() bool {
	wanted := false
	switch {
	case !m.o.Oracle:
	case m.leader != nil:
		wanted = m.leader.AsksOracle()
	default:
		wanted = m.el.State() == proto.Looking && m.committed.Voters().Union(m.newest().Voters()).Len() <= 2
	}
	if !wanted {
		m.askAt = 0
	}
	return wanted && m.now() >= m.askAt
}

// OracleSays takes the oracle's word, which counts until the next one.
func (m *Member) OracleSays(grants bool) {
	m.askAt = m.now() + m.o.Timing.Tick/2
	if m.leader != nil {
		m.leader.OracleSays(grants)
		return
	}
	m.granted = grants
	m.el.SetOracle(m.now(), quorum.Oracle{Needed: true, Grants: grants})
}
