package sim

import (
	"hash/fnv"
	"slices"
	"sort"

	"zebu/proto"
	"zebu/quorum"
	"zebu/zab"
	"zebu/znode"
)

// checker holds the ensemble to its promises, as things happen:
//
//   - A zxid names one transaction and one history that leads to it, on every server; the state after it (tree digest,
//     sessions) is the same everywhere. So histories are prefixes of one another, or what differs was never committed.
//   - What is committed is on the disks of a quorum that has entered the epoch, at that moment. No server that has it is without it when
//     it starts again, unless it has lost its disk. No observer ever cuts anything off.
//   - One server at most leads and commits in an epoch, and what has been committed is part of every later leader's history, which
//     has nothing older that the epoch before did not begin with.
//   - What a server has in memory when it votes is what is on its disk.
//   - A reply tells the truth about the state at its zxid, and its zxid has been committed: what was acknowledged is never
//     lost. Replies come in the order of requests and never go back; so do a session's transactions.
//   - A write is later than everything that anybody had seen when it was sent. A read behind a sync too, if that asks a quorum. No
//     write happens twice.
//   - A watch fires once, for the first change after what its client saw, and before the client sees anything newer.
//   - An ephemeral node goes when its session does, or is deleted, and not else. A container goes when it is empty and has not
//     always been, a TTL node when its time is over.
//   - A persistent watch tells of every change on its connection, in order, and before the client sees anything newer.
//   - Holders of a lock are told greater tokens one after the other, and all that each does under it comes before the next one's.
//   - Reads without a leader are of a state that there was, and nothing is written.
type checker struct {
	w          *World
	txns       map[proto.Zxid]*txn
	states     map[proto.Zxid]*state
	config     *quorum.Config // the last one committed
	have       quorum.Set     // of durable, kept for its memory
	begins     map[proto.Epoch]beginning
	epoch      proto.Epoch // the last to begin
	committed  []proto.Zxid
	isIn       map[proto.Zxid]bool // of committed
	changes    [][]proto.Zxid      // committed, by key, and those of the root's children
	tokens     map[string]proto.Zxid
	cxids      map[proto.SessionID]int32 // last request of the session that was committed
	seen       proto.Zxid                // newest that a client has
	used       proto.Zxid                // greatest token of a lock's holder that what it guards has seen
	counts     map[string]int
	history    [][]operation // by key
	full       []Time        // when that had enough, 0 if it has not
	unsearched int           // histories too entangled to find an order in time
}

// txn is what a zxid stands for.
type txn struct {
	hash   uint64
	hdr    proto.TxnHeader
	config *quorum.Config // of a reconfiguration
}

// beginning is who leads an epoch, and after which transaction.
type beginning struct {
	leader *Host
	after  proto.Zxid
}

// state is what a history leads to.
type state struct {
	sums
	parent proto.Zxid
	nodes  []node
	empty  [2]emptiness // of the container and the TTL node
}

// emptiness says how near a node is to its removal by the server.
type emptiness struct {
	children, cversion int32
	mtime              proto.Millis
}

// node is a key's node.
type node struct {
	exists  bool
	czxid   proto.Zxid
	mzxid   proto.Zxid
	version int32
	owner   proto.SessionID
	value   string
}

func (c *checker) init(w *World) {
	n := w.o.paths()
	*c = checker{
		w: w, txns: map[proto.Zxid]*txn{}, states: map[proto.Zxid]*state{0: {nodes: make([]node, n)}}, begins: map[proto.Epoch]beginning{},
		isIn: map[proto.Zxid]bool{0: true}, changes: make([][]proto.Zxid, n+1), tokens: map[string]proto.Zxid{}, cxids: map[proto.SessionID]int32{}, history: make([][]operation, w.o.Keys), full: make([]Time, w.o.Keys), counts: map[string]int{},
	}
}

// count notes that something worth testing has happened.
func (c *checker) count(what string) { c.counts[what]++ }

// plain is the last transaction at or before a zxid that may be an epoch's beginning.
func (c *checker) plain(z proto.Zxid) proto.Zxid {
	for z.Counter() == 0 && z != 0 {
		b, ok := c.begins[z.Epoch()]
		if !ok {
			c.w.failf("epoch %d has not begun", z.Epoch())
			return 0
		}
		z = b.after
	}
	return z
}

