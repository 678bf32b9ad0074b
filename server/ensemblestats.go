package server

import (
	"encoding/binary"
	"strconv"
	"sync/atomic"
	"time"

	"zebu/internal/metrics"
	"zebu/proto"
	"zebu/replica"
	"zebu/status"
	"zebu/storage"
	"zebu/transport"
	"zebu/zab"
)

// maxMarks is how many batches of transactions are remembered to tell how long they took. A server that lags further behind
// is measured from the oldest.
const maxMarks = 1024

// mark stands for the transactions that the loop handled in one turn.
type mark struct {
	zxid    proto.Zxid   // of the last
	at      time.Time    // when it was proposed here, or came from the leader
	created proto.Millis // by the leader's clock
}

// marks are the last batches; how far each server has come with them is told by cursors, numbers of batches since the
// role began.
type marks struct {
	ring [maxMarks]mark
	n    uint64 // so many there were
}

func (m *marks) add(k mark) {
	m.ring[m.n%maxMarks] = k
	m.n++
}

// pass moves a cursor over all batches up to a zxid and calls yield for each.
func (m *marks) pass(cursor *uint64, z proto.Zxid, yield func(*mark)) {
	if m.n > maxMarks {
		*cursor = max(*cursor, m.n-maxMarks)
	}
	for ; *cursor < m.n && m.ring[*cursor%maxMarks].zxid <= z; *cursor++ {
		yield(&m.ring[*cursor%maxMarks])
	}
}

// linkStats are the numbers of one quorum link.
type linkStats struct {
	key                      string // the server's id
	established              time.Time
	observer, synced         bool
	received, sent, requests int64 // packets since the learner is synced
	lastZxid                 proto.Zxid
	acked                    uint64 // cursor
	snapshot, syncing        bool   // how it is being synchronised, and whether
}

// memberStats records what a member of an ensemble does, under ZooKeeper's metric names: by the batch, so that a write
// costs nothing here. All fields are the loop's, but for proposals.
type memberStats struct {
	met *metrics.Server
	own string        // this server's id
	now replica.Clock // of the turn

	looking, unavailable, synchronising proto.Millis // since when; 0: not
	stage                               status.Stage
	leads                               time.Time // when leadership began
	links                               map[proto.ServerID]*linkStats

	marks             marks
	logged, committed uint64 // cursors
	proposals         sizes
}

// sizes are the sizes of proposals in bytes, as reports tell them. The loop writes them, reports read and reset them.
type sizes struct{ last, min, max atomic.Int64 }

func (s *sizes) reset() {
	s.last.Store(-1)
	s.min.Store(-1)
	s.max.Store(-1)
}

func (s *sizes) observe(n int64) {
	s.last.Store(n)
	if least := s.min.Load(); least < 0 || n < least {
		s.min.Store(n)
	}
	if n > s.max.Load() {
		s.max.Store(n)
	}
}

func (s *sizes) load() status.Sizes {
	return status.Sizes{Last: s.last.Load(), Min: s.min.Load(), Max: s.max.Load()}
}

func newMemberStats(met *metrics.Server, id proto.ServerID) *memberStats {
	st := &memberStats{met: met, own: serverKey(id), links: map[proto.ServerID]*linkStats{}}
	st.proposals.reset()
	return st
}

func serverKey(id proto.ServerID) string { return strconv.FormatInt(int64(id), 10) }

// assume notes the beginning of a role, or of an election.
func (st *memberStats) assume(s proto.PeerState) {
	clear(st.links)
	st.marks.n, st.logged, st.committed = 0, 0, 0
	now := max(1, st.now.Mono)
	switch {
	case s == proto.Looking:
		st.met.LookingCount.Inc()
		st.looking = now
		if st.unavailable == 0 {
			st.unavailable = now
		}
	case st.looking != 0:
		if s != proto.Observing {
			st.met.ElectionTime.Observe(int64(now - st.looking))
		}
		st.looking = 0
	}
}

// reach notes how far the role has come.
func (st *memberStats) reach(stage status.Stage, s proto.PeerState) {
	if stage == st.stage {
		return
	}
	st.stage = stage
	now := max(1, st.now.Mono)
	switch stage {
	case status.Synchronization:
		st.synchronising = now
	case status.Broadcast:
		st.begin(now, s)
	}
}

