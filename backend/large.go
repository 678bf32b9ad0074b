package backend

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"zebu/mvcc"
)

// Badger would keep a large value in a file of its own, which it does not sync before the table that refers to it counts: so
// after power loss a table could be there, and its value not. Therefore large values are kept in parts.

// large says where the parts of a value are.
type large struct {
	main int64  // of the batch's mark
	seq  uint64 // of the batch
	no   uint32 // among the large values of the batch
	size uint64
	part uint64 // the size of each part but the last
}

const (
	largeMeta = 1 // Badger's user meta of a record whose value is a large
	largeLen  = 8 + 8 + 4 + 8 + 8
	partSign  = '^' // where a change has '_'
	partLen   = 1 + 8 + 1 + 8 + 4 + 4
	indexLen  = 1 + 8 + 1 // and the key
	// largestSize bounds a value, so that a damaged large is not believed.
	largestSize = 1 << 31
)

func (l large) encode() []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(l.main))
	b = binary.BigEndian.AppendUint64(b, l.seq)
	b = binary.BigEndian.AppendUint32(b, l.no)
	b = binary.BigEndian.AppendUint64(b, l.size)
	return binary.BigEndian.AppendUint64(b, l.part)
}

func decodeLarge(b []byte) (large, error) {
	if len(b) != largeLen {
		return large{}, fmt.Errorf("%w: a large value's record of %d bytes", mvcc.ErrDamaged, len(b))
	}
	u := binary.BigEndian.Uint64
	l := large{int64(u(b)), u(b[8:]), binary.BigEndian.Uint32(b[16:]), u(b[20:]), u(b[28:])}
	if l.size > largestSize || l.part == 0 {
		return large{}, fmt.Errorf("%w: a large value of %d bytes in parts of %d", mvcc.ErrDamaged, l.size, l.part)
	}
	return l, nil
}

// parts is how many there are.
func (l large) parts() int { return int((l.size + l.part - 1) / l.part) }

// key is that of a part. It lies among what is new, as the batch's mark does.
func (l large) key(part int) []byte {
	b := binary.BigEndian.AppendUint64([]byte{'k'}, uint64(l.main))
	b = binary.BigEndian.AppendUint64(append(b, partSign), l.seq)
	b = binary.BigEndian.AppendUint32(b, l.no)
	return binary.BigEndian.AppendUint32(b, uint32(part))
}

// partSeq is the batch that a key of a part belongs to.
func partSeq(key []byte) (seq uint64, ok bool) {
	if len(key) != partLen || key[0] != 'k' || key[9] != partSign {
		return 0, false
	}
	return binary.BigEndian.Uint64(key[10:]), true
}

// indexKey is where it is noted that the value of a key is large; behind all marks.
func indexKey(key []byte) []byte {
	b := binary.BigEndian.AppendUint64([]byte{'k'}, 1<<64-1)
	return append(append(b, partSign), key...)
}

// ownKey tells whether a key is not mvcc's.
func ownKey(key []byte) bool {
	return len(key) >= indexLen && key[0] == 'k' && (key[9] == partSign || key[9] == markSign)
}

// read puts a large value together.
func (l large) read(txn *badger.Txn) ([]byte, error) {
	value := make([]byte, 0, l.size)
	for i := range l.parts() {
		item, err := txn.Get(l.key(i))
		if errors.Is(err, badger.ErrKeyNotFound) {
			return nil, fmt.Errorf("%w: part %d of a large value of batch %d is missing", mvcc.ErrDamaged, i, l.seq)
		}
		if err != nil {
			return nil, err
		}
		if err := item.Value(func(b []byte) error { value = append(value, b...); return nil }); err != nil {
			return nil, err
		}
	}
	if uint64(len(value)) != l.size {
		return nil, fmt.Errorf("%w: a large value of batch %d has %d bytes of %d", mvcc.ErrDamaged, l.seq, len(value), l.size)
	}
	return value, nil
}

