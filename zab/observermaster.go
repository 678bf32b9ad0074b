package zab

import (
	"errors"
	"fmt"
	"slices"

	"zebu/internal/mutant"
	"zebu/proto"
	"zebu/quorum"
)

// DefaultObserverCache is how many bytes of transactions an [ObserverMaster] keeps unless told otherwise
// (zookeeper.observerMaster.sizeLimit).
const DefaultObserverCache = 32 << 20

// ObserverMasterOptions describe a follower that serves its leader's history to observers.
type ObserverMasterOptions struct {
	ID      proto.ServerID
	Leader  proto.ServerID
	Epoch   proto.Epoch    // the leader's
	Applied proto.Zxid     // of the last transaction applied
	Config  *quorum.Config // the committed configuration
	Log     *CommitLog     // the server's own; it may be ahead of Applied
	// Cache is how many bytes of transactions are kept for observers that come, those of Log being the first.
	Cache    int
	LogSync  bool // observers may be synchronised from the log on disk
	SnapSync bool // observers are sent snapshots only
	Timing   Timing
	// MaxSnapSyncs and MaxDiffSyncs are those of [LeaderOptions].
	MaxSnapSyncs, MaxDiffSyncs int
}

// ObserverMaster is a follower's service to observers that learn from it instead of the leader (observerMasterPort,
// spec 8.6). It begins when the follower's [Learner] serves and ends with that. It tells observers what the follower has
// applied, passes on to the leader what they ask for, and finds out whose question an answer of the leader belongs to.
type ObserverMaster struct {
	o       ObserverMasterOptions
	now     proto.Millis
	peers   peers
	cache   *CommitLog
	applied proto.Zxid

	// syncs and revalidations wait for the leader's answers, in the order in which they were sent to it.
	syncs         []*peer // nil stands for the follower itself
	revalidations []relayed
	touched       []proto.Touch // sessions that observers have heard of since the follower told the leader
	heard         map[proto.SessionID]struct{}

	// moved says who has asked for a session last: to the leader, all of them are one. What is older than an observer may be silent for
	// is forgotten; nothing that was sent before can come any more.
	moved, movedBefore map[proto.SessionID]proto.ServerID
	forgetAt           proto.Millis

	nextBeat proto.Millis
	ready    Ready
}

// relayed is a REVALIDATE on its way.
type relayed struct {
	from  *peer // nil: the follower itself
	touch proto.Touch
}

// NewObserverMaster begins to serve observers.
func NewObserverMaster(o ObserverMasterOptions, now proto.Millis) *ObserverMaster {
	if o.MaxSnapSyncs <= 0 {
		o.MaxSnapSyncs = DefaultMaxSnapSyncs
	}
	if o.MaxDiffSyncs <= 0 {
		o.MaxDiffSyncs = DefaultMaxDiffSyncs
	}
	return &ObserverMaster{
		o: o, now: now, cache: newCache(o.Cache, o.Log, o.Applied), applied: max(o.Applied, proto.MakeZxid(o.Epoch, 0)),
		heard: map[proto.SessionID]struct{}{}, moved: map[proto.SessionID]proto.ServerID{}, nextBeat: now + o.Timing.beat(),
	}
}

// SetConfig says which configuration is committed now.
func (m *ObserverMaster) SetConfig(c *quorum.Config) { m.o.Config = c }

// Census counts the observers.
func (m *ObserverMaster) Census() Census {
	c := Census{Learners: len(m.peers)}
	for _, p := range m.peers {
		if p.synced {
			c.SyncedObservers++
		}
	}
	return c
}

// Ready returns what is to be done and forgets it: messages, to the leader too, links to be closed, queries and views.
// The views show the state as it is before what the [Learner] delivers at the same time. It is valid until the next input.
func (m *ObserverMaster) Ready() Ready {
	// Not as soon as this server has what an observer waits for: it may be about to apply more, and a view would show that.
	for _, p := range slices.Clone(m.peers) {
		if p.phase == acknowledged && !m.ahead(p) {
			m.synchronise(p)
		}
	}
	r := m.ready
	if len(m.peers) > 0 {
		r.Wake = m.nextBeat
	}
	m.ready = Ready{
		Deliver: m.ready.Deliver[:0], Messages: m.ready.Messages[:0], Drop: m.ready.Drop[:0], Queries: m.ready.Queries[:0],
	}
	return r
}