// begin notes that service begins.
func (st *memberStats) begin(now proto.Millis, s proto.PeerState) {
	took := int64(0)
	if st.synchronising != 0 {
		took = int64(now - st.synchronising)
	}
	switch s {
	case proto.Leading:
		st.leads = time.Now()
		st.proposals.reset()
	case proto.Following:
		st.met.FollowerSyncTime.Observe(took)
	case proto.Observing:
		st.met.ObserverSyncTime.Observe(took)
	}
	if st.unavailable != 0 {
		took = int64(now - st.unavailable)
		st.met.UnavailableTime.Observe(took)
		if s == proto.Leading {
			st.met.LeaderUnavailableTime.Observe(took)
		}
	}
	st.unavailable, st.synchronising = 0, 0
}

// linked notes a new link to a learner or to the leader.
func (st *memberStats) linked(id proto.ServerID, observer bool) {
	st.unlinked(id)
	st.links[id] = &linkStats{key: serverKey(id), established: time.Now(), observer: observer, lastZxid: -1}
}

// unlinked notes that a link is gone.
func (st *memberStats) unlinked(id proto.ServerID) {
	if l := st.links[id]; l != nil {
		delete(st.links, id)
		if l.syncing {
			st.inflight(l.snapshot)
		}
	}
}

// inflight records how many learners are being synchronised.
func (st *memberStats) inflight(snapshot bool) {
	n := int64(0)
	for _, l := range st.links {
		if l.syncing && l.snapshot == snapshot {
			n++
		}
	}
	if snapshot {
		st.met.InflightSnapCount.Observe(n)
	} else {
		st.met.InflightDiffCount.Observe(n)
	}
}

// sent notes packets that are given to a link on which others still wait.
func (st *memberStats) sent(id proto.ServerID, packets []proto.QuorumPacket, link *transport.Link, leading bool) {
	l := st.links[id]
	if l == nil {
		return
	}
	if !leading {
		requests := int64(0)
		for i := range packets {
			if packets[i].Type == proto.PacketRequest {
				requests++
			}
		}
		if requests > 0 {
			st.met.LearnerRequestProcessorQueueSize.Observe(requests)
		}
		return
	}
	waiting, _ := link.Queued()
	st.met.LearnerHandlerQpSize.Observe(l.key, int64(waiting))
	if l.synced {
		l.sent += int64(len(packets))
		if z := packets[len(packets)-1].Zxid; z > 0 {
			l.lastZxid = z
		}
		return
	}
	for i := range packets {
		st.synchronise(l, packets[i].Type)
	}
}

// synchronise notes how a learner gets the leader's history, and that it has.
func (st *memberStats) synchronise(l *linkStats, t proto.PacketType) {
	switch t {
	case proto.PacketSnap:
		st.met.SnapCount.Inc()
		l.syncing, l.snapshot = true, true
		st.inflight(true)
	case proto.PacketDiff, proto.PacketTrunc:
		st.met.DiffCount.Inc()
		l.syncing, l.snapshot = true, false
		st.inflight(false)
	case proto.PacketUpToDate:
		l.syncing, l.synced, l.acked = false, true, st.marks.n
		st.inflight(l.snapshot)
	}
}

// received notes packets that have come over a link.
func (st *memberStats) received(id proto.ServerID, packets []proto.QuorumPacket, leading bool) {
	if leading {
		st.fromLearner(st.links[id], packets)
		return
	}
	var proposals, commits int64
	var last *proto.QuorumPacket // transaction
	for i := range packets {
		switch p := &packets[i]; p.Type {
		case proto.PacketProposal:
			proposals++
			last = p
		case proto.PacketCommit, proto.PacketCommitAndActivate:
			commits++
		case proto.PacketInform:
			commits++
			last = p
		}
	}
	st.met.LearnerProposalReceivedCount.Add(proposals)
	st.met.LearnerCommitReceivedCount.Add(commits)
	if last == nil || st.stage != status.Broadcast {
		return // a history may be years old
	}
	k := mark{zxid: last.Zxid, at: time.Now(), created: txnTime(last.Data)}
	st.marks.add(k)
	if proposals > 0 {
		observeAge(st.met.ProposalLatency, k.at, k.created)
	} else {
		observeAge(st.met.CommitPropagationLatency, k.at, k.created)
	}
}

