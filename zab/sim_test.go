package zab

import (
	"fmt"
	"slices"
	"strings"

	"zebu/proto"
	"zebu/quorum"
)

// disk is what survives a crash.
type disk struct {
	accepted, current proto.Epoch
	snap              []Txn // the state in the snapshot: everything that was ever applied
	snapZxid          proto.Zxid
	log               []Txn // synced transactions after it
	config            string
}

// last is the zxid that a server reports: of its last transaction, or of the snapshot, which may be an epoch's beginning.
func (d *disk) last() proto.Zxid { return max(d.snapZxid, last(d.log)) }

// history is what a restart reads.
func (d *disk) history() []Txn { return slices.Concat(d.snap, d.log) }

func last(txns []Txn) proto.Zxid {
	if len(txns) == 0 {
		return 0
	}
	return txns[len(txns)-1].Zxid
}

func sameTxn(a, b Txn) bool { return a.Zxid == b.Zxid && string(a.Data) == string(b.Data) }

func isPrefix(short, long []Txn) bool {
	return len(short) <= len(long) && slices.EqualFunc(short, long[:len(short)], sameTxn)
}

// host is a server: a disk, memory, and perhaps a role.
type host struct {
	id       proto.ServerID
	observer bool
	up       bool
	disk     disk
	memory   []Txn
	log      *CommitLog
	refetch  bool

	leader  *Leader
	learner *Learner
	master  *ObserverMaster // of a follower
	ended   bool            // the role is over, its writes may not be through
	serving bool
	writes  []Write
	staged  []Txn                    // state loaded beside memory
	views   map[proto.ServerID][]Txn // to be sent
	toward  *link                    // of a learner
	from    map[proto.ServerID]*link // of a leader or an observer master
}

func (h *host) looking() bool { return h.up && h.leader == nil && h.learner == nil && !h.ended }

// parcel is a packet under way, with the state if it is SNAP.
type parcel struct {
	proto.QuorumPacket
	state []Txn
}

// link connects a learner to its leader.
type link struct {
	leader, learner *host
	down, upward    []parcel // to the learner, to the leader
	known           bool     // the leader has been told of it
}

// bugs are mistakes that the world around the cores makes, to show that the checks see them.
type bugs struct {
	unsynced     bool // writes are reported before they are durable (ZOOKEEPER-3911, 4646)
	staleMemory  bool // memory lacks what the log holds when a role ends (ZOOKEEPER-2845)
	lateWrites   bool // writes of an old role come after a newer one has begun (ZOOKEEPER-4712)
	earlySnap    bool // a snapshot is installed when it is loaded (ZOOKEEPER-3642)
	keepTail     bool // truncation does nothing (ZOOKEEPER-3701)
	cutTooMuch   bool // truncation takes one transaction too many (ZOOKEEPER-1154)
	forgetEpoch  bool // the accepted epoch is reported and not written (ZOOKEEPER-2307)
	forgetEnter  bool // the current epoch is reported and not written
	swapCommits  bool // a link exchanges two neighbours (ZOOKEEPER-3104)
	skipProposal bool // a link loses a transaction and its commit (ZOOKEEPER-4925)
}

// world is an ensemble in which everything happens when the test says so.
type world struct {
	config   *quorum.Config
	timing   Timing
	size     int // of committed logs
	reconfig bool
	oracle   bool // the servers have one
	hosts    []*host
	links    []*link
	now      proto.Millis
	bugs     bugs
	lazy     func() bool // whether to put off what a role asks for
	trace    func(format string, args ...any)
	fake     map[proto.ServerID]bool

	committed   []Txn
	established map[proto.Epoch]proto.ServerID
	failure     string // the first violation
}

func newWorld(voters, observers []proto.ServerID) *world {
	w := &world{
		timing: Timing{Tick: 2000, InitLimit: 10, SyncLimit: 5}, size: 3,
		trace: func(string, ...any) {}, established: map[proto.Epoch]proto.ServerID{}, fake: map[proto.ServerID]bool{},
	}
	w.config = testConfig(voters, observers, 0)
	for i, id := range slices.Concat(voters, observers) {
		h := &host{id: id, observer: i >= len(voters)}
		w.hosts = append(w.hosts, h)
		w.boot(h)
	}
	return w
}

