package replica

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"zebu/election"
	"zebu/internal/mutant"
	"zebu/proto"
	"zebu/quorum"
	"zebu/session"
	"zebu/zab"
	"zebu/znode"
)

// Ready returns what inputs have caused since it was last called.
func (m *Member) Ready() (out Ready) {
	m.r.EndTurn()
	m.answerAsks()
	m.inquireSessions()
	e := m.el.Ready()
	out.Notifications, out.Wake = e.Messages, e.Wake
	if e.Config != nil {
		m.committed = e.Config
		if m.lastSeen != nil && m.lastSeen.Version <= e.Config.Version {
			m.lastSeen = nil
		}
		m.inForce = e.Config
	}
	if e.Decision != nil {
		m.take(e.Decision)
	}
	var z zab.Ready
	switch {
	case m.leader != nil:
		z = m.leader.Ready()
	case m.learner != nil:
		m.sendUp()
		z = m.learner.Ready()
		m.withMaster(&z)
	}
	if z.Wake != 0 {
		out.Wake = z.Wake
	} else if m.o.ReadOnly && m.phase == electing && !m.reading {
		out.Wake = sooner(out.Wake, m.since+m.patience())
	}
	out.Wake = sooner(out.Wake, m.electAt)
	m.deliveries, m.delivered = z.Deliver, 0
	if z.Confirmed != 0 {
		m.sure = z.Confirmed
		m.confirmed(z.Confirmed)
	}
	out.Messages, out.Drop, out.Queries = z.Messages, append(z.Drop, m.broken...), z.Queries
	m.broken = m.broken[:0]
	out.Writes, out.DeliverFirst = m.issue(z.Writes)
	for i := range z.Deliver {
		out.DeliverFirst = out.DeliverFirst || z.Deliver[i].Kind == zab.View
	}
	if z.Serving {
		m.serve(z.Leader)
		out.Observers = m.master != nil
	}
	if z.Ended != nil && m.phase == engaged {
		m.finish(z.Ended)
	}
	m.watchHandOver()
	out.Deliver = len(m.deliveries) > 0 || m.begin || m.end || len(m.r.kv.replies) > 0 || m.resolved(m.comers) > 0
	out.Role, m.role = m.role, nil
	out.Config, m.inForce = m.inForce, nil
	return out
}

