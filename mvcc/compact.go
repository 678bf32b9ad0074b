package mvcc

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// maxDrops bounds how many superseded changes one step of compaction deletes: they go into one write of the storage, and of a key there
// may be any number.
const maxDrops = 1024

// applyCompact makes all revisions below one unreadable at once. Deleting what nobody can read any more is left to
// CompactStep.
func (s *Store) applyCompact(r *pb.CompactionRequest) (Message, error) {
	switch {
	case r.Revision <= s.meta.Scheduled:
		return nil, ErrCompacted
	case r.Revision > s.meta.Revision:
		return nil, ErrFutureRev
	}
	s.meta.Scheduled = r.Revision
	s.cursor = ""
	return &pb.CompactionResponse{Header: s.header()}, nil
}

// Compacting tells whether superseded changes are left to delete.
func (s *Store) Compacting() bool { return s.meta.Finished != s.meta.Scheduled }

// CompactStep goes on with deleting what the last compaction made superfluous: it looks at up to n keys and puts some deletions
// into the batch. It reports whether there is more to do; the caller commits the batch then and calls again when it
// likes. When each server does so makes no difference to any answer but that of [Store.Size].
func (s *Store) CompactStep(n int) bool {
	if !s.Compacting() {
		return false
	}
	var gone []string
	next := ""
	drops := maxDrops
	s.index.keys.Ascend(s.cursor, func(key string, e *entry) bool {
		if n == 0 || drops == 0 {
			next = key
			return false
		}
		n--
		var whole bool
		if drops, whole = e.compact(s.meta.Scheduled, drops, s.drop); !whole {
			next = key
			return false
		}
		if e.empty() {
			gone = append(gone, key)
		}
		return true
	})
	for _, key := range gone {
		s.index.keys.Delete(key)
	}
	s.cursor = next
	if next == "" {
		s.meta.Finished = s.meta.Scheduled
	}
	s.seal()
	return s.Compacting()
}

// drop deletes one superseded change.
func (s *Store) drop(v version, tombstone bool) {
	s.remove(appendChangeKey(make([]byte, 0, tombstoneKeyLen), v.revision(), tombstone))
	s.size -= int64(v.size)
}
