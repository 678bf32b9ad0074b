package replica

import (
	"fmt"
	"slices"
	"strings"

	"zebu/internal/mutant"
	"zebu/proto"
	"zebu/session"
	"zebu/znode"
)

// queueChunk is how many bytes a connection sets aside at a time for the bodies of reads that have to wait.
const queueChunk = 4 << 10

// IsWrite says whether an operation becomes a transaction.
func IsWrite(op proto.OpCode) bool {
	switch op {
	case proto.OpCreate, proto.OpCreate2, proto.OpCreateContainer, proto.OpCreateTTL, proto.OpDelete, proto.OpSetData,
		proto.OpSetACL, proto.OpMulti, proto.OpReconfig, proto.OpCloseSession:
		return true
	}
	return false
}

// Submit takes a request that must keep its place in its session's order: a write, a sync, or a read behind one. Writes are
// planned into the lent log; the answer comes with Apply. A read runs once the writes before it are applied.
func (r *Replica) Submit(c *Conn, req *Request) {
	if r.role == readOnly && !mutant.On(mutant.ReadOnlyWrites) && (IsWrite(req.Op) || req.Op == proto.OpSync) && !(c.local && req.Op == proto.OpCloseSession) {
		req.Refuse = proto.ErrNotReadOnly
	}
	switch {
	case !c.open:
	case c.local && r.submitLocal(c, req):
	case IsWrite(req.Op) && req.Refuse == proto.OK:
		if r.role == learning {
			r.forward(c, c.Session, req, "")
		} else {
			r.plan(c, c.owner(), c.Session, req)
		}
	case req.Op == proto.OpSync && r.sync(c, req):
	default:
		r.enqueue(c, req)
	}
}

// enqueue takes a request that runs once the writes before it are applied.
func (r *Replica) enqueue(c *Conn, req *Request) {
	q := queued{req: *req, after: c.submitted}
	q.req.Body = c.keep(req.Body)
	c.queue = append(c.queue, q)
	if c.submitted == c.completed {
		r.runnable = append(r.runnable, c)
	}
}

// keep copies a body to where it outlives the call. A full chunk is left to those whose bodies lie in it: under a steady load
// the queue never runs empty, and a buffer that only grew would hold every body since it last did.
func (c *Conn) keep(body []byte) []byte {
	if cap(c.queueBuf)-len(c.queueBuf) < len(body) {
		c.queueBuf = make([]byte, 0, max(queueChunk, len(body)))
	}
	at := len(c.queueBuf)
	c.queueBuf = append(c.queueBuf, body...)
	return c.queueBuf[at:len(c.queueBuf):len(c.queueBuf)]
}

// Unsettled says whether requests wait that need nothing but the state itself: a sync with nothing outstanding, a read
// whose writes were applied before it arrived. Settle answers them.
func (r *Replica) Unsettled() bool {
	return len(r.runnable) > 0 && !mutant.On(mutant.UnsettledReadsForgotten) || r.pending.waitsFor(r.applied)
}

// Settle answers what Unsettled speaks of.
func (r *Replica) Settle() {
	r.answerUpTo(r.applied, nil)
	for i, c := range r.runnable {
		r.runQueue(c)
		r.runnable[i] = nil
	}
	r.runnable = r.runnable[:0]
}

// plan turns a write of session s into the next transaction. c is nil if the answer is not due here; owner is who serves the
// session, 0 for the server's own writes.
func (r *Replica) plan(c *Conn, owner session.Owner, s proto.SessionID, req *Request) {
	zr := &r.planning
	*zr = znode.Request{Session: s, Cxid: req.Xid, Op: req.Op, Body: req.Body, IDs: req.IDs}
	if owner != 0 && req.Op != proto.OpCreateSession {
		zr.SessionErr = r.check(s, owner, req)
	}
	r.proposed++
	buf := r.planner.Plan(r.log.Begin(), zr, r.proposed, r.now.Wall)
	r.log.End(buf, r.proposed)
	if req.Op == proto.OpCloseSession && !mutant.On(mutant.ClosingSessionWrites) {
		r.tracker.SetClosing(s)
	}
	r.kv.used = r.kv.used || req.Op == proto.OpEtcd
	if c != nil {
		c.submitted++
	}
	r.pending.push(pendingWrite{zxid: r.proposed, conn: c, xid: req.Xid, op: req.Op, at: req.At})
}

