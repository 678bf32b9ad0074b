package backend

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/dgraph-io/badger/v4"

	"zebu/mvcc"
)

// mark names the record that a batch leaves of itself. It lies behind the changes of the revision that the batch reached, so that new
// tables of Badger hold nothing but what is new, and need not be merged with all the others.
type mark struct {
	main int64
	seq  uint64
}

const (
	markLen  = 1 + 8 + 1 + 8
	markSign = '~' // where a change has '_'
)

func (m mark) key() []byte {
	b := binary.BigEndian.AppendUint64([]byte{'k'}, uint64(m.main))
	return binary.BigEndian.AppendUint64(append(b, markSign), m.seq)
}

func parseMark(key []byte) (mark, bool) {
	if len(key) != markLen || key[0] != 'k' || key[9] != markSign {
		return mark{}, false
	}
	return mark{int64(binary.BigEndian.Uint64(key[1:])), binary.BigEndian.Uint64(key[10:])}, true
}

// markValue is what a mark says.
type markValue struct {
	synced uint64 // the last batch known to be on disk
	before int64  // the main of the mark before
	meta   []byte // mvcc's meta record, if the batch had one
}

func parseMarkValue(b []byte) (markValue, error) {
	if len(b) < 16 {
		return markValue{}, fmt.Errorf("%w: mark of %d bytes", mvcc.ErrDamaged, len(b))
	}
	return markValue{binary.BigEndian.Uint64(b), int64(binary.BigEndian.Uint64(b[8:])), bytes.Clone(b[16:])}, nil
}

// mark is what a batch leaves: its mark, the mark's value, and marks that are not needed any more.
func (b *Backend) mark(seq uint64, batch *mvcc.Batch) (this mark, value []byte, old []mark) {
	b.mu.Lock()
	defer b.mu.Unlock()
	this = mark{main: batch.Meta.Revision, seq: seq}
	value = binary.BigEndian.AppendUint64(nil, b.synced)
	if n := len(b.marks); n > 0 {
		this.main = max(this.main, b.marks[n-1].main)
		value = binary.BigEndian.AppendUint64(value, uint64(b.marks[n-1].main))
	} else {
		value = binary.BigEndian.AppendUint64(value, 0)
	}
	for _, op := range batch.Ops {
		if bytes.Equal(op.Key, mvcc.MetaKey()) {
			value = append(value, op.Value...)
		}
	}
	for _, m := range b.marks[:min(2, len(b.marks))] {
		if m.seq <= b.synced {
			old = append(old, m)
		}
	}
	return this, value, old
}

// lastMark finds the mark of the last batch.
func lastMark(txn *badger.Txn) (last mark, value markValue, found bool, err error) {
	it := txn.NewIterator(badger.IteratorOptions{Reverse: true})
	defer it.Close()
	for it.Seek(mark{main: math.MaxInt64, seq: ^uint64(0)}.key()); it.Valid(); it.Next() {
		key := it.Item().Key()
		if key[0] != 'k' {
			break
		}
		if last, found = parseMark(key); !found {
			continue // a change of a batch that is not whole
		}
		err = it.Item().Value(func(b []byte) (err error) {
			value, err = parseMarkValue(b)
			return err
		})
		return last, value, true, err
	}
	return mark{}, markValue{}, false, nil
}

// follow goes from the last mark to those before it: none may be missing since the last batch that is known to be synced.
func (b *Backend) follow(v view, last mark, value markValue) error {
	b.seq, b.synced = last.seq, max(value.synced, b.state.seq)
	if b.synced > b.seq {
		return fmt.Errorf("%w: batch %d, synced %d", mvcc.ErrDamaged, b.seq, b.synced)
	}
	marks := []mark{last}
	for m := last; m.seq > 1; {
		m = mark{main: value.before, seq: m.seq - 1}
		item, err := v.txn.Get(m.key())
		if errors.Is(err, badger.ErrKeyNotFound) {
			if m.seq > b.synced {
				return fmt.Errorf("%w: batch %d of %d is missing", mvcc.ErrDamaged, m.seq, b.seq)
			}
			break
		}
		if err == nil {
			err = item.Value(func(b []byte) (err error) {
				value, err = parseMarkValue(b)
				return err
			})
		}
		if err != nil {
			return err
		}
		marks = append(marks, m)
	}
	for i := len(marks) - 1; i >= 0; i-- {
		b.marks = append(b.marks, marks[i])
	}
	return nil
}
