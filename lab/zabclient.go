package lab

import (
	"slices"

	"zebu/proto"
	"zebu/quorum"
	"zebu/zab"
)

// A transaction is a command's payload, which begins with the command's number, or eight zeros and the text of a configuration. A
// learner's request is a command's payload, or eight zeros and what follows.
const (
	askSync    = 1
	askConfirm = 2
)

var noCommand [8]byte

// configOf is the text of the configuration that a transaction proposes, "" if it does not.
func configOf(data []byte) string {
	if len(data) <= 8 || commandOf(data) != 0 {
		return ""
	}
	return string(data[8:])
}

// Write takes a client's command: the leader proposes it, a learner passes it on.
func (n *zabNode) Write(c *Command) {
	if !n.serving || n.ended {
		n.s.Refuse(c, n.hint())
		return
	}
	if !slices.Contains(n.writes, c) {
		n.writes = append(n.writes, c)
	}
	n.input(func() {
		if n.leader != nil {
			n.propose(zab.Proposal{Txn: zab.Txn{Data: c.payload}})
			return
		}
		n.learner.Send(proto.QuorumPacket{Type: proto.PacketRequest, Zxid: -1, Data: c.payload})
	})
}

// hint is who might serve a client better.
func (n *zabNode) hint() int {
	if n.head == n.s.ID() {
		return 0
	}
	return n.head
}

func (n *zabNode) propose(p zab.Proposal) {
	p.Zxid = n.leader.NextZxid()
	if p.Config != nil {
		c := *p.Config
		c.Version = p.Zxid
		p.Config, p.Data = &c, append(noCommand[:], c.String()...)
	}
	if n.leader.Propose(p) == nil {
		n.s.Proposed(commandOf(p.Data), int64(p.Zxid.Epoch()), int64(p.Zxid.Counter()))
	}
}

// Read answers at once, or asks the leader first.
func (n *zabNode) Read(c *Command, how Strategy) {
	switch {
	case !n.serving || n.ended:
		n.s.Refuse(c, n.hint())
		return
	case how == ReadLocal:
		n.s.AnswerRead(c, len(n.mem))
		return
	}
	n.syncs = append(n.syncs, c)
	ask := byte(askSync)
	if how == ReadQuorum {
		ask = askConfirm
	}
	n.input(func() {
		if n.leader != nil {
			n.sync(n.id(), ask)
			return
		}
		n.learner.Send(proto.QuorumPacket{Type: proto.PacketRequest, Zxid: -1, Data: append(noCommand[:], ask)})
	})
}

// sync answers a server when everything is committed that was proposed before, and, if it asks for that, a quorum has confirmed that
// this server leads. A server's syncs are answered in their order.
func (n *zabNode) sync(from proto.ServerID, ask byte) {
	behind := slices.ContainsFunc(n.confirms, func(c zabConfirm) bool { return c.from == from })
	switch {
	case ask == askConfirm:
		n.confirms = append(n.confirms, zabConfirm{n.leader.Confirm(), from})
	case behind:
		n.confirms = append(n.confirms, zabConfirm{0, from})
	default:
		n.leader.Sync(from)
	}
}

// confirmed goes on with syncs whose tickets have been answered.
func (n *zabNode) confirmed(ticket uint64) {
	if ticket == 0 {
		return
	}
	due := 0
	for due < len(n.confirms) && n.confirms[due].ticket <= ticket {
		due++
	}
	now := slices.Clone(n.confirms[:due])
	n.confirms = slices.Delete(n.confirms, 0, due)
	for _, c := range now {
		n.leader.Sync(c.from)
	}
}

// turnPassed does what packets for the server itself ask for. It reports whether there were any.
func (n *zabNode) turnPassed() bool {
	passed := n.passed
	n.passed = nil
	for i := range passed {
		p := &passed[i].Packet
		switch {
		case p.Type == proto.PacketSync:
			n.syncDone()
		case n.learner != nil && p.Type == proto.PacketPing:
			n.learner.Send(*p)
		case n.leader != nil && p.Type == proto.PacketRequest && !n.ended:
			n.request(passed[i].From, p.Data)
		}
	}
	a := n.activation
	n.activation = nil
	if a != nil && !n.ended {
		n.activate(*a)
	}
	return len(passed) > 0 || a != nil
}

func (n *zabNode) syncDone() {
	if len(n.syncs) > 0 {
		n.s.AnswerRead(n.syncs[0], len(n.mem))
		n.syncs = n.syncs[1:]
	}
}

// request is what a learner asks for its clients.
func (n *zabNode) request(from proto.ServerID, data []byte) {
	if commandOf(data) == 0 && len(data) == 9 {
		n.sync(from, data[8])
		return
	}
	n.propose(zab.Proposal{Txn: zab.Txn{Data: data}})
}

// Change proposes another configuration.
func (n *zabNode) Change(voters []int) {
	if n.leader == nil || !n.serving {
		return
	}
	n.input(func() { n.propose(zab.Proposal{Config: zabConfig(voters, 0)}) })
}

// see notes a configuration that has been proposed.
func (n *zabNode) see(c *quorum.Config) {
	newest := n.config
	if n.seen != nil {
		newest = n.seen
	}
	if c.Version > newest.Version {
		n.seen = c
		n.el.SetConfigs(n.now(), n.config, n.seen)
	}
}

// adopt takes over a configuration that is committed.
func (n *zabNode) adopt(c *quorum.Config) {
	n.config, n.d.config = c, c
	if n.seen != nil && n.seen.Version <= c.Version {
		n.seen = nil
	}
	n.s.Members(voters(c))
}

func voters(c *quorum.Config) []int {
	var ids []int
	for _, id := range c.Voters().IDs() {
		ids = append(ids, int(id))
	}
	return ids
}

// activate puts a configuration into force. If it names another leader, the present role ends, and the next one begins without an
// election.
func (n *zabNode) activate(a zabActivation) {
	n.adopt(a.config)
	n.el.SetConfigs(n.now(), n.config, n.seen)
	switch {
	case n.leader != nil && a.leader != n.id():
		n.succession = &a
	case n.learner != nil && int(a.leader) != n.head:
		n.succession = &a
		n.learner.LinkDown()
	}
}

// State is a picture of the server.
func (n *zabNode) State() State {
	st := State{
		Role: n.s.role, Leader: n.head, Serving: n.serving && !n.ended, Epoch: n.epoch(), Accepted: int64(n.d.accepted), Round: int64(n.el.Round()),
		Committed: -1, Applied: len(n.mem), Voters: voters(n.config),
	}
	if v := n.el.Vote(); v.Leader > 0 {
		st.Vote = int(v.Leader)
	}
	switch {
	case n.leader != nil:
		st.Phase = zabStages[n.leader.Stage()]
	case n.learner != nil:
		st.Phase = zabStages[n.learner.Stage()]
	default:
		st.Phase = "election"
	}
	if n.known > 0 {
		z := n.mem[n.known-1].Zxid
		st.Committed, st.CommitIn = int64(z.Counter()), int64(z.Epoch())
	}
	txns := n.d.history()
	from := max(0, len(txns)-tail)
	st.Skipped = from
	for i, t := range txns[from:] {
		st.Log = append(st.Log, LogEntry{
			Epoch: int64(t.Zxid.Epoch()), Index: int64(t.Zxid.Counter()), Command: commandOf(t.Data), Durable: true, Committed: from+i < n.known,
		})
	}
	return st
}

var zabStages = [...]string{zab.Discovery: "discovery", zab.Synchronization: "synchronization", zab.Broadcast: "broadcast"}