// sync answers when everything planned before it is applied (spec 2.5). It reports false if the request must be refused.
func (r *Replica) sync(c *Conn, req *Request) bool {
	if req.Refuse != proto.OK {
		return false
	}
	d := proto.NewDecoder(req.Body)
	var body proto.PathRequest
	if body.Decode(&d); d.Err() != nil {
		req.Refuse = proto.ErrMarshalling
		return false
	}
	path := strings.Clone(body.Path)
	if r.role == learning {
		r.forward(c, c.Session, req, path)
		return true
	}
	r.planBarrier()
	after := r.proposed
	if after == r.begun { // nothing has been planned in this epoch, and everything before it is applied
		after = r.applied
	}
	c.submitted++
	r.pending.push(pendingWrite{zxid: after, conn: c, xid: req.Xid, op: proto.OpSync, at: req.At, path: path})
	return true
}

// planBarrier plans, if options say so, a transaction that does nothing, for a sync to wait for: once it is committed, a quorum
// followed this leader after the sync had come, so that whatever any leader had committed until then is applied. All
// syncs that came before the proposals of this turn are sent share one.
func (r *Replica) planBarrier() {
	if !r.opt.QuorumSync || r.barrier != 0 || mutant.On(mutant.SyncWithoutQuorum) {
		return
	}
	r.plan(nil, 0, 0, &Request{Op: proto.OpError})
	r.barrier = r.proposed
}

// EndTurn says that what has been planned is about to be sent to followers.
func (r *Replica) EndTurn() { r.barrier = 0 }

// Tick expires sessions and removes containers and TTL nodes that are due.
func (r *Replica) Tick() {
	if r.paused() {
		return
	}
	if r.locals != nil {
		r.expireLocal()
	}
	r.tickEtcd()
	if r.role != leading {
		return
	}
	r.due = r.tracker.Due(r.now.Mono, r.due[:0])
	if mutant.On(mutant.SessionsStay) {
		r.due = nil
	}
	for _, s := range r.due {
		r.counts.ExpiredSessions++
		r.plan(nil, 0, s, &Request{Op: proto.OpCloseSession})
	}
	if r.now.Mono < r.nextReap {
		return
	}
	r.nextReap = r.now.Mono + r.opt.ReapInterval
	r.reap = r.tree.Reapable(r.now.Wall, r.opt.MaxNeverUsed, r.opt.ReapPerCheck, r.reap[:0])
	for _, path := range r.reap {
		body := proto.PathRequest{Path: path}
		r.plan(nil, 0, 0, &Request{Op: proto.OpDeleteContainer, Body: body.Append(nil)})
	}
}

// paused says whether this server has just stood still, as a stopped process or machine does: what clients and learners sent
// meanwhile waits to be read, and none of them must expire before it is.
func (r *Replica) paused() bool {
	if r.now.Mono > r.ticked+r.opt.Tick && r.ticked != 0 {
		r.grace = r.now.Mono + r.opt.Tick
	}
	r.ticked = r.now.Mono
	return r.now.Mono < r.grace
}

// Apply carries out a committed transaction: it changes the tree, fires watches and answers the request if it came through this
// server. An error means corruption; the server must stop.
func (r *Replica) Apply(txn []byte) error {
	d := proto.NewDecoder(txn)
	var hdr proto.TxnHeader
	hdr.Decode(&d)
	if d.Err() != nil {
		return fmt.Errorf("transaction after %v: header: %w", r.applied, d.Err())
	}
	if r.Unsettled() { // a read before this write must neither see it nor be answered behind it
		r.Settle()
	}
	if err := r.step(&hdr, d.Rest()); err != nil {
		return err
	}
	if !mutant.On(mutant.EventAfterReply) {
		r.fire(hdr.Zxid)
	}
	switch r.role {
	case leading:
		r.planner.Applied(hdr.Zxid)
	case learning:
		r.own(&hdr)
	}
	r.answerUpTo(hdr.Zxid, &r.res)
	r.answerCall(&hdr)
	r.arrive()
	if mutant.On(mutant.EventAfterReply) {
		r.fire(hdr.Zxid)
	}
	if hdr.Type == proto.OpCloseSession {
		if r.opt.Audit {
			for _, ch := range r.res.Changes {
				if ch.Type == proto.EventNodeDeleted {
					r.ended = append(r.ended, Ended{hdr.ClientID, strings.Clone(ch.Path)})
				}
			}
		}
		r.endSession(hdr.ClientID)
	}
	return nil
}