func (st *memberStats) fromLearner(l *linkStats, packets []proto.QuorumPacket) {
	if l == nil {
		return
	}
	var ack proto.Zxid
	var requests, revalidations int64
	for i := range packets {
		switch p := &packets[i]; p.Type {
		case proto.PacketAck:
			ack = max(ack, p.Zxid)
		case proto.PacketRequest:
			requests++
		case proto.PacketRevalidate:
			revalidations++
		}
	}
	st.met.RevalidateCount.Add(revalidations)
	l.requests += requests
	if l.synced {
		l.received += int64(len(packets))
	}
	if ack != 0 {
		st.ack(l.key, &l.acked, ack)
	}
}

// ack notes that a server has logged transactions.
func (st *memberStats) ack(key string, cursor *uint64, z proto.Zxid) {
	now := time.Now()
	st.marks.pass(cursor, z, func(k *mark) { st.met.AckLatency.Observe(key, now.Sub(k.at).Milliseconds()) })
}

// txnTime is when a transaction was made, by the clock of the leader that made it.
func txnTime(txn []byte) proto.Millis {
	const at = 8 + 4 + 8 // in the header, behind the session, the cxid and the zxid
	if len(txn) < at+8 {
		return 0
	}
	return proto.Millis(binary.BigEndian.Uint64(txn[at:]))
}

// observeAge records how old a transaction is. With clocks that differ that may be less than nothing, which is left out.
func observeAge(s *metrics.Summary, now time.Time, created proto.Millis) {
	if age := now.UnixMilli() - int64(created); age >= 0 {
		s.Observe(age)
	}
}

// proposed notes transactions that this server, as leader, gives to its log and to the learners.
func (st *memberStats) proposed(writes []zab.Write) {
	var last *zab.Txn
	n := int64(0)
	for i := range writes {
		if writes[i].Kind == zab.AppendTxn {
			last = &writes[i].Txn
			st.proposals.observe(int64(len(last.Data)))
			n++
		}
	}
	if n == 0 {
		return
	}
	st.met.ProposalCount.Add(n)
	st.marks.add(mark{zxid: last.Zxid, at: time.Now(), created: txnTime(last.Data)})
}

// wrote notes that a batch is durable.
func (st *memberStats) wrote(b *storage.Batch, s proto.PeerState) {
	now := time.Now()
	st.marks.pass(&st.logged, b.Last(), func(k *mark) {
		took := now.Sub(k.at).Milliseconds()
		st.met.SyncProcessorQueueAndFlushTime.Observe(took)
		if s != proto.Observing {
			observeAge(st.met.ProposalAckCreationLatency, now, k.created)
		}
		if s == proto.Leading {
			st.met.AckLatency.Observe(st.own, took)
		}
	})
}

// applied notes n transactions up to z that were committed: they waited until start, and were applied then.
func (st *memberStats) applied(n int64, z proto.Zxid, start, end time.Time, s proto.PeerState) {
	met := st.met
	met.CommitsQueued.Add(n)
	met.CommitsQueuedInCommitProcessor.Observe(n)
	met.WritesIssuedInCommitProc.Observe(n)
	met.CommitProcessTime.Observe(end.Sub(start).Milliseconds())
	met.WriteBatchTimeInCommitProcessor.Observe(end.Sub(start).Milliseconds())
	met.StageApply.Observe(end.Sub(start).Microseconds())
	if s == proto.Leading {
		met.CommitCount.Add(n)
	}
	st.marks.pass(&st.committed, z, func(k *mark) {
		observeAge(met.PropagationLatency, end, k.created)
		waited := start.Sub(k.at)
		met.WriteCommitprocTime.Observe(waited.Milliseconds())
		switch s {
		case proto.Leading:
			met.QuorumAckLatency.Observe(waited.Milliseconds())
			met.StageQuorum.Observe(waited.Microseconds())
		case proto.Following:
			observeAge(met.CommitPropagationLatency, start, k.created)
		}
	})
}
