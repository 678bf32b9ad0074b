package sim

import (
	"bufio"
	"bytes"
	"fmt"
	"maps"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"zebu/mvcc"
	"zebu/proto"
	"zebu/replica"
	"zebu/storage"
)

// etcdSpace is a server's etcd key space as its storage has it. Storage keeps batches whole and in order; a machine that loses its
// power may be without the last ones since it was synced.
type etcdSpace struct {
	memory  *mvcc.Memory
	commits []*mvcc.Memory // what has been committed since the last sync, that one first
}

func newEtcdSpace() *etcdSpace {
	s := &etcdSpace{memory: new(mvcc.Memory)}
	s.sync()
	return s
}

func (s *etcdSpace) commit(store *mvcc.Store, b *mvcc.Batch) {
	if b != nil {
		s.memory.Commit(b)
		store.Stored(b)
		s.commits = append(s.commits, s.memory.Copy())
	}
}

func (s *etcdSpace) sync() { s.commits = []*mvcc.Memory{s.memory.Copy()} }

// restart gives what the next process finds.
func (s *etcdSpace) restart(w *World, power bool) *etcdSpace {
	at := len(s.commits) - 1
	if power {
		at = w.intn(len(s.commits))
	}
	return &etcdSpace{memory: s.commits[at].Copy(), commits: []*mvcc.Memory{s.commits[at]}}
}

func openEtcd(s *etcdSpace) (*mvcc.Store, error) { return mvcc.Open(s.memory, mvcc.Options{Quota: -1}) }

// restoreEtcd does what a server does with its key space when it starts.
func (h *Host) restoreEtcd(info storage.Restored) error {
	if h.w.o.EtcdUsers == 0 {
		return nil
	}
	fresh := h.etcd == nil
	if fresh {
		h.etcd = newEtcdSpace()
	}
	store, err := openEtcd(h.etcd)
	if err == nil && store.Applied() < info.SnapshotZxid && h.staged != nil { // the machine failed right behind a leader's snapshot
		h.etcd = h.staged
		store, err = openEtcd(h.etcd)
	}
	if err != nil {
		return err
	}
	h.staged = nil
	if fresh {
		store.Advance(max(0, info.SnapshotZxid))
	} else if store.Applied() < info.SnapshotZxid {
		h.w.failf("server %d has an etcd key space as of %s, and a snapshot as of %s", h.id, zx(store.Applied()), zx(info.SnapshotZxid))
	}
	h.rep.AttachEtcd(store)
	if fresh {
		h.etcd.commit(store, store.TakeMark())
		h.etcd.sync()
	}
	return nil
}

// storeEtcd hands storage what has changed, mostly. What snapshots for learners need comes first.
func (h *Host) storeEtcd() {
	store := h.rep.Etcd()
	for _, v := range h.m.TakeViews() {
		view := hostView{View: v}
		if v.Etcd {
			for _, b := range v.Marks {
				h.etcd.commit(store, b)
			}
			if err := mvcc.WriteImage(&view.image, h.etcd.memory.View()); err != nil {
				h.w.failf("server %d: %v", h.id, err)
			}
		}
		h.views = append(h.views, view)
	}
	if store != nil && h.w.o.EtcdUsers > 0 && h.w.chance(2) {
		h.etcd.commit(store, store.Take())
	}
}

// hostView is the state behind a SNAP.
type hostView struct {
	replica.View
	image bytes.Buffer
}

// syncEtcd makes the key space durable, before a snapshot is written.
func (h *Host) syncEtcd() {
	if store := h.rep.Etcd(); store != nil {
		h.etcd.commit(store, store.TakeMark())
		h.etcd.sync()
	}
}

