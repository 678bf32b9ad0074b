package mvcc

import (
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

func putOp(key string) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: []byte(key)}}}
}

func delOp(key, end string) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: &pb.DeleteRangeRequest{Key: []byte(key), RangeEnd: []byte(end)}}}
}

func getOp(key string) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: []byte(key)}}}
}

func txnOp(then, otherwise []*pb.RequestOp) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestTxn{RequestTxn: &pb.TxnRequest{Success: then, Failure: otherwise}}}
}

func gets(n int, more ...*pb.RequestOp) (list []*pb.RequestOp) {
	for range n {
		list = append(list, getOp("a"))
	}
	return append(list, more...)
}

func TestCheck(t *testing.T) {
	type ops = []*pb.RequestOp
	txn := func(list ...*pb.RequestOp) Message { return &pb.TxnRequest{Success: list} }
	for name, c := range map[string]struct {
		request Message
		want    error
	}{
		"put without key":             {&pb.PutRequest{}, ErrEmptyKey},
		"put with value to ignore":    {&pb.PutRequest{Key: []byte("a"), Value: []byte("b"), IgnoreValue: true}, ErrValueProvided},
		"put with lease to ignore":    {&pb.PutRequest{Key: []byte("a"), Lease: 1, IgnoreLease: true}, ErrLeaseProvided},
		"range without key":           {&pb.RangeRequest{}, ErrEmptyKey},
		"range in no order":           {&pb.RangeRequest{Key: []byte("a"), SortOrder: 3}, ErrInvalidSort},
		"range by nothing":            {&pb.RangeRequest{Key: []byte("a"), SortTarget: 5}, ErrInvalidSort},
		"delete without key":          {&pb.DeleteRangeRequest{}, ErrEmptyKey},
		"compare without key":         {&pb.TxnRequest{Compare: []*pb.Compare{{}}}, ErrEmptyKey},
		"nothing in an operation":     {txn(&pb.RequestOp{}), ErrKeyNotFound},
		"put without key in a txn":    {txn(putOp("")), ErrEmptyKey},
		"delete without key in a txn": {txn(delOp("", "")), ErrEmptyKey},
		"128 operations":              {txn(gets(128)...), nil},
		"129 operations":              {txn(gets(129)...), ErrTooManyOps},
		"129 compares":                {&pb.TxnRequest{Compare: make([]*pb.Compare, 129)}, ErrTooManyOps},
		"28 and 100 nested":           {txn(gets(27, txnOp(gets(100), nil))...), nil},
		"29 and 100 nested":           {txn(gets(28, txnOp(gets(100), nil))...), ErrTooManyOps},
		"put twice":                   {txn(putOp("a"), putOp("a")), ErrDuplicateKey},
		"put in both branches":        {&pb.TxnRequest{Success: ops{putOp("a")}, Failure: ops{putOp("a")}}, nil},
		"put and delete":              {txn(putOp("a"), delOp("a", "")), ErrDuplicateKey},
		"put and delete around it":    {txn(putOp("b"), delOp("a", "c")), ErrDuplicateKey},
		"put and delete beside it":    {txn(putOp("c"), delOp("a", "c")), nil},
		"put and delete from here on": {txn(putOp("c"), delOp("a", "\x00")), nil},
		"delete twice":                {txn(delOp("a", "c"), delOp("b", "d")), nil},
		"put outside and nested":      {txn(putOp("a"), txnOp(nil, ops{putOp("a")})), ErrDuplicateKey},
		"put in two nested":           {txn(txnOp(ops{putOp("a")}, nil), txnOp(nil, ops{putOp("a")})), ErrDuplicateKey},
		"put in then and else":        {txn(txnOp(ops{putOp("a")}, ops{putOp("a")})), nil},
		"delete outside, put nested":  {txn(delOp("a", ""), txnOp(ops{putOp("a")}, nil)), ErrDuplicateKey},
		"put outside, delete nested":  {txn(putOp("a"), txnOp(nil, ops{delOp("a", "")})), ErrDuplicateKey},
		"delete nested, then put":     {txn(txnOp(ops{delOp("a", "")}, nil), txnOp(ops{putOp("a")}, nil)), ErrDuplicateKey},
		"put nested, then delete":     {txn(txnOp(ops{putOp("a")}, nil), txnOp(ops{delOp("a", "")}, nil)), nil},
	} {
		if got := Check(c.request, MaxTxnOps); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// TestCheckDepth holds that nothing nests so deep that the stack suffers, whatever number of operations is allowed.
func TestCheckDepth(t *testing.T) {
	op := getOp("a")
	for range maxNesting + 2 {
		op = txnOp([]*pb.RequestOp{op}, nil)
	}
	if got := Check(&pb.TxnRequest{Success: []*pb.RequestOp{op}}, 1<<30); got != ErrTooManyOps {
		t.Error(got)
	}
}

// TestPutAfterDeleteFromHereOn does what etcd's check lets through, and etcd itself does not survive.
func TestPutAfterDeleteFromHereOn(t *testing.T) {
	m := newWatchModel(t, 0)
	m.apply(&pb.PutRequest{Key: []byte("b"), Value: []byte("1")})
	put := putOp("b")
	put.GetRequestPut().IgnoreValue = true
	m.apply(&pb.TxnRequest{Success: []*pb.RequestOp{delOp("a", "\x00"), put}})
	m.apply(&pb.CompactionRequest{Revision: 3})
	for m.store.CompactStep(1) {
	}
	batch := m.store.Take()
	m.mem.Commit(batch)
	s, err := Open(m.mem, Options{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Range(&pb.RangeRequest{Key: []byte("b")})
	if err != nil || len(got.Kvs) != 1 || got.Kvs[0].CreateRevision != 3 || got.Kvs[0].Version != 1 || len(got.Kvs[0].Value) != 0 {
		t.Errorf("%v, %v", got, err)
	}
}
