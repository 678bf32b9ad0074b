package znode

import "hash/maphash"

const (
	shardBits = 10
	minSlots  = 8
)

// index finds a node by parent and name. It is an open-addressing hash table in 2^shardBits shards, so that growing
// rehashes a thousandth of it at a time: a million nodes never make one request wait. The hash is seeded per process
// against chosen collisions; nothing depends on its order.
type index struct {
	seed   maphash.Seed
	shards [1 << shardBits]shard
}

// shard's slots hold a node number in the low half and 32 bits of its hash in the high half: a lookup follows a number to
// its node, which is a cache miss or three, only if the hash agrees, and growing needs no node at all. 0 is empty, as is
// node number 0. The length is a power of two.
type shard struct {
	slots []uint64
	used  uint32
}

func newIndex() *index { return &index{seed: maphash.MakeSeed()} }

func (x *index) hash(parent uint32, name string) uint64 {
	h := maphash.String(x.seed, name) ^ uint64(parent)*0x9e3779b97f4a7c15
	h ^= h >> 32
	return h * 0xd6e8feb86659fd93
}

func (x *index) shard(h uint64) *shard { return &x.shards[h>>(64-shardBits)] }

// slotOf is what the slot of a node with hash h holds. The shard number comes from other bits of h.
func slotOf(h uint64, idx uint32) uint64 { return h<<32 | uint64(idx) }

// home is where a slot would stand if there were no others.
func home(slot uint64, mask uint32) uint32 { return uint32(slot>>32) & mask }

// find returns the child of parent called name, 0 if there is none.
func (t *Tree) find(parent uint32, name string) uint32 {
	h := t.index.hash(parent, name)
	s := t.index.shard(h)
	if s.used == 0 {
		return 0
	}
	want := slotOf(h, 0)
	mask := uint32(len(s.slots) - 1)
	for i := home(want, mask); ; i = (i + 1) & mask {
		slot := s.slots[i]
		if slot == 0 {
			return 0
		}
		if slot>>32 != want>>32 {
			continue
		}
		if n := t.node(uint32(slot)); n.parent == parent && n.Name() == name {
			return uint32(slot)
		}
	}
}

func (t *Tree) hashOf(idx uint32) uint64 {
	n := t.node(idx)
	return t.index.hash(n.parent, n.Name())
}

// indexAdd adds a node that is in place and not in the index.
func (t *Tree) indexAdd(idx uint32) {
	h := t.hashOf(idx)
	s := t.index.shard(h)
	if s.used*4 >= uint32(len(s.slots))*3 {
		old := s.slots
		s.slots = make([]uint64, max(minSlots, 2*len(old)))
		for _, slot := range old {
			if slot != 0 {
				s.put(slot)
			}
		}
	}
	s.put(slotOf(h, idx))
	s.used++
}

func (s *shard) put(slot uint64) {
	mask := uint32(len(s.slots) - 1)
	i := home(slot, mask)
	for s.slots[i] != 0 {
		i = (i + 1) & mask
	}
	s.slots[i] = slot
}

// indexRemove takes a node out, and moves those after it that a lookup could no longer reach.
func (t *Tree) indexRemove(idx uint32) {
	h := t.hashOf(idx)
	s := t.index.shard(h)
	gone := slotOf(h, idx)
	mask := uint32(len(s.slots) - 1)
	i := home(gone, mask)
	for s.slots[i] != gone {
		i = (i + 1) & mask
	}
	for j := (i + 1) & mask; s.slots[j] != 0; j = (j + 1) & mask {
		if k := home(s.slots[j], mask); (j-k)&mask >= (j-i)&mask {
			s.slots[i] = s.slots[j]
			i = j
		}
	}
	s.slots[i] = 0
	s.used--
}
