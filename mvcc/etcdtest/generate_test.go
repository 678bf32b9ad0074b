package etcdtest

import (
	"fmt"
	"math/rand/v2"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	ours "zebu/mvcc"
)

// generator makes requests at random, of few keys and leases so that they meet.
type generator struct {
	*rand.Rand
	revision  int64 // current
	compacted int64
}

func (g *generator) key() []byte {
	switch g.IntN(12) {
	case 0:
		return []byte{0}
	case 1:
		return []byte{byte('a' + g.IntN(4)), 0}
	case 2:
		return []byte{0xff, byte(g.IntN(3))}
	}
	return fmt.Appendf(nil, "%c%d", 'a'+g.IntN(4), g.IntN(6))
}

// end is the end of a range: none, from here on, a prefix's, or another key.
func (g *generator) end(key []byte) []byte {
	switch g.IntN(6) {
	case 0:
		return []byte{0}
	case 1:
		return append([]byte{}, key[0]+1)
	case 2:
		return g.key()
	}
	return nil
}

func (g *generator) lease() int64 { return int64(max(0, g.IntN(12)-5)) }

// some is a revision: mostly 0, else one about those there are.
func (g *generator) some() int64 {
	switch g.IntN(8) {
	case 0:
		return g.revision - int64(g.IntN(5))
	case 1:
		return g.revision + int64(g.IntN(3)) - 1
	case 2:
		return g.compacted + int64(g.IntN(4)) - 1
	case 3:
		return 1 + g.Int64N(g.revision)
	case 4:
		return -g.Int64N(7)
	}
	return 0
}

func (g *generator) flip(n int) bool { return g.IntN(n) == 0 }

func (g *generator) value() []byte {
	b := make([]byte, g.IntN(4)*g.IntN(4))
	for i := range b {
		b[i] = byte('v' + g.IntN(3))
	}
	return b
}

func (g *generator) get() *pb.RangeRequest {
	r := &pb.RangeRequest{Key: g.key(), Revision: g.some(), Serializable: g.flip(2)}
	r.RangeEnd = g.end(r.Key)
	if g.flip(3) {
		r.Limit = int64(g.IntN(8)) - 1
	}
	if g.flip(3) {
		r.SortOrder, r.SortTarget = pb.RangeRequest_SortOrder(g.IntN(3)), pb.RangeRequest_SortTarget(g.IntN(5))
	}
	if g.flip(4) {
		for _, f := range []*int64{&r.MinModRevision, &r.MaxModRevision, &r.MinCreateRevision, &r.MaxCreateRevision} {
			if g.flip(3) {
				*f = g.some()
			}
		}
	}
	r.KeysOnly, r.CountOnly = g.flip(8), g.flip(10)
	return r
}

func (g *generator) put() *pb.PutRequest {
	r := &pb.PutRequest{Key: g.key(), PrevKv: g.flip(3)}
	if r.IgnoreValue = g.flip(8); !r.IgnoreValue {
		r.Value = g.value()
	}
	if r.IgnoreLease = g.flip(8); !r.IgnoreLease && g.flip(2) {
		r.Lease = g.lease()
	}
	return r
}

func (g *generator) del() *pb.DeleteRangeRequest {
	r := &pb.DeleteRangeRequest{Key: g.key(), PrevKv: g.flip(3)}
	r.RangeEnd = g.end(r.Key)
	return r
}

func (g *generator) compare() *pb.Compare {
	c := &pb.Compare{Key: g.key(), Result: pb.Compare_CompareResult(g.IntN(5)), Target: pb.Compare_CompareTarget(g.IntN(6))}
	if g.flip(3) {
		c.RangeEnd = g.end(c.Key)
	}
	target := c.Target
	if g.flip(16) { // with the wrong member of the union, or none
		target = pb.Compare_CompareTarget(g.IntN(6))
	}
	switch target {
	case pb.Compare_VERSION:
		c.TargetUnion = &pb.Compare_Version{Version: int64(g.IntN(4))}
	case pb.Compare_CREATE:
		c.TargetUnion = &pb.Compare_CreateRevision{CreateRevision: g.some()}
	case pb.Compare_MOD:
		c.TargetUnion = &pb.Compare_ModRevision{ModRevision: g.some()}
	case pb.Compare_VALUE:
		c.TargetUnion = &pb.Compare_Value{Value: g.value()}
	case pb.Compare_LEASE:
		c.TargetUnion = &pb.Compare_Lease{Lease: g.lease()}
	}
	return c
}

func (g *generator) ops(depth int) (ops []*pb.RequestOp) {
	for range g.IntN(4) {
		op := &pb.RequestOp{}
		switch n := g.IntN(10); {
		case n < 3:
			r := g.get()
			if g.flip(2) {
				r.Revision = 0 // most others fail the transaction
			}
			op.Request = &pb.RequestOp_RequestRange{RequestRange: r}
		case n < 7:
			op.Request = &pb.RequestOp_RequestPut{RequestPut: g.put()}
		case n < 8 || depth > 2:
			op.Request = &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: g.del()}
		default:
			op.Request = &pb.RequestOp_RequestTxn{RequestTxn: g.txn(depth + 1)}
		}
		ops = append(ops, op)
	}
	return ops
}

func (g *generator) txn(depth int) *pb.TxnRequest {
	r := &pb.TxnRequest{Success: g.ops(depth), Failure: g.ops(depth)}
	for range g.IntN(3) {
		r.Compare = append(r.Compare, g.compare())
	}
	return r
}

// next makes one request that etcd's API would let through.
func (g *generator) next() ours.Message {
	for {
		var r ours.Message
		switch n := g.IntN(100); {
		case n < 30:
			r = g.get()
		case n < 58:
			r = g.put()
		case n < 66:
			r = g.del()
		case n < 89:
			r = g.txn(0)
		case n < 91:
			r = &pb.CompactionRequest{Revision: g.some()}
		case n < 96:
			r = &pb.LeaseGrantRequest{ID: g.lease(), TTL: 1 + g.Int64N(100)}
			if g.flip(20) {
				r.(*pb.LeaseGrantRequest).TTL = ours.MaxTTL + g.Int64N(2)
			}
		default:
			r = &pb.LeaseRevokeRequest{ID: g.lease()}
		}
		if ours.Check(r, ours.MaxTxnOps) == nil && !rewrites(r) {
			return r
		}
	}
}

// rewrites tells whether a transaction may write a key that it has deleted "from here on", which slips through etcd's check:
// then etcd loses that key at the next compaction, or panics. We do neither, so there is nothing to compare.
func rewrites(m ours.Message) bool {
	r, ok := m.(*pb.TxnRequest)
	if !ok {
		return false
	}
	puts, open := 0, 0
	var walk func(ops []*pb.RequestOp)
	walk = func(ops []*pb.RequestOp) {
		for _, op := range ops {
			switch o := op.Request.(type) {
			case *pb.RequestOp_RequestPut:
				puts++
			case *pb.RequestOp_RequestDeleteRange:
				if end := o.RequestDeleteRange.RangeEnd; len(end) == 1 && end[0] == 0 {
					open++
				}
			case *pb.RequestOp_RequestTxn:
				walk(o.RequestTxn.Success)
				walk(o.RequestTxn.Failure)
			}
		}
	}
	walk(r.Success)
	walk(r.Failure)
	return puts > 0 && open > 0
}
