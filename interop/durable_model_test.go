package interop

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"zebu/proto"
)

// durableNode is what the model knows of a node. Zxid is 0 while the write has not been acknowledged.
type durableNode struct {
	data    string
	version int32
	mzxid   proto.Zxid
}

// durableTree is one connection's own subtree: nobody else writes there, so every outcome can be foretold.
type durableTree struct {
	nodes     map[string]durableNode
	creations int32 // of children, ever: the next sequence number
}

func (m *durableTree) clone() *durableTree {
	return &durableTree{nodes: maps.Clone(m.nodes), creations: m.creations}
}

// durableOp is one write of the load.
type durableOp struct {
	kind    durableKind
	name    string // child of the connection's directory
	other   string // second node of a multi
	data    string
	version int32
}

type durableKind int

const (
	opCreate durableKind = iota
	opSequential
	opSet
	opDelete
	opMultiWrite // sets name, creates other: fails as a whole if either does
	durableKinds
)

// nextOp draws a write that mostly succeeds.
func (m *durableTree) nextOp(r *rand.Rand, n int) durableOp {
	op := durableOp{kind: durableKind(r.IntN(int(durableKinds))), data: fmt.Sprintf("%d-%x", n, r.Uint64()), version: -1}
	if len(m.nodes) > 40 {
		op.kind = opDelete
	}
	op.name, op.other = fmt.Sprintf("n%d", r.IntN(20)), fmt.Sprintf("n%d", r.IntN(20))
	if len(m.nodes) > 0 && (op.kind == opSet || op.kind == opDelete || op.kind == opMultiWrite) {
		names := slices.Sorted(maps.Keys(m.nodes))
		op.name = names[r.IntN(len(names))]
	}
	if op.kind == opSet && r.IntN(3) > 0 {
		op.version = m.nodes[op.name].version - int32(r.IntN(2)) // right or one too old
	}
	return op
}

// apply makes the change that op makes, and foretells its outcome.
func (m *durableTree) apply(op durableOp, z proto.Zxid) proto.ErrCode {
	old, there := m.nodes[op.name]
	switch op.kind {
	case opCreate:
		if there {
			return proto.ErrNodeExists
		}
		m.creations++
		m.nodes[op.name] = durableNode{data: op.data, mzxid: z}
	case opSequential:
		m.nodes[fmt.Sprintf("s%010d", m.creations)] = durableNode{data: op.data, mzxid: z}
		m.creations++
	case opSet:
		switch {
		case !there:
			return proto.ErrNoNode
		case op.version != -1 && op.version != old.version:
			return proto.ErrBadVersion
		}
		m.nodes[op.name] = durableNode{data: op.data, version: old.version + 1, mzxid: z}
	case opDelete:
		if !there {
			return proto.ErrNoNode
		}
		delete(m.nodes, op.name)
	case opMultiWrite:
		if _, exists := m.nodes[op.other]; !there || exists {
			return proto.OK // a failed multi's header says nothing
		}
		m.creations++
		m.nodes[op.name] = durableNode{data: op.data, version: old.version + 1, mzxid: z}
		m.nodes[op.other] = durableNode{data: op.data, mzxid: z}
	}
	return proto.OK
}

// encode returns op as a request on a node of dir.
func (op durableOp) encode(dir string) (proto.OpCode, record) {
	path, data := dir+"/"+op.name, []byte(op.data)
	switch op.kind {
	case opCreate:
		return proto.OpCreate, &proto.CreateRequest{Path: path, Data: data, ACL: openACL}
	case opSequential:
		return proto.OpCreate, &proto.CreateRequest{Path: dir + "/s", Data: data, ACL: openACL, Flags: proto.PersistentSequential}
	case opSet:
		return proto.OpSetData, &proto.SetDataRequest{Path: path, Data: data, Version: op.version}
	case opDelete:
		return proto.OpDelete, &proto.PathVersion{Path: path, Version: -1}
	}
	return proto.OpMulti, multiOf(
		multiOp(proto.OpSetData, &proto.SetDataRequest{Path: path, Data: data, Version: -1}),
		multiOp(proto.OpCreate, &proto.CreateRequest{Path: dir + "/" + op.other, Data: data, ACL: openACL}))
}

// same says whether the server's subtree is this one. Zxids are compared where they are known.
func (m *durableTree) same(got *durableTree) bool {
	if m.creations != got.creations || len(m.nodes) != len(got.nodes) {
		return false
	}
	for name, want := range m.nodes {
		g, ok := got.nodes[name]
		if !ok || g.data != want.data || g.version != want.version || want.mzxid != 0 && g.mzxid != want.mzxid {
			return false
		}
	}
	return true
}
