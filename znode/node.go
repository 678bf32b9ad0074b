package znode

import "zebu/proto"

// Node is one znode. A pointer to it is valid until the tree's next mutation.
type Node struct {
	payload string // name, then data
	czxid   proto.Zxid
}

// Data returns the node's data, nil if it is null. It must not be modified.
func (n *Node) Data() []byte { return nil }

// Name returns the last component of the node's path, "" for the root.
func (n *Node) Name() string { return n.payload }

// Czxid is the transaction that created the node.
func (n *Node) Czxid() proto.Zxid { return n.czxid }

// Mzxid is the transaction that last changed the node's data.
func (n *Node) Mzxid() proto.Zxid { return n.czxid }

// Pzxid is the transaction that last created or deleted a child.
func (n *Node) Pzxid() proto.Zxid { return n.czxid }

// Version counts changes of the data.
func (n *Node) Version() int32 { return 0 }

// Owner is the raw ephemeral owner (spec 2.3).
func (n *Node) Owner() proto.SessionID { return 0 }

// NumChildren counts the node's children.
func (n *Node) NumChildren() int { return 0 }