// loadEtcd reads the key space behind a snapshot.
func (h *Host) loadEtcd(from proto.ServerID, s *snapshot, r *bufio.Reader, l *replica.Loader) error {
	h.staged = nil
	if !h.m.SharesEtcd(from) {
		return nil
	}
	h.staged = &etcdSpace{memory: new(mvcc.Memory)}
	if _, err := mvcc.ReadImage(r, func(b *mvcc.Batch) error { h.staged.memory.Commit(b); return nil }); err != nil {
		return err
	}
	store, err := openEtcd(h.staged)
	if err != nil {
		return err
	}
	for _, t := range s.tail {
		if _, err := store.Apply(t.Zxid, t.Record); err != nil {
			return err
		}
	}
	store.Advance(s.packet.Zxid)
	h.staged.commit(store, store.TakeMark())
	h.staged.sync()
	l.Etcd = store
	return nil
}

// etcdOp is what one user asks.
type etcdOp struct {
	user  *etcdUser
	key   string
	value string // of a put
	floor int64  // the newest revision that anybody had seen
	acked int64  // of the key, the newest revision that was acknowledged
	lease int64
	call  *replica.Call
}

// etcdUser works with the etcd API, one thing after the other, at any server.
type etcdUser struct {
	w     *World
	op    *etcdOp
	count int
	done  int
	idle  bool
}

func (u *etcdUser) start() {
	u.w.after(Time(u.w.intn(int(Second))), u.act)
}

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
	key := fmt.Sprintf("k%d", w.intn(w.o.Keys))
	op := &etcdOp{user: u, key: key, floor: w.etcd.seen, acked: w.etcd.acked[key]}
	u.count++
	u.op = op
	var request mvcc.Message
	switch w.intn(8) {
	case 0, 1, 2:
		op.call = &replica.Call{Kind: replica.ReadPoint, Handle: op}
	case 3:
		op.lease = int64(w.intn(1<<30) + 1)
		request = &pb.LeaseGrantRequest{ID: op.lease, TTL: int64(1 + w.intn(3))}
	case 4:
		if w.etcd.lease != 0 {
			if w.chance(2) {
				op.call = &replica.Call{Kind: replica.Renew, Lease: mvcc.LeaseID(w.etcd.lease), Handle: op}
				break
			}
			op.value = fmt.Sprintf("l%d", w.etcd.next())
			request = &pb.PutRequest{Key: []byte(key), Value: []byte(op.value), Lease: w.etcd.lease}
			break
		}
		fallthrough
	default:
		op.value = fmt.Sprintf("v%d", w.etcd.next())
		request = &pb.PutRequest{Key: []byte(key), Value: []byte(op.value)}
	}
	if request != nil {
		record, err := mvcc.NewRecord(request).Encode()
		if err != nil {
			w.failf("%v", err)
			return
		}
		op.call = &replica.Call{Kind: replica.Propose, Record: record, Handle: op}
	}
	h.input(func() { h.m.Call(op.call) })
	w.after(5*Second, func() { // the server may be gone
		if u.op == op {
			u.op = nil
			u.start()
		}
	})
}

// etcdChecker knows what users have been told.
type etcdChecker struct {
	tokens   int
	seen     int64            // the newest revision that anybody has seen
	acked    map[string]int64 // by key
	revision map[int64]string // the value put at a revision, of those acknowledged
	at       map[proto.Zxid]int64
	sizes    map[proto.Zxid]int64
	lease    int64
}

func (c *etcdChecker) next() int { c.tokens++; return c.tokens }

// answerEtcd tells users of the calls that are answered.
func (h *Host) answerEtcd() {
	for _, c := range h.rep.TakeCalls() {
		op, ok := c.Handle.(*etcdOp)
		if !ok {
			continue
		}
		h.checkEtcdAnswer(op)
		if u := op.user; u.op == op {
			u.op = nil
			u.done++
			h.w.after(h.w.o.Think, u.act)
		}
	}
}