func testConfig(voters, observers []proto.ServerID, version proto.Zxid) *quorum.Config {
	c := &quorum.Config{Version: version}
	for i, id := range slices.Concat(voters, observers) {
		addr := quorum.PeerAddr{Host: fmt.Sprintf("h%d", id), Quorum: 2888, Election: 3888}
		c.Members = append(c.Members, quorum.Member{ID: id, Addrs: []quorum.PeerAddr{addr}, Observer: i >= len(voters)})
	}
	if err := c.Check(); err != nil {
		panic(err)
	}
	return c
}

func (w *world) host(id proto.ServerID) *host {
	for _, h := range w.hosts {
		if h.id == id {
			return h
		}
	}
	panic(fmt.Sprint("no server ", id))
}

func (w *world) fail(format string, args ...any) {
	if w.failure == "" {
		w.failure = fmt.Sprintf(format, args...)
	}
}

// boot starts a server from its disk.
func (w *world) boot(h *host) {
	d := h.disk
	h.disk.current = max(d.current, d.last().Epoch())
	h.disk.accepted = max(d.accepted, h.disk.current)
	id, observer, refetch := h.id, h.observer, h.refetch
	*h = host{id: id, observer: observer, up: true, disk: h.disk, refetch: refetch}
	w.reload(h)
}

// reload reads memory from the disk.
func (w *world) reload(h *host) {
	h.memory = h.disk.history()
	h.log = &CommitLog{size: w.size}
	for _, t := range h.disk.log {
		if err := h.log.Append(t); err != nil {
			w.fail("server %d: log: %v", h.id, err)
		}
	}
}

// crash loses all but the disk.
func (w *world) crash(h *host) {
	w.unlink(h)
	h.up, h.leader, h.learner, h.master, h.ended, h.serving, h.writes = false, nil, nil, nil, false, false, nil
}

// unlink closes all links of a server; the other ends notice.
func (w *world) unlink(h *host) {
	for _, l := range slices.Clone(w.links) {
		if l.leader == h || l.learner == h {
			w.close(l)
		}
	}
}

func (w *world) close(l *link) {
	at := slices.Index(w.links, l)
	if at < 0 {
		return
	}
	w.links = slices.Delete(w.links, at, at+1)
	if l.leader.hosts() != nil && l.leader.from[l.learner.id] == l {
		delete(l.leader.from, l.learner.id)
		l.leader.hosts().LinkDown(l.learner.id)
		w.flush(l.leader)
	}
	if l.learner.learner != nil && l.learner.toward == l {
		l.learner.learner.LinkDown()
		w.flush(l.learner)
	}
}

// lead makes a server that is looking a leader.
func (w *world) lead(h *host) {
	h.from, h.views = map[proto.ServerID]*link{}, map[proto.ServerID][]Txn{}
	h.leader = NewLeader(LeaderOptions{
		ID: h.id, AcceptedEpoch: h.disk.accepted, CurrentEpoch: h.disk.current, Last: h.disk.last(), Log: h.log,
		Committed: w.config, Reconfig: w.reconfig, LogSync: true, Timing: w.timing, Oracle: w.oracle,
	}, w.now)
	w.flush(h)
}

// follow makes a server that is looking a learner of a leader.
func (w *world) follow(h, leader *host) {
	l := &link{leader: leader, learner: h}
	w.links = append(w.links, l)
	h.toward = l
	h.learner = NewLearner(LearnerOptions{
		ID: h.id, Leader: leader.id, Observer: h.observer, AcceptedEpoch: h.disk.accepted, CurrentEpoch: h.disk.current,
		Last: h.disk.last(), Log: h.log, Refetch: h.refetch, Timing: w.timing, Extensions: proto.ExtHandOver,
	}, w.now)
	h.refetch = false
	w.flush(h)
}

// serving is what serves learners: a leader or an observer master.
type serving interface {
	LinkUp(id proto.ServerID)
	LinkDown(id proto.ServerID)
	Recv(from proto.ServerID, p proto.QuorumPacket)
	LogAnswer(q LogQuery, a LogAnswer)
	SnapshotSent(id proto.ServerID)
}

// hosts is what serves learners here, nil if nothing does.
func (h *host) hosts() serving {
	switch {
	case h.leader != nil:
		return h.leader
	case h.master != nil:
		return h.master
	}
	return nil
}

