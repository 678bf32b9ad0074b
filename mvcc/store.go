package mvcc

import (
	"fmt"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"zebu/proto"
)

// DefaultQuota is the space quota in bytes if none is configured, as in etcd.
const DefaultQuota = 2 << 30

// Options are what an operator may choose.
type Options struct {
	// Quota bounds the bytes of all records: [DefaultQuota] if 0, none if negative. It decides whether a write is
	// answered with ErrNoSpace, never whether a record has its effect.
	Quota int64
	// Authority makes the Authority of a Store from the records that it was opened with, and changes nothing. It checks what is
	// applied and applies authentication requests. Without one all is permitted, and the latter end with ErrNoAuth.
	Authority func(*Store) (Authority, error)
}

// Store is the key space with its leases and alarms after some zxid. It is not locked: methods that change it need it to
// themselves, the others may run at once with one another. After an error that is not a request's outcome, a Store is of
// no use any more.
type Store struct {
	storage Storage
	quota   int64
	judge   Authority

	meta    Meta
	stored  int64 // changes up to this revision are in storage, those above in pending
	index   index
	pending map[Revision]*mvccpb.KeyValue
	leases  map[LeaseID]*lease
	alarms  map[alarm]struct{}
	auth    authRecords
	size    int64 // bytes of all records

	batch  Batch    // what is changed since the last Take
	late   int      // operations in batch that are no new changes
	sealed []*Batch // before batch, and as large as they may become
	taken  Meta     // of the last batch taken or sealed
	cursor string   // the key that compaction goes on from
}

// Open makes a Store of what a storage holds, which may be nothing. It reads all changes: about a second for a million.
// Errors wrap ErrDamaged if the records cannot be what the batches up to the last one wrote, holes included.
func Open(storage Storage, o Options) (*Store, error) {
	s := &Store{
		storage: storage,
		quota:   o.Quota,
		pending: map[Revision]*mvccpb.KeyValue{},
		leases:  map[LeaseID]*lease{},
		alarms:  map[alarm]struct{}{},
	}
	if s.quota == 0 {
		s.quota = DefaultQuota
	}
	view := storage.View()
	defer view.Close()
	var err error
	if s.meta, err = ReadMeta(view); err != nil {
		return nil, fmt.Errorf("open etcd storage: %w", err)
	}
	s.taken, s.stored = s.meta, s.meta.Revision
	if err := s.load(view); err != nil {
		return nil, fmt.Errorf("open etcd storage at zxid %v, revision %d: %w", s.meta.Applied, s.meta.Revision, err)
	}
	if o.Authority != nil {
		if s.judge, err = o.Authority(s); err != nil {
			return nil, fmt.Errorf("open etcd storage at zxid %v: users and roles: %w", s.meta.Applied, err)
		}
	}
	return s, nil
}

// Applied is the zxid of the last record applied; the log is replayed from the one after it.
func (s *Store) Applied() proto.Zxid { return s.meta.Applied }

// Revision is the current revision of the key space.
func (s *Store) Revision() int64 { return s.meta.Revision }

// Compacted is the revision that the key space was last compacted at, -1 if never: reads below it fail.
func (s *Store) Compacted() int64 { return s.meta.Scheduled }

// Empty says that there is nothing in the state: no change was ever made that a later one has not taken back.
func (s *Store) Empty() bool {
	return s.meta.Revision == 1 && len(s.leases) == 0 && len(s.alarms) == 0 && s.auth.records.Len() == 0
}

// Size is the number of bytes of all records: keys and values as they stand in storage, superseded ones included until
// they are deleted. It is what the quota is held against.
func (s *Store) Size() int64 { return s.size }

// Advance notes that all transactions up to a zxid have passed, which were not for the etcd key space. It costs nothing: the
// storage learns of it with the next batch, or by [Store.TakeMark].
func (s *Store) Advance(z proto.Zxid) {
	if z > s.meta.Applied {
		s.meta.Applied = z
	}
}

