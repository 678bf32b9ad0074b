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

type shard struct {
	slots []uint32 // node numbers, 0 is empty; the length is a power of two
	used  uint32
}

func newIndex() *index { return &index{seed: maphash.MakeSeed()} }

func (x *index) hash(parent uint32, name string) uint64 {
	h := maphash.String(x.seed, name) ^ uint64(parent)*0x9e3779b97f4a7c15
	h ^= h >> 32
	return h * 0xd6e8feb86659fd93
}

func (x *index) shard(h uint64) *shard { return &x.shards[h>>(64-shardBits)] }

// The slot comes from bits that the shard number does not use.
func home(h uint64, mask uint32) uint32 { return uint32(h>>16) & mask }

// find returns the child of parent called name, 0 if there is none.
func (t *Tree) find(parent uint32, name string) uint32 {
	h := t.index.hash(parent, name)
	s := t.index.shard(h)
	if s.used == 0 {
		return 0
	}
	mask := uint32(len(s.slots) - 1)
	for i := home(h, mask); ; i = (i + 1) & mask {
		idx := s.slots[i]
		if idx == 0 {
			return 0
		}
		if n := t.node(idx); n.parent == parent && n.Name() == name {
			return idx
		}
	}
}

func (t *Tree) slotHash(idx uint32) uint64 {
	n := t.node(idx)
	return t.index.hash(n.parent, n.Name())
}

// indexAdd adds a node that is in place and not in the index.
func (t *Tree) indexAdd(idx uint32) {
	h := t.slotHash(idx)
	s := t.index.shard(h)
	if s.used*4 >= uint32(len(s.slots))*3 {
		old := s.slots
		s.slots = make([]uint32, max(minSlots, 2*len(old)))
		for _, o := range old {
			if o != 0 {
				s.put(t.slotHash(o), o)
			}
		}
	}
	s.put(h, idx)
	s.used++
}

func (s *shard) put(h uint64, idx uint32) {
	mask := uint32(len(s.slots) - 1)
	i := home(h, mask)
	for s.slots[i] != 0 {
		i = (i + 1) & mask
	}
	s.slots[i] = idx
}

// indexRemove takes a node out, and moves those after it that a lookup could no longer reach.
func (t *Tree) indexRemove(idx uint32) {
	h := t.slotHash(idx)
	s := t.index.shard(h)
	mask := uint32(len(s.slots) - 1)
	i := home(h, mask)
	for s.slots[i] != idx {
		i = (i + 1) & mask
	}
	for j := (i + 1) & mask; s.slots[j] != 0; j = (j + 1) & mask {
		if k := home(t.slotHash(s.slots[j]), mask); (j-k)&mask >= (j-i)&mask {
			s.slots[i] = s.slots[j]
			i = j
		}
	}
	s.slots[i] = 0
	s.used--
}
