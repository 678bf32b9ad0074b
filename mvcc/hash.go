package mvcc

import (
	"hash/crc32"
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"
)

// Hash is what HashKV answers: the same for equal histories on all servers, and the same as etcd's.
type Hash struct {
	Hash            uint32
	CompactRevision int64 // the revision compacted at, -1 if never
	HashRevision    int64 // the revision up to which was hashed
	Revision        int64 // current
}

// Hashing is a hash of which all is decided and only the reading is left.
type Hashing struct {
	result  Hash
	kept    map[Revision]struct{} // the changes up to the compaction that count
	pending []pendingChange       // not stored yet, in order
	view    View
}

type pendingChange struct {
	r  Revision
	kv *mvccpb.KeyValue
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// HashKV hashes the changes up to a revision, 0 for the current one: ErrCompacted, ErrFutureRev, or a failure of the storage.
//
// etcd remembers the hashes that it made while compacting, and until it is restarted answers for such a revision with that,
// which starts at the compaction before; here the answer is always that of a restarted etcd.
func (s *Store) HashKV(rev int64) (Hash, error) {
	h, err := s.StartHash(rev)
	if err != nil {
		return Hash{}, err
	}
	return h.Finish()
}

// StartHash does what needs the Store. [Hashing.Finish] must be called, and does not need the Store.
func (s *Store) StartHash(rev int64) (*Hashing, error) {
	switch {
	case rev > 0 && rev < s.meta.Scheduled:
		return nil, ErrCompacted
	case rev > s.meta.Revision:
		return nil, ErrFutureRev
	case rev <= 0:
		rev = s.meta.Revision
	}
	h := &Hashing{
		result: Hash{CompactRevision: s.meta.Scheduled, HashRevision: rev, Revision: s.meta.Revision},
		kept:   s.kept(rev),
		view:   s.storage.View(),
	}
	for r, kv := range s.pending {
		h.pending = append(h.pending, pendingChange{r, kv})
	}
	slices.SortFunc(h.pending, func(a, b pendingChange) int {
		if a.r.Main != b.r.Main {
			return int(a.r.Main - b.r.Main)
		}
		return int(a.r.Sub - b.r.Sub)
	})
	return h, nil
}

// kept finds the changes up to the compaction that are hashed: what was alive at rev; or, as etcd would have it, if nothing
// was, what was alive at the compaction.
func (s *Store) kept(rev int64) map[Revision]struct{} {
	kept, alive := map[Revision]struct{}{}, false
	for _, at := range []int64{rev, s.meta.Scheduled} {
		s.index.visit(interval{open: true}, func(_ string, e *entry) bool {
			if v, _, _, ok := e.find(at); ok {
				alive = true
				if v.main <= s.meta.Scheduled {
					kept[v.revision()] = struct{}{}
				}
			}
			return true
		})
		if alive {
			break
		}
	}
	return kept
}

// Finish reads and hashes.
func (h *Hashing) Finish() (Hash, error) {
	defer h.view.Close()
	sum := crc32.Update(0, castagnoli, []byte("key"))
	add := func(key, value []byte) {
		sum = crc32.Update(sum, castagnoli, key[1:])
		sum = crc32.Update(sum, castagnoli, value)
	}
	var last Revision
	err := h.view.Scan([]byte{prefixChange}, mainBound(h.result.HashRevision+1), func(key, value []byte) error {
		r, _, ok := parseChangeKey(key)
		if !ok {
			return ErrDamaged
		}
		last = r
		if h.counts(r) {
			add(key, value)
		}
		return nil
	})
	if err != nil {
		return Hash{}, err
	}
	for _, p := range h.pending {
		tombstone := p.kv.CreateRevision == 0
		if p.r.Main < last.Main || p.r.Main == last.Main && p.r.Sub <= last.Sub || !h.counts(p.r) {
			continue
		}
		kv := *p.kv
		if tombstone {
			kv.ModRevision = 0
		}
		value, err := kv.Marshal()
		if err != nil {
			return Hash{}, err
		}
		add(appendChangeKey(nil, p.r, tombstone), value)
	}
	h.result.Hash = sum
	return h.result, nil
}

func (h *Hashing) counts(r Revision) bool {
	switch {
	case r.Main > h.result.HashRevision:
		return false
	case r.Main <= h.result.CompactRevision:
		_, ok := h.kept[r] // no deletion, not even the one at the compaction that is kept for watches
		return ok
	}
	return true
}