// serveObservers lets a follower serve observers.
func (w *world) serveObservers(h *host) {
	h.from, h.views = map[proto.ServerID]*link{}, map[proto.ServerID][]Txn{}
	h.master = NewObserverMaster(ObserverMasterOptions{
		ID: h.id, Leader: h.toward.leader.id, Epoch: h.learner.Epoch(), Applied: last(h.memory), Config: w.config, Log: h.log,
		Cache: w.size * 40, LogSync: true, Timing: w.timing,
	}, w.now)
}

// together is what an observer master and its learner ask for at the same time.
func together(m, l Ready) Ready {
	l.Deliver = slices.Concat(m.Deliver, l.Deliver)
	l.Messages = slices.Concat(l.Messages, m.Messages)
	l.Drop, l.Queries = m.Drop, m.Queries
	return l
}

// answered says whether an answer of the leader was for an observer.
func (w *world) answered(h *host, p proto.QuorumPacket) bool {
	switch p.Type {
	case proto.PacketSync:
		return h.master.Synced()
	case proto.PacketRevalidate:
		return h.master.Revalidated(p)
	case proto.PacketPing:
		h.learner.Send(proto.QuorumPacket{Type: proto.PacketPing, Data: h.master.AppendTouches(nil)})
		return true
	}
	return false
}

// flush does what a role asks for, unless that is put off to be done together with later events.
func (w *world) flush(h *host) {
	if w.lazy == nil || !w.lazy() {
		w.handle(h)
	}
}

// handle does what a role asks for; writes wait for [world.persist].
func (w *world) handle(h *host) {
	var r Ready
	switch {
	case h.leader != nil:
		r = h.leader.Ready()
	case h.learner != nil:
		r = h.learner.Ready()
		if h.master != nil {
			r = together(h.master.Ready(), r)
		}
	default:
		return
	}
	r.Writes, r.Deliver, r.Messages = slices.Clone(r.Writes), slices.Clone(r.Deliver), slices.Clone(r.Messages)
	r.Drop, r.Queries = slices.Clone(r.Drop), slices.Clone(r.Queries)
	h.writes = append(h.writes, r.Writes...)
	if n := len(r.Writes); w.bugs.unsynced && n > 0 && r.Writes[n-1].Kind == AppendTxn {
		defer w.report(h, r.Writes[n-1].Txn.Zxid)
	}
	if r.Serving {
		h.serving = true
		w.trace("%d serves", h.id)
		w.checkServing(h)
	}
	for _, d := range r.Deliver {
		w.deliver(h, d)
	}
	if r.Confirmed > 0 {
		w.trace("%d still leads: %d", h.id, r.Confirmed)
	}
	for _, m := range r.Messages {
		w.post(h, m)
	}
	for _, d := range r.Drop {
		w.trace("%d drops %d: %v", h.id, d.ID, d.Err)
		if l := h.from[d.ID]; l != nil {
			w.close(l)
		}
	}
	for _, q := range r.Queries {
		a := answer(&h.disk, q)
		w.trace("%d looks at its log for %d: %s to %s, gap before %s", h.id, q.ID, zx(a.Prev), zx(a.Through), zx(a.Next))
		h.hosts().LogAnswer(q, a)
		w.flush(h)
	}
	if r.Ended != nil {
		w.trace("%d ends: %v", h.id, r.Ended)
		h.master = nil
		h.ended, h.serving = true, false
		w.unlink(h)
		w.retire(h)
	}
	if h.master != nil && len(r.Deliver) > 0 {
		w.flush(h) // what was delivered is to be told to observers
	}
}

// retire drops a role that is over when its writes are through.
func (w *world) retire(h *host) {
	if !h.ended || len(h.writes) > 0 && !w.bugs.lateWrites {
		return
	}
	h.leader, h.learner, h.master, h.toward, h.ended, h.staged = nil, nil, nil, nil, false, nil
	if w.bugs.staleMemory {
		return
	}
	if !w.bugs.lateWrites && !slices.EqualFunc(h.memory, h.disk.history(), sameTxn) {
		w.fail("server %d: memory %s differs from disk %s", h.id, hist(h.memory), hist(h.disk.history()))
	}
}

// answer looks at a log as a [LogQuery] asks.
func answer(d *disk, q LogQuery) LogAnswer {
	var a LogAnswer
	for _, t := range d.log {
		switch {
		case t.Zxid <= q.Last:
			a.Prev, a.Through = t.Zxid, t.Zxid
		case a.Prev == 0 || t.Zxid > q.Max || !follows(a.Through, t.Zxid):
			return a
		default:
			if a.Next == 0 {
				a.Next = t.Zxid
			}
			a.Through = t.Zxid
		}
	}
	return a
}

