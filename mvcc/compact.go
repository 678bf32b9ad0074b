package mvcc

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// maxDeletes bounds how many deletions wait in one batch: they must fit into one write of the storage.
const maxDeletes = 4096

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

// CompactStep goes on with deleting what the last compaction made superfluous: it looks at up to n keys and puts the deletions
// into the batch. It reports whether there is more to do; the caller commits the batch then and calls again when it
// likes. When each server does so makes no difference to any answer but that of [Store.Size].
func (s *Store) CompactStep(n int) bool {
	if !s.Compacting() {
		return false
	}
	var gone []string
	next := ""
	s.index.keys.Ascend(s.cursor, func(key string, e *entry) bool {
		if n == 0 || s.deletes >= maxDeletes {
			next = key
			return false
		}
		n--
		if !e.compact(s.meta.Scheduled, s.drop) {
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
	return s.Compacting()
}

// drop deletes one superseded change.
func (s *Store) drop(v version, tombstone bool) {
	s.remove(appendChangeKey(make([]byte, 0, tombstoneKeyLen), v.revision(), tombstone))
	s.deletes++
	s.size -= int64(v.size)
}
