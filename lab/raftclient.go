package lab

import (
	"encoding/binary"
	"fmt"
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// apply applies committed entries.
func (n *raftNode) apply(entries []raftpb.Entry) {
	for i := range entries {
		e := &entries[i]
		if e.Index <= n.applied {
			continue
		}
		n.applied = e.Index
		position := int(e.Index - firstIndex - 1)
		cmd := raftCommand(e)
		n.s.Agrees(position, cmd, int64(e.Term), int64(e.Index)-firstIndex)
		if cmd != 0 {
			n.answer(cmd, position)
		}
		n.configure(e)
	}
	if len(entries) > 0 {
		last := &entries[len(entries)-1]
		n.s.Applied(int64(last.Term), int64(last.Index)-firstIndex)
	}
	n.snapshot()
}

// configure applies a change of membership.
func (n *raftNode) configure(e *raftpb.Entry) {
	if e.Type != raftpb.EntryConfChangeV2 {
		return
	}
	var cc raftpb.ConfChangeV2
	if cc.Unmarshal(e.Data) != nil {
		return
	}
	cs := n.rn.ApplyConfChange(cc)
	n.member(cs)
	// Whoever has been added has to be in the configuration of the snapshot that it is sent.
	_, _ = n.d.CreateSnapshot(e.Index, cs, nil)
}

func (n *raftNode) member(cs *raftpb.ConfState) {
	n.voters = cs.Voters
	n.s.Members(ints(cs.Voters))
}

func ints(ids []uint64) []int {
	var out []int
	for _, id := range ids {
		out = append(out, int(id))
	}
	return out
}

func (n *raftNode) answer(cmd, position int) {
	if at := slices.IndexFunc(n.writes, func(c *Command) bool { return c.ID == cmd }); at >= 0 {
		n.s.Answer(n.writes[at], position)
		n.writes = slices.Delete(n.writes, at, at+1)
	}
}

// restored begins the state machine anew from a leader's snapshot.
func (n *raftNode) restored(snap *raftpb.Snapshot) {
	if snap.Metadata.Index > n.applied {
		n.applied = snap.Metadata.Index
		n.member(&snap.Metadata.ConfState)
	}
}

// snapshot compacts the log when it is time to.
func (n *raftNode) snapshot() {
	sc := n.s.Settings()
	snap, _ := n.d.Snapshot()
	if n.applied < snap.Metadata.Index+uint64(sc.Snapshot) {
		return
	}
	cs := n.rn.Status().Config
	state := raftpb.ConfState{Voters: sorted(cs.Voters.IDs())}
	if len(cs.Voters[1]) > 0 { // in the middle of a change
		return
	}
	_, _ = n.d.CreateSnapshot(n.applied, &state, nil)
	// A restart needs a commit index that is not behind the log's beginning, and what says so may still be under way.
	if hs, _, _ := n.d.InitialState(); hs.Commit < n.applied {
		hs.Commit = n.applied
		_ = n.d.SetHardState(hs)
	}
	if n.applied > uint64(sc.Retain) {
		_ = n.d.Compact(n.applied - uint64(sc.Retain))
	}
}

func sorted(ids map[uint64]struct{}) []uint64 {
	var out []uint64
	for id := range ids {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}

// Write proposes a client's command, or has the library pass it on to the leader.
func (n *raftNode) Write(c *Command) {
	if n.lead == 0 {
		n.s.Refuse(c, 0)
		return
	}
	if !slices.Contains(n.writes, c) {
		n.writes = append(n.writes, c)
	}
	if n.rn.Propose(c.payload) != nil {
		n.s.Refuse(c, n.hint())
	}
	n.turn()
}

// hint is who might serve a client better.
func (n *raftNode) hint() int {
	if int(n.lead) == n.s.ID() {
		return 0
	}
	return int(n.lead)
}

// Read answers at once, or asks first.
func (n *raftNode) Read(c *Command, how Strategy) {
	switch how {
	case ReadLocal:
		n.s.AnswerRead(c, int(n.applied)-firstIndex)
	case ReadLeader:
		// What ReadOnlyLeaseBased does: whoever leads, and has committed something in its term, answers. With CheckQuorum it does
		// not lead for longer than the election timeout without a quorum, by its own clock; without, it may lead for ever.
		if n.state != raft.StateLeader || !n.serving {
			n.s.Refuse(c, n.hint())
			return
		}
		n.reads = append(n.reads, raftRead{c: c, index: n.committed})
		n.turn()
	default:
		if n.lead == 0 {
			n.s.Refuse(c, 0)
			return
		}
		n.asked++
		n.reads = append(n.reads, raftRead{c: c, ticket: n.asked})
		n.rn.ReadIndex(binary.BigEndian.AppendUint64(nil, n.asked))
		n.turn()
	}
}

func (n *raftNode) readState(rs raft.ReadState) {
	ticket := ticketOf(rs.RequestCtx)
	for i := range n.reads {
		if n.reads[i].ticket == ticket && ticket != 0 {
			n.reads[i].index = rs.Index
		}
	}
}

// answerReads answers what has been applied. A read that the library has dropped is given up by its client.
func (n *raftNode) answerReads() {
	n.reads = slices.DeleteFunc(n.reads, func(r raftRead) bool {
		switch {
		case r.c.Done != 0:
			return true
		case r.index == 0 || r.index > n.applied:
			return false
		}
		n.s.AnswerRead(r.c, int(n.applied)-firstIndex)
		return true
	})
}

// Change proposes another set of voters.
func (n *raftNode) Change(voters []int) {
	var cc raftpb.ConfChangeV2
	for _, id := range voters {
		if !slices.Contains(n.voters, uint64(id)) {
			cc.Changes = append(cc.Changes, raftpb.ConfChangeSingle{Type: raftpb.ConfChangeAddNode, NodeID: uint64(id)})
		}
	}
	for _, id := range n.voters {
		if !slices.Contains(voters, int(id)) {
			cc.Changes = append(cc.Changes, raftpb.ConfChangeSingle{Type: raftpb.ConfChangeRemoveNode, NodeID: id})
		}
	}
	_ = n.rn.ProposeConfChange(cc) // dropped if one is pending
	n.turn()
}

// State is a picture of the server.
func (n *raftNode) State() State {
	st := State{
		Role: n.s.role, Leader: int(n.lead), Serving: n.serving, Epoch: int64(n.term), Accepted: int64(n.term), Vote: int(n.vote), Round: int64(n.term),
		Committed: int64(n.committed) - firstIndex, Applied: max(0, int(n.applied)-firstIndex), Voters: ints(n.voters),
	}
	if t, err := n.d.Term(n.committed); err == nil {
		st.CommitIn = int64(t)
	}
	end, _ := n.d.LastIndex()
	first, _ := n.d.FirstIndex()
	from := max(first, end+1-min(end+1, tail), firstIndex+1)
	st.Skipped = max(0, int(from)-firstIndex-1)
	if from > end {
		return st
	}
	entries, _ := n.d.Entries(from, end+1, 1<<40)
	for i := range entries {
		e := &entries[i]
		st.Log = append(st.Log, LogEntry{
			Epoch: int64(e.Term), Index: int64(e.Index) - firstIndex, Command: raftCommand(e), Durable: true, Committed: e.Index <= n.committed,
		})
	}
	return st
}

// quiet is a logger that says nothing.
type quiet struct{}

func (quiet) Debug(...any)            {}
func (quiet) Debugf(string, ...any)   {}
func (quiet) Error(...any)            {}
func (quiet) Errorf(string, ...any)   {}
func (quiet) Info(...any)             {}
func (quiet) Infof(string, ...any)    {}
func (quiet) Warning(...any)          {}
func (quiet) Warningf(string, ...any) {}
func (quiet) Fatal(...any)            {}
func (quiet) Fatalf(string, ...any)   {}

// Panic and Panicf are for what must not happen; the library expects them not to return.
func (quiet) Panic(v ...any)                 { panic(v) }
func (quiet) Panicf(format string, v ...any) { panic(fmt.Sprintf(format, v...)) }