// logged sees a transaction that a server is about to log.
func (c *checker) logged(h *Host, t zab.Txn) {
	f := fnv.New64a()
	_, _ = f.Write(t.Data)
	hash := f.Sum64()
	if old := c.txns[t.Zxid]; old != nil {
		if old.hash != hash {
			c.w.failf("server %d: %s is another transaction than elsewhere", h.id, zx(t.Zxid))
		}
		return
	}
	d := proto.NewDecoder(t.Data)
	x := &txn{hash: hash}
	x.hdr.Decode(&d)
	if last := c.w.o.LastCounter; last != 0 && t.Zxid.Counter() > last {
		c.w.failf("server %d: %s is beyond its epoch's last zxid", h.id, zx(t.Zxid))
	}
	if x.hdr.Zxid != t.Zxid {
		c.w.failf("server %d: transaction %s says it is %s", h.id, zx(t.Zxid), zx(x.hdr.Zxid))
	}
	if text, ok := znode.ConfigOf(x.hdr.Type, d.Rest()); ok {
		config, err := quorum.ParseConfig(string(text))
		if err != nil {
			c.w.failf("%s: %v", zx(t.Zxid), err)
		}
		x.config = config
	}
	if x.hdr.Type == proto.OpEtcd {
		c.w.etcd.log(t.Zxid, d.Buf())
	}
	c.txns[t.Zxid] = x
}

// sums are of the tree and of the sessions of a server.
type sums struct{ digest, sessions uint64 }

func (c *checker) observe(h *Host) (s sums) {
	s.digest, _ = h.rep.Tree().Digest()
	for id, timeout := range h.rep.Sessions().All {
		x := uint64(id)*0x9e3779b97f4a7c15 + uint64(timeout)
		s.sessions += x ^ x>>31
	}
	return s
}

// state compares a server's state with that of others at the same zxid.
func (c *checker) state(h *Host) {
	z := c.plain(h.rep.Applied())
	s, known := c.observe(h), c.states[z]
	switch {
	case z == 0:
	case known == nil:
		c.w.failf("server %d is at %s, which nobody ever was", h.id, zx(z))
	case s.digest != known.digest || s.sessions != known.sessions:
		c.w.failf("server %d: state at %s differs from others': digest %t, sessions %t", h.id, zx(z), s.digest != known.digest, s.sessions != known.sessions)
	}
}

// applied sees a server apply a transaction.
func (c *checker) applied(h *Host, before proto.Zxid) {
	z := h.rep.Applied()
	c.w.mix(uint64(h.id), uint64(z))
	p := c.plain(before)
	x := c.txns[z]
	if x == nil {
		c.w.failf("server %d applies %s, which nobody logged", h.id, zx(z))
		return
	}
	now, known := c.observe(h), c.states[z]
	if known == nil {
		s := &state{sums: now, parent: p}
		if c.w.trace != nil {
			c.w.tracef("%s is %v of %v, request %d", zx(z), x.hdr.Type, x.hdr.ClientID, x.hdr.Cxid)
		}
		if before := c.states[p]; before != nil && before.digest == s.digest {
			s.nodes, s.empty = before.nodes, before.empty
		} else {
			c.nodes(h, s)
		}
		c.orphans(h)
		c.states[z] = s
		c.transition(z, s)
		return
	}
	if known.parent != p {
		c.w.failf("server %d applies %s after %s, others after %s", h.id, zx(z), zx(p), zx(known.parent))
	}
	if now != known.sums {
		c.w.failf("server %d: state after %s differs from others'", h.id, zx(z))
	}
}

// nodes notes the clients' nodes.
func (c *checker) nodes(h *Host, s *state) {
	tree := h.rep.Tree()
	s.nodes = make([]node, len(c.w.paths))
	for k := range s.nodes {
		n := tree.Lookup(c.w.path(k))
		if n == nil {
			continue
		}
		var st proto.Stat
		tree.Stat(n, &st)
		s.nodes[k] = node{true, st.Czxid, st.Mzxid, st.Version, st.EphemeralOwner, string(n.Data())}
		switch k - c.w.o.key(0) {
		case container:
			s.empty[0] = emptiness{st.NumChildren, st.Cversion, st.Mtime}
		case ttlNode:
			s.empty[1] = emptiness{st.NumChildren, st.Cversion, st.Mtime}
		}
	}
}

