package lab

import (
	"encoding/binary"
	"fmt"
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// raftProtocol is go.etcd.io/raft/v3.
type raftProtocol struct {
	preVote bool // with PreVote and CheckQuorum, as etcd runs it
}

func (p raftProtocol) Name() string {
	if p.preVote {
		return RaftPreVote
	}
	return Raft
}

// Reads: without CheckQuorum the library has no lease, and a leader that answers by itself may have been deposed.
func (p raftProtocol) Reads(s Strategy) string {
	switch {
	case s == ReadQuorum:
		return "read-index"
	case s == ReadLeader && p.preVote:
		return "lease"
	case s == ReadLeader:
		return "leader-local"
	}
	return "local"
}

func (raftProtocol) Linearizable(s Strategy) bool { return s == ReadQuorum }

func (p raftProtocol) Boot(s *Server) Node {
	if s.Stored == nil {
		s.Stored = newRaftDisk(s)
	}
	n := &raftNode{s: s, d: s.Stored.(*raft.MemoryStorage)}
	sc := s.Settings()
	n.tick, n.electionTick = sc.Heartbeat, int(sc.Timeout/sc.Heartbeat)
	hs, cs, _ := n.d.InitialState()
	snap, _ := n.d.Snapshot()
	n.applied, n.committed, n.voters = snap.Metadata.Index, snap.Metadata.Index, cs.Voters
	n.term, n.vote = hs.Term, hs.Vote
	n.savedTerm, n.savedVote = hs.Term, hs.Vote
	var err error
	n.rn, err = raft.NewRawNode(&raft.Config{
		ID: uint64(s.ID()), ElectionTick: n.electionTick, HeartbeatTick: 1, Storage: n.d, AsyncStorageWrites: true, MaxSizePerMsg: 1 << 20,
		MaxInflightMsgs: 512, CheckQuorum: p.preVote, PreVote: p.preVote, Logger: quiet{}, StepDownOnRemoval: true,
	})
	if err != nil {
		panic(err) // the scenario has been validated
	}
	n.draw()
	return n
}

// firstIndex is where logs begin: before it is a snapshot that holds nothing but the first configuration.
const firstIndex = 1

func newRaftDisk(s *Server) *raft.MemoryStorage {
	d := raft.NewMemoryStorage()
	if !slices.Contains(s.Initial(), s.ID()) {
		return d
	}
	var cs raftpb.ConfState
	for _, id := range s.Initial() {
		cs.Voters = append(cs.Voters, uint64(id))
	}
	_ = d.ApplySnapshot(raftpb.Snapshot{Metadata: raftpb.SnapshotMetadata{ConfState: cs, Index: firstIndex, Term: 1}})
	_ = d.SetHardState(raftpb.HardState{Term: 1, Commit: firstIndex})
	return d
}

// raftNode is a server's process.
type raftNode struct {
	s  *Server
	d  *raft.MemoryStorage
	rn *raft.RawNode

	tick         Micros
	electionTick int
	elapsed      int // ticks since the leader was heard, or a vote given, as the library counts them
	patience     int // and how many it takes to campaign

	state      raft.StateType
	term, vote uint64
	lead       uint64
	committed  uint64
	applied    uint64
	first      uint64 // of the entries of this leader's own term; 0: it does not lead, or may propose already
	serving    bool
	voters     []uint64

	savedTerm, savedVote uint64 // given to the disk

	writes []*Command
	reads  []raftRead
	asked  uint64
}

// raftRead is a read that waits for the leader's word, and then for that to be applied.
type raftRead struct {
	c      *Command
	ticket uint64
	index  uint64 // 0: not known yet
}

// draw chooses the time to the next campaign, as the library does with dice of its own: from electionTick to twice that less one. Since those
// cannot be given a seed, the adapter keeps the election timer: it lets the library count (TickQuiesced) and tells it when to campaign.
func (n *raftNode) draw() {
	n.elapsed, n.patience = 0, n.electionTick+n.s.Rand().IntN(n.electionTick)
}

// Start begins to tick, at a moment of the server's own.
func (n *raftNode) Start() {
	n.s.At(n.s.Clock()+Micros(n.s.Rand().Int64N(int64(n.tick)))+1, n.beat)
	n.turn()
}

func (n *raftNode) beat() {
	n.s.At(n.s.Clock()+n.tick, n.beat)
	if n.state == raft.StateLeader {
		n.rn.Tick()
	} else {
		n.rn.TickQuiesced() //nolint:staticcheck // the only way to let the library count without rolling its dice; see draw
		if n.elapsed++; n.elapsed >= n.patience {
			n.elapsed = 0
			_ = n.rn.Campaign() // an error would be about the message that it steps
		}
	}
	n.turn()
}

// Recv takes a message.
func (n *raftNode) Recv(_ int, m *Message) {
	msg := *m.Body.(*raftpb.Message)
	switch msg.Type {
	case raftpb.MsgApp, raftpb.MsgHeartbeat, raftpb.MsgSnap:
		if msg.Term >= n.term {
			n.elapsed = 0
		}
	}
	if msg.Type == raftpb.MsgAppResp && msg.Reject && n.state == raft.StateLeader && msg.Term == n.term {
		n.s.Syncs(int(msg.From), "probe", int64(msg.Term), int64(msg.Index)-firstIndex, "")
	}
	_ = n.rn.Step(msg) // what it refuses is refused
	n.turn()
}

// PeerUp means nothing to Raft; PeerDown that what was sent is lost.
func (n *raftNode) PeerUp(int) {}

// PeerLost tells the library, as etcd's transport does.
func (n *raftNode) PeerLost(id int) { n.PeerDown(id) }

// PeerDown tells the library, too.
func (n *raftNode) PeerDown(id int) {
	n.rn.ReportUnreachable(uint64(id))
	n.turn()
}

// turn does what the library asks for.
func (n *raftNode) turn() {
	n.look()
	for n.rn.HasReady() {
		rd := n.rn.Ready()
		n.look()
		n.note(&rd)
		for _, rs := range rd.ReadStates {
			n.readState(rs)
		}
		for i := range rd.Messages {
			n.handle(rd.Messages[i])
		}
		n.look()
	}
	n.answerReads()
}

// look takes note of what has become of the server, and draws a new timeout when the library does.
func (n *raftNode) look() {
	st := n.rn.BasicStatus()
	if st.RaftState != n.state || st.Term != n.term {
		if st.RaftState != raft.StatePreCandidate {
			n.draw()
		}
		if st.RaftState == raft.StateCandidate && st.Term > n.term {
			n.s.Campaigned(int64(st.Term))
		}
		if st.RaftState != raft.StateLeader {
			n.serving = false
			n.first = 0
		} else if n.state != raft.StateLeader {
			n.first = 1
		}
	}
	if st.Vote != n.vote && st.Vote != 0 || st.Vote != 0 && st.Term != n.term {
		n.s.Voted(int(st.Vote), int64(st.Term), "")
	}
	n.state, n.term, n.vote, n.lead = st.RaftState, st.Term, st.Vote, st.Lead
	if n.s.role != raftRoles[n.state] || n.s.leader != int(n.lead) || n.s.epoch != int64(n.term) {
		n.took()
	}
	if st.Commit > n.committed {
		n.commits(st.Commit)
	}
}

func (n *raftNode) took() {
	serving := n.serving
	n.s.Took(raftRoles[n.state], int(n.lead), int64(n.term), "")
	n.s.serving = serving
}

var raftRoles = [...]string{
	raft.StateFollower: "follower", raft.StateCandidate: "candidate", raft.StateLeader: "leader", raft.StatePreCandidate: "pre-candidate",
}

// note takes note of a new leader's first entry, and of commands in its log.
func (n *raftNode) note(rd *raft.Ready) {
	if n.state != raft.StateLeader {
		return
	}
	for i := range rd.Entries {
		e := &rd.Entries[i]
		if e.Term != n.term {
			continue
		}
		if n.first == 1 && !n.serving {
			n.first = e.Index
		}
		if cmd := commandOf(e.Data); cmd != 0 && e.Type == raftpb.EntryNormal {
			n.s.Proposed(cmd, int64(e.Term), int64(e.Index)-firstIndex)
		}
	}
}

// commits takes note of the commit index.
func (n *raftNode) commits(index uint64) {
	n.committed = index
	if n.state == raft.StateLeader && !n.serving && n.first > 1 && index >= n.first {
		n.serving = true
		n.s.Serves(true, int64(n.term), int64(index)-firstIndex)
	}
	n.s.Commits(int64(n.term), int64(index)-firstIndex)
}

// handle sends a message, to another server or to the disk or the state machine.
func (n *raftNode) handle(m raftpb.Message) {
	switch m.To {
	case raft.LocalAppendThread:
		n.append(m)
	case raft.LocalApplyThread:
		n.apply(m.Entries)
		for _, r := range m.Responses {
			_ = n.rn.Step(r)
		}
	default:
		n.send(m)
	}
}

func (n *raftNode) send(m raftpb.Message) {
	if m.Type == raftpb.MsgVoteResp && !m.Reject && m.Term == n.term {
		n.elapsed = 0
	}
	msg := &Message{Name: m.Type.String(), Epoch: int64(m.Term), Index: -1, Bytes: m.Size(), Body: &m}
	switch m.Type {
	case raftpb.MsgApp:
		msg.Index = int64(m.Index) + int64(len(m.Entries)) - firstIndex
	case raftpb.MsgAppResp, raftpb.MsgVote, raftpb.MsgPreVote:
		msg.Index = int64(m.Index) - firstIndex
	case raftpb.MsgSnap:
		msg.Index = int64(m.Snapshot.Metadata.Index) - firstIndex
		msg.Bytes += snapshotBytes(int(msg.Index), n.s.Settings().Size)
		n.s.Syncs(int(m.To), "snapshot", int64(m.Snapshot.Metadata.Term), msg.Index, "")
		msg.Sent = func(arrived bool) {
			status := raft.SnapshotFinish
			if !arrived {
				status = raft.SnapshotFailure
			}
			n.rn.ReportSnapshot(m.To, status)
			n.turn()
		}
	}
	if n.s.Recording() {
		msg.Note = raftNote(&m)
	}
	n.s.Send(int(m.To), msg)
}

func raftNote(m *raftpb.Message) string {
	switch m.Type {
	case raftpb.MsgApp:
		return fmt.Sprintf("%d entries after %d (term %d), commit %d", len(m.Entries), int64(m.Index)-firstIndex, m.LogTerm, int64(m.Commit)-firstIndex)
	case raftpb.MsgAppResp:
		if m.Reject {
			return fmt.Sprintf("rejected %d, hint %d (term %d)", int64(m.Index)-firstIndex, int64(m.RejectHint)-firstIndex, m.LogTerm)
		}
	case raftpb.MsgVote, raftpb.MsgPreVote:
		return fmt.Sprintf("last entry %d (term %d)", int64(m.Index)-firstIndex, m.LogTerm)
	case raftpb.MsgVoteResp, raftpb.MsgPreVoteResp:
		if m.Reject {
			return "rejected"
		}
		return "granted"
	}
	return ""
}

// append hands a MsgStorageAppend to the disk. What it carries is to be delivered when that is done.
func (n *raftNode) append(m raftpb.Message) {
	// As raft.MustSync says: a commit index alone needs no sync, but what answers it waits behind earlier ones.
	same := m.Term == 0 && m.Vote == 0 || m.Term == n.savedTerm && m.Vote == n.savedVote
	if !same {
		n.savedTerm, n.savedVote = m.Term, m.Vote
	}
	wr := Write{Kind: "vote", Index: -1, Bytes: 32, Lazy: same && len(m.Entries) == 0 && m.Snapshot == nil}
	for i := range m.Entries {
		wr.Bytes += m.Entries[i].Size() + 16
	}
	if k := len(m.Entries); k > 0 {
		wr.Kind, wr.Index = "log", int64(m.Entries[k-1].Index)-firstIndex
	}
	if m.Snapshot != nil {
		wr.Kind, wr.Index = "snapshot", int64(m.Snapshot.Metadata.Index)-firstIndex
		wr.Bytes += snapshotBytes(int(wr.Index), n.s.Settings().Size)
	}
	wr.Persist = func() { n.persist(&m) }
	wr.Done = func(bool) {
		if m.Snapshot != nil {
			n.restored(m.Snapshot)
		}
		for _, r := range m.Responses {
			if r.To == uint64(n.s.ID()) {
				_ = n.rn.Step(r)
			} else {
				n.send(r)
			}
		}
		n.turn()
	}
	n.s.Write(wr)
}

// persist changes what the disk holds.
func (n *raftNode) persist(m *raftpb.Message) {
	if m.Snapshot != nil {
		_ = n.d.ApplySnapshot(*m.Snapshot)
	}
	if m.Term != 0 || m.Vote != 0 || m.Commit != 0 {
		_ = n.d.SetHardState(raftpb.HardState{Term: m.Term, Vote: m.Vote, Commit: m.Commit})
	}
	if len(m.Entries) == 0 {
		return
	}
	from := m.Entries[0].Index
	first, _ := n.d.FirstIndex()
	if end, _ := n.d.LastIndex(); end >= from && from >= first {
		old, _ := n.d.Entries(from, end+1, 1<<40)
		for i := range old {
			e := &old[i]
			why := fmt.Sprintf("an append by the leader of term %d took its place", n.term)
			if n.lead != 0 {
				why = fmt.Sprintf("an append by server %d, the leader of term %d, took its place", n.lead, n.term)
			}
			if i < len(m.Entries) && m.Entries[i].Term == e.Term {
				continue
			}
			n.s.Removed(raftCommand(e), int64(e.Term), int64(e.Index)-firstIndex, why)
		}
	}
	_ = n.d.Append(m.Entries)
	for i := range m.Entries {
		e := &m.Entries[i]
		n.s.Logged(raftCommand(e), int64(e.Term), int64(e.Index)-firstIndex)
	}
}

// raftCommand is the command in an entry, 0 for the protocol's own entries.
func raftCommand(e *raftpb.Entry) int {
	if e.Type != raftpb.EntryNormal {
		return 0
	}
	return commandOf(e.Data)
}

// ticketOf reads the ticket of a read.
func ticketOf(b []byte) uint64 {
	if len(b) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}
