package znode

import "zebu/proto"

// Change is one change that watches may wait for.
type Change struct {
	Type proto.EventType
	Path string
	ACL  []proto.ACL // READ on it is needed to be told (spec 4.2)
}

// OpResult is the outcome of one operation of a multi. Type is OpError if it failed.
type OpResult struct {
	Type proto.OpCode
	Err  proto.ErrCode
	Path string
	Stat proto.Stat
}

// Result is what applying a transaction brought about. The caller lends it to [Tree.Apply] again and again. Paths alias
// the transaction's bytes unless said otherwise.
type Result struct {
	Type      proto.OpCode
	Err       proto.ErrCode
	Path      string
	Stat      proto.Stat
	Changes   []Change   // in firing order
	Ops       []OpResult // of a multi
	HasDigest bool       // the transaction carried Digest
	Digest    proto.TxnDigest
}

// Apply carries out the transaction with header h; body is everything after the header. Outcomes that a client may see
// are in res.Err; the returned error means that the transaction cannot be understood, and nothing was changed.
func (t *Tree) Apply(h *proto.TxnHeader, body []byte, res *Result) error { return nil }