// orphans looks for ephemerals without a session.
func (c *checker) orphans(h *Host) {
	for owner := range h.rep.Tree().EphemeralOwners() {
		if _, ok := h.rep.Sessions().Timeout(owner); !ok {
			c.w.failf("server %d at %s: ephemerals of session %v outlive it", h.id, zx(h.rep.Applied()), owner)
		}
	}
}

// transition sees what a transaction has changed, the first time that it is applied.
func (c *checker) transition(z proto.Zxid, s *state) {
	x, before := c.txns[z], c.states[s.parent]
	if before == nil {
		c.w.failf("%s follows %s, where nobody was", zx(z), zx(s.parent))
		return
	}
	for k := range s.nodes {
		old, now := &before.nodes[k], &s.nodes[k]
		if now.exists && now.mzxid == z {
			if other, ok := c.tokens[now.value]; ok && other != z {
				c.w.failf("%q was written by %s and again by %s", now.value, zx(other), zx(z))
			}
			c.tokens[now.value] = z
		}
		if old.exists && !now.exists && x.hdr.Type == proto.OpDeleteContainer {
			c.reaped(z, before, k)
			continue
		}
		if old.exists && !now.exists && old.owner != 0 {
			deletes := x.hdr.Type == proto.OpDelete || x.hdr.Type == proto.OpMulti
			if !deletes && (x.hdr.Type != proto.OpCloseSession || x.hdr.ClientID != old.owner) {
				c.w.failf("%s (%v of %v) takes the ephemeral of %v", zx(z), x.hdr.Type, x.hdr.ClientID, old.owner)
			}
		}
	}
}

// reaped sees a server remove a node by itself.
func (c *checker) reaped(z proto.Zxid, before *state, key int) {
	e, due := before.empty[0], false
	switch key - c.w.o.key(0) {
	case container:
		due = e.cversion > 0
	case ttlNode:
		e = before.empty[1]
		due = c.txns[z].hdr.Time-e.mtime > timeToLive
	}
	c.count("reaped")
	if !due || e.children > 0 {
		c.w.failf("%s removes %s, which has %d children, is of %d, and it is %d", zx(z), c.w.path(key), e.children, e.mtime, c.txns[z].hdr.Time)
	}
}

// serving sees a server that may have begun to serve, or have committed something.
func (c *checker) serving(h *Host) {
	if h.m == nil || !h.m.Serving() || c.w.failure != "" {
		return
	}
	_, e := h.m.Epochs()
	if h.m.State() == proto.Leading {
		if b, ok := c.begins[e]; !ok {
			c.begin(h, e)
		} else if b.leader != h {
			c.w.failf("epoch %d: both %d and %d lead", e, b.leader.id, h.id)
		}
	} else if _, ok := c.begins[e]; !ok {
		c.w.failf("server %d serves in epoch %d, which has not begun", h.id, e)
		return
	}
	c.commit(h, c.plain(h.rep.Applied()))
}

// begin sees a new leader.
func (c *checker) begin(h *Host, e proto.Epoch) {
	z := c.plain(h.rep.Applied())
	c.w.tracef("%d leads epoch %d after %s", h.id, e, zx(z))
	if e < c.epoch {
		c.late(h, e, z)
		return
	}
	at := z
	for c.epoch != 0 && at.Epoch() >= c.epoch && c.states[at] != nil {
		at = c.states[at].parent
	}
	if before := c.begins[c.epoch]; c.epoch != 0 && at != before.after {
		c.w.failf("server %d leads epoch %d at %s, which comes after %s, where epoch %d began after %s", h.id, e, zx(z), zx(at), c.epoch, zx(before.after))
	}
	c.begins[e], c.epoch = beginning{h, z}, e
	c.count("epochs")
	if config := h.m.Config(); config.Version > c.config.Version { // the leader has noted one that was proposed, and begins with that
		c.config = config
	}
	c.durable(z, e)
	if last := c.last(); !c.leadsTo(z, last) {
		c.w.failf("server %d leads epoch %d at %s, which does not have %s, which was committed", h.id, e, zx(z), zx(last))
	}
}

