package replica

import (
	"fmt"
	"maps"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"zebu/mvcc"
	"zebu/proto"
)

// EtcdTxn is a transaction of the etcd API.
type EtcdTxn struct {
	Zxid   proto.Zxid
	Record []byte // see package mvcc
}

// keyspace is the etcd key space beside the tree.
//
// It only ever holds what is committed, so that it can be kept on disk without a way back: what is replayed from the log,
// or at a synchronisation, waits until service begins, for then everything in the history is committed.
type keyspace struct {
	store   *mvcc.Store // nil beside a state that is being read, and on a server without one
	hub     *mvcc.Hub
	waiting []EtcdTxn
	seen    proto.Zxid // what is replayed up to here need not wait
	// replaying says that a transaction is not known to be committed, whatever the role is that ends with it.
	replaying bool
	used      bool // there has been an etcd transaction, or there is something in the store

	lessor  *mvcc.Lessor      // the leader's
	compact *mvcc.AutoCompact // nil if nobody asked for it

	url        string          // where this server's etcd API is reached, "" if nobody has said
	session    proto.SessionID // stands for this server in transactions that it asked for; 0 while it does not serve
	cxid       int32
	passedOn   bool    // the leader has handed over: what is not answered was not proposed
	asked      []*Call // to be answered by a transaction, in the order of their cxids
	asks       []ask   // the leader has been asked
	lastAsk    int64
	pointAsk   int64                    // the question for a read point that is under way, 0 if none is
	readers    []*Call                  // the leader is to be asked for a read point
	reached    []*Call                  // wait until a zxid is applied
	renewing   map[mvcc.LeaseID][]*Call // wait for a revocation or a checkpoint of their lease
	done       []*Call
	replies    []*Call     // done too, for other servers
	result     mvcc.Result // of the transaction just applied
	deliveries []mvcc.Delivery
}

// AttachEtcd gives the replica its key space, which has seen at least what is in the snapshot that the replica was loaded from. A
// member's may even be ahead of its log: others had logged what was committed, and it was applied here, before it was
// durable here. They have it.
func (r *Replica) AttachEtcd(store *mvcc.Store) {
	k := &r.kv
	k.store, k.hub = store, mvcc.NewHub(store.Revision())
	k.used = k.used || !store.Empty()
	r.compactByItself()
}

// compactByItself begins automatic compaction, if it is asked for and has not begun.
func (r *Replica) compactByItself() {
	o, k := r.opt.Compact, &r.kv
	switch {
	case k.compact != nil || k.store == nil:
	case o.Period > 0:
		k.compact = mvcc.CompactByTime(r.now.Mono, o.Period)
	case o.Keep > 0:
		k.compact = mvcc.CompactByRevision(r.now.Mono, o.Keep)
	}
}

// EtcdSeen tells, before anything is replayed, up to where the key space has seen the log that will be attached: all of these transactions
// together may be much.
func (r *Replica) EtcdSeen(z proto.Zxid) { r.kv.seen = z }

// Etcd returns the key space, nil if there is none. It is to be looked at under the caller's lock.
func (r *Replica) Etcd() *mvcc.Store { return r.kv.store }

// EtcdHub returns the watches of the key space. Its methods that change it need a lock of their own beside the state's read lock.
func (r *Replica) EtcdHub() *mvcc.Hub { return r.kv.hub }

// EtcdWaiting is the number of etcd transactions that are in the history and not known to be committed.
func (r *Replica) EtcdWaiting() int { return len(r.kv.waiting) }

// EtcdTail returns those transactions, for a snapshot: they are not in the store.
func (r *Replica) EtcdTail() []EtcdTxn { return slices.Clone(r.kv.waiting) }

// ConfirmEtcd applies up to n of the etcd transactions that wait: the history is known to be committed.
func (r *Replica) ConfirmEtcd(n int) error {
	k := &r.kv
	if k.store == nil {
		return nil
	}
	n = min(n, len(k.waiting))
	for i := range k.waiting[:n] {
		w := &k.waiting[i]
		res, err := k.store.Apply(w.Zxid, w.Record)
		if err != nil {
			return err
		}
		if err := r.publish(&res); err != nil {
			return err
		}
		w.Record = nil
	}
	if k.waiting = k.waiting[n:]; len(k.waiting) == 0 {
		k.waiting = nil
		k.store.Advance(r.applied)
	}
	return nil
}