// LinkUp says that an observer has connected; see [Leader.LinkUp].
func (m *ObserverMaster) LinkUp(id proto.ServerID) {
	m.LinkDown(id)
	m.ready.Drop = slices.DeleteFunc(m.ready.Drop, func(d Drop) bool { return d.ID == id })
	m.peers.add(&peer{id: id, observer: true, since: m.now})
}

// LinkDown says that an observer's link is gone, and with it what has not been sent.
func (m *ObserverMaster) LinkDown(id proto.ServerID) {
	if m.peers.remove(id) {
		m.ready.forget(id)
	}
}

func (m *ObserverMaster) drop(p *peer, err error) {
	m.LinkDown(p.id)
	m.ready.Drop = append(m.ready.Drop, Drop{p.id, err})
}

func (m *ObserverMaster) post(to proto.ServerID, p proto.QuorumPacket) {
	m.ready.Messages = append(m.ready.Messages, Message{To: to, Packet: p})
}

func (m *ObserverMaster) send(p *peer, t proto.PacketType, z proto.Zxid, data []byte) {
	m.post(p.id, proto.QuorumPacket{Type: t, Zxid: z, Data: data})
}

// beginning is the zxid with which the epoch begins.
func (m *ObserverMaster) beginning() proto.Zxid { return proto.MakeZxid(m.o.Epoch, 0) }

// Recv takes an observer's packet, whose Data becomes the master's. An observer that breaks the protocol is dropped.
func (m *ObserverMaster) Recv(from proto.ServerID, p proto.QuorumPacket) {
	o := m.peers.get(from)
	if o == nil {
		return
	}
	o.since = m.now
	if err := m.recv(o, &p); err != nil {
		m.drop(o, fmt.Errorf("%v %v from observer %d: %w", p.Type, p.Zxid, from, err))
	}
}

// Observers are those that have a link.
func (m *ObserverMaster) Observers() (ids []proto.ServerID) {
	for _, o := range m.peers {
		ids = append(ids, o.id)
	}
	return ids
}

func (m *ObserverMaster) recv(o *peer, p *proto.QuorumPacket) error {
	switch p.Type {
	case proto.PacketObserverInfo:
		return m.recvInfo(o, p)
	case proto.PacketAckEpoch:
		return m.recvAckEpoch(o, p)
	case proto.PacketAck:
		return m.recvAck(o, p.Zxid)
	}
	if !o.synced {
		return errUnexpected
	}
	switch p.Type {
	case proto.PacketPing:
		return m.recvTouches(p.Data)
	case proto.PacketRevalidate:
		return m.revalidate(o, p)
	case proto.PacketRequest:
		f, err := proto.DecodeForwardedRequest(p.Data)
		switch {
		case err != nil:
			return err
		case m.hasMoved(o.id, &f): // the observer cannot be told of one session
			return errMoved
		}
		m.relay(o, p, f.Op)
		return nil
	}
	return errUnexpected
}

// recvInfo takes an observer's first packet. The epoch has long begun.
func (m *ObserverMaster) recvInfo(o *peer, p *proto.QuorumPacket) error {
	if o.phase != unknown {
		return errUnexpected
	}
	info, err := proto.DecodeLearnerInfo(p.Data)
	switch {
	case err != nil:
		return err
	case info.ServerID != o.id:
		return fmt.Errorf("zab: it is server %d", info.ServerID)
	case info.ProtocolVersion < proto.QuorumProtocolVersion:
		return errors.New("zab: it is older than ZooKeeper 3.4")
	case proto.Zxid(info.ConfigVersion) > m.o.Config.Version:
		return fmt.Errorf("%w: its configuration is %x", ErrAhead, info.ConfigVersion)
	}
	o.phase = informed
	m.send(o, proto.PacketLeaderInfo, m.beginning(), proto.AppendInt32(nil, proto.QuorumProtocolVersion))
	return nil
}

func (m *ObserverMaster) recvAckEpoch(o *peer, p *proto.QuorumPacket) error {
	if o.phase != informed {
		return errUnexpected
	}
	o.last = p.Zxid
	o.phase = acknowledged
	if !m.ahead(o) {
		m.synchronise(o)
	}
	return nil
}

// ahead says whether an observer has heard of transactions of this epoch that this follower has yet to hear of. It came
// from a faster server. Apache's observer master has them cut off; here the observer waits, since what it has is
// committed or will be, if the epoch lasts.
func (m *ObserverMaster) ahead(o *peer) bool {
	return !mutant.On(mutant.MasterCutsObserver) && o.last > m.applied && o.last.Epoch() == m.o.Epoch
}

