package mvcc

import (
	"encoding/binary"
	"fmt"

	"zebu/proto"
)

// Storage is where the records of committed batches lie.
type Storage interface {
	// View returns the records of all batches committed so far, pinned: later commits do not show. Several
	// views may be in use at once, from several goroutines.
	View() View
}

// View is the storage at one moment. Its errors are failures of the disk or damage; whoever gets one stops serving.
type View interface {
	// Get calls use with the value under a key and reports whether there is one. The value may not be kept.
	Get(key []byte, use func(value []byte) error) (found bool, err error)
	// Scan calls visit with the records from one key up to but not including another, in key order, until visit returns
	// an error, which Scan returns. Neither key nor value may be kept.
	Scan(from, to []byte, visit func(key, value []byte) error) error
	// Close lets go of the view. It may be done twice.
	Close()
}

// Op is one write of a batch.
type Op struct {
	Key    []byte
	Value  []byte // nil and Delete false is an empty value
	Delete bool
}

// Batch is what one or more applied records changed. It is committed whole, or a crash leaves nothing of it but changes
// (keys under 'k') above Meta.Revision of the batch before: a storage that must split a large batch commits the last
// part, which ends with the record of Meta, last. Of operations that are no new changes, and so may not be split off, there are
// some thousands at most.
type Batch struct {
	Ops   []Op // the last is the record of Meta
	Meta  Meta
	Bytes int // of keys and values, as a measure of memory

	stored []Revision // changes that the storage answers for once the batch is committed
}

// Meta says where a state stands.
type Meta struct {
	Applied   proto.Zxid // the last record applied
	Revision  int64      // of the key space; 1 before the first change
	Scheduled int64      // the revision compacted at; -1 if never
	Finished  int64      // the last compaction whose superseded changes are all deleted; -1 if none
}

const metaLen = 32

func (m Meta) encode() []byte {
	b := make([]byte, 0, metaLen)
	for _, v := range []int64{int64(m.Applied), m.Revision, m.Scheduled, m.Finished} {
		b = binary.BigEndian.AppendUint64(b, uint64(v))
	}
	return b
}

func decodeMeta(b []byte) (Meta, error) {
	if len(b) != metaLen {
		return Meta{}, fmt.Errorf("%w: a meta record of %d bytes", ErrDamaged, len(b))
	}
	at := func(i int) int64 { return int64(binary.BigEndian.Uint64(b[8*i:])) }
	m := Meta{proto.Zxid(at(0)), at(1), at(2), at(3)}
	if m.Revision < 1 || m.Scheduled > m.Revision || m.Finished > m.Scheduled || m.Finished < -1 {
		return Meta{}, fmt.Errorf("%w: meta record %+v", ErrDamaged, m)
	}
	return m, nil
}

// ReadMeta reads where a view stands; a view without records is at revision 1.
func ReadMeta(v View) (Meta, error) {
	m := Meta{Revision: 1, Scheduled: -1, Finished: -1}
	_, err := v.Get(metaKey, func(value []byte) (err error) {
		m, err = decodeMeta(value)
		return err
	})
	return m, err
}

// Leftovers is the range of keys, the second not included, of changes that belong to no state at m: what is left of a batch
// that a crash cut off.
func Leftovers(m Meta) (from, to []byte) {
	return mainBound(m.Revision + 1), []byte{prefixChange + 1}
}

// MetaKey is the key of the record that makes others a state: without it a storage is empty, or was filled in part.
func MetaKey() []byte { return metaKey }

// IsChange tells whether a key is that of a change. New changes of a batch may be written before the rest of it.
func IsChange(key []byte) bool { return len(key) > 0 && key[0] == prefixChange }
