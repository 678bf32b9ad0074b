package server

import (
	"encoding/binary"
	"sync/atomic"
)

// recentValues holds small values that have been read more than once lately. What stands under the key of a change never changes, so
// that nothing here can be out of date, and who asks knows from the index that it is there. It spares reads of busy keys the search
// in Badger's tables.
type recentValues [recentSlots]recentSlot

const (
	recentSlots = 1 << 13
	recentBytes = 1 << 10 // of a value: all together take 8 MiB at most
)

// recentSlot has room for one of the changes whose revisions leave the same remainder.
type recentSlot struct {
	missed atomic.Uint64 // who is missed twice running takes the room: a long list that is read once leaves it alone
	value  atomic.Pointer[recentValue]
}

type recentValue struct {
	key   string
	value []byte
}

// The key of a change, as package mvcc writes it: a letter, the revision, a sign, the number within the revision. Those of deletions are
// longer, and not looked for.
const (
	changeKeyLen    = 18
	changeKeyLetter = 'k'
)

// slot returns where a key belongs, and a number that stands for it; nil for what is no change.
func (r *recentValues) slot(key []byte) (slot *recentSlot, number uint64) {
	if len(key) != changeKeyLen || key[0] != changeKeyLetter {
		return nil, 0
	}
	number = binary.BigEndian.Uint64(key[1:]) + 2654435761*binary.BigEndian.Uint64(key[10:]) // any odd factor does
	return &r[number%recentSlots], number
}

func (s *recentSlot) get(key []byte) (value []byte, found bool) {
	if v := s.value.Load(); v != nil && v.key == string(key) {
		return v.value, true
	}
	return nil, false
}

// offer shows a value that had to be read.
func (s *recentSlot) offer(number uint64, key, value []byte) {
	if len(value) <= recentBytes && s.missed.Swap(number) == number {
		s.value.Store(&recentValue{string(key), append([]byte(nil), value...)})
	}
}
