package lab

import (
	"errors"
	"fmt"
	"slices"

	"zebu/election"
	"zebu/proto"
	"zebu/quorum"
	"zebu/zab"
)

// zabProtocol is zebu's election and zab.
type zabProtocol struct{}

func (zabProtocol) Name() string { return ZAB }

func (zabProtocol) Reads(s Strategy) string {
	switch s {
	case ReadLeader:
		return "sync"
	case ReadQuorum:
		return "quorum-sync"
	}
	return "local"
}

func (zabProtocol) Linearizable(s Strategy) bool { return s == ReadQuorum }

func (zabProtocol) Boot(s *Server) Node {
	if s.Stored == nil {
		s.Stored = &zabDisk{config: zabConfig(s.Initial(), 0)}
	}
	n := &zabNode{s: s, d: s.Stored.(*zabDisk), from: map[int]*Link{}, views: map[int][]zab.Txn{}}
	n.restore()
	n.config, n.seen = n.d.config, nil
	n.el = election.New(election.Options{ID: n.id(), Committed: n.config, Reconfig: n.reconfig()})
	return n
}

// zabConfig is a configuration with these voters.
func zabConfig(voters []int, version proto.Zxid) *quorum.Config {
	c := &quorum.Config{Version: version}
	for _, id := range voters {
		addr := quorum.PeerAddr{Host: fmt.Sprintf("h%d", id), Quorum: 2888, Election: 3888}
		c.Members = append(c.Members, quorum.Member{ID: proto.ServerID(id), Addrs: []quorum.PeerAddr{addr}})
	}
	_ = c.Check() // nothing can be wrong with it
	return c
}

// zabDisk is what a server's disk holds.
type zabDisk struct {
	accepted, current proto.Epoch
	snap              []zab.Txn // what a snapshot stands for: everything that was ever applied
	snapZxid          proto.Zxid
	log               []zab.Txn // after it, and before it as far as it is kept
	config            *quorum.Config
}

// last is the zxid that a server reports.
func (d *zabDisk) last() proto.Zxid {
	if n := len(d.log); n > 0 {
		return max(d.snapZxid, d.log[n-1].Zxid)
	}
	return d.snapZxid
}

// history is what a restart reads.
func (d *zabDisk) history() []zab.Txn {
	at, _ := slices.BinarySearchFunc(d.log, d.snapZxid+1, func(t zab.Txn, z proto.Zxid) int { return int(t.Zxid - z) })
	return slices.Concat(d.snap, d.log[at:])
}

// zabNode is a server's process.
type zabNode struct {
	s       *Server
	d       *zabDisk
	el      *election.Election
	leader  *zab.Leader
	learner *zab.Learner
	head    int // who leads, as far as this server has decided
	log     *zab.CommitLog
	mem     []zab.Txn // what the state machine has applied
	known   int       // how many of these are known to be committed

	config, seen *quorum.Config
	offered      *quorum.Config
	activation   *zabActivation // to be put into force
	succession   *zabActivation // the role that it gives this server when the present one has ended

	ended, serving, refetch, stuck bool
	under                          int // writes under way
	durable                        proto.Zxid

	up     *Link
	from   map[int]*Link
	views  map[int][]zab.Txn
	staged []zab.Txn
	isSnap bool // staged counts

	writes   []*Command // clients', not answered yet
	syncs    []*Command // reads that wait for a SYNC
	confirms []zabConfirm
	passed   []zab.Delivery
	vote     election.Vote

	wakeAt, electionWake, roleWake proto.Millis
}

// zabConfirm is a sync that waits for the leader to be confirmed.
type zabConfirm struct {
	ticket uint64
	from   proto.ServerID
}

// zabActivation is a configuration that has been committed.
type zabActivation struct {
	config *quorum.Config
	leader proto.ServerID
	zxid   proto.Zxid
}

func (n *zabNode) id() proto.ServerID { return proto.ServerID(n.s.ID()) }
func (n *zabNode) now() proto.Millis  { return proto.Millis(n.s.Clock() / Millisecond) }

// reconfig says whether the scenario changes the membership; otherwise it is switched off, as is ZooKeeper's default.
func (n *zabNode) reconfig() bool { return n.s.Settings().changes() }

func (n *zabNode) timing() zab.Timing {
	sc := n.s.Settings()
	tick := max(1, proto.Millis(2*sc.Heartbeat/Millisecond))
	limit := max(1, int(proto.Millis(sc.Timeout/Millisecond)/tick))
	return zab.Timing{Tick: tick, InitLimit: 2 * limit, SyncLimit: limit}
}

// restore reads the disk.
func (n *zabNode) restore() {
	d := n.d
	d.current = max(d.current, d.last().Epoch())
	d.accepted = max(d.accepted, d.current)
	n.mem = d.history()
	n.log = zab.NewCommitLog(0)
	for _, t := range n.mem[max(0, len(n.mem)-n.s.Settings().Retain):] {
		if err := n.log.Append(t); err != nil {
			n.s.w.violated("server %d: log: %v", n.s.ID(), err)
		}
	}
}

