package mvcc

import (
	"encoding/binary"
	"math"
)

// Revision names one change: the revision of the key space that it belongs to, and its place among the changes of that
// revision, from 0. See spec etcd 1.1.
type Revision struct {
	Main int64
	Sub  int64
}

// The letters that the keys of records start with.
const (
	prefixChange = 'k'
	prefixLease  = 'l'
	prefixAlarm  = 'a'
	prefixAuth   = 'u'
	prefixMeta   = 'z' // the last, so that an image ends with it
)

const (
	changeKeyLen    = 1 + 8 + 1 + 8
	tombstoneMark   = 't'
	tombstoneKeyLen = changeKeyLen + 1
)

// metaKey is the key of the one record that says where the storage stands.
var metaKey = []byte{prefixMeta}

// appendChangeKey appends the storage key of a change.
func appendChangeKey(b []byte, r Revision, tombstone bool) []byte {
	b = append(b, prefixChange)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Main))
	b = append(b, '_')
	b = binary.BigEndian.AppendUint64(b, uint64(r.Sub))
	if tombstone {
		b = append(b, tombstoneMark)
	}
	return b
}

// parseChangeKey reads a storage key of a change.
func parseChangeKey(k []byte) (r Revision, tombstone, ok bool) {
	switch {
	case len(k) == tombstoneKeyLen && k[changeKeyLen] == tombstoneMark:
		tombstone = true
	case len(k) != changeKeyLen:
		return Revision{}, false, false
	}
	r.Main = int64(binary.BigEndian.Uint64(k[1:]))
	r.Sub = int64(binary.BigEndian.Uint64(k[10:]))
	if k[0] != prefixChange || k[9] != '_' || r.Main < 0 || r.Sub < 0 || r.Sub > math.MaxUint32 {
		return Revision{}, false, false
	}
	return r, tombstone, true
}

// mainBound is the storage key before all changes of a revision and after all of the one before it.
func mainBound(main int64) []byte {
	return binary.BigEndian.AppendUint64([]byte{prefixChange}, uint64(main))
}