// sooner is the earlier of two times, of which 0 is none.
func sooner(a, b proto.Millis) proto.Millis {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// Empty says whether there is nothing to do but to wait.
func (r *Ready) Empty() bool {
	return len(r.Notifications) == 0 && r.Role == nil && len(r.Writes) == 0 && len(r.Messages) == 0 && len(r.Drop) == 0 &&
		len(r.Queries) == 0 && r.Config == nil && !r.Deliver
}

// take begins the role that an election has decided on.
func (m *Member) take(d *election.Decision) {
	m.leaderID = d.Vote.Leader
	if m.reading {
		m.reading, m.begin, m.end = false, false, true
	}
	if d.State != proto.Leading {
		m.phase = dialing
		m.role = &Role{State: d.State, Leader: m.leaderID}
		return
	}
	m.phase = engaged
	m.leader = zab.NewLeader(zab.LeaderOptions{
		ID: m.o.ID, AcceptedEpoch: m.accepted, CurrentEpoch: m.current, Last: m.r.applied, Log: m.log,
		Committed: m.committed, LastSeen: m.lastSeen, Reconfig: m.o.Reconfig, LogSync: m.o.LogSync, SnapSync: m.o.SnapSync,
		Oracle: m.o.Oracle, Granted: m.granted, EpochWait: m.o.EpochWait, Timing: m.o.Timing,
		MaxSnapSyncs: m.o.MaxSnapSyncs, MaxDiffSyncs: m.o.MaxDiffSyncs, LastCounter: m.o.LastCounter, Extensions: m.ownExtensions(),
	}, m.now())
	m.role = &Role{State: proto.Leading, Leader: m.o.ID}
}

// issue notes the writes that are handed out, and adds those that keep configurations as soon as they are proposed
// (spec 11.4). The result says whether the state must be up to date before they are carried out.
func (m *Member) issue(writes []zab.Write) (issued []zab.Write, stateFirst bool) {
	issued = m.issued[:0]
	for i := range writes {
		w := writes[i]
		switch w.Kind {
		case zab.AppendTxn:
			m.appended = w.Txn.Zxid
			if text := reconfiguration(w.Txn.Data); text != nil && m.see(text) != nil {
				save := zab.Write{Kind: zab.SaveConfig, Config: text}
				m.controls = append(m.controls, save)
				issued = append(issued, save)
			}
			issued = append(issued, w)
			continue
		case zab.SaveConfig:
			if m.offered = m.see(w.Config); m.offered == nil {
				continue
			}
		case zab.Truncate, zab.InstallSnapshot:
			stateFirst = true
			m.appended, m.durable = w.Zxid, w.Zxid
		}
		m.controls = append(m.controls, w)
		issued = append(issued, w)
	}
	m.issued = issued
	return issued, stateFirst
}

// typeOffset is where in an encoded [proto.TxnHeader] the type is.
const typeOffset, headerSize = 28, 32

// reconfiguration returns the text of the configuration that a transaction proposes, nil if it does not.
func reconfiguration(txn []byte) []byte {
	if len(txn) < headerSize || proto.OpCode(int32(binary.BigEndian.Uint32(txn[typeOffset:]))) != proto.OpReconfig {
		return nil
	}
	text, ok := znode.ConfigOf(proto.OpReconfig, txn[headerSize:])
	if !ok {
		return nil
	}
	return text
}

// see takes the text of a configuration that has been proposed, and returns it if it is to be kept. What cannot be read
// is not: a server that does not understand a configuration goes on with the one it has.
func (m *Member) see(text []byte) *quorum.Config {
	if !m.o.Reconfig {
		return nil
	}
	c, err := quorum.ParseConfig(string(text))
	if err != nil {
		return nil
	}
	if c.Version > m.newest().Version {
		m.lastSeen = c
		m.el.SetConfigs(m.now(), m.committed, m.lastSeen)
	}
	return c
}

// newest is the last configuration seen.
func (m *Member) newest() *quorum.Config {
	if m.lastSeen != nil {
		return m.lastSeen
	}
	return m.committed
}

// serve begins service in an epoch that is established.
func (m *Member) serve(designated proto.ServerID) {
	m.serving, m.begin = true, true
	c, leader := m.offered, m.leaderID
	if m.leader != nil {
		m.el.Synced(m.leader.Epoch())
		c, _ = m.leader.Configs()
		leader = designated
	} else {
		m.el.Synced(m.learner.Epoch())
		m.serveObservers()
	}
	// A later one may have been committed meanwhile. The same one may be in force already, from a notification: it is
	// not done with on disk before it is activated.
	if m.o.Reconfig && c != nil && c != m.committed && (c.Version >= m.committed.Version || mutant.On(mutant.ConfigGoesBack)) {
		m.activate(activation{c, leader, c.Version})
	}
	if m.leader != nil && designated != m.o.ID { // learners are not told, as they would be with a commit: an election tells them
		m.succession, m.leaving = nil, true
	}
}

// activate puts a configuration into force. If it gives this server another role, or another leader, the present role ends, and
// the next one begins without an election (spec 11.4).
func (m *Member) activate(a activation) {
	m.committed, m.inForce = a.config, a.config
	if m.lastSeen != nil && m.lastSeen.Version <= a.config.Version {
		m.lastSeen = nil
	}
	m.el.SetConfigs(m.now(), m.committed, m.lastSeen)
	if m.master != nil {
		m.master.SetConfig(m.committed)
	}
	member := a.config.Member(m.o.ID)
	observer := member != nil && member.Observer
	switch {
	case m.leader != nil && a.leader != m.o.ID:
		m.succession = &a // when the learners have left; see LinkDown
	case m.learner != nil && (a.leader != m.leaderID || observer != (m.el.State() == proto.Observing)):
		m.succession, m.leaving = &a, true
	}
}

// leave ends the role that a configuration takes away. Not at once: the role would add to what Ready has given out, which is its own memory.
func (m *Member) leave() {
	m.leaving = false
	if m.leader != nil {
		m.leader.Resign()
	} else if m.learner != nil {
		m.learner.LinkDown()
	}
}

// finish ends the role.
func (m *Member) finish(err error) {
	m.phase, m.serving, m.begin, m.end = ending, false, false, true
	m.refetch = m.refetch || errors.Is(err, zab.ErrNoHistory)
	m.offered, m.master = nil, nil
	if errors.Is(err, zab.ErrHandedOver) {
		m.handedOver(m.leader.Heir())
	}
	m.role = &Role{State: proto.Looking, Err: err}
}

// Deliver carries out at most n of the deliveries of the last Ready, and what the beginning or the end of service means for
// clients. It changes the state and appends outputs, and may run beside nothing that looks at them. It reports whether
// there is more. An error means corruption; the server must stop.
func (m *Member) Deliver(n int) (more bool, err error) {
	if m.begin {
		m.begin = false
		if err := m.beginService(); err != nil {
			return false, err
		}
	}
	for ; n > 0 && m.delivered < len(m.deliveries); n-- {
		d := &m.deliveries[m.delivered]
		m.delivered++
		if err := m.deliver(d); err != nil {
			return false, err
		}
	}
	if m.delivered < len(m.deliveries) {
		return true, nil
	}
	m.conclude()
	if m.end {
		m.end = false
		m.r.retire()
		m.retireReaders()
		m.retireDoubts()
	}
	return false, nil
}

func (m *Member) beginService() error {
	var ignored znode.Result // nobody watches yet
	m.r.tree.SetConfig(m.committed, m.r.now.Wall, &ignored)
	if m.reading {
		return m.r.readOnlyService()
	}
	if m.leader == nil {
		err := m.r.learn(proto.MakeZxid(m.learner.Epoch(), 0))
		m.tellClientURL()
		return err
	}
	m.closing = m.r.orphans()
	return m.r.lead(m.leader.NextZxid() - 1)
}

func (m *Member) deliver(d *zab.Delivery) error {
	switch d.Kind {
	case zab.Apply:
		if m.staging != nil {
			return m.staging.replay(d.Txn.Data)
		}
		if d.Activate {
			// A server that does not understand a configuration goes on with the one it has; see [Member.see].
			if c, err := quorum.ParseConfig(string(reconfiguration(d.Txn.Data))); err == nil {
				m.activation = &activation{c, d.Leader, d.Txn.Zxid}
			}
		}
		if err := m.r.Apply(d.Txn.Data); err != nil || m.master == nil {
			return err
		}
		m.refuseObservers()
		return m.master.Committed(d)
	case zab.Replay:
		return m.r.replay(d.Txn.Data)
	case zab.View:
		m.views = append(m.views, m.view(d.From))
	case zab.Pass:
		switch {
		case m.leader != nil || d.Packet.Type == proto.PacketPing:
			m.passed = append(m.passed, *d)
		case d.Packet.Type == proto.PacketHandOver:
			if heir, err := proto.DecodeHeir(d.Packet.Data); err == nil {
				m.handedOver(heir, d.Packet.Zxid)
				m.passed = append(m.passed, *d)
			}
		case m.master != nil && m.observersAnswer(d.Packet):
		case d.Packet.Type == proto.PacketAsk:
			if a, err := proto.DecodeAsk(d.Packet.Data); err == nil {
				m.r.answered(a)
			}
		case d.Packet.Type == proto.PacketSync:
			m.r.synced()
		case d.Packet.Type == proto.PacketRevalidate:
			if v, err := proto.DecodeRevalidation(d.Packet.Data); err == nil {
				m.r.revalidated(v)
			}
		}
	}
	return nil
}

// TakeViews returns the snapshots that the last Deliver has taken for SNAP messages.
func (m *Member) TakeViews() []View {
	v := m.views
	m.views = nil
	return v
}

// Continue does what the deliveries have led to. It is called when Deliver has nothing more and everything in Ready has been
// handed on.
func (m *Member) Continue() {
	for i := range m.passed {
		if m.leader != nil {
			m.serveLearner(&m.passed[i])
		} else if m.learner != nil {
			p := m.passed[i].Packet
			if p.Type == proto.PacketPing {
				p.Data = m.r.touches()
				if m.master != nil {
					p.Data = m.master.AppendTouches(p.Data)
				}
			}
			m.learner.Send(p)
		}
		m.passed[i] = zab.Delivery{}
	}
	m.passed = m.passed[:0]
	m.resolve()
	for _, s := range m.closing {
		if m.r.role == leading {
			m.r.plan(nil, 0, s, &Request{Op: proto.OpCloseSession})
		}
	}
	m.closing = nil
	if a := m.activation; a != nil {
		m.activation = nil
		if m.o.Reconfig && m.phase == engaged {
			m.activate(*a)
		}
	}
	if m.leaving {
		m.leave()
	}
	if m.phase == ending && len(m.controls) == 0 && (m.appended == m.durable || mutant.On(mutant.WritesOutliveRole)) && m.delivered == len(m.deliveries) {
		m.moveOn()
	}
}

// moveOn leaves a role whose writes are all done.
func (m *Member) moveOn() {
	m.leader, m.learner, m.staging = nil, nil, nil
	clear(m.owners)
	s := m.succession
	m.succession = nil
	m.rest()
	if s == nil {
		m.lookAgain()
		return
	}
	m.pause = 0
	m.el.Designate(s.leader, s.zxid)
	m.take(&election.Decision{State: m.el.State(), Vote: m.el.Vote()})
}

// serveLearner handles a learner's packet, as the leader.
func (m *Member) serveLearner(d *zab.Delivery) {
	owner, ok := m.owners[d.From]
	if !ok || m.r.role != leading {
		return
	}
	if err := m.serveRequest(owner, d); err != nil {
		// What the learner said makes no sense, and whoever waits for an answer to it would do so for ever.
		m.broken = append(m.broken, zab.Drop{ID: d.From, Err: fmt.Errorf("%v from server %d: %w", d.Packet.Type, d.From, err)})
		m.leader.LinkDown(d.From)
	}
}

func (m *Member) serveRequest(owner session.Owner, d *zab.Delivery) (err error) {
	switch d.Packet.Type {
	case proto.PacketPing:
		if m.touching, err = proto.DecodeTouches(m.touching[:0], d.Packet.Data); err == nil {
			m.r.heard(m.touching)
		}
		return err
	case proto.PacketRevalidate:
		if m.touching, err = proto.DecodeTouches(m.touching[:0], d.Packet.Data); err != nil {
			return err
		}
		for _, t := range m.touching {
			m.revalidate(d.From, owner, t)
		}
		return nil
	case proto.PacketAsk:
		return m.asked(d.From, d.Packet.Data)
	}
	f, err := proto.DecodeForwardedRequest(d.Packet.Data)
	if err != nil {
		return err
	}
	switch f.Op {
	case proto.OpEtcd:
		return m.forwardedEtcd(&f)
	case proto.OpSync:
		m.r.planBarrier()
		m.leader.Sync(d.From)
		return nil
	case proto.OpReconfig:
		m.tellPlanner()
		if slices.Contains(d.Packet.AuthInfo, gatewayIDs[0]) { // there is no session
			owner = 0
		}
	}
	return m.r.forwarded(owner, &f, d.Packet.AuthInfo)
}