func (r *Replica) publish(res *mvcc.Result) error {
	out, err := r.kv.hub.Publish(res.Revision, res.Events, r.kv.store)
	r.kv.deliveries = append(r.kv.deliveries, out...)
	return err
}

// serveEtcd begins service: everything in the history is committed.
func (r *Replica) serveEtcd() error {
	k := &r.kv
	if k.store == nil {
		return nil
	}
	if err := r.ConfirmEtcd(len(k.waiting)); err != nil {
		return err
	}
	k.session, k.cxid, k.passedOn = r.ids.Next(), 0, false
	k.retireRenewals()
	if r.role == leading {
		k.lessor = mvcc.NewLessor(r.now.Mono, k.store.Leases(), proto.Millis(max(leaseGrace, r.opt.SyncLimit+2))*r.opt.Tick)
	}
	return nil
}

// leaseGrace is how many ticks leases are given at least at a change of leader, for the time without one. And the leader before, if it
// is cut off, may have answered keepalives until it has heard of nobody for the limit of syncs.
const leaseGrace = 5

// retireEtcd ends service. Nobody here will learn what became of what was asked for, unless the leader has handed over: then it was
// not proposed.
func (r *Replica) retireEtcd() {
	k := &r.kv
	fate := mvcc.ErrUnknown
	if k.passedOn {
		fate = mvcc.ErrNoLeader
	}
	for _, c := range k.asked {
		k.finish(c, fate)
	}
	for _, a := range k.asks {
		for _, c := range a.calls {
			k.finish(c, mvcc.ErrFenced)
		}
	}
	for _, list := range [][]*Call{k.readers, k.reached} {
		for _, c := range list {
			k.finish(c, mvcc.ErrFenced)
		}
	}
	k.retireRenewals()
	k.asked, k.asks, k.readers, k.reached = nil, nil, nil, nil
	k.session, k.lessor, k.pointAsk = 0, nil, 0
}

// retireRenewals ends the keepalives that wait for what a lessor has had proposed.
func (k *keyspace) retireRenewals() {
	for _, id := range slices.Sorted(maps.Keys(k.renewing)) {
		for _, c := range k.renewing[id] {
			k.finish(c, mvcc.ErrFenced)
		}
	}
	k.renewing = map[mvcc.LeaseID][]*Call{}
}

// stepEtcd applies an etcd transaction, or keeps it until it is known to be committed. Every other transaction only
// moves the key space on.
func (r *Replica) stepEtcd(hdr *proto.TxnHeader, record []byte) error {
	k := &r.kv
	serving := !k.replaying && (r.role == leading || r.role == learning)
	if hdr.Type != proto.OpEtcd {
		if serving && k.store != nil {
			k.store.Advance(hdr.Zxid)
		}
		return nil
	}
	if !r.opt.Etcd {
		return fmt.Errorf("apply %v: it is of the etcd API, which this server does not serve: set etcd.clientPort, as on the other servers", hdr.Zxid)
	}
	k.used = true
	if !serving || k.store == nil {
		if hdr.Zxid <= k.seen {
			return nil
		}
		k.waiting = append(k.waiting, EtcdTxn{hdr.Zxid, slices.Clone(record)})
		return nil
	}
	var err error
	if k.result, err = k.store.Apply(hdr.Zxid, record); err != nil {
		return err
	}
	if err := r.publish(&k.result); err != nil {
		return fmt.Errorf("apply %v: %w", hdr.Zxid, err)
	}
	if k.lessor != nil {
		return r.tellLessor(record)
	}
	return nil
}

