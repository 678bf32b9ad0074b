package replica

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"zebu/mvcc"
	"zebu/proto"
	"zebu/zab"
)

// CallKind is what a [Call] is about. The numbers stand in [proto.Ask].
type CallKind int32

// Kinds of calls.
const (
	Propose     CallKind = 1 + iota // a mutation
	ReadPoint                       // all that was committed anywhere when it was asked is applied here
	Renew                           // keeps a lease alive
	Remaining                       // how long a lease has left
	Reconfigure                     // another configuration of the ensemble
	HandOver                        // another leader; for [Member.Call] of the leader. The answer comes when this one's role ends
	ClientURLs                      // where the etcd APIs of all servers are reached; for [Member.Call]
)

// Call is something that the etcd API asks of the ensemble. It is handed to [Member.Call], or to [Replica.Call] of a standalone
// server, and comes back from [Replica.TakeCalls] when it is answered.
type Call struct {
	Kind   CallKind
	Record []byte       // of Propose: a record of package mvcc
	Lease  mvcc.LeaseID // of Renew and Remaining
	// Joining and Leaving are those of a reconfig.
	Joining, Leaving string
	To               proto.ServerID // of HandOver
	Handle           any            // the caller's

	Result mvcc.Result   // of Propose
	Value  int64         // of Renew the lease's TTL in seconds, 0 without one; of Remaining seconds, -1 without one
	Config string        // of Reconfigure: the new configuration
	URLs   string        // of ClientURLs: for each server that has told of its own a line, with its id, a space, and that
	Err    error         // there is no answer, or the mutation was not proposed
	Code   proto.ErrCode // of Reconfigure

	cxid int32
	zxid proto.Zxid // of ReadPoint: what has to be applied
}

// ask is a question that the leader has been asked.
type ask struct {
	id    int64
	calls []*Call
}

// inquirer is the handle of a call that another server has made.
type inquirer struct {
	from proto.ServerID
	ask  proto.Ask
}

func (k *keyspace) finish(c *Call, err error) {
	c.Err = err
	if _, remote := c.Handle.(inquirer); remote {
		k.replies = append(k.replies, c)
		return
	}
	k.done = append(k.done, c)
}

// TakeCalls returns the calls that have been answered since the last time.
func (r *Replica) TakeCalls() []*Call {
	done := r.kv.done
	r.kv.done = nil
	return done
}

// Call takes a call. Like Submit it is part of planning.
func (r *Replica) Call(c *Call) {
	k := &r.kv
	switch {
	case k.store == nil || r.role != leading && r.role != learning:
		k.finish(c, mvcc.ErrNoLeader)
	case c.Kind == Propose:
		r.propose(c, proto.OpEtcd, c.Record)
	case c.Kind == Reconfigure:
		req := proto.ReconfigRequest{JoiningServers: []byte(c.Joining), LeavingServers: []byte(c.Leaving), CurConfigID: -1}
		r.propose(c, proto.OpReconfig, req.Append(nil))
	case r.role == learning && c.Kind == ReadPoint:
		k.readers = append(k.readers, c)
	case r.role == learning:
		r.inquire(c.Kind, int64(c.Lease), []*Call{c})
	case c.Kind == ReadPoint: // of a standalone server: nothing is acknowledged before it is applied
		k.finish(c, nil)
	case c.Kind == Renew:
		r.keepAlive(c)
	default:
		c.Value = k.lessor.Remaining(r.now.Mono, c.Lease)
		k.finish(c, nil)
	}
}

// gatewayIDs are those of a gateway, which has found out by its own means what its client may do. The first one tells the leader; no
// client can have it, for there is no such scheme.
var gatewayIDs = []proto.ID{{Scheme: "zebu", ID: "etcd"}, {Scheme: "super"}}