// Start begins the first election.
func (n *zabNode) Start() { n.input(n.look) }

// input tells the cores the time, and something that has happened.
func (n *zabNode) input(do func()) {
	now := n.now()
	n.el.Tick(now)
	switch {
	case n.leader != nil:
		n.leader.Tick(now)
	case n.learner != nil:
		n.learner.Tick(now)
	}
	do()
	for n.turnElection() || n.turnRole() || n.turnPassed() {
	}
	n.wake()
}

// look begins an election.
func (n *zabNode) look() {
	n.head = 0
	n.el.Start(n.now(), n.d.last(), n.d.current)
	n.s.Campaigned(int64(n.el.Round()))
	n.s.Took("looking", 0, int64(n.d.current), "")
}

// wake sees to it that the time is told when it must be.
func (n *zabNode) wake() {
	at := sooner(n.electionWake, n.roleWake)
	if at == 0 || at == n.wakeAt {
		return
	}
	n.wakeAt = at
	n.s.At(Micros(at)*Millisecond, func() {
		if n.wakeAt == at {
			n.wakeAt = 0
			n.input(func() {})
		}
	})
}

func sooner(a, b proto.Millis) proto.Millis {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// turnElection does what the election asks for. It reports whether there was anything.
func (n *zabNode) turnElection() bool {
	r := n.el.Ready()
	n.electionWake = r.Wake
	for i := range r.Messages {
		n.notify(&r.Messages[i])
	}
	if r.Config != nil {
		n.adopt(r.Config)
	}
	if v := n.el.Vote(); n.el.State() == proto.Looking && v != n.vote {
		n.vote = v
		n.s.Campaigned(int64(v.Round))
		if n.s.Recording() && v.Leader > 0 {
			n.s.Voted(int(v.Leader), int64(v.Round), fmt.Sprintf("round %d: epoch %d, zxid %s", v.Round, v.Epoch, zx(v.Zxid)))
		}
	}
	if r.Decision != nil {
		n.take(r.Decision)
	}
	return len(r.Messages) > 0 || r.Decision != nil
}

// notify sends a notification.
func (n *zabNode) notify(m *election.Message) {
	nt := m.Notification
	msg := &Message{
		Name: "notification", Epoch: int64(nt.PeerEpoch), Index: -1, Bytes: notificationBytes + len(nt.Config), Body: &nt,
	}
	if nt.Leader == proto.NoServer {
		msg.Epoch = 0
	}
	if n.s.Recording() {
		msg.Note = notificationNote(&nt)
	}
	n.s.Send(int(m.To), msg)
}

// Sizes on the wire without what is in them.
const (
	notificationBytes = 4 + 44
	packetBytes       = 4 + 4 + 8 + 4 + 4
)

func notificationNote(n *proto.Notification) string {
	if n.Leader == proto.NoServer {
		return fmt.Sprintf("%v, round %d: who leads?", n.State, n.Round)
	}
	return fmt.Sprintf("%v, round %d: server %d, epoch %d, zxid %s", n.State, n.Round, n.Leader, n.PeerEpoch, zx(n.Zxid))
}

func zx(z proto.Zxid) string { return fmt.Sprintf("%d:%d", z.Epoch(), z.Counter()) }

// take begins the role that an election has decided on.
func (n *zabNode) take(d *election.Decision) {
	n.head, n.ended, n.serving, n.stuck = int(d.Vote.Leader), false, false, false
	n.durable = n.d.last()
	if d.State == proto.Leading {
		n.leader = zab.NewLeader(zab.LeaderOptions{
			ID: n.id(), AcceptedEpoch: n.d.accepted, CurrentEpoch: n.d.current, Last: n.d.last(), Log: n.log, Committed: n.config,
			LastSeen: n.seen, Reconfig: n.reconfig(), LogSync: true, Timing: n.timing(),
		}, n.now())
		n.s.Took("leading", n.head, int64(n.d.current), "")
		return
	}
	n.s.Took("following", n.head, int64(n.d.current), "")
	head := n.head
	sc := n.s.Settings()
	n.s.Dial(head, n.s.Clock()+2*sc.Timeout, func() bool { return n.head == head && n.learner == nil && n.leader == nil })
}

// Accepts says whether learners may connect.
func (n *zabNode) Accepts() bool { return n.leader != nil && !n.ended }

// Linked begins to follow.
func (n *zabNode) Linked(l *Link) {
	if n.head != l.Peer(n.s) || n.learner != nil || n.leader != nil {
		l.Close(n.s)
		return
	}
	n.up = l
	n.input(func() {
		o := zab.LearnerOptions{
			ID: n.id(), Leader: proto.ServerID(n.head), AcceptedEpoch: n.d.accepted, CurrentEpoch: n.d.current, Last: n.d.last(), Log: n.log,
			Refetch: n.refetch, Timing: n.timing(),
		}
		if n.reconfig() {
			o.ConfigVersion = n.config.Version
		}
		n.learner = zab.NewLearner(o, n.now())
	})
}

// LinkFailed is the end of the attempts to reach a leader.
func (n *zabNode) LinkFailed(to int) {
	if n.head != to || n.learner != nil || n.leader != nil {
		return
	}
	n.input(func() {
		n.el.Unreachable(n.now(), proto.ServerID(to))
		n.look()
	})
}

// LinkRecv takes a packet from a leader or a learner.
func (n *zabNode) LinkRecv(l *Link, m *Message) {
	peer := l.Peer(n.s)
	p := *m.Body.(*zabPacket)
	n.input(func() {
		switch {
		case n.learner != nil && l == n.up:
			n.takePacket(p)
		case n.leader != nil && !n.ended:
			if n.from[peer] != l {
				if l.Greeted {
					return
				}
				if old := n.from[peer]; old != nil {
					old.Close(n.s)
				}
				l.Greeted = true
				n.from[peer] = l
				n.leader.LinkUp(proto.ServerID(peer))
			}
			n.leader.Recv(proto.ServerID(peer), p.QuorumPacket)
		default:
			l.Close(n.s)
		}
	})
}

// zabPacket is a packet under way, with the state if it is SNAP.
type zabPacket struct {
	proto.QuorumPacket
	state []zab.Txn
}

// takePacket takes what the leader sends. A snapshot is loaded when it has come.
func (n *zabNode) takePacket(p zabPacket) {
	n.learner.Recv(p.QuorumPacket)
	if p.Type == proto.PacketSnap && !n.ended {
		n.staged, n.isSnap = slices.Clip(p.state), true
		n.learner.SnapshotLoaded()
	}
}

// LinkClosed is the end of a connection.
func (n *zabNode) LinkClosed(l *Link) {
	n.input(func() {
		switch peer := l.Peer(n.s); {
		case l == n.up:
			n.up = nil
			if n.learner != nil {
				n.learner.LinkDown()
			}
		case n.leader != nil && n.from[peer] == l:
			delete(n.from, peer)
			n.leader.LinkDown(proto.ServerID(peer))
			if a := n.succession; a != nil && int(a.leader) == peer {
				n.leader.Resign()
			}
		}
	})
}

// Recv takes a notification.
func (n *zabNode) Recv(from int, m *Message) {
	nt := *m.Body.(*proto.Notification)
	n.input(func() {
		if err := n.el.Recv(n.now(), proto.ServerID(from), &nt); err != nil {
			n.s.w.violated("server %d: notification from %d: %v", n.s.ID(), from, err)
		}
		if n.leader != nil && nt.State == proto.Looking {
			n.leader.Looking(proto.ServerID(from))
		}
	})
}

// PeerUp and PeerDown are for the election.
func (n *zabNode) PeerUp(id int) { n.input(func() { n.el.PeerUp(n.now(), proto.ServerID(id)) }) }

// PeerDown says that a server refuses connections.
func (n *zabNode) PeerDown(id int) {
	n.input(func() { n.el.PeerDown(n.now(), proto.ServerID(id)) })
}

// PeerLost means nothing to the election, which says again what matters.
func (n *zabNode) PeerLost(int) {}

// end ends the role: links are closed, and clients are told.
func (n *zabNode) end(err error) {
	n.ended, n.serving = true, false
	n.refetch = n.refetch || errors.Is(err, zab.ErrNoHistory)
	if n.up != nil {
		n.up.Close(n.s)
		n.up = nil
	}
	for id := 1; id <= len(n.s.w.servers); id++ {
		if l := n.from[id]; l != nil {
			l.Close(n.s)
			delete(n.from, id)
		}
	}
	for _, c := range n.writes {
		n.s.Refuse(c, 0)
	}
	for _, c := range n.syncs {
		n.s.Refuse(c, 0)
	}
	n.writes, n.syncs, n.confirms, n.passed, n.offered = nil, nil, nil, nil, nil
	n.s.Took("looking", 0, n.epoch(), err.Error())
}

// retire leaves a role that is over when its writes are through, and looks for the next leader.
func (n *zabNode) retire() {
	if !n.ended || n.under > 0 || n.leader == nil && n.learner == nil {
		return
	}
	n.leader, n.learner, n.staged, n.isSnap = nil, nil, nil, false
	if h := n.d.history(); len(h) != len(n.mem) {
		n.s.w.violated("server %d: memory holds %d transactions, the disk %d", n.s.ID(), len(n.mem), len(h))
		n.restore()
	}
	if s := n.succession; s != nil {
		n.succession = nil
		n.el.Designate(s.leader, s.zxid)
		n.take(&election.Decision{State: n.el.State(), Vote: n.el.Vote()})
		return
	}
	n.look()
}

func (n *zabNode) epoch() int64 {
	switch {
	case n.leader != nil:
		return int64(n.leader.Epoch())
	case n.learner != nil && n.learner.Epoch() != 0:
		return int64(n.learner.Epoch())
	}
	return int64(n.d.current)
}