// use calls a function with the value of a record.
func use(txn *badger.Txn, item *badger.Item, f func([]byte) error) error {
	if item.UserMeta() != largeMeta {
		return item.Value(f)
	}
	var l large
	err := item.Value(func(b []byte) (err error) {
		l, err = decodeLarge(b)
		return err
	})
	if err != nil {
		return err
	}
	value, err := l.read(txn)
	if err != nil {
		return err
	}
	return f(value)
}

// loadLarge finds out which values are large.
func (b *Backend) loadLarge(txn *badger.Txn) error {
	it := txn.NewIterator(badger.IteratorOptions{PrefetchValues: false})
	defer it.Close()
	b.large = map[string]large{}
	prefix := indexKey(nil)
	for it.Seek(prefix); it.ValidForPrefix(prefix); it.Next() {
		err := it.Item().Value(func(value []byte) error {
			l, err := decodeLarge(value)
			b.large[string(it.Item().Key()[len(prefix):])] = l
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// batchSplitter turns a batch's operations into writes, parts of large values among them.
type batchSplitter struct {
	b       *Backend
	w       *writeSplitter
	next    large             // the next large value
	written []large           // in the order of their operations
	now     map[string]*large // what differs from the Backend's: nil is gone
}

// split writes what may be there before the rest of the batch, in several writes: parts of large values, new changes. Then the rest.
func (s *batchSplitter) split(ops []mvcc.Op) {
	for _, op := range ops {
		switch {
		case s.isLarge(op):
			s.parts(op.Value)
		case s.isEarly(op):
			s.w.add(op, 0, true)
		}
	}
	for _, op := range ops {
		if bytes.Equal(op.Key, mvcc.MetaKey()) || s.isEarly(op) {
			continue
		}
		s.release(op.Key)
		if !s.isLarge(op) {
			s.w.add(op, 0, false)
			continue
		}
		l := s.written[0]
		s.written = s.written[1:]
		record := l.encode()
		s.w.add(mvcc.Op{Key: op.Key, Value: record}, largeMeta, false)
		s.w.add(mvcc.Op{Key: indexKey(op.Key), Value: record}, 0, false)
		s.now[string(op.Key)] = &l
	}
}

func (s *batchSplitter) isLarge(op mvcc.Op) bool {
	return !op.Delete && uint64(len(op.Value)) > s.next.part
}

// isEarly tells of a new change that nobody sees before the revision of the state has reached it.
func (s *batchSplitter) isEarly(op mvcc.Op) bool {
	if op.Delete || !mvcc.IsChange(op.Key) || s.isLarge(op) {
		return false
	}
	_, was := s.b.large[string(op.Key)]
	return !was
}

// parts writes those of a large value.
func (s *batchSplitter) parts(value []byte) {
	l := s.next
	l.size = uint64(len(value))
	for i := range l.parts() {
		from := uint64(i) * l.part
		s.w.add(mvcc.Op{Key: l.key(i), Value: value[from:min(from+l.part, l.size)]}, 0, true)
	}
	s.written = append(s.written, l)
	s.next.no++
}

// release deletes the parts of the large value that a key has, if it has one.
func (s *batchSplitter) release(key []byte) {
	old, changed := s.now[string(key)]
	if l, ok := s.b.large[string(key)]; ok && !changed {
		old = &l
	}
	if old == nil {
		return
	}
	for i := range old.parts() {
		s.w.add(mvcc.Op{Key: old.key(i), Delete: true}, 0, false)
	}
	s.w.add(mvcc.Op{Key: indexKey(key), Delete: true}, 0, false)
	s.now[string(key)] = nil
}

// done takes over what is committed.
func (s *batchSplitter) done() {
	for key, l := range s.now {
		if l == nil {
			delete(s.b.large, key)
		} else {
			s.b.large[key] = *l
		}
	}
}