// propose puts something into the log, through the leader if that is another server.
func (r *Replica) propose(c *Call, op proto.OpCode, body []byte) {
	k := &r.kv
	k.cxid++
	c.cxid = k.cxid
	k.asked = append(k.asked, c)
	if r.role == leading {
		r.plan(nil, 0, k.session, &Request{Xid: c.cxid, Op: op, Body: body, IDs: gatewayIDs})
		return
	}
	f := proto.ForwardedRequest{Session: k.session, Cxid: c.cxid, Op: op, Body: body}
	p := proto.QuorumPacket{Type: proto.PacketRequest, Zxid: -1, Data: f.Append(nil), AuthInfo: gatewayIDs}
	r.upstream.packets = append(r.upstream.packets, p)
}

// answerCall answers the call that a transaction stems from. What was asked for before it the leader has passed over.
func (r *Replica) answerCall(hdr *proto.TxnHeader) {
	k := &r.kv
	if k.session == 0 || hdr.ClientID != k.session {
		return
	}
	for len(k.asked) > 0 && k.asked[0].cxid-hdr.Cxid <= 0 { // cxids go round
		c := k.asked[0]
		k.asked[0] = nil
		k.asked = k.asked[1:]
		switch {
		case c.cxid != hdr.Cxid:
			k.finish(c, mvcc.ErrUnknown)
		case c.Kind == Reconfigure:
			c.Config, c.Code = string(r.res.Config), r.res.Err
			k.finish(c, nil)
		case hdr.Type != proto.OpEtcd:
			k.finish(c, mvcc.ErrForeign)
		default:
			c.Result = k.result
			k.finish(c, nil)
		}
	}
}

// keepAlive is a keepalive, as the leader takes it. If it has to, it proposes to forget what remained of the lease, so that no later
// leader counts from there.
func (r *Replica) keepAlive(c *Call) {
	if r.renewLease(c) == mvcc.Unchecked {
		r.kv.renewing[c.Lease] = append(r.kv.renewing[c.Lease], c)
		r.proposeEtcd(&pb.LeaseCheckpointRequest{Checkpoints: []*pb.LeaseCheckpoint{{ID: int64(c.Lease)}}})
	}
}

// renewLease answers a keepalive, or has it wait for what is proposed already. It does neither if a checkpoint has to be cleared first.
func (r *Replica) renewLease(c *Call) mvcc.Renewal {
	k := &r.kv
	ttl, outcome := k.lessor.Renew(r.now.Mono, c.Lease)
	switch outcome {
	case mvcc.Renewed, mvcc.Missing:
		c.Value = ttl
		k.finish(c, nil)
	case mvcc.Expired, mvcc.Clearing:
		k.renewing[c.Lease] = append(k.renewing[c.Lease], c)
	}
	return outcome
}

// inquire asks the leader.
func (r *Replica) inquire(kind CallKind, value int64, calls []*Call) {
	k := &r.kv
	k.lastAsk++
	k.asks = append(k.asks, ask{k.lastAsk, calls})
	a := proto.Ask{Kind: int32(kind), ID: k.lastAsk, Value: value}
	if kind == ClientURLs {
		a.Text = k.url
	}
	r.upstream.packets = append(r.upstream.packets, proto.QuorumPacket{Type: proto.PacketAsk, Zxid: -1, Data: a.Append(nil)})
}

// inquireReadPoint asks the leader, once for all who have come while the last question was under way: the more there are, the fewer
// questions they take. The leader answers each as long as it leads.
func (r *Replica) inquireReadPoint() {
	if k := &r.kv; len(k.readers) > 0 && k.pointAsk == 0 {
		r.inquire(ReadPoint, 0, k.readers)
		k.readers, k.pointAsk = nil, k.lastAsk
	}
}

// answered takes the leader's answer.
func (r *Replica) answered(a proto.Ask) {
	k := &r.kv
	if a.ID == k.pointAsk {
		k.pointAsk = 0
	}
	i, found := slices.BinarySearchFunc(k.asks, a.ID, func(q ask, id int64) int { return cmp.Compare(q.id, id) })
	if !found {
		return
	}
	calls := k.asks[i].calls
	k.asks[i].calls = nil
	for len(k.asks) > 0 && k.asks[0].calls == nil {
		k.asks = k.asks[1:]
	}
	for _, c := range calls {
		if c.Kind == ReadPoint {
			r.reach(c, proto.Zxid(a.Value))
			continue
		}
		c.Value, c.URLs = a.Value, a.Text
		k.finish(c, nil)
	}
}

