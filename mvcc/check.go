package mvcc

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// MaxTxnOps is etcd's default limit of operations in a transaction.
const MaxTxnOps = 128

// maxNesting bounds how deep transactions nest, whatever number of operations an operator allows.
const maxNesting = 512

// Check tells what is wrong with a request as such, before it is read or proposed: one of this package's errors, as etcd's API
// answers, or nil. maxOps is the limit of operations in a transaction; nested ones share what the outer one leaves.
func Check(request Message, maxOps int) error {
	switch r := request.(type) {
	case *pb.RangeRequest:
		return checkRange(r)
	case *pb.PutRequest:
		return checkPut(r)
	case *pb.DeleteRangeRequest:
		if len(r.Key) == 0 {
			return ErrEmptyKey
		}
	case *pb.TxnRequest:
		if err := checkTxn(r, maxOps, 0); err != nil {
			return err
		}
		for _, ops := range [][]*pb.RequestOp{r.Success, r.Failure} {
			if len(ops) == 0 || len(ops) == 1 && ops[0].GetRequestTxn() == nil { // as most are
				continue
			}
			if _, err := checkOverlap(ops); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkShape is what must hold for a request that is to be applied, whatever limits the server had that proposed it.
func checkShape(request Message) error { return Check(request, 1<<30) }

func checkRange(r *pb.RangeRequest) error {
	if len(r.GetKey()) == 0 {
		return ErrEmptyKey
	}
	if pb.RangeRequest_SortOrder_name[int32(r.SortOrder)] == "" || pb.RangeRequest_SortTarget_name[int32(r.SortTarget)] == "" {
		return ErrInvalidSort
	}
	return nil
}

func checkPut(r *pb.PutRequest) error {
	switch {
	case len(r.GetKey()) == 0:
		return ErrEmptyKey
	case r.IgnoreValue && len(r.Value) > 0:
		return ErrValueProvided
	case r.IgnoreLease && r.Lease != 0:
		return ErrLeaseProvided
	}
	return nil
}

func checkTxn(r *pb.TxnRequest, maxOps, depth int) error {
	ops := max(len(r.GetCompare()), len(r.GetSuccess()), len(r.GetFailure()))
	if ops > maxOps || depth > maxNesting {
		return ErrTooManyOps
	}
	for _, c := range r.GetCompare() {
		if len(c.Key) == 0 {
			return ErrEmptyKey
		}
	}
	for _, branch := range [][]*pb.RequestOp{r.GetSuccess(), r.GetFailure()} {
		for _, op := range branch {
			if err := checkOp(op, maxOps-ops, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkOp(op *pb.RequestOp, maxOps, depth int) error {
	switch o := op.Request.(type) {
	case *pb.RequestOp_RequestRange:
		return checkRange(o.RequestRange)
	case *pb.RequestOp_RequestPut:
		return checkPut(o.RequestPut)
	case *pb.RequestOp_RequestDeleteRange:
		if len(o.RequestDeleteRange.GetKey()) == 0 {
			return ErrEmptyKey
		}
		return nil
	case *pb.RequestOp_RequestTxn:
		return checkTxn(o.RequestTxn, maxOps, depth)
	}
	return ErrKeyNotFound // an operation with nothing in it
}

// footprint is what a list of operations may write.
type footprint struct {
	puts    map[string]bool
	deletes []interval
}

func (f *footprint) deleted(key string) bool {
	for _, d := range f.deletes {
		// As in etcd, a deletion "from here on" does not count: it may stand beside puts, which see it in order.
		if !d.open && d.contains(key) {
			return true
		}
	}
	return false
}

// checkOverlap refuses operations of which two write a key in one transaction, with etcd's idea of which do: the branches
// of a nested transaction exclude one another, and what a nested one puts may be deleted by one after it.
func checkOverlap(ops []*pb.RequestOp) (*footprint, error) {
	f := &footprint{puts: map[string]bool{}}
	for _, op := range ops {
		if o, ok := op.Request.(*pb.RequestOp_RequestDeleteRange); ok {
			f.deletes = append(f.deletes, makeInterval(o.RequestDeleteRange.Key, o.RequestDeleteRange.RangeEnd))
		}
	}
	for _, op := range ops {
		o, ok := op.Request.(*pb.RequestOp_RequestTxn)
		if !ok {
			continue
		}
		then, err := checkOverlap(o.RequestTxn.Success)
		if err != nil {
			return nil, err
		}
		other, err := checkOverlap(o.RequestTxn.Failure)
		if err != nil {
			return nil, err
		}
		for _, branch := range []*footprint{then, other} {
			for key := range branch.puts {
				if f.deleted(key) || f.puts[key] && (branch == then || !then.puts[key]) {
					return nil, ErrDuplicateKey
				}
			}
		}
		for _, branch := range []*footprint{then, other} {
			for key := range branch.puts {
				f.puts[key] = true
			}
			f.deletes = append(f.deletes, branch.deletes...)
		}
	}
	for _, op := range ops {
		if o, ok := op.Request.(*pb.RequestOp_RequestPut); ok {
			key := string(o.RequestPut.Key)
			if f.puts[key] || f.deleted(key) {
				return nil, ErrDuplicateKey
			}
			f.puts[key] = true
		}
	}
	return f, nil
}
