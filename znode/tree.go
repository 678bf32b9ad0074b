package znode

import (
	"iter"

	"zebu/proto"
)

// Tree is the tree of znodes.
type Tree struct {
	opts Options
}

// New returns a tree that holds the reserved nodes alone (spec 6).
func New(opts Options) *Tree { return &Tree{opts: opts} }

// Lookup returns the node at path, nil if there is none. "" and "/" are the root.
func (t *Tree) Lookup(path string) *Node { return nil }

// Stat fills st with n's metadata as clients see it.
func (t *Tree) Stat(n *Node, st *proto.Stat) {}

// ACL returns n's access control list. It is shared: it must not be modified, and stays valid.
func (t *Tree) ACL(n *Node) []proto.ACL { return nil }

// AppendChildren appends the names of n's children to dst as a Jute vector of strings, in no particular order.
func (t *Tree) AppendChildren(dst []byte, n *Node) []byte { return dst }

// Descendants counts the nodes below n as getAllChildrenNumber does (spec 2.5).
func (t *Tree) Descendants(n *Node) int { return 0 }

// Ephemerals returns the paths of a session's ephemeral nodes, in no particular order.
func (t *Tree) Ephemerals(s proto.SessionID) []string { return nil }

// EphemeralOwners yields every session that owns ephemeral nodes, in no particular order, with their number.
func (t *Tree) EphemeralOwners() iter.Seq2[proto.SessionID, int] {
	return func(func(proto.SessionID, int) bool) {}
}

// NodeCount is the number of nodes as ZooKeeper reports it, the root counted under both of its names.
func (t *Tree) NodeCount() int { return 0 }

// EphemeralCount is the number of ephemeral nodes.
func (t *Tree) EphemeralCount() int { return 0 }

// DataSize is ZooKeeper's approximate data size: the lengths of all paths and data, in bytes.
func (t *Tree) DataSize() int64 { return 0 }

// Digest is the tree's digest after LastZxid (spec 9), and false if digests are off.
func (t *Tree) Digest() (uint64, bool) { return 0, false }

// LastZxid is the last transaction applied.
func (t *Tree) LastZxid() proto.Zxid { return 0 }

// KillSession deletes the ephemeral nodes of a session that no longer exists, as if it had ended at z: for those left
// over after a restore (spec 10.3).
func (t *Tree) KillSession(s proto.SessionID, z proto.Zxid) {}

// Reapable appends to dst the paths of at most max nodes that are due for removal at now (spec 2.3): empty containers
// and empty TTL nodes that have outlived their TTL. maxNeverUsed is how long a container may wait for its first child,
// 0 for ever.
func (t *Tree) Reapable(now, maxNeverUsed proto.Millis, max int, dst []string) []string { return dst }
