package sim

import (
	"go.etcd.io/etcd/api/v3/mvccpb"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"zebu/mvcc"
	"zebu/proto"
)

// committedEtcd are the etcd transactions that were committed, in order.
func (w *World) committedEtcd() (zxids []proto.Zxid) {
	for _, z := range w.check.committed {
		if _, ok := w.etcd.bodies[z]; ok {
			zxids = append(zxids, z)
		}
	}
	return zxids
}

// settleEtcd compares the key spaces of all members in the end, after all leases have ended, with one that has seen nothing but what was
// committed, one transaction after the other; and holds what users were told to what that one says.
func (w *World) settleEtcd(members []*Host) {
	memory := new(mvcc.Memory)
	truth, err := mvcc.Open(memory, mvcc.Options{Quota: -1})
	if err != nil {
		w.failf("%v", err)
		return
	}
	changes := map[int64][]*mvccpb.Event{}
	answers := map[string]int64{} // revisions by value, which no two puts have in common
	for _, z := range w.committedEtcd() {
		res, err := truth.Apply(z, w.etcd.bodies[z])
		if err != nil {
			w.failf("%s: %v", zx(z), err)
			return
		}
		for _, e := range res.Events {
			changes[res.Revision] = append(changes[res.Revision], e)
			if e.Type == mvccpb.PUT {
				answers[string(e.Kv.Value)] = res.Revision
			}
		}
		storeAll(memory, truth)
	}
	want, err := wholeHash(memory, truth)
	if err != nil {
		w.failf("%v", err)
		return
	}
	for _, h := range members {
		store := h.rep.Etcd()
		if store == nil {
			w.failf("server %d has no etcd key space", h.id)
			return
		}
		hash, err := wholeHash(h.etcd.memory, store)
		if err != nil || hash != want {
			w.failf("server %d: etcd hash %+v (%v), and what was committed makes %+v", h.id, hash, err, want)
		}
	}
	for _, op := range w.etcd.ops {
		if put, ok := op.request.(*pb.PutRequest); ok && op.ended != 0 && op.refused == nil && answers[string(put.Value)] != op.revision {
			w.failf("%s was acknowledged at revision %d, and was put at %d", put.Value, op.revision, answers[string(put.Value)])
		}
	}
	for _, x := range w.etcd.watchers {
		for _, watch := range x.watches {
			w.checkWatch(x, watch, changes)
		}
	}
	w.mix(uint64(want.Hash), uint64(truth.Revision()))
}

func storeAll(memory *mvcc.Memory, store *mvcc.Store) {
	if b := store.Take(); b != nil {
		memory.Commit(b)
		store.Stored(b)
	}
}

// wholeHash is the hash of all that is kept, once compaction has come to its end.
func wholeHash(memory *mvcc.Memory, store *mvcc.Store) (mvcc.Hash, error) {
	for store.CompactStep(1000) {
		storeAll(memory, store)
	}
	storeAll(memory, store)
	return store.HashKV(0)
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