// synchronise gives an observer this server's history, as a leader would.
func (m *ObserverMaster) synchronise(o *peer) {
	h := m.origin()
	plan, after, ask := h.plan(o.last)
	if ask != 0 {
		o.phase = asking
		m.ready.Queries = append(m.ready.Queries, LogQuery{ID: o.id, Last: o.last, Max: ask})
		return
	}
	m.stream(o, plan, after)
}

func (m *ObserverMaster) origin() origin {
	return origin{m.cache, m.applied, m.o.LogSync, m.o.SnapSync}
}

// LogAnswer answers a [LogQuery]; see [Leader.LogAnswer].
func (m *ObserverMaster) LogAnswer(q LogQuery, a LogAnswer) {
	o := m.peers.get(q.ID)
	if o == nil || o.phase != asking || o.last != q.Last {
		return
	}
	h := m.origin()
	plan := h.planWith(o.last, a)
	if plan == snapshot {
		m.stream(o, plan, 0)
		return
	}
	if m.admit(o, plan) {
		m.send(o, plan.op, plan.zxid, nil)
		m.ready.Messages = append(m.ready.Messages, Message{To: o.id, LogAfter: o.last, LogThrough: a.Through})
		m.forward(o, a.Through)
	}
}

func (m *ObserverMaster) stream(o *peer, plan syncPlan, after proto.Zxid) {
	if !m.admit(o, plan) {
		return
	}
	if plan.op == proto.PacketSnap {
		o.snap, o.sending = true, true
		plan.zxid, after = m.applied, m.applied
		m.ready.Deliver = append(m.ready.Deliver, Delivery{Kind: View, From: o.id})
	}
	m.send(o, plan.op, plan.zxid, nil)
	m.forward(o, after)
}

func (m *ObserverMaster) admit(o *peer, plan syncPlan) bool {
	if m.peers.room(plan, m.o.MaxSnapSyncs, m.o.MaxDiffSyncs) {
		return true
	}
	m.drop(o, errTooManySyncs)
	return false
}

// forward sends what the observer lacks after a zxid, then NEWLEADER. That carries the configuration in force: the
// observer activates what it carries, and of one that is only proposed it will hear in time.
func (m *ObserverMaster) forward(o *peer, after proto.Zxid) {
	for _, t := range m.cache.after(after) {
		m.send(o, proto.PacketProposal, t.Zxid, t.Data)
		m.send(o, proto.PacketCommit, t.Zxid, nil)
	}
	o.phase = following
	o.since = m.now
	m.send(o, proto.PacketNewLeader, m.beginning(), []byte(m.o.Config.String()))
}

// recvAck takes the acknowledgement of NEWLEADER. Observers acknowledge nothing else but UPTODATE.
func (m *ObserverMaster) recvAck(o *peer, z proto.Zxid) error {
	if o.phase != following || !isFirst(z) {
		return errUnexpected
	}
	if !o.synced {
		o.synced = true
		m.send(o, proto.PacketUpToDate, -1, nil)
	}
	return nil
}

// recvTouches takes the sessions that an observer has heard of.
func (m *ObserverMaster) recvTouches(data []byte) error {
	touches, err := proto.DecodeTouches(nil, data)
	for _, t := range touches {
		m.touch(t)
	}
	return err
}

func (m *ObserverMaster) touch(t proto.Touch) {
	if _, known := m.heard[t.Session]; !known {
		m.heard[t.Session] = struct{}{}
		m.touched = append(m.touched, t)
	}
}

// AppendTouches appends the sessions that observers have heard of to the follower's own, for its answer to a PING.
func (m *ObserverMaster) AppendTouches(data []byte) []byte {
	data = proto.AppendTouches(data, m.touched...)
	m.touched = m.touched[:0]
	clear(m.heard)
	return data
}

// Forward sends the leader a request, or a REVALIDATE, of the follower's own clients. It goes this way because the
// leader's answers do not say who asked. It returns false if the session whose request it is has moved to an observer, and nothing is sent.
func (m *ObserverMaster) Forward(p proto.QuorumPacket) bool {
	if p.Type == proto.PacketRevalidate {
		_ = m.revalidate(nil, &p) // what the follower sends can be read
		return true
	}
	f, _ := proto.DecodeForwardedRequest(p.Data)
	if m.hasMoved(m.o.ID, &f) {
		return false
	}
	m.relay(nil, &p, f.Op)
	return true
}