func (w *world) deliver(h *host, d Delivery) {
	switch d.Kind {
	case View:
		h.views[d.From] = slices.Clone(h.memory)
	case Pass:
		w.trace("%d takes %v from %d", h.id, d.Packet.Type, d.From)
		if h.master != nil && w.answered(h, d.Packet) {
			return
		}
		if h.learner != nil && (d.Packet.Type == proto.PacketPing || d.Packet.Type == proto.PacketHandOver) {
			h.learner.Send(d.Packet)
			w.flush(h)
		}
	case Apply, Replay:
		if h.staged != nil {
			h.staged = append(h.staged, d.Txn)
			w.trace("%d applies %s to the snapshot", h.id, zx(d.Txn.Zxid))
			return
		}
		if w.bugs.staleMemory && d.Kind == Replay {
			return
		}
		if d.Kind == Replay {
			w.trace("%d replays %s", h.id, zx(d.Txn.Zxid))
		} else if d.Activate {
			w.trace("%d applies %s, server %d shall lead", h.id, zx(d.Txn.Zxid), d.Leader)
		} else {
			w.trace("%d applies %s", h.id, zx(d.Txn.Zxid))
		}
		if l := last(h.memory); l != 0 && !follows(l, d.Txn.Zxid) {
			w.fail("server %d applies %v after %v", h.id, d.Txn.Zxid, l)
		}
		h.memory = append(h.memory, d.Txn)
		if d.Kind == Apply {
			w.checkApplied(h)
		}
		if h.master != nil && d.Kind == Apply {
			if err := h.master.Committed(&d); err != nil {
				w.fail("observer master %d: %v", h.id, err)
			}
		}
	}
}

// post puts a message on its link.
func (w *world) post(h *host, m Message) {
	if h.learner != nil && m.To == h.toward.leader.id {
		if w.fake[m.To] {
			w.trace("%d>%d %s", h.id, m.To, text(m.Packet))
		} else if l := h.toward; slices.Contains(w.links, l) {
			l.upward = append(l.upward, parcel{QuorumPacket: m.Packet})
		}
		return
	}
	switch {
	case w.fake[m.To] && m.LogThrough != 0:
		w.trace("%d>%d PROPOSAL and COMMIT from the log, after %s, through %s", h.id, m.To, zx(m.LogAfter), zx(m.LogThrough))
		return
	case w.fake[m.To]:
		w.trace("%d>%d %s", h.id, m.To, text(m.Packet))
		return
	}
	l := h.from[m.To]
	if l == nil {
		return
	}
	if m.LogThrough != 0 {
		for _, t := range h.disk.log {
			if t.Zxid > m.LogAfter && t.Zxid <= m.LogThrough {
				commit := proto.QuorumPacket{Type: proto.PacketCommit, Zxid: t.Zxid}
				l.down = append(l.down, parcel{QuorumPacket: proto.QuorumPacket{
					Type: proto.PacketProposal, Zxid: t.Zxid, Data: t.Data,
				}}, parcel{QuorumPacket: commit})
			}
		}
		return
	}
	p := parcel{QuorumPacket: m.Packet}
	if m.Packet.Type == proto.PacketSnap {
		p.state = append(make([]Txn, 0, 1), h.views[m.To]...)
		h.hosts().SnapshotSent(m.To)
	}
	l.down = append(l.down, p)
}

// carry hands over the oldest packet on a link.
func (w *world) carry(l *link, downward bool) {
	q := &l.upward
	if downward {
		q = &l.down
	}
	w.distort(q)
	if len(*q) == 0 {
		return
	}
	p := (*q)[0]
	*q = (*q)[1:]
	if !downward {
		w.trace("%d>%d %s", l.learner.id, l.leader.id, text(p.QuorumPacket))
		h := l.leader
		if h.hosts() == nil || h.ended {
			w.close(l)
			return
		}
		if !l.known {
			if old := h.from[l.learner.id]; old != nil {
				w.close(old)
			}
			l.known = true
			h.from[l.learner.id] = l
			h.hosts().LinkUp(l.learner.id)
		}
		h.hosts().Recv(l.learner.id, p.QuorumPacket)
		w.flush(h)
		return
	}
	w.trace("%d>%d %s", l.leader.id, l.learner.id, text(p.QuorumPacket))
	h := l.learner
	if p.Type == proto.PacketSnap {
		w.handle(h)
		if h.learner == nil || h.ended {
			return
		}
	}
	h.learner.Recv(p.QuorumPacket)
	if p.Type == proto.PacketSnap {
		w.handle(h)
	}
	if p.Type == proto.PacketSnap && !h.ended {
		h.staged = append(make([]Txn, 0, 1), p.state...)
		h.learner.SnapshotLoaded()
		if w.bugs.earlySnap {
			h.disk.snap, h.disk.snapZxid, h.disk.log = p.state, p.Zxid, nil
		}
	}
	w.flush(h)
}