// step applies one transaction to the tree and the session table.
func (r *Replica) step(hdr *proto.TxnHeader, body []byte) error {
	if err := contiguous(r.applied, hdr.Zxid); err != nil {
		return err
	}
	if err := r.tree.Apply(hdr, body, &r.res); err != nil {
		return fmt.Errorf("apply %v: %w", hdr.Zxid, err)
	}
	switch hdr.Type {
	case proto.OpCreateSession:
		d := proto.NewDecoder(body)
		var txn proto.CreateSessionTxn
		if txn.Decode(&d); d.Err() != nil {
			return fmt.Errorf("apply %v: createSession: %w", hdr.Zxid, d.Err())
		}
		r.table.Add(hdr.ClientID, txn.Timeout)
	case proto.OpCloseSession:
		r.table.Remove(hdr.ClientID)
	case proto.OpError:
		r.counts.FailedTxns++
	}
	if err := r.stepEtcd(hdr, r.res.Record); err != nil {
		return err
	}
	r.counts.Transactions++
	r.applied = hdr.Zxid
	return r.checkDigest(hdr.Zxid)
}

// TakeEnded returns the ephemerals deleted with their sessions since the last call, if Options.Audit is set.
func (r *Replica) TakeEnded() []Ended {
	ended := r.ended
	r.ended = nil
	return ended
}

// TakeFired returns the changes since the last call and how many watches each fired. The result is valid until the next
// Apply, and no longer than the transactions.
func (r *Replica) TakeFired() []Fired {
	fired := r.fired
	r.fired = r.fired[:0]
	return fired
}

// contiguous holds zxids to the rule of spec 2.2: gapless within an epoch, ascending across epochs.
func contiguous(last, next proto.Zxid) error {
	if next == last+1 || next.Epoch() > last.Epoch() {
		return nil
	}
	return fmt.Errorf("transaction %v follows %v: not contiguous", next, last)
}

// checkDigest compares the tree with what the transaction says it should be.
func (r *Replica) checkDigest(z proto.Zxid) error {
	digest, on := r.tree.Digest()
	if !on {
		return nil
	}
	if z%128 == 0 {
		r.digests.add(z, digest)
	}
	if !r.res.HasDigest || r.res.Digest.Version != proto.DigestVersion {
		return nil
	}
	if r.res.Digest.TreeDigest == digest {
		r.unproven = nil
		return nil
	}
	r.counts.DigestMismatches++
	if r.opt.StrictDigest {
		return fmt.Errorf("apply %v: tree digest %#x, the log says %#x", z, digest, r.res.Digest.TreeDigest)
	}
	return nil
}

// endSession drops what the server keeps for a session that has ended. If the client closed it, the answer has ended the
// connection; if it expired, this does.
func (r *Replica) endSession(s proto.SessionID) {
	if r.role == leading {
		r.tracker.Remove(s)
		if r.opt.LocalSessions {
			r.past.add(s)
		}
	}
	if c := r.bySession[s]; c != nil {
		r.hangUp(c)
	}
}

// answerUpTo answers what waited for transactions up to z; res is the outcome of z itself.
func (r *Replica) answerUpTo(z proto.Zxid, res *znode.Result) {
	for {
		p, ok := r.pending.pop(z)
		if !ok {
			return
		}
		c := p.conn
		if c == nil {
			continue
		}
		if !c.open {
			if r.opt.Audit && IsWrite(p.op) {
				r.answerWrite(c, &p, res)
			}
			continue
		}
		if r.runQueue(c); !c.open { // reads that came before and were held up by nothing
			continue
		}
		c.completed++
		if p.op == proto.OpCreateSession {
			r.answerConnect(c, true, p.at)
		} else {
			r.answerWrite(c, &p, res)
		}
		r.runQueue(c)
	}
}

// runQueue runs the reads that waited for the writes completed so far.
func (r *Replica) runQueue(c *Conn) {
	n := 0
	for n < len(c.queue) && c.queue[n].after <= c.completed && c.open {
		r.runRead(c, &c.queue[n].req)
		n++
	}
	if n == 0 || !c.open {
		return
	}
	rest := copy(c.queue, c.queue[n:])
	clear(c.queue[rest:])
	if c.queue = c.queue[:rest]; rest == 0 {
		c.queueBuf = c.queueBuf[:0]
		if cap(c.queueBuf) > queueChunk {
			c.queueBuf = nil
		}
	}
}

func (r *Replica) runRead(c *Conn, req *Request) {
	start := len(r.buf)
	var fx Effect
	r.buf, fx = r.Read(c, req, r.buf)
	if fx.Watch.Path != "" {
		r.Register(c, fx.Watch)
	}
	r.emit(Output{
		Conn: c, Start: start, End: len(r.buf), Close: fx.Close, Reply: true,
		Xid: req.Xid, Op: req.Op, Err: fx.Err, At: req.At, Zxid: r.applied,
	})
	if fx.Close {
		if c.local && req.Op == proto.OpCloseSession {
			r.locals.Remove(c.Session)
		}
		r.Disconnect(c)
	}
}

