package sim

import (
	"bytes"
	"fmt"
	"math"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"zebu/mvcc"
	"zebu/proto"
	"zebu/replica"
)

// etcdOp is what one user asks.
type etcdOp struct {
	user    *etcdUser
	kind    replica.CallKind
	request mvcc.Message // of a read, too; nil for a lease that is kept alive
	floor   int64        // the newest revision that anybody had seen
	call    *replica.Call

	begun, ended int64 // on the clock of the history; ended is 0 if nobody knows
	response     mvcc.Message
	revision     int64 // of the response
	dropped      bool  // it was never proposed
	refused      error // why it has changed nothing
}

// etcdUser works with the etcd API, one thing after the other, at any server.
type etcdUser struct {
	w    *World
	id   int
	op   *etcdOp
	done int // answers
	idle bool
}

func (u *etcdUser) start() {
	u.w.after(Time(u.w.intn(int(Second))), u.act)
}

// longLease is the longest TTL of leases, in seconds.
const longLease = 10

// etcdPatience is how long a user waits for an answer.
const etcdPatience = 5 * Second

// etcdPace is how long a user may rest between two requests: a history of too many cannot be judged.
const etcdPace = 300 * Millisecond

// act asks for something.
func (u *etcdUser) act() {
	w := u.w
	h := w.hosts[w.intn(len(w.hosts))]
	if u.idle || w.failure != "" {
		return
	}
	if !h.up || h.m == nil || h.paused {
		u.start()
		return
	}
	op := &etcdOp{user: u, kind: replica.Propose, floor: w.etcd.seen, begun: w.etcd.tick()}
	u.op = op
	u.choose(op)
	op.call = &replica.Call{Kind: op.kind, Handle: op}
	switch op.kind {
	case replica.Propose:
		record, err := mvcc.NewRecord(op.request).Encode()
		if err != nil {
			w.failf("%v", err)
			return
		}
		op.call.Record = record
	case replica.Renew:
		op.call.Lease = mvcc.LeaseID(w.etcd.lease)
	}
	if op.request != nil {
		w.etcd.ops = append(w.etcd.ops, op)
	}
	h.input(func() { h.m.Call(op.call) })
	w.after(etcdPatience, func() { // the server may be gone
		if u.op == op {
			u.op = nil
			u.start()
		}
	})
}

// choose decides what to ask for.
func (u *etcdUser) choose(op *etcdOp) {
	w, c := u.w, &u.w.etcd
	key := []byte(fmt.Sprintf("k%d", w.intn(w.o.Keys)))
	switch n := w.intn(20); {
	case n < 5 || len(c.ops) < 2*len(w.users): // etcd's model wants to see that it begins with nothing
		op.kind, op.request = replica.ReadPoint, u.read(key)
	case n == 5:
		ttl := int64(1 + w.intn(3))
		if w.chance(2) {
			ttl = longLease
		}
		op.request = &pb.LeaseGrantRequest{ID: int64(c.next()), TTL: ttl}
	case n == 6 && c.lease != 0:
		op.kind = replica.Renew
	case n == 7 && c.lease != 0:
		op.request = &pb.LeaseRevokeRequest{ID: c.lease}
	case n < 10 && c.lease != 0:
		op.request = &pb.PutRequest{Key: key, Value: c.value(), Lease: c.lease}
	case n < 12:
		op.request = &pb.DeleteRangeRequest{Key: key}
	case n < 16:
		op.request = u.txn(key)
	case n == 16:
		op.request = &pb.CompactionRequest{Revision: c.seen - int64(w.intn(20))}
	default:
		op.request = &pb.PutRequest{Key: key, Value: c.value()}
	}
}

// read is of one key or a few, now or at a revision that there has been.
func (u *etcdUser) read(key []byte) *pb.RangeRequest {
	w := u.w
	r := &pb.RangeRequest{Key: key}
	if w.chance(3) {
		r.Key, r.RangeEnd, r.Limit = []byte("k"), []byte("l"), int64(w.intn(4))
	}
	if w.etcd.seen > 1 && w.chance(3) {
		r.Revision = max(1, w.etcd.seen-int64(w.intn(8)))
	}
	return r
}

// txn changes a key if nobody else has since a revision, as Kubernetes does, and reads it otherwise.
func (u *etcdUser) txn(key []byte) *pb.TxnRequest {
	w, c := u.w, &u.w.etcd
	q := &pb.TxnRequest{
		Compare: []*pb.Compare{{
			Key: key, Target: pb.Compare_MOD, Result: pb.Compare_EQUAL, TargetUnion: &pb.Compare_ModRevision{ModRevision: c.acked[string(key)]},
		}},
		Failure: []*pb.RequestOp{{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: key}}}},
	}
	if w.chance(4) {
		q.Success = []*pb.RequestOp{{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: &pb.DeleteRangeRequest{Key: key}}}}
		return q
	}
	q.Success = []*pb.RequestOp{{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: key, Value: c.value()}}}}
	if other := []byte(fmt.Sprintf("k%d", w.intn(w.o.Keys))); w.chance(2) && string(other) != string(key) {
		q.Success = append(q.Success, &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: other, Value: c.value()}}})
	}
	return q
}

