package watch

import "math/bits"

// index finds numbered things by a 32-bit hash. It is a linear hash table: it grows by one bucket at a time, at the
// cost of splitting one short chain, so there is never a moment at which everything is hashed anew.
type index struct {
	heads   slab[uint32] // first member of each bucket, 0 for none
	members slab[member] // by the number of the thing
	buckets uint32
	count   uint32
}

type member struct{ hash, next uint32 }

// bucket returns where hash belongs now: its low bits, one fewer for buckets that have not been split yet.
func (x *index) bucket(hash uint32) uint32 {
	mask := uint32(1)<<bits.Len32(x.buckets-1) - 1
	if b := hash & mask; b < x.buckets {
		return b
	}
	return hash & (mask >> 1)
}

// first returns the first thing with the hash, 0 if there is none; next gives the others.
func (x *index) first(hash uint32) uint32 {
	if x.count == 0 {
		return 0
	}
	return x.skip(*x.heads.at(x.bucket(hash)), hash)
}

// next returns the thing with the same hash after i.
func (x *index) next(i uint32) uint32 {
	m := x.members.at(i)
	return x.skip(m.next, m.hash)
}

func (x *index) skip(i, hash uint32) uint32 {
	for i != 0 {
		m := x.members.at(i)
		if m.hash == hash {
			break
		}
		i = m.next
	}
	return i
}

// insert adds thing i, which must not be in.
func (x *index) insert(i, hash uint32) {
	if x.count++; x.count > x.buckets {
		x.grow()
	}
	x.members.cover(i)
	x.members.at(i).hash = hash
	x.push(x.bucket(hash), i)
}

func (x *index) push(bucket, i uint32) {
	head := x.heads.at(bucket)
	x.members.at(i).next = *head
	*head = i
}

// grow adds a bucket and moves to it what belongs there from the one bucket that held it until now.
func (x *index) grow() {
	x.heads.cover(x.buckets)
	x.buckets++
	if x.buckets == 1 {
		return
	}
	last := x.buckets - 1
	source := last &^ (1 << (bits.Len32(last) - 1))
	i := *x.heads.at(source)
	*x.heads.at(source) = 0
	for i != 0 {
		m := x.members.at(i)
		next := m.next
		x.push(x.bucket(m.hash), i)
		i = next
	}
}

// remove takes out thing i, which must be in.
func (x *index) remove(i uint32) {
	m := x.members.at(i)
	link := x.heads.at(x.bucket(m.hash))
	for *link != i {
		link = &x.members.at(*link).next
	}
	*link = m.next
	x.count--
}