func (h *Host) checkEtcdAnswer(op *etcdOp) {
	w, c := h.w, &h.w.etcd
	if op.call.Err != nil || op.call.Result.Err != nil {
		w.check.count("etcd refusals")
		return
	}
	w.check.count("etcd answers")
	switch {
	case op.call.Kind == replica.ReadPoint:
		h.checkEtcdRead(op)
	case op.call.Kind == replica.Renew:
	case op.lease != 0:
		c.lease = op.lease
	default:
		rev := op.call.Result.Revision
		if rev <= op.floor {
			w.failf("server %d: a put has revision %d, and %d had been seen before it", h.id, rev, op.floor)
		}
		if old, taken := c.revision[rev]; taken {
			w.failf("server %d: %s and %s were both put at revision %d", h.id, old, op.value, rev)
		}
		c.revision[rev] = op.value
		c.acked[op.key] = max(c.acked[op.key], rev)
		c.seen = max(c.seen, rev)
	}
}

// checkEtcdRead reads, at a read point.
func (h *Host) checkEtcdRead(op *etcdOp) {
	w, c := h.w, &h.w.etcd
	resp, err := h.rep.Etcd().Range(&pb.RangeRequest{Key: []byte(op.key)})
	if err != nil {
		w.failf("server %d: range: %v", h.id, err)
		return
	}
	if resp.Header.Revision < op.floor {
		w.failf("server %d: a linearizable read is at revision %d, and %d had been seen before it", h.id, resp.Header.Revision, op.floor)
	}
	c.seen = max(c.seen, resp.Header.Revision)
	for _, kv := range resp.Kvs {
		if kv.ModRevision < op.acked {
			w.failf("server %d: %s is read as of revision %d, and %d had been acknowledged", h.id, op.key, kv.ModRevision, op.acked)
		}
		if value, known := c.revision[kv.ModRevision]; known && value != string(kv.Value) {
			w.failf("server %d: %s at revision %d is %s, and was acknowledged as %s", h.id, op.key, kv.ModRevision, kv.Value, value)
		}
	}
}

// checkEtcdState holds key spaces to one another: at a zxid they have the same revision and size on all servers that serve.
func (h *Host) checkEtcdState() {
	store := h.rep.Etcd()
	if store == nil || !h.m.Serving() || h.rep.EtcdWaiting() > 0 || store.Compacting() {
		return
	}
	c, z := &h.w.etcd, store.Applied()
	rev, known := c.at[z]
	switch {
	case !known:
		c.at[z], c.sizes[z] = store.Revision(), store.Size()
	case rev != store.Revision() || c.sizes[z] != store.Size():
		h.w.failf("server %d: etcd at %s: revision %d of %d bytes, elsewhere %d of %d", h.id, zx(z), store.Revision(), store.Size(), rev, c.sizes[z])
	}
}

// settleEtcd compares the key spaces of all members in the end, after all leases have ended.
func (w *World) settleEtcd(members []*Host) {
	var first *mvcc.Hash
	for _, h := range members {
		store := h.rep.Etcd()
		if store == nil {
			w.failf("server %d has no etcd key space", h.id)
			return
		}
		hash, err := store.HashKV(0)
		if err != nil {
			w.failf("server %d: %v", h.id, err)
			return
		}
		if first == nil {
			first = &hash
		} else if hash != *first {
			w.failf("server %d: etcd hash %+v, elsewhere %+v", h.id, hash, *first)
		}
		for _, key := range slices.Sorted(maps.Keys(w.etcd.acked)) {
			rev := w.etcd.acked[key]
			resp, err := store.Range(&pb.RangeRequest{Key: []byte(key), Revision: rev})
			if err != nil || len(resp.Kvs) != 1 || resp.Kvs[0].ModRevision != rev || string(resp.Kvs[0].Value) != w.etcd.revision[rev] {
				w.failf("server %d: %s was acknowledged as %s at revision %d, and is %v (%v)", h.id, key, w.etcd.revision[rev], rev, resp, err)
			}
		}
		w.mix(uint64(hash.Hash), uint64(store.Revision()))
	}
}

// leasesEnded says whether no lease is left anywhere.
func leasesEnded(members []*Host) bool {
	for _, h := range members {
		if h.rep != nil && h.rep.Etcd() != nil && h.rep.Etcd().NumLeases() > 0 {
			return false
		}
	}
	return true
}