// answerWrite appends the reply to a write or sync. To a connection that is gone it is of use to the audit log only.
func (r *Replica) answerWrite(c *Conn, p *pendingWrite, res *znode.Result) {
	code := proto.OK
	switch {
	case p.op != proto.OpSync && p.op != proto.OpMulti:
		code = res.Err
	case p.op == proto.OpMulti && res.Type == proto.OpError:
		code = res.Err
	case p.op == proto.OpMulti && slices.ContainsFunc(res.Ops, func(op znode.OpResult) bool { return op.Err == proto.ErrSessionMoved }):
		code = proto.ErrSessionMoved
	}
	start := len(r.buf)
	if p.op == proto.OpMulti && code == proto.ErrSessionMoved && mutant.On(mutant.MovedMultiAnswered) {
		code = proto.OK
	}
	closing := c.open && (p.op == proto.OpCloseSession && code == proto.OK || code == proto.ErrSessionMoved)
	if code != proto.ErrSessionMoved {
		r.buf = appendReplyHeader(r.buf, p.xid, r.applied, code)
		if code == proto.OK {
			r.buf = appendWriteBody(r.buf, p, res)
		}
		endFrame(r.buf, start)
	}
	r.emit(Output{
		Conn: c, Start: start, End: len(r.buf), Close: closing, Reply: true, Lost: !c.open,
		Xid: p.xid, Op: p.op, Err: code, At: p.at, Zxid: r.applied,
	})
	if closing {
		r.Disconnect(c)
	}
}

func appendReplyHeader(b []byte, xid int32, z proto.Zxid, code proto.ErrCode) []byte {
	hdr := proto.ReplyHeader{Xid: xid, Zxid: z, Err: code}
	return hdr.Append(beginFrame(b))
}

func appendWriteBody(b []byte, p *pendingWrite, res *znode.Result) []byte {
	switch p.op {
	case proto.OpSync:
		return proto.AppendStr(b, p.path)
	case proto.OpCreate:
		return proto.AppendStr(b, res.Path)
	case proto.OpCreate2, proto.OpCreateContainer, proto.OpCreateTTL:
		return res.Stat.Append(proto.AppendStr(b, res.Path))
	case proto.OpSetData, proto.OpSetACL:
		return res.Stat.Append(b)
	case proto.OpReconfig:
		return res.Stat.Append(proto.AppendBuf(b, res.Config))
	case proto.OpMulti:
		for i := range res.Ops {
			b = appendOpResult(b, &res.Ops[i])
		}
		end := proto.MultiHeader{Op: proto.OpError, Done: true, Err: -1}
		return end.Append(b)
	}
	return b
}

// appendOpResult appends one operation's result in a multi (spec 2.4).
func appendOpResult(b []byte, op *znode.OpResult) []byte {
	hdr := proto.MultiHeader{Op: op.Type, Err: op.Err}
	switch op.Type {
	case proto.OpCreateContainer, proto.OpCreateTTL:
		hdr.Op = proto.OpCreate2
	}
	b = hdr.Append(b)
	switch op.Type {
	case proto.OpCreate:
		return proto.AppendStr(b, op.Path)
	case proto.OpCreate2, proto.OpCreateContainer, proto.OpCreateTTL:
		return op.Stat.Append(proto.AppendStr(b, op.Path))
	case proto.OpSetData:
		return op.Stat.Append(b)
	case proto.OpError:
		return proto.AppendInt32(b, int32(op.Err))
	}
	return b
}

// fire sends the watch events of the transaction just applied (spec 4), to those who may read what they tell of
// (CVE-2024-23944).
func (r *Replica) fire(z proto.Zxid) {
	for i := range r.res.Changes {
		ch := &r.res.Changes[i]
		r.hits = r.watches.Fire(r.hits[:0], ch.Type, ch.Path)
		r.fired = append(r.fired, Fired{ch.Type, ch.Path, ch.Size, len(r.hits)})
		for _, id := range r.hits {
			c := r.conns[id]
			if !r.tree.Permits(ch.ACL, proto.PermRead, c.IDs) {
				continue
			}
			start := len(r.buf)
			r.buf = appendEvent(r.buf, ch.Type, ch.Path, z)
			r.emit(Output{Conn: c, Start: start, End: len(r.buf), Xid: proto.XidWatcherEvent})
		}
	}
}

func appendEvent(b []byte, t proto.EventType, path string, z proto.Zxid) []byte {
	start := len(b)
	b = appendReplyHeader(b, proto.XidWatcherEvent, z, proto.OK)
	ev := proto.WatcherEvent{Type: t, State: proto.StateSyncConnected, Path: path}
	b = ev.Append(b)
	endFrame(b, start)
	return b
}
