package etcdtest

import (
	"errors"
	"math/rand/v2"
	"testing"
	_ "unsafe" // for go:linkname

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/pkg/v3/adt"
	_ "go.etcd.io/etcd/server/v3/etcdserver/api/v3rpc" // has the checks

	ours "zebu/mvcc"
)

//go:linkname checkTxnRequest go.etcd.io/etcd/server/v3/etcdserver/api/v3rpc.checkTxnRequest
func checkTxnRequest(r *pb.TxnRequest, maxTxnOps int) error

//go:linkname checkIntervals go.etcd.io/etcd/server/v3/etcdserver/api/v3rpc.checkIntervals
func checkIntervals(reqs []*pb.RequestOp) (map[string]struct{}, adt.IntervalTree, error)

// etcdCheck is what etcd's API does before it proposes a transaction.
func etcdCheck(r *pb.TxnRequest, maxOps int) error {
	if err := checkTxnRequest(r, maxOps); err != nil {
		return err
	}
	for _, ops := range [][]*pb.RequestOp{r.Success, r.Failure} {
		if _, _, err := checkIntervals(ops); err != nil {
			return err
		}
	}
	return nil
}

// TestCheckDifferential gives transactions to both checks, valid or not.
func TestCheckDifferential(t *testing.T) {
	seen := map[error]int{}
	for seed := range uint64(60_000) {
		g := &generator{Rand: rand.New(rand.NewPCG(seed, 3)), revision: 9, compacted: 3}
		r := g.txn(0)
		spoil(g, r)
		maxOps := ours.MaxTxnOps
		if g.flip(3) {
			maxOps = g.IntN(8)
		}
		want, got := etcdCheck(r, maxOps), ours.Check(r, maxOps)
		if !errors.Is(got, want) {
			t.Fatalf("seed %d, %v: etcd says %v, zebu %v", seed, r, want, got)
		}
		seen[want]++
	}
	t.Log(seen)
	for _, err := range []error{nil, ours.ErrEmptyKey, ours.ErrKeyNotFound, ours.ErrValueProvided, ours.ErrLeaseProvided, ours.ErrTooManyOps, ours.ErrDuplicateKey, ours.ErrInvalidSort} {
		if seen[err] == 0 {
			t.Errorf("never came up: %v", err)
		}
	}
}

// spoil makes some requests invalid.
func spoil(g *generator, r *pb.TxnRequest) {
	for _, c := range r.Compare {
		if g.flip(40) {
			c.Key = nil
		}
	}
	for _, ops := range [][]*pb.RequestOp{r.Success, r.Failure} {
		for _, op := range ops {
			switch o := op.Request.(type) {
			case *pb.RequestOp_RequestRange:
				if g.flip(40) {
					o.RequestRange.SortTarget = pb.RangeRequest_SortTarget(g.IntN(9) - 2)
				}
			case *pb.RequestOp_RequestPut:
				switch g.IntN(100) {
				case 0:
					o.RequestPut.Key = nil
				case 1:
					o.RequestPut.IgnoreValue = true
				case 2:
					o.RequestPut.IgnoreLease = true
				case 3:
					op.Request = nil
				}
			case *pb.RequestOp_RequestTxn:
				spoil(g, o.RequestTxn)
			}
		}
	}
}
