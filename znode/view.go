package znode

import (
	"slices"
	"unsafe"

	"zebu/proto"
)

// View is an immutable image of a tree at one transaction, for use from another goroutine while the tree goes on. It
// needs no closing: what it shares with the tree is freed with it.
type View struct {
	chunks []*chunk
	acls   [][]proto.ACL // nil where a number is not in use
	count  int
	zxid   proto.Zxid
	digest uint64
	hasDig bool
}

// View returns an image of the tree as it is. It costs one pointer for every 64 nodes and one for every distinct
// access control list. The tree's next change of a node copies that node's chunk, once a view. Taking a view counts as a
// mutation, although readers do not notice it.
func (t *Tree) View() *View {
	v := &View{chunks: slices.Clone(t.chunks), acls: make([][]proto.ACL, len(t.acls.entries)), count: t.count, zxid: t.last}
	v.digest, v.hasDig = t.Digest()
	for i := range t.acls.entries {
		if e := &t.acls.entries[i]; e.refs > 0 && (uint32(i) != aclNobody || e.refs > 1) {
			v.acls[i] = e.list
		}
	}
	t.gen++
	return v
}

// Zxid is the last transaction that the image contains.
func (v *View) Zxid() proto.Zxid { return v.zxid }

// Digest is the image's digest, and false if digests are off.
func (v *View) Digest() (uint64, bool) { return v.digest, v.hasDig }

// NumNodes is the number of nodes, the root counted once.
func (v *View) NumNodes() int { return v.count }

// NumACLs is the number of lists that ACLs yields.
func (v *View) NumACLs() int {
	n := 0
	v.ACLs(func(int64, []proto.ACL) bool {
		n++
		return true
	})
	return n
}

// ACLs yields every access control list but the predefined -1, by ascending id.
func (v *View) ACLs(yield func(id int64, acl []proto.ACL) bool) {
	for i, l := range v.acls {
		if uint32(i) != aclOpen && l != nil && !yield(int64(i), l) {
			return
		}
	}
}

func (v *View) node(idx uint32) *Node { return &v.chunks[idx>>chunkBits][idx&(chunkLen-1)] }

// Nodes yields every node, a parent before its children; the root's path is "". path, data and st are lent until yield
// returns.
func (v *View) Nodes(yield func(path string, data []byte, aclID int64, st *proto.StatPersisted) bool) {
	var st proto.StatPersisted
	var path []byte
	for idx := uint32(root); ; {
		n := v.node(idx)
		n.persisted(&st)
		acl := int64(n.acl)
		if n.acl == aclOpen {
			acl = -1
		}
		if !yield(unsafe.String(unsafe.SliceData(path), len(path)), n.Data(), acl, &st) {
			return
		}
		next := n.firstChild
		for next == 0 && n.parent != 0 {
			path = path[:len(path)-len(n.Name())-1]
			if next = n.next; next == 0 {
				n = v.node(n.parent)
			}
		}
		if idx = next; idx == 0 {
			return
		}
		path = append(append(path, '/'), v.node(idx).Name()...)
	}
}