// reach answers a call once a transaction is applied.
func (r *Replica) reach(c *Call, z proto.Zxid) {
	if c.zxid = z; z <= r.applied {
		r.kv.finish(c, nil)
		return
	}
	r.kv.reached = append(r.kv.reached, c)
}

// arrive answers the calls that waited for what is applied now.
func (r *Replica) arrive() {
	k := &r.kv
	if len(k.reached) == 0 {
		return
	}
	left := k.reached[:0]
	for _, c := range k.reached {
		if c.zxid <= r.applied {
			k.finish(c, nil)
		} else {
			left = append(left, c)
		}
	}
	clear(k.reached[len(left):])
	k.reached = left
}

// Call takes a call; see [Replica.Call].
func (m *Member) Call(c *Call) {
	switch {
	case c.Kind == HandOver:
		m.handOver(c)
	case c.Kind == Propose && m.r.role == leading && !m.allServeEtcd():
		m.r.kv.finish(c, mvcc.ErrForeign)
	case c.Kind == Reconfigure && m.r.role == leading:
		m.tellPlanner()
		m.r.Call(c)
	case m.r.role == learning && m.extensions[m.leaderID]&proto.ExtEtcd == 0:
		m.r.kv.finish(c, mvcc.ErrForeign)
	case c.Kind == ClientURLs && m.r.role == leading:
		c.URLs = m.clientURLs()
		m.r.kv.finish(c, nil)
	case c.Kind == ReadPoint && m.r.role == leading:
		m.readers = append(m.readers, reader{m.leader.Confirm(), c})
	default:
		m.r.Call(c)
	}
}

// reader is a call for a read point that waits for the confirmation that this server still leads.
type reader struct {
	ticket uint64
	call   *Call
}

// readPoint is everything that was committed here until now.
func (m *Member) readPoint() proto.Zxid {
	z := m.r.applied
	for i := range m.deliveries {
		if d := &m.deliveries[i]; d.Txn.Zxid > z {
			z = d.Txn.Zxid
		}
	}
	return z
}

// confirmed gives read points.
func (m *Member) confirmed(ticket uint64) {
	z := m.readPoint()
	n := 0
	for ; n < len(m.readers) && m.readers[n].ticket <= ticket; n++ {
		c := m.readers[n].call
		c.Value = int64(z)
		if _, remote := c.Handle.(inquirer); remote { // it waits itself
			m.r.kv.finish(c, nil)
			continue
		}
		m.r.reach(c, z)
	}
	m.readers = append(m.readers[:0], m.readers[n:]...)
}

// retireReaders ends the calls that waited for a confirmation.
func (m *Member) retireReaders() {
	for i := range m.readers {
		m.r.kv.finish(m.readers[i].call, mvcc.ErrFenced)
	}
	m.readers = nil
}

// asked takes another server's question.
func (m *Member) asked(from proto.ServerID, data []byte) error {
	a, err := proto.DecodeAsk(data)
	if err != nil {
		return err
	}
	c := &Call{Kind: CallKind(a.Kind), Lease: mvcc.LeaseID(a.Value), Handle: inquirer{from, a}}
	switch c.Kind {
	case ClientURLs:
		m.urls[from] = a.Text
		m.Call(c)
		return nil
	case ReadPoint, Renew, Remaining:
		if c.Kind == ReadPoint && m.leader.ConfirmedBy(from) {
			c.Value = int64(m.readPoint())
			m.r.kv.finish(c, nil)
			return nil
		}
		m.Call(c)
		return nil
	}
	return fmt.Errorf("question %d", a.Kind)
}

// forwardedEtcd plans a mutation that a learner has passed on. What cannot be applied does not get into the log.
func (m *Member) forwardedEtcd(f *proto.ForwardedRequest) error {
	if _, err := mvcc.DecodeRecord(f.Body); err != nil {
		return err
	}
	op := proto.OpEtcd
	if !m.r.opt.Etcd || !m.allServeEtcd() {
		op = proto.OpError
	}
	m.r.plan(nil, 0, f.Session, &Request{Xid: f.Cxid, Op: op, Body: f.Body})
	return nil
}