var errMoved = errors.New("zab: the session has moved")

// hasMoved says whether somebody else has asked for the session of a request since. The leader holds sessions to those who asked last,
// and takes this follower and its observers for one.
func (m *ObserverMaster) hasMoved(from proto.ServerID, f *proto.ForwardedRequest) bool {
	if f.Op == proto.OpCreateSession {
		return false
	}
	to, ok := m.moved[f.Session]
	if !ok {
		to, ok = m.movedBefore[f.Session]
	}
	return ok && to != from
}

// relay passes a request on to the leader.
func (m *ObserverMaster) relay(from *peer, p *proto.QuorumPacket, op proto.OpCode) {
	if op == proto.OpSync {
		m.syncs = append(m.syncs, from)
	}
	m.post(m.o.Leader, *p)
}

func (m *ObserverMaster) revalidate(from *peer, p *proto.QuorumPacket) error {
	touches, err := proto.DecodeTouches(nil, p.Data)
	if err != nil {
		return err
	}
	id := m.o.ID
	if from != nil {
		id = from.id
	}
	for _, t := range touches {
		m.revalidations = append(m.revalidations, relayed{from, t})
		m.moved[t.Session] = id
	}
	m.post(m.o.Leader, *p)
	return nil
}

// Synced takes the leader's answer to the oldest sync. It returns false if the follower itself had asked.
func (m *ObserverMaster) Synced() (taken bool) {
	if len(m.syncs) == 0 {
		return false
	}
	o := m.syncs[0]
	m.syncs = m.syncs[1:]
	if mutant.On(mutant.MasterMixesAnswers) {
		return false
	}
	if o != nil && m.peers.get(o.id) == o {
		m.send(o, proto.PacketSync, 0, nil)
	}
	return o != nil
}

// Revalidated takes the leader's answer to the oldest REVALIDATE of a session. It returns false if the follower itself had
// asked.
func (m *ObserverMaster) Revalidated(p proto.QuorumPacket) (taken bool) {
	v, err := proto.DecodeRevalidation(p.Data)
	if err != nil {
		return false
	}
	at := slices.IndexFunc(m.revalidations, func(r relayed) bool { return r.touch.Session == v.Session })
	if at < 0 {
		return false
	}
	r := m.revalidations[at]
	m.revalidations = slices.Delete(m.revalidations, at, at+1)
	if r.from == nil || m.peers.get(r.from.id) != r.from {
		return r.from != nil
	}
	m.post(r.from.id, p)
	if v.Valid {
		m.touch(r.touch)
	}
	return true
}

// Committed says what the follower has just applied. An error means that the history has a gap.
func (m *ObserverMaster) Committed(d *Delivery) error {
	if err := m.cache.Append(d.Txn); err != nil {
		return err
	}
	m.applied = d.Txn.Zxid
	for _, p := range m.peers {
		if p.phase == following {
			m.post(p.id, inform(d))
		}
	}
	return nil
}

// SnapshotSent says that the whole snapshot has gone to an observer, which is expected to answer from now on.
func (m *ObserverMaster) SnapshotSent(id proto.ServerID) {
	if p := m.peers.get(id); p != nil {
		p.sending, p.since = false, m.now
	}
}

// Tick tells the time: observers are asked for signs of life twice a tick, and dropped if they give none.
func (m *ObserverMaster) Tick(now proto.Millis) {
	m.now = max(m.now, now)
	for i := len(m.peers) - 1; i >= 0; i-- {
		p := m.peers[i]
		limit := m.o.Timing.init()
		if p.synced {
			limit = m.o.Timing.sync()
		}
		waits := p.phase == acknowledged || p.phase == asking || p.sending && !p.synced
		if m.now >= p.since+limit && !waits {
			m.drop(p, ErrSilence)
		}
	}
	if m.now < m.nextBeat {
		return
	}
	m.nextBeat = m.now + m.o.Timing.beat()
	if m.now >= m.forgetAt {
		m.movedBefore, m.moved = m.moved, map[proto.SessionID]proto.ServerID{}
		m.forgetAt = m.now + m.o.Timing.sync() + m.o.Timing.beat()
	}
	for _, p := range m.peers {
		if p.phase == following {
			m.send(p, proto.PacketPing, m.applied, nil)
		}
	}
}
