package znode

import (
	"hash/maphash"
	"slices"

	"zebu/proto"
)

// Fixed numbers in an aclTable.
const (
	aclOpen   uint32 = 0 // world:anyone ALL, which snapshots call -1
	aclNobody uint32 = 1 // what a snapshot's unknown id turns into
)

var (
	openACL     = []proto.ACL{{Perms: proto.PermAll, ID: proto.ID{Scheme: "world", ID: "anyone"}}}
	readOnlyACL = []proto.ACL{{Perms: proto.PermRead, ID: proto.ID{Scheme: "world", ID: "anyone"}}}
	// nobodyACL stands where a snapshot names a list that it does not contain. A null list would let everybody in; this
	// one shuts all but super users out, and survives a snapshot of ours (scenario 30).
	nobodyACL = []proto.ACL{{Perms: 0, ID: proto.ID{Scheme: "world", ID: "anyone"}}}
)

// aclTable keeps each distinct access control list once, under a number, with the count of nodes that have it. Lists
// never change, so they may be handed out.
type aclTable struct {
	seed    maphash.Seed
	entries []aclEntry
	byHash  map[uint64]uint32 // -> first entry of the hash; others by next
	free    uint32            // first free entry, by next
	live    int               // entries in use, the fixed ones not counted
}

type aclEntry struct {
	list []proto.ACL
	hash uint64
	refs int
	next uint32
}

func newACLTable() aclTable {
	a := aclTable{seed: maphash.MakeSeed(), byHash: map[uint64]uint32{}, entries: make([]aclEntry, 2)}
	for i, l := range [][]proto.ACL{aclOpen: openACL, aclNobody: nobodyACL} {
		a.entries[i] = aclEntry{list: l, hash: a.hash(l), refs: 1} // never to be released
		a.byHash[a.entries[i].hash] = uint32(i)
	}
	return a
}

func (a *aclTable) hash(l []proto.ACL) uint64 {
	const k = 0x9e3779b97f4a7c15
	h := uint64(len(l))
	for i := range l {
		h = (h ^ uint64(uint32(l[i].Perms))) * k
		h = (h ^ maphash.String(a.seed, l[i].ID.Scheme)) * k
		h = (h ^ maphash.String(a.seed, l[i].ID.ID)) * k
	}
	return h
}

// lookup returns the number of a list that is known.
func (a *aclTable) lookup(l []proto.ACL) (id uint32, h uint64, ok bool) {
	h = a.hash(l)
	id, ok = a.byHash[h]
	for ok && !slices.Equal(a.entries[id].list, l) {
		id = a.entries[id].next
		ok = id != 0
	}
	return id, h, ok
}

// own returns a list equal to l that will not change under the caller.
func (a *aclTable) own(l []proto.ACL) []proto.ACL {
	if id, _, ok := a.lookup(l); ok {
		return a.entries[id].list
	}
	return cloneACL(l)
}

// acquire counts one more node with list l and returns its number. A null list is the open one.
func (a *aclTable) acquire(l []proto.ACL) uint32 {
	if l == nil {
		l = openACL
	}
	id, h, ok := a.lookup(l)
	if !ok {
		if id = a.free; id != 0 {
			a.free = a.entries[id].next
		} else {
			id = uint32(len(a.entries))
			a.entries = append(a.entries, aclEntry{})
		}
		a.entries[id] = aclEntry{list: cloneACL(l), hash: h}
		// The fixed entries end their chains with 0, so new ones go in second place.
		if head, ok := a.byHash[h]; ok {
			a.entries[id].next = a.entries[head].next
			a.entries[head].next = id
		} else {
			a.byHash[h] = id
		}
		a.live++
	}
	a.entries[id].refs++
	return id
}

// release counts one node less, and forgets a list that has none.
func (a *aclTable) release(id uint32) {
	e := &a.entries[id]
	if e.refs--; e.refs > 0 {
		return
	}
	if head := a.byHash[e.hash]; head != id {
		for a.entries[head].next != id {
			head = a.entries[head].next
		}
		a.entries[head].next = e.next
	} else if e.next != 0 {
		a.byHash[e.hash] = e.next
	} else {
		delete(a.byHash, e.hash)
	}
	*e = aclEntry{next: a.free}
	a.free = id
	a.live--
}

func cloneACL(l []proto.ACL) []proto.ACL {
	c := make([]proto.ACL, len(l))
	n := 0
	for i := range l {
		n += len(l[i].ID.Scheme) + len(l[i].ID.ID)
	}
	b := make([]byte, 0, n)
	for i := range l {
		b = append(append(b, l[i].ID.Scheme...), l[i].ID.ID...)
	}
	s := string(b)
	for i := range l {
		k := len(l[i].ID.Scheme)
		c[i] = proto.ACL{Perms: l[i].Perms, ID: proto.ID{Scheme: s[:k], ID: s[k : k+len(l[i].ID.ID)]}}
		s = s[k+len(l[i].ID.ID):]
	}
	return c
}