// distort makes the mistakes of a link that is no FIFO queue.
func (w *world) distort(q *[]parcel) {
	for i := 0; i+1 < len(*q); i++ {
		a, b := &(*q)[i], &(*q)[i+1]
		if a.Type != proto.PacketCommit && a.Type != proto.PacketProposal {
			continue
		}
		if w.bugs.swapCommits && b.Type == proto.PacketNewLeader {
			*a, *b = *b, *a
			return
		}
		if w.bugs.skipProposal && a.Type == proto.PacketProposal && b.Type == proto.PacketCommit && a.Zxid%3 == 0 {
			*q = slices.Delete(*q, i, i+2)
			return
		}
	}
}

// persist makes the oldest n writes of a server durable and tells its role.
func (w *world) persist(h *host, n int) {
	synced := proto.Zxid(0)
	for ; n > 0 && len(h.writes) > 0; n-- {
		wr := h.writes[0]
		h.writes = h.writes[1:]
		if wr.Kind == AppendTxn {
			h.append(w, wr.Txn)
			synced = wr.Txn.Zxid
			continue
		}
		if synced != 0 {
			w.report(h, synced)
			synced = 0
		}
		w.perform(h, wr)
		w.flush(h)
	}
	if synced != 0 {
		w.report(h, synced)
	}
	if h.ended {
		w.handle(h)
		w.retire(h)
	}
	w.checkDisk(h)
}

func (h *host) append(w *world, t Txn) {
	if l := h.disk.last(); l != 0 && !follows(l, t.Zxid) {
		w.fail("server %d logs %v after %v", h.id, t.Zxid, l)
	}
	h.disk.log = append(slices.Clip(h.disk.log), t)
	w.trace("%d disk: log %s", h.id, zx(t.Zxid))
}

func (w *world) report(h *host, z proto.Zxid) {
	switch {
	case h.leader != nil:
		h.leader.Synced(z)
	case h.learner != nil:
		h.learner.Synced(z)
	}
	w.flush(h)
}

// perform does a write that is not a transaction.
func (w *world) perform(h *host, wr Write) {
	switch wr.Kind {
	case AcceptEpoch:
		w.trace("%d disk: acceptedEpoch %d", h.id, wr.Epoch)
		if wr.Epoch < h.disk.accepted {
			w.fail("server %d accepts epoch %d after %d", h.id, wr.Epoch, h.disk.accepted)
		}
		if !w.bugs.forgetEpoch {
			h.disk.accepted = wr.Epoch
		}
	case EnterEpoch:
		w.trace("%d disk: currentEpoch %d", h.id, wr.Epoch)
		if !w.bugs.forgetEnter {
			h.disk.current = wr.Epoch
		}
	case SaveConfig:
		h.disk.config = string(wr.Config)
		return
	case Truncate:
		if !w.truncate(h, wr.Zxid) {
			return
		}
	case InstallSnapshot:
		if h.staged == nil && w.bugs.lateWrites {
			return
		}
		h.disk.snap, h.disk.snapZxid, h.disk.log = h.staged, wr.Zxid, nil
		h.memory, h.staged = slices.Clone(h.staged), nil
		w.trace("%d disk: snapshot %s", h.id, zx(wr.Zxid))
	}
	if h.leader != nil {
		h.leader.Wrote(wr.Kind)
	} else if h.learner != nil {
		h.learner.Wrote(wr.Kind)
	}
}

// truncate cuts the disk, if it can.
func (w *world) truncate(h *host, z proto.Zxid) bool {
	at := slices.IndexFunc(h.disk.log, func(t Txn) bool { return t.Zxid == z })
	if at < 0 && z != h.disk.snapZxid {
		w.trace("%d disk: cannot truncate to %s", h.id, zx(z))
		h.refetch = true
		h.learner.CannotTruncate()
		return false
	}
	switch {
	case w.bugs.keepTail:
	case w.bugs.cutTooMuch && at >= 0:
		h.disk.log = h.disk.log[:at]
	default:
		h.disk.log = h.disk.log[:at+1]
	}
	h.memory = h.disk.history()
	w.trace("%d disk: truncated to %s", h.id, zx(z))
	return true
}