// late sees a leader whose history a quorum has acknowledged, but that hears of it only after others have gone on to a later epoch.
// It serves for a moment what it knows, and can commit nothing; but what it has stands in the later one's history.
func (c *checker) late(h *Host, e proto.Epoch, z proto.Zxid) {
	next := c.epoch
	for later := range c.begins {
		if later > e && later < next {
			next = later
		}
	}
	if !c.leadsTo(c.begins[next].after, z) {
		c.w.failf("server %d leads epoch %d at %s, when epoch %d has begun after %s without that", h.id, e, zx(z), next, zx(c.begins[next].after))
	}
	c.begins[e] = beginning{h, z}
	c.count("late epochs")
}

func (c *checker) last() proto.Zxid {
	if n := len(c.committed); n > 0 {
		return c.committed[n-1]
	}
	return 0
}

// leadsTo says whether the history up to z has old.
func (c *checker) leadsTo(z, old proto.Zxid) bool {
	for z > old {
		s := c.states[z]
		if s == nil {
			return false
		}
		z = s.parent
	}
	return z == old
}

// commit notes that everything up to z has been committed.
func (c *checker) commit(h *Host, z proto.Zxid) {
	last := c.last()
	if z <= last {
		if !c.isIn[z] {
			c.w.failf("server %d serves at %s, which was not committed", h.id, zx(z))
		}
		return
	}
	if !c.leadsTo(z, last) {
		c.w.failf("server %d commits %s, whose history does not have %s, which was committed", h.id, zx(z), zx(last))
		return
	}
	newest := z
	at := len(c.committed)
	for ; z > last; z = c.states[z].parent {
		c.committed = append(c.committed, z)
	}
	slices.Reverse(c.committed[at:])
	for _, z := range c.committed[at:] {
		c.isIn[z] = true
		c.inOrder(z)
		if next := c.txns[z].config; next != nil {
			c.durable(z, z.Epoch()) // by the old one too
			c.config = next
		}
		s := c.states[z]
		before := c.states[s.parent]
		family := false
		for k := range s.nodes {
			if s.nodes[k] != before.nodes[k] {
				c.changes[k] = append(c.changes[k], z)
				// A multi may take a node away and make it again.
				family = family || s.nodes[k].czxid != before.nodes[k].czxid && k != c.w.o.key(inside)
			}
		}
		if root := c.w.root(); family {
			c.changes[root] = append(c.changes[root], z)
		}
	}
	c.durable(newest, newest.Epoch())
}

// inOrder holds a session's transactions to the order of its requests, wherever these were sent to; but its end counts, too, when it was
// asked of a server that the session has left, as with Apache's.
func (c *checker) inOrder(z proto.Zxid) {
	hdr := &c.txns[z].hdr
	changed := slices.ContainsFunc(c.states[z].nodes, func(n node) bool { return n.mzxid == z })
	if hdr.Cxid <= 0 || hdr.Type == proto.OpError || hdr.Type == proto.OpCloseSession || hdr.Type == proto.OpMulti && !changed { // a multi that failed is a multi
		return
	}
	if last := c.cxids[hdr.ClientID]; hdr.Cxid <= last {
		c.w.failf("%s is request %d of session %v, whose request %d came before", zx(z), hdr.Cxid, hdr.ClientID, last)
	}
	c.cxids[hdr.ClientID] = hdr.Cxid
}

// durable says whether what is committed in an epoch is on enough disks: no crash of all servers may lose it. Those that have not entered
// the epoch do not count, because they may be overruled by one that has, and knows less.
func (c *checker) durable(z proto.Zxid, e proto.Epoch) {
	have := &c.have
	have.Clear()
	for _, o := range c.w.hosts {
		if o.lost || o.entered >= e && c.has(o.logged, z) { // it may have acknowledged before it lost its disk
			have.Add(o.id)
		}
	}
	if c.w.o.Oracle && c.w.solo != 0 && have.Has(c.w.solo) {
		return
	}
	if !c.config.Verifier().HasQuorum(*have) {
		c.w.failf("%s is committed in epoch %d, and on the disks of %v only; voters are %v", zx(z), e, *have, c.config.Voters())
	}
}

// missing is a transaction that was committed, is certain to be on a server's disk, and is not part of a history that ends with z; 0 if
// there is none.
func (c *checker) missing(h *Host, z proto.Zxid) proto.Zxid {
	if !c.begun(z) || !c.begun(h.logged) {
		return 0
	}
	for i := len(c.committed) - 1; i >= 0 && c.committed[i] > z; i-- {
		if c.has(h.logged, c.committed[i]) {
			return c.committed[i]
		}
	}
	return 0
}