// tellLessor keeps the leader's clock for leases in step with the state.
func (r *Replica) tellLessor(record []byte) error {
	switch mvcc.Kind(record[0]) {
	case mvcc.KindLeaseGrant, mvcc.KindLeaseRevoke, mvcc.KindLeaseCheckpoint:
	default:
		return nil
	}
	rec, err := mvcc.DecodeRecord(record)
	if err != nil {
		return err
	}
	k := &r.kv
	switch q := rec.Request.(type) {
	case *pb.LeaseGrantRequest:
		if _, granted := k.store.Lease(mvcc.LeaseID(q.ID)); granted { // even if the answer is that there is no more space
			k.lessor.Granted(r.now.Mono, mvcc.LeaseID(q.ID), q.TTL)
		}
	case *pb.LeaseRevokeRequest:
		if k.result.Err == nil {
			k.lessor.Revoked(mvcc.LeaseID(q.ID))
			r.renewAgain(mvcc.LeaseID(q.ID))
		}
	case *pb.LeaseCheckpointRequest:
		if k.result.Err != nil {
			break
		}
		for _, c := range q.Checkpoints {
			k.lessor.Checkpointed(r.now.Mono, mvcc.LeaseID(c.ID), c.Remaining_TTL)
			r.renewAgain(mvcc.LeaseID(c.ID))
		}
	}
	return nil
}

// renewAgain goes on with the keepalives that have waited for something to be applied to a lease. Nothing may be proposed here, where
// transactions are applied; nor need it be, for what they wait for is proposed already.
func (r *Replica) renewAgain(id mvcc.LeaseID) {
	k := &r.kv
	waiting := k.renewing[id]
	delete(k.renewing, id)
	for _, c := range waiting {
		if r.renewLease(c) == mvcc.Unchecked {
			k.finish(c, mvcc.ErrFenced)
		}
	}
}

// The most that one tick proposes.
const (
	maxRevokes     = 1000
	maxCheckpoints = 1000
)

// tickEtcd proposes what time brings: the end of leases, what remains of them, compaction.
func (r *Replica) tickEtcd() {
	k := &r.kv
	if k.store == nil {
		return
	}
	compactAt := int64(0)
	if k.compact != nil {
		compactAt = k.compact.Tick(r.now.Mono, k.store.Revision(), k.store.Compacted())
	}
	if r.role != leading || k.lessor == nil {
		return
	}
	for _, id := range k.lessor.Expired(r.now.Mono, maxRevokes) {
		r.proposeEtcd(&pb.LeaseRevokeRequest{ID: int64(id)})
	}
	if list := k.lessor.Checkpoints(r.now.Mono, maxCheckpoints); len(list) > 0 {
		r.proposeEtcd(&pb.LeaseCheckpointRequest{Checkpoints: list})
	}
	if compactAt > 0 {
		r.proposeEtcd(&pb.CompactionRequest{Revision: compactAt})
	}
}

// proposeEtcd proposes something of the leader's own, for its epoch only.
func (r *Replica) proposeEtcd(m mvcc.Message) {
	b, err := mvcc.NewOwnRecord(m, r.proposed.Epoch()).Encode()
	if err != nil {
		panic(fmt.Sprintf("%T: %v", m, err)) // it is one of ours
	}
	r.plan(nil, 0, 0, &Request{Op: proto.OpEtcd, Body: b})
}

// adopt takes over the key space of another state: one that came as a snapshot has its own, one that was read back from
// the disk is the past of ours.
func (k *keyspace) adopt(o *keyspace, applied proto.Zxid) {
	k.used = k.used || o.used
	if o.store == nil {
		k.waiting = slices.DeleteFunc(k.waiting, func(t EtcdTxn) bool { return t.Zxid > applied })
		return
	}
	k.store, k.waiting = o.store, o.waiting
	if k.hub == nil {
		k.hub = mvcc.NewHub(o.store.Revision())
	}
	k.hub.Reset(o.store.Revision())
}

// TakeEtcdDeliveries returns what is owed to streams of watches since the last call, in order.
func (r *Replica) TakeEtcdDeliveries() []mvcc.Delivery {
	d := r.kv.deliveries
	r.kv.deliveries = nil
	return d
}
