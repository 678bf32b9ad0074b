package sim

import (
	"bufio"
	"bytes"

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
	if store == nil || h.w.o.EtcdUsers == 0 {
		return
	}
	if store.Compacting() && h.w.chance(3) {
		store.CompactStep(1 + h.w.intn(4))
	}
	if h.w.chance(2) {
		h.etcd.commit(store, store.Take())
	}
	if h.rep.EtcdHub().Lagging() > 0 && h.w.chance(3) {
		h.catchUp()
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
	h.staged.advance(store, s.packet.Zxid)
	l.Etcd, h.stagedStore = store, store
	return nil
}

// advance makes a key space that is not in use yet durable, at a zxid.
func (s *etcdSpace) advance(store *mvcc.Store, z proto.Zxid) {
	store.Advance(z)
	s.commit(store, store.TakeMark())
	s.sync()
}

// finishStaged brings the key space that is to be installed to the zxid of the tree.
func (h *Host) finishStaged(z proto.Zxid) {
	if h.staged == nil {
		return
	}
	for _, t := range h.m.StagedTail() {
		h.w.check.count("etcd transactions behind an image")
		if _, err := h.stagedStore.Apply(t.Zxid, t.Record); err != nil {
			h.w.failf("server %d: %v", h.id, err)
			return
		}
	}
	h.staged.advance(h.stagedStore, z)
}