// begun says whether it is known what a zxid comes after.
func (c *checker) begun(z proto.Zxid) bool {
	_, ok := c.begins[z.Epoch()]
	return ok || z.Counter() != 0 || z == 0
}

// cut sees a server about to go back to z. What a voter has may be committed only while it does, and the leader proposes it again; what
// an observer has was committed before.
func (c *checker) cut(h *Host, z proto.Zxid) {
	if lost := c.missing(h, z); lost != 0 && h.observer && c.w.o.Reconfigure == 0 {
		c.w.failf("observer %d has %s, is to go back to %s, and to lose %s, which was committed", h.id, zx(h.logged), zx(z), zx(lost))
	}
}

// has says whether a history that ends with one zxid has another one.
func (c *checker) has(end, z proto.Zxid) bool {
	for end = c.plain(end); end.Epoch() > z.Epoch(); end = c.plain(proto.MakeZxid(end.Epoch(), 0)) {
		if _, ok := c.begins[end.Epoch()]; !ok {
			return false
		}
	}
	return end.Epoch() == z.Epoch() && end >= z
}

// resting compares memory and disk of a server that is between two roles.
func (c *checker) resting(h *Host) {
	if !h.up || h.m.State() != proto.Looking || h.writing || len(h.writes) > 0 || c.w.failure != "" {
		return
	}
	if disk := h.store.Log().Last(); disk != h.rep.Applied() && disk >= 0 {
		c.w.failf("server %d votes with %s in memory and %s on disk", h.id, zx(h.rep.Applied()), zx(disk))
	}
}

// nextChange is the first committed change of a key after z, 0 for none.
func (c *checker) nextChange(key int, z proto.Zxid) proto.Zxid {
	ch := c.changes[key]
	at := sort.Search(len(ch), func(i int) bool { return ch[i] > z })
	if at == len(ch) {
		return 0
	}
	return ch[at]
}

// unknown notes that a request will not be answered.
func (c *checker) unknown(cl *client, r *request) { c.record(cl, r, nil, proto.ErrConnectionLoss) }

// sessionOver holds a server to what it says of a session: that it is over, or about to be; or not known yet, if it was a local one of another
// server.
func (c *checker) sessionOver(cl *client) {
	if cl.closing {
		return
	}
	for _, x := range c.txns {
		if x.hdr.Type == proto.OpCloseSession && x.hdr.ClientID == cl.session {
			return
		}
	}
	if !slices.ContainsFunc(c.committed[:cl.before], func(z proto.Zxid) bool {
		return c.txns[z].hdr.Type == proto.OpCreateSession && c.txns[z].hdr.ClientID == cl.session
	}) {
		return
	}
	c.w.failf("client %d: session %v is said to have expired, and nobody closed it", cl.index, cl.session)
}

// reply holds a reply to the state that it speaks of.
func (c *checker) reply(cl *client, r *request, hdr *proto.ReplyHeader, d *proto.Decoder) {
	if r.op == proto.OpSetWatches || r.op == proto.OpSetWatches2 {
		c.rearmed(cl, hdr)
		return
	}
	z := c.plain(hdr.Zxid)
	if hdr.Err == proto.ErrSessionMoved || hdr.Err == proto.ErrSessionExpired {
		c.count(hdr.Err.String())
		c.record(cl, r, nil, hdr.Err)
		c.saw(cl, hdr.Zxid)
		return
	}
	if z > c.last() { // its server has lost its role right after the commit
		c.commit(c.w.hosts[cl.e.peer.node], z)
	}
	if !c.isIn[z] {
		c.w.failf("client %d: reply at %s, which was not committed", cl.index, zx(hdr.Zxid))
		return
	}
	if r.watch && (hdr.Err == proto.OK || r.op == proto.OpExists && hdr.Err == proto.ErrNoNode) && !cl.watches[r.key].set {
		cl.watches[r.key] = standing{true, hdr.Err == proto.OK, hdr.Zxid}
	}
	c.saw(cl, hdr.Zxid)
	switch r.op {
	case proto.OpReconfig:
		c.count("reconfig " + hdr.Err.String())
		return
	case proto.OpAddWatch:
		c.followed(cl, r, hdr)
		return
	case proto.OpGetChildren2:
		c.listed(cl, hdr, d)
		return
	case proto.OpRemoveWatches, proto.OpCheckWatches:
		c.unwatched(cl, r, hdr)
		return
	}
	s := c.states[z]
	n := &s.nodes[r.key]
	cl.versions[r.key] = n.version
	switch r.op {
	case proto.OpGetData, proto.OpExists:
		c.read(cl, r, hdr, d, n)
	case proto.OpSync:
		return
	default:
		if r.op == proto.OpMulti && hdr.Err == proto.OK {
			var first proto.MultiHeader
			if first.Decode(d); first.Op == proto.OpError {
				hdr.Err = first.Err
				if first.Err == proto.OK { // another operation failed
					hdr.Err = proto.ErrRuntimeInconsistency
				}
			}
		}
		c.wrote(cl, r, hdr, n)
	}
	c.record(cl, r, n, hdr.Err)
}

