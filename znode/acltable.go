package znode

import "zebu/proto"

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
	entries []aclEntry
	numbers map[string]uint32 // by the list's encoding
	free    []uint32          // numbers to use again
	key     []byte            // space for an encoding
}

type aclEntry struct {
	list []proto.ACL
	refs int
}

func newACLTable() aclTable {
	a := aclTable{numbers: map[string]uint32{}}
	for _, l := range [][]proto.ACL{aclOpen: openACL, aclNobody: nobodyACL} {
		a.acquire(l) // never to be released
	}
	return a
}

// lookup returns the number of a list that is known. It leaves the list's encoding in a.key.
func (a *aclTable) lookup(l []proto.ACL) (id uint32, ok bool) {
	a.key = a.key[:0]
	for i := range l {
		a.key = l[i].Append(a.key)
	}
	id, ok = a.numbers[string(a.key)]
	return id, ok
}

// own returns a list equal to l that will not change under the caller.
func (a *aclTable) own(l []proto.ACL) []proto.ACL {
	if id, ok := a.lookup(l); ok {
		return a.entries[id].list
	}
	return cloneACL(l)
}

// acquire counts one more node with list l and returns its number. A null list is the open one.
func (a *aclTable) acquire(l []proto.ACL) uint32 {
	if l == nil {
		l = openACL
	}
	id, ok := a.lookup(l)
	if !ok {
		if n := len(a.free); n > 0 {
			id, a.free = a.free[n-1], a.free[:n-1]
		} else {
			id = uint32(len(a.entries))
			a.entries = append(a.entries, aclEntry{})
		}
		a.numbers[string(a.key)] = id
		a.entries[id].list = cloneACL(l)
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
	a.lookup(e.list)
	delete(a.numbers, string(a.key))
	*e = aclEntry{}
	a.free = append(a.free, id)
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