// answerEtcd tells users of the calls that are answered.
func (h *Host) answerEtcd() {
	for _, d := range h.rep.TakeEtcdDeliveries() {
		h.w.etcd.told(h, d)
	}
	for _, c := range h.rep.TakeCalls() {
		op, ok := c.Handle.(*etcdOp)
		if !ok {
			continue
		}
		u := op.user
		if u.op != op { // it waits no longer
			continue
		}
		h.finishEtcd(op)
		u.op = nil
		u.done++
		h.w.after(h.w.o.Think+Time(h.w.intn(int(etcdPace))), u.act)
	}
}

// finishEtcd takes the answer of a call, and does the reading that a read point is for.
func (h *Host) finishEtcd(op *etcdOp) {
	c := &h.w.etcd
	err := op.call.Err
	op.dropped, op.refused = err == mvcc.ErrNoLeader, op.call.Result.Err
	if err == nil {
		err = op.call.Result.Err
	}
	read, reads := op.request.(*pb.RangeRequest)
	switch {
	case err != nil:
	case reads:
		var resp *pb.RangeResponse
		if resp, err = h.rep.Etcd().Range(read); err == nil {
			op.response, op.revision = resp, resp.Header.Revision
		}
	default:
		op.response, op.revision = op.call.Result.Response, op.call.Result.Revision
	}
	if err == nil || op.refused != nil {
		op.ended = c.tick()
	}
	if err != nil {
		h.w.check.count("etcd refusals")
		return
	}
	h.w.check.count("etcd answers")
	c.answered(h, op)
}

// answered holds an answer to what is known already; the rest is checked in the end.
func (c *etcdChecker) answered(h *Host, op *etcdOp) {
	w := h.w
	if op.kind != replica.Renew && op.revision < op.floor {
		w.failf("server %d: an answer is of revision %d, and %d had been seen before it was asked for", h.id, op.revision, op.floor)
	}
	c.seen = max(c.seen, op.revision)
	switch q := op.request.(type) {
	case *pb.LeaseGrantRequest:
		c.lease = q.ID
	case *pb.PutRequest:
		c.acked[string(q.Key)] = op.revision
	case *pb.RangeRequest:
		for _, kv := range op.response.(*pb.RangeResponse).Kvs {
			if q.Revision == 0 {
				c.acked[string(kv.Key)] = kv.ModRevision
			}
		}
	}
}

// etcdChecker knows what users have asked and were told.
type etcdChecker struct {
	w      *World
	tokens int
	clock  int64            // of the history: every event has a time of its own
	seen   int64            // the newest revision that anybody has seen
	acked  map[string]int64 // by key, a revision of it that somebody was told lately
	lease  int64            // the last one
	ops    []*etcdOp
	at     map[proto.Zxid]etcdState
	logged map[proto.Zxid]int64 // when a transaction was in a log for the first time, on the clock
	bodies map[proto.Zxid][]byte

	watchers []*etcdWatcher
	streams  map[mvcc.StreamID]*etcdWatcher
}

// etcdState is what servers must agree on at a zxid.
type etcdState struct {
	revision, size int64
	time           int64 // when the first one was there
}

func (c *etcdChecker) init(w *World) {
	*c = etcdChecker{
		w: w, acked: map[string]int64{}, at: map[proto.Zxid]etcdState{}, logged: map[proto.Zxid]int64{}, bodies: map[proto.Zxid][]byte{},
		streams: map[mvcc.StreamID]*etcdWatcher{},
	}
}

func (c *etcdChecker) next() int { c.tokens++; return c.tokens }

func (c *etcdChecker) tick() int64 { c.clock++; return c.clock }

func (c *etcdChecker) value() []byte { return []byte(fmt.Sprintf("v%d", c.next())) }

// log sees an etcd transaction that a server is about to log.
func (c *etcdChecker) log(z proto.Zxid, record []byte) {
	if _, known := c.logged[z]; !known {
		c.logged[z], c.bodies[z] = c.tick(), bytes.Clone(record)
	}
}

// state holds key spaces to one another: at a zxid they have the same revision and size on all servers that serve.
func (c *etcdChecker) state(h *Host) {
	store := h.rep.Etcd()
	if store == nil || !h.m.Serving() || h.rep.EtcdWaiting() > 0 {
		return
	}
	size := store.Size()
	if store.Compacting() {
		size = math.MinInt64
	}
	z := store.Applied()
	known, ok := c.at[z]
	switch {
	case !ok:
		known = etcdState{store.Revision(), size, c.tick()}
	case known.revision != store.Revision() || known.size != size && min(known.size, size) >= 0:
		h.w.failf("server %d: etcd at %s: revision %d of %d bytes, elsewhere %d of %d", h.id, zx(z), store.Revision(), size, known.revision, known.size)
	}
	known.size = max(known.size, size)
	c.at[z] = known
}