// answerAsks sends the answers to other servers' questions that are there.
func (m *Member) answerAsks() {
	k := &m.r.kv
	for _, c := range k.replies {
		q, _ := c.Handle.(inquirer)
		if _, linked := m.owners[q.from]; m.leader == nil || !linked || c.Err != nil {
			continue
		}
		q.ask.Value, q.ask.Text = c.Value, c.URLs
		m.leader.Send(q.from, proto.QuorumPacket{Type: proto.PacketAsk, Zxid: -1, Data: q.ask.Append(nil)})
	}
	k.replies = nil
}

// allServeEtcd says whether all servers can apply etcd transactions: those that are linked, and, before the first such
// transaction, each of the ensemble. After it, the others are not let in; see [Member.mayJoin].
func (m *Member) allServeEtcd() bool {
	for id := range m.owners {
		if m.extensions[id]&proto.ExtEtcd == 0 {
			return false
		}
	}
	if m.r.kv.used {
		return true
	}
	committed, lastSeen := m.leader.Configs()
	for _, s := range append(committed.Members[:len(committed.Members):len(committed.Members)], lastSeen.Members...) {
		if _, linked := m.owners[s.ID]; s.ID != m.o.ID && !linked {
			return false
		}
	}
	return true
}

// introduced notes what a server says that it can do.
func (m *Member) introduced(from proto.ServerID, p *proto.QuorumPacket) {
	switch p.Type {
	case proto.PacketFollowerInfo, proto.PacketObserverInfo, proto.PacketLeaderInfo:
		m.extensions[from] = proto.PacketExtensions(p)
	}
}

// mayJoin says whether a learner may have the history. One that cannot apply etcd transactions must not be sent any: it would
// stop, and if it went on it would lose them.
func (m *Member) mayJoin(from proto.ServerID, p *proto.QuorumPacket) bool {
	switch p.Type {
	case proto.PacketFollowerInfo, proto.PacketObserverInfo:
		shares := m.extensions[from]&proto.ExtEtcd != 0
		if m.leader == nil { // an observer that has come to a follower: those that share the key space learn from the leader
			return !shares && !m.r.kv.used
		}
		return shares || !m.r.kv.used
	}
	return true
}

var errForeign = errors.New("it cannot apply transactions of the etcd API, of which there have been some: it has to be a zebu server with etcd.clientPort")

// errWithoutEtcd says that the leader's snapshot would put the tree ahead of the key space, which would then be without what was between.
var errWithoutEtcd = errors.New("the leader has no part in the etcd API, and its snapshot would leave the key space of this server behind: " +
	"it has to be a zebu server with etcd.clientPort")

// refuse closes the link of a learner that may not join.
func (m *Member) refuse(id proto.ServerID) {
	m.broken = append(m.broken, zab.Drop{ID: id, Err: errForeign})
	m.LinkDown(id, errForeign)
}

// refuseObservers closes the links of a follower's observers when the first etcd transaction has been applied: those that can
// apply it learn from the leader.
func (m *Member) refuseObservers() {
	if !m.r.kv.used {
		return
	}
	for _, id := range m.master.Observers() {
		m.refuse(id)
	}
}

// ownExtensions is what this server can do.
func (m *Member) ownExtensions() proto.Extensions {
	ext := proto.ExtDurable | proto.ExtHandOver
	if m.r.opt.Etcd {
		ext |= proto.ExtEtcd
	}
	return ext
}

// SharesEtcd says whether another server has said that it has an etcd key space, as this one has.
func (m *Member) SharesEtcd(with proto.ServerID) bool {
	return m.r.opt.Etcd && m.extensions[with]&proto.ExtEtcd != 0
}

// view returns the state as it is now, for a learner.
func (m *Member) view(to proto.ServerID) View {
	v := View{To: to, Image: m.r.Image()}
	if store := m.r.kv.store; store != nil && m.SharesEtcd(to) {
		v.Etcd, v.Tail = true, m.r.EtcdTail()
		for b := store.TakeMark(); b != nil; b = store.TakeMark() {
			v.Marks = append(v.Marks, b)
		}
	}
	return v
}