// pass lets time go by.
func (w *world) pass(d proto.Millis) {
	w.now += d
	for _, h := range w.hosts {
		switch {
		case h.leader != nil:
			h.leader.Tick(w.now)
		case h.learner != nil:
			h.learner.Tick(w.now)
			if h.master != nil {
				h.master.Tick(w.now)
			}
		}
		w.flush(h)
	}
}

func (w *world) propose(h *host, data string) error {
	err := h.leader.Propose(Proposal{Txn: Txn{h.leader.NextZxid(), []byte(data)}})
	w.flush(h)
	return err
}

// snapshot writes the state of a server and drops its log.
func (w *world) snapshot(h *host) {
	if h.serving && len(h.writes) == 0 && len(h.memory) == len(h.disk.history()) {
		z := max(h.disk.last(), proto.MakeZxid(h.disk.current, 0)) // the beginning of an epoch without transactions
		h.disk.snap, h.disk.snapZxid, h.disk.log = h.disk.history(), z, nil
	}
}

// checkServing holds a server that begins to serve to what has been committed.
func (w *world) checkServing(h *host) {
	if h.leader == nil {
		w.checkApplied(h)
		return
	}
	e := h.leader.Epoch()
	if other, ok := w.established[e]; ok {
		w.fail("epoch %d: both %d and %d lead", e, other, h.id)
	}
	w.established[e] = h.id
	w.checkApplied(h)
}

// checkApplied compares what a server that serves has applied with what others have.
func (w *world) checkApplied(h *host) {
	switch {
	case !h.serving || len(w.fake) > 0: // nobody knows what fake servers have committed
	case h.leader == nil && !isPrefix(h.memory, w.committed):
		w.fail("server %d applied %s, committed is %s", h.id, hist(h.memory), hist(w.committed))
	case h.leader != nil && !isPrefix(w.committed, h.memory):
		w.fail("leader %d has %s, committed is %s", h.id, hist(h.memory), hist(w.committed))
	case h.leader != nil:
		w.committed = slices.Clone(h.memory)
		w.checkDurable()
	}
}

// checkDurable makes sure that a quorum could restart with all that is committed.
func (w *world) checkDurable() {
	var have quorum.Set
	for _, h := range w.hosts {
		if isPrefix(w.committed, h.disk.history()) {
			have.Add(h.id)
		}
	}
	oracle := quorum.Oracle{Needed: w.oracle, Grants: have.Len() > 0}
	if !oracle.HasQuorum(w.config.Verifier(), have) {
		w.fail("committed %s is on the disks of %v only", hist(w.committed), have)
	}
}

// checkDisk looks for holes in a history, and for lost commits.
func (w *world) checkDisk(h *host) {
	txns := h.disk.history()
	for i := 1; i < len(txns); i++ {
		if !follows(txns[i-1].Zxid, txns[i].Zxid) {
			w.fail("server %d: %v after %v in its log", h.id, txns[i].Zxid, txns[i-1].Zxid)
		}
	}
	w.checkDurable()
}

func zx(z proto.Zxid) string { return fmt.Sprintf("%d:%d", z.Epoch(), z.Counter()) }

func hist(txns []Txn) string {
	var b strings.Builder
	for _, t := range txns {
		fmt.Fprintf(&b, " %s=%s", zx(t.Zxid), t.Data)
	}
	return "[" + strings.TrimSpace(b.String()) + "]"
}

// text prints a packet.
func text(p proto.QuorumPacket) string {
	s := fmt.Sprintf("%v %s", p.Type, zx(p.Zxid))
	switch p.Type {
	case proto.PacketUpToDate, proto.PacketSync, proto.PacketRevalidate, proto.PacketRequest:
		return p.Type.String()
	case proto.PacketAckEpoch:
		current, _ := proto.DecodeInt32(p.Data)
		return fmt.Sprintf("%s current=%d", s, current)
	case proto.PacketCommitAndActivate, proto.PacketInformAndActivate:
		leader, _, _ := proto.DecodeActivation(p.Data)
		return fmt.Sprintf("%s leader=%d", s, leader)
	}
	return s
}