// Untaken is the number of writes since the last Take, and the bytes of their keys and values.
func (s *Store) Untaken() (n, bytes int) {
	n, bytes = len(s.batch.Ops), s.batch.Bytes
	for _, b := range s.sealed {
		n, bytes = n+len(b.Ops), bytes+b.Bytes
	}
	return n, bytes
}

// Take hands out what changed since the last call as a batch to commit, nil if nothing did. It is called until there is none: what is too
// much for one batch comes in several. Batches are committed in the order in which they are taken. What is in a batch stays
// readable meanwhile; [Store.Stored] ends that.
func (s *Store) Take() *Batch {
	if b := s.unsealed(); b != nil {
		return b
	}
	before := s.taken
	before.Applied = s.meta.Applied
	if s.meta == before && len(s.batch.Ops) == 0 {
		return nil
	}
	return s.TakeMark()
}

// TakeMark is Take for when logs are to be purged: it gives a batch also if nothing changed but the zxid, so that what was
// not for the key space is not replayed to it.
func (s *Store) TakeMark() *Batch {
	if b := s.unsealed(); b != nil {
		return b
	}
	if s.meta == s.taken && len(s.batch.Ops) == 0 {
		return nil
	}
	return s.close()
}

// maxLate bounds the operations of a batch that are no new changes, as those of one record and one step of compaction allow:
// a storage commits them at once, and may be able to do so with some thousands only.
const maxLate = 4096

// seal closes a batch that must not grow. The state is between two records.
func (s *Store) seal() {
	if s.late >= maxLate {
		s.sealed = append(s.sealed, s.close())
	}
}

func (s *Store) unsealed() *Batch {
	if len(s.sealed) == 0 {
		return nil
	}
	b := s.sealed[0]
	s.sealed[0] = nil
	s.sealed = s.sealed[1:]
	return b
}

func (s *Store) close() *Batch {
	b := s.batch
	b.Meta = s.meta
	b.Ops = append(b.Ops, Op{Key: metaKey, Value: s.meta.encode()})
	s.taken, s.batch, s.late = s.meta, Batch{}, 0
	return &b
}

// Stored tells that a batch is committed: views taken from now on have it.
func (s *Store) Stored(b *Batch) {
	s.stored = b.Meta.Revision
	for _, r := range b.stored {
		delete(s.pending, r)
	}
	b.stored = nil
}

// Applied changes that are not stored are looked up in pending first.
func (s *Store) fetch(view View, v version) (*mvccpb.KeyValue, error) {
	if v.main > s.stored {
		if kv, ok := s.pending[v.revision()]; ok {
			copied := *kv
			return &copied, nil
		}
	}
	return fetch(view, v)
}

// fetch reads a change that is no deletion.
func fetch(view View, v version) (*mvccpb.KeyValue, error) {
	kv := &mvccpb.KeyValue{}
	var buf [tombstoneKeyLen]byte
	found, err := view.Get(appendChangeKey(buf[:0], v.revision(), false), kv.Unmarshal)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read change %d.%d: %w", v.main, v.sub, err)
	case !found:
		return nil, fmt.Errorf("%w: change %d.%d is missing", ErrDamaged, v.main, v.sub)
	}
	return kv, nil
}

// PrevKV returns a key as it was just before a revision; nil if it did not exist or that is compacted.
func (s *Store) PrevKV(key []byte, rev int64) (*mvccpb.KeyValue, error) {
	if rev-1 < s.meta.Scheduled {
		return nil, nil
	}
	e, ok := s.index.keys.Get(string(key))
	if !ok {
		return nil, nil
	}
	v, _, _, ok := e.find(rev - 1)
	if !ok {
		return nil, nil
	}
	view := s.storage.View()
	defer view.Close()
	return s.fetch(view, v)
}

// set and remove write records that are not changes of keys.
func (s *Store) set(key, value []byte) {
	s.write(Op{Key: key, Value: value})
	s.late++
}

func (s *Store) remove(key []byte) {
	s.write(Op{Key: key, Delete: true})
	s.late++
}

func (s *Store) write(op Op) {
	s.batch.Ops = append(s.batch.Ops, op)
	s.batch.Bytes += len(op.Key) + len(op.Value)
}