func (c *checker) read(cl *client, r *request, hdr *proto.ReplyHeader, d *proto.Decoder, n *node) {
	if r.fresh && c.w.o.QuorumSync && hdr.Zxid < r.floor {
		c.w.failf("client %d: read behind a sync is of %s, when %s had been seen", cl.index, zx(hdr.Zxid), zx(r.floor))
	}
	if (hdr.Err == proto.ErrNoNode) == n.exists || hdr.Err != proto.OK && hdr.Err != proto.ErrNoNode {
		c.w.failf("client %d: %v of %s at %s: %v, but exists is %t", cl.index, r.op, c.w.path(r.key), zx(hdr.Zxid), hdr.Err, n.exists)
		return
	}
	if hdr.Err != proto.OK {
		return
	}
	if r.key == c.w.o.key(lockNode) && n.owner == cl.session && !cl.holds { // the answer to its attempt was lost
		cl.holds, cl.token = true, n.czxid
	}
	value := n.value
	if r.op == proto.OpGetData {
		value = string(d.Buf())
	}
	var st proto.Stat
	st.Decode(d)
	if value != n.value || st.Mzxid != n.mzxid || st.Version != n.version || st.EphemeralOwner != n.owner {
		c.w.failf("client %d: %s at %s is %q of %s, and was read as %q of %s",
			cl.index, c.w.path(r.key), zx(hdr.Zxid), n.value, zx(n.mzxid), value, zx(st.Mzxid))
	}
}

func (c *checker) wrote(cl *client, r *request, hdr *proto.ReplyHeader, n *node) {
	if r.op == proto.OpCloseSession && c.w.o.LocalSessions {
		return // of a local session, perhaps
	}
	z := hdr.Zxid
	x := c.txns[z]
	if x == nil || x.hdr.ClientID != cl.session || x.hdr.Cxid != r.xid && r.op != proto.OpCloseSession {
		c.w.failf("client %d: %v was answered with %s, which is not its transaction", cl.index, r.op, zx(z))
		return
	}
	if z <= r.floor || z <= cl.lastOwn {
		c.w.failf("client %d: %v became %s, when %s had been seen", cl.index, r.op, zx(z), zx(max(r.floor, cl.lastOwn)))
	}
	cl.lastOwn = z
	ok := true
	switch hdr.Err {
	case proto.OK:
		switch r.op {
		case proto.OpDelete:
			ok = !n.exists && c.states[c.states[z].parent].nodes[r.key].exists
			c.unlocked(cl, r)
		case proto.OpCloseSession:
		default:
			ok = n.exists && n.value == r.value && n.mzxid == z
			c.locked(cl, r, n)
		}
	case proto.ErrNoNode:
		ok = !n.exists || r.op == proto.OpMulti
		c.unlocked(cl, r) // it had been given back, and the answer was lost
	case proto.ErrNodeExists:
		ok = n.exists
	case proto.ErrBadVersion:
		ok = n.exists && n.version != r.version || r.op == proto.OpMulti
	default:
		ok = hdr.Err == proto.ErrRuntimeInconsistency && r.op == proto.OpMulti
	}
	if !ok {
		c.w.failf("client %d: %v of %s: %v at %s, and the node is %+v", cl.index, r.op, c.w.path(r.key), hdr.Err, zx(z), *n)
	}
}
